import react from '@vitejs/plugin-react';
import { defaultClientConditions, defineConfig } from 'vite';

const target = 'http://127.0.0.1:20001';

export default defineConfig({
  plugins: [react()],
  resolve: { conditions: ['source', ...defaultClientConditions] },
  server: { proxy: { '/api': { target, ws: true }, '/apis': { target } } },
  build: { outDir: 'dist', emptyOutDir: true, chunkSizeWarningLimit: 1_500 },
});
