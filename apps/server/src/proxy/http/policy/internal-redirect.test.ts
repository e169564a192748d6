import * as http2 from 'node:http2';
import { expect, onTestFinished, test } from 'vitest';
import { startApp, track } from '../../listener/testing/app.ts';
import { cluster, exchangeRaw, route, routes, startRig, type Rig } from '../../listener/testing/rig.ts';

const internalRedirect = { max: 1, statuses: new Set([302, 307]), crossScheme: false };
const prefix = (value: string) => ({ match: { path: { kind: 'prefix' as const, value }, caseSensitive: true, headers: [], query: [] } });

async function world(): Promise<{ rig: Rig; seen: string[] }> {
  const seen: string[] = [];
  const app = await startApp((incoming, response) => {
    let body = '';
    incoming.setEncoding('utf8').on('data', (part: string) => (body += part));
    incoming.on('end', () => {
      seen.push(`${incoming.method} ${incoming.url} ${body}`.trim());
      const to = /^\/to(\/.*)/.exec(incoming.url ?? '')?.[1];
      if (to !== undefined) response.writeHead(307, { location: `http://a${to}` });
      response.end('app');
    });
  });
  const direct = route({ kind: 'direct-response', status: 418, body: new Uint8Array() }, prefix('/direct'));
  const rig = track(await startRig({ clusters: [cluster([app])], routes: routes([direct, route({ internalRedirect })]) }));
  return { rig, seen };
}

test('an answer of our own to the request as it goes on leaves what is pipelined behind it alone', async () => {
  const { rig, seen } = await world();
  const first = 'POST /to/direct HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello';
  const text = await exchangeRaw(rig.port, `${first}GET /plain HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 418', 'HTTP/1.1 200']);
  expect(seen).toEqual(['POST /to/direct hello', 'GET /plain']);
  expect(rig.records.map(({ status, details, path }) => [status, details, path])).toEqual([
    [307, 'internal_redirect', '/direct'],
    [418, 'direct_response', '/direct'],
    [200, 'via_upstream', '/plain'],
  ]);
});

test('HTTP/2: a body in pieces goes along; the limit of redirects begins anew with every request', async () => {
  const { rig, seen } = await world();
  const session = http2.connect(`http://127.0.0.1:${rig.port}`).on('error', () => undefined);
  onTestFinished(() => session.destroy());
  for (let i = 0; i < 2; i++) {
    const stream = session.request({ ':path': '/to/end', ':method': 'POST' });
    stream.write('hel');
    stream.end('lo');
    const status = new Promise((resolve) => stream.once('response', (head) => resolve(head[':status'])));
    let text = '';
    await new Promise((resolve) => stream.on('data', (part: Buffer) => (text += part.toString())).on('close', resolve));
    expect([await status, text]).toEqual([200, 'app']);
  }
  expect(seen).toEqual(['POST /to/end hello', 'POST /end hello', 'POST /to/end hello', 'POST /end hello']);
  expect(rig.runtime.stats().clusters[0]?.activeRequests).toBe(0);
});
