// Which requests a Telemetry's CEL filter lets into the access log, the same on both data planes.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PATIENT, PLANES, object, startPlane } from './planes.ts';

const dir = mkdtempSync(join(tmpdir(), 'weft-log-filter-'));
const app = createServer((asked, response) => {
  const status = Number(/\d+/.exec(asked.url ?? '')?.[0] ?? 200);
  response.writeHead(status, { 'x-app': 'yes' }).end('x'.repeat(status === 200 ? 5000 : 1));
});
beforeAll(() => new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve)));
afterAll(() => {
  app.close();
  rmSync(dir, { recursive: true, force: true });
});

const PATHS = ['/200?q=1', '/404', '/bad/404', '/503', '/last'];

function ask(port: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers: { host: 'a.test', 'user-agent': 'curl/8' }, agent: false }, (response) => {
      response.resume().on('end', resolve);
    }).on('error', reject);
  });
}

describe.each(PLANES)('%s', (plane) => {
  test.each([
    ['response.code >= 500', ['/503']],
    ["response.code == 404 && request.url_path.startsWith('/bad')", ['/bad/404']],
    [
      "!('x-none' in request.headers) && has(request.useragent) && request.useragent.contains('curl') && response.code in [200, 503]",
      ['/200?q=1', '/503', '/last'],
    ],
    ["request.query == 'q=1' || request.headers['x-none'] == 'a'", ['/200?q=1']],
    ["response.headers['x-app'] == 'yes' && response.size > 1000 && response.flags == 0", ['/200?q=1', '/last']],
    ["request.method == 'GET' && request.host.startsWith('a.test') && !connection.mtls && request.path.matches('^/2')", ['/200?q=1']],
    ["request.headers['x-none'] != 'a'", []],
  ])('%s', async (expression, logged) => {
    const file = join(mkdtempSync(join(dir, plane)), 'access.log');
    const entry = object('ServiceEntry', 'a', {
      ...{ hosts: ['a.test'], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
      endpoints: [{ address: '127.0.0.1', ports: { http: (app.address() as AddressInfo).port } }],
    });
    // What is always written tells when everything is.
    const filter = { expression: `(${expression}) || request.path == '/end'` };
    const telemetry = object('telemetry.istio.io/v1 Telemetry', 't', { accessLogging: [{ filter }] });
    const options = { node: { upstreams: [{ host: 'a.test', port: 80, listenPort: 1 }] }, settings: { accessLogFile: file } };
    const port = (await startPlane(plane, [entry, telemetry], options))('a.test_80');
    for (const path of [...PATHS, '/end']) await ask(port, path);
    const paths = (): string[] => [...readFileSync(file, 'utf8').matchAll(/"GET (\S+) HTTP/g)].map((m) => m[1] ?? '');
    await expect.poll(paths, PATIENT).toContain('/end');
    expect(paths().slice(0, -1)).toEqual(logged);
  });
});
