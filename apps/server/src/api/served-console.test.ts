import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startTestApi } from './testing/services.ts';

function build(dir: string, version: string): void {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, 'assets'), { recursive: true });
  writeFileSync(join(dir, 'index.html'), `<script src="/assets/main-${version}.js"></script>`);
  writeFileSync(join(dir, 'assets', `main-${version}.js`), version);
}

test('a console built while the server runs is served with its own assets', async () => {
  const home = mkdtempSync(join(tmpdir(), 'weft-console-'));
  const dir = join(home, 'dist');
  const api = await startTestApi({ consoleDir: dir });
  onTestFinished(async () => {
    await api.close();
    rmSync(home, { recursive: true });
  });
  const get = async (url: string) => {
    const { statusCode, body, headers } = await api.app.inject({ url, headers: { host: '127.0.0.1:20001' } });
    return { statusCode, body, cache: headers['cache-control'] };
  };

  expect(await get('/graph')).toMatchObject({ statusCode: 404, body: expect.stringContaining('the console is not built') });
  for (const version of ['1', '2']) {
    build(dir, version);
    const page = { statusCode: 200, body: `<script src="/assets/main-${version}.js"></script>`, cache: 'no-cache' };
    expect(await get('/')).toEqual(page);
    expect(await get('/graph')).toEqual(page);
    expect(await get(`/assets/main-${version}.js`)).toEqual({ statusCode: 200, body: version, cache: 'public, max-age=31536000, immutable' });
  }
  // A page is no answer to a script that is gone.
  expect((await get('/assets/main-1.js')).statusCode).toBe(404);
  expect((await get('/api/v1/nothing')).body).toContain('GET /api/v1/nothing does not exist');
  expect((await get('/apis/nothing')).body).toContain('"kind":"Status"');
});
