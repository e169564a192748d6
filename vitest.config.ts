import { defineConfig } from 'vitest/config';

const source = { resolve: { conditions: ['source'] }, ssr: { resolve: { conditions: ['source'], externalConditions: ['source'] } } };

// The behaviour suite waits for proxies most of the time. (At the root it would say nothing: each project has its own.)
const maxConcurrency = 10;

export default defineConfig({
  test: {
    projects: [
      { ...source, test: { name: 'mesh-core', root: 'packages/mesh-core', include: ['src/**/*.test.ts'], testTimeout: 30_000 } },
      { ...source, test: { name: 'server', root: 'apps/server', include: ['src/**/*.test.ts', 'test/**/*.test.ts'], testTimeout: 30_000, maxConcurrency } },
      { ...source, test: { name: 'web', root: 'apps/web', include: ['src/**/*.test.{ts,tsx}'], environment: 'jsdom' } },
      { test: { name: 'scripts', root: 'scripts', include: ['**/*.test.{ts,mjs}'] } },
    ],
  },
});
