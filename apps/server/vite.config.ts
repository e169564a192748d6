// The proxy as one program in CommonJS: Node's loader of ES modules, what it keeps of each of 250 modules, and V8 of their text, take
// 3 MB of a process, with traffic or without (docs/benchmarks-notes.md).

import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    ssr: 'src/proxy/main.ts',
    outDir: 'dist/proxy-program',
    target: 'node20',
    sourcemap: true,
    rolldownOptions: {
      output: {
        ...{ format: 'cjs', strict: true, entryFileNames: '[name].cjs', chunkFileNames: '[name].cjs', comments: false },
        // V8 knows what a constant is when it compiles what uses it.
        topLevelVar: false,
        // Read one after the other: parsing takes four times the text for a moment, and malloc keeps some of that.
        codeSplitting: { groups: ['mesh-core', 'http-wire'].map((name) => ({ name, test: new RegExp(`/${name}/`) })) },
      },
    },
  },
  ssr: { noExternal: true, external: ['prom-client'], resolve: { conditions: ['source', 'node', 'import', 'default'] } },
  plugins: [
    {
      // V8 keeps two bytes of each character of a text in which one needs them.
      name: 'escape-what-is-not-latin1',
      generateBundle(_, bundle) {
        for (const chunk of Object.values(bundle))
          if (chunk.type === 'chunk') chunk.code = chunk.code.replaceAll(/[\u0100-\uFFFF]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
      },
    },
  ],
});
