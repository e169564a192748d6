// What spans say of a request, on both data planes.

import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { sayAll } from './asking.ts';
import { PATIENT, PLANES, object } from './planes.ts';
import { runTracedPlane } from './traced.ts';

/** Attributes of the spans of these requests, one connection each, that get these heads. */
async function spansOf(plane: (typeof PLANES)[number], exchanges: readonly (readonly [request: string, answer: string])[]): Promise<Record<string, string>[]> {
  const answers = exchanges.map(([, answer]) => answer);
  const app = createServer((socket) => socket.on('error', () => socket.destroy()).once('data', () => socket.end(answers.shift() ?? '', 'latin1')));
  const appPort = await new Promise<number>((resolve) => app.listen(0, '127.0.0.1', () => resolve((app.address() as AddressInfo).port)));
  onTestFinished(() => void app.close());
  const entry = object('ServiceEntry', 'app', {
    ...{ hosts: ['app.test'], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
    endpoints: [{ address: '127.0.0.1', ports: { http: appPort } }],
  });
  const node = { upstreams: [{ host: 'app.test', port: 80, listenPort: 1 }] };
  const { port, spans, stop } = await runTracedPlane(plane, [entry], { node, settings: { tracingSamplingPercent: 100 } });
  onTestFinished(stop);
  for (const [i, [request]] of exchanges.entries()) {
    await sayAll(port('app.test_80'), request);
    await expect.poll(() => spans.length, PATIENT).toBe(i + 1);
  }
  return spans.map(({ attributes, status }) => Object.fromEntries(Object.entries({ ...attributes, status }).map(([name, value]) => [name, String(value)])));
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n';
const ask = (method: string, lines = '', path = '/'): string => `${method} ${path} HTTP/1.1\r\nhost: app.test\r\n${lines}connection: close\r\n\r\n`;

describe.each(PLANES)('%s', (plane) => {
  test('a method OpenTelemetry does not know is told by the embedded proxy only', async () => {
    const told = await spansOf(
      plane,
      [ask('PATCH'), ask('PURGE')].map((request) => [request, OK]),
    );
    expect(told.map((span) => span['http.method'])).toEqual(['PATCH', plane === 'envoy' ? '_OTHER' : 'PURGE']);
  });

  test('calls tell their timeout, answers their gRPC status, whatever was asked', async () => {
    const call = (lines = ''): string => ask('POST', `content-type: application/grpc\r\n${lines}`);
    const answer = (lines: string): string => OK.replace('\r\n\r\n', `\r\n${lines}\r\n`);
    const told = await spansOf(plane, [
      [call('grpc-timeout: 5S\r\n'), answer('grpc-status: 5\r\ngrpc-message: not%20here\r\n')],
      [ask('GET'), answer('grpc-status: 13\r\ngrpc-message: b\r\n')],
      [ask('GET'), answer('grpc-status: 5\r\n')],
      [ask('GET', 'grpc-timeout: 7S\r\n'), answer('grpc-message: b\r\n')],
      [call(), OK],
      [ask('GET'), answer('grpc-status: 0\r\n').replace('200', '500')],
    ]);
    const grpc = told.map((span) => Object.fromEntries(Object.entries(span).filter(([name]) => /^grpc|^error$|^status$/.test(name))));
    const called = { 'grpc.path': '/', 'grpc.authority': 'app.test:80', 'grpc.content_type': 'application/grpc', status: '0' };
    expect(grpc).toEqual([
      { ...called, 'grpc.timeout': '5000m', 'grpc.status_code': '5', 'grpc.message': 'not%20here', status: '2' },
      { 'grpc.status_code': '13', 'grpc.message': 'b', error: 'true', status: '2' },
      { 'grpc.status_code': '5', status: '2' },
      { status: '0' },
      called,
      { 'grpc.status_code': '0', error: 'true', status: '0' },
    ]);
  });

  test('bytes of headers are read as UTF-8', async () => {
    const [span] = await spansOf(plane, [[ask('GET', 'user-agent: caf\u00c3\u00a9\r\n', '/%C3%A9'), OK]]);
    expect(span).toMatchObject({ user_agent: 'caf\u00e9', 'http.url': 'http://app.test:80/%C3%A9' });
  });
});
