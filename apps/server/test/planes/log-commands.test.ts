// Commands of a mesh's access log format, on both data planes.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { createServer as createHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { sayAll } from './asking.ts';
import { PATIENT, PLANES, object, runPlane } from './planes.ts';

const COMMANDS = [
  'START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)',
  'START_TIME(%F|%T|%a|%b|%e|%y|%z|%s)',
  'START_TIME',
  'REQUEST_DURATION',
  'RESPONSE_DURATION',
  'RESPONSE_TX_DURATION',
  'DURATION',
  'RESPONSE_FLAGS_LONG',
  'GRPC_STATUS',
  'GRPC_STATUS(SNAKE_STRING)',
  'GRPC_STATUS_NUMBER',
  'UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_LOCAL_PORT',
  'ENVIRONMENT(WEFT_TEST_LOG)',
  'ENVIRONMENT(WEFT_TEST_NONE)',
  'ACCESS_LOG_TYPE',
];
const waitMs = 60;

/** What is logged of requests, one connection each, to an application that serves connections so. */
async function loggedOf(
  plane: (typeof PLANES)[number],
  http: object[],
  accessLogFormat: string,
  serve: (socket: Socket) => void,
  requests: readonly string[],
): Promise<string[]> {
  const app = createServer(serve);
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const dir = mkdtempSync(join(tmpdir(), 'weft-log-'));
  onTestFinished(() => {
    app.close();
    rmSync(dir, { recursive: true });
  });
  const endpoints = [{ address: '127.0.0.1', ports: { http: (app.address() as AddressInfo).port } }];
  const objects = [
    object('ServiceEntry', 'app', { hosts: ['app.test'], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], endpoints }),
    object('VirtualService', 'app', { hosts: ['app.test'], http }),
  ];
  const settings = { accessLogFile: join(dir, 'log'), accessLogFormat: `${accessLogFormat}\n` };
  const { port, stop } = await runPlane(plane, objects, { node: { upstreams: [{ host: 'app.test', port: 80, listenPort: 1 }] }, settings });
  for (const request of requests) await sayAll(port('app.test_80'), request);
  await stop();
  return readFileSync(settings.accessLogFile, 'utf8').trim().split('\n');
}

const route = [{ destination: { host: 'app.test' } }];
const answering =
  (answer: string) =>
  (socket: Socket): void =>
    void socket.once('data', () => socket.end(answer));

test.each(PLANES)('%s: times, answers', async (plane) => {
  process.env['WEFT_TEST_LOG'] = 'here';
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 5\r\ncontent-length: 2\r\n\r\no';
  const serve = (socket: Socket): void =>
    void socket.on('data', (bytes) => {
      if (!bytes.toString().endsWith('lo')) return;
      setTimeout(() => socket.write(head), waitMs);
      setTimeout(() => socket.write('k'), 2 * waitMs);
    });
  const request = 'POST / HTTP/1.1\r\nhost: app.test\r\ncontent-type: application/grpc\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello';
  const format = COMMANDS.map((command) => `%${command}%`).join('\t');
  const lines = await loggedOf(plane, [{ route }], format, serve, [request, 'GET / HTTP/1.1\r\nhost\r\n\r\n']);
  const [told = [], refused = []] = lines.map((line) => line.split('\t'));
  const value = (command: string): string => told[COMMANDS.indexOf(command)] ?? '';
  const started = new Date(value('START_TIME'));
  expect(told.slice(0, 2)).toEqual([
    value('START_TIME'),
    `${started.toISOString().slice(0, 10)}|${started.toISOString().slice(11, 19)}|${started.toUTCString().slice(0, 3)}|${started.toUTCString().slice(8, 11)}|${String(started.getUTCDate()).padStart(2, ' ')}|${started.getUTCFullYear() % 100}|+0000|${Math.floor(started.getTime() / 1000)}`,
  ]);
  const times = ['REQUEST_DURATION', 'RESPONSE_DURATION', 'RESPONSE_TX_DURATION', 'DURATION'].map((command) => Number(value(command)));
  const [requestMs = 0, responseMs = 0, sentMs = 0, durationMs = 0] = times;
  expect(requestMs).toBeLessThan(waitMs);
  expect(responseMs).toBeGreaterThanOrEqual(waitMs - 5);
  expect(sentMs).toBeGreaterThanOrEqual(waitMs / 2);
  expect(Math.abs(responseMs + sentMs - durationMs)).toBeLessThanOrEqual(2);
  expect(told.slice(7).map((text, i) => (COMMANDS[i + 7] === 'UPSTREAM_LOCAL_PORT' ? Number(text) > 0 : text))).toEqual([
    ...['-', 'NotFound', 'NOT_FOUND', '5', '127.0.0.1', true, 'here', '-', 'DownstreamEnd'],
  ]);
  expect(refused.slice(3)).toEqual(['-', '-', '-', '0', 'DownstreamProtocolError', ...['-', '-', '-', '-', '-'], 'here', '-', 'DownstreamEnd']);
});

const get = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\nhost: app.test\r\n${lines}connection: close\r\n\r\n`;

test.each(PLANES)('%s: what each try is told anew, and how the client came', async (plane) => {
  const format = ['x-envoy-attempt-count', 'x-envoy-expected-rq-timeout-ms', 'grpc-timeout', 'x-forwarded-proto'].map((name) => `%REQ(${name})%`).join(' ');
  const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n';
  const http = [
    { match: [{ uri: { prefix: '/direct' } }], directResponse: { status: 204 } },
    { route, timeout: '9s' },
  ];
  const requests = ['', 'content-type: application/grpc\r\ngrpc-timeout: 20S\r\n', 'grpc-timeout: 3S\r\n'].map((lines) => get('/', lines));
  expect(await loggedOf(plane, http, format, answering(answer), [...requests, get('/direct')])).toEqual([
    '1 9000 - http',
    '1 9000 9000m http',
    '1 9000 3S http',
    '- - - http',
  ]);
});

test.each(PLANES)('%s: the answer is the one that was sent', async (plane) => {
  const names = ['x-up', 'x-set', 'x-add', 'x-gone', 'server', 'content-length', 'content-type', 'transfer-encoding', 'location', 'grpc-message', ':status'];
  const headers = { response: { set: { 'x-set': 's' }, add: { 'x-add': 'added' }, remove: ['x-gone'] } };
  const at = (prefix: string): object => ({ match: [{ uri: { prefix } }], headers });
  const http = [
    { ...at('/upgrade'), headers: { response: { set: { 'x-set': '%RESP(x-up)%' } } }, route },
    { ...at('/redirect'), redirect: { uri: '/x' } },
    { ...at('/direct'), directResponse: { status: 503, body: { string: 'no' } } },
    { ...at('/abort'), fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }, route },
    { ...at('/'), route },
  ];
  const answer = 'HTTP/1.1 200 OK\r\nx-up: 1\r\nx-up: 2\r\nx-add: a\r\nx-gone: g\r\nserver: own\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n';
  const requests = [...['/', '/redirect', '/direct', '/abort'].map((path) => get(path)), get('/abort', 'content-type: application/grpc\r\n')];
  const serve = (socket: Socket): void => {
    const switched = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-up: 1\r\n\r\n';
    socket.once('data', (bytes) => socket.end(bytes.includes('/upgrade') ? switched : answer));
  };
  const upgrade = 'GET /upgrade HTTP/1.1\r\nhost: app.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
  expect(await loggedOf(plane, http, names.map((name) => `%RESP(${name})%`).join(' '), serve, [...requests, upgrade])).toEqual([
    '1 s a - envoy - - - - - 200',
    '- s added - envoy - - - http://app.test/x - 301',
    '- s added - envoy 2 text/plain - - - 503',
    '- s added - envoy 18 text/plain - - - 418',
    '- s added - envoy - application/grpc - - fault filter abort 200',
    '1 1 - - envoy - - - - - 101',
  ]);
});

const PLACES = [
  ...['PATH', 'PATH(NQ)', 'PATH(WQ:ORIG)', 'PATH(NQ:PATH)', 'PATH(WQ:ORIG_OR_PATH)'],
  ...['UPSTREAM_PROTOCOL', 'UPSTREAM_HOST_NAME', 'UPSTREAM_HOST_NAME_WITHOUT_PORT', 'FILTER_CHAIN_NAME', 'LISTENER_NAME', 'TRACE_ID'],
];

test.each(PLANES)('%s: paths, places, traces that are not recorded', async (plane) => {
  const traceparents: string[] = [];
  const app = createServer((socket) =>
    socket.on('data', (bytes) => {
      traceparents.push(/traceparent: (\S+)/.exec(bytes.toString())?.[1] ?? '');
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    }),
  );
  const app2 = createHttp2((_, response) => response.end());
  const [port1, port2] = await Promise.all(
    [app, app2].map((server) => new Promise<number>((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))),
  );
  const dir = mkdtempSync(join(tmpdir(), 'weft-log-'));
  onTestFinished(() => {
    app.close();
    app2.close();
    rmSync(dir, { recursive: true });
  });
  const entry = (name: string, resolution: string, protocol: string, endpoint: object) =>
    object('ServiceEntry', name, { hosts: [`${name}.test`], resolution, ports: [{ number: 80, name: 'p', protocol }], endpoints: [endpoint] });
  const objects = [
    entry('app', 'STATIC', 'HTTP', { address: '127.0.0.1', ports: { p: port1 } }),
    entry('app2', 'DNS', 'HTTP2', { address: 'localhost', ports: { p: port2 } }),
    entry('raw', 'STATIC', 'TCP', { address: '127.0.0.1', ports: { p: port1 } }),
    object('VirtualService', 'app', {
      hosts: ['app.test'],
      http: [
        { match: [{ uri: { prefix: '/old' } }], rewrite: { uri: '/new' }, route: [{ destination: { host: 'app.test' } }] },
        { match: [{ uri: { prefix: '/gone' } }], directResponse: { status: 410 } },
        { route: [{ destination: { host: 'app.test' } }] },
      ],
    }),
  ];
  const upstreams = ['app', 'app2', 'raw'].map((name, i) => ({ host: `${name}.test`, port: 80, listenPort: i + 1 }));
  const settings = { tracingSamplingPercent: 0, accessLogFile: join(dir, 'log'), accessLogFormat: `${PLACES.map((command) => `%${command}%`).join('\t')}\n` };
  const { port, stop } = await runPlane(plane, objects, { node: { upstreams }, settings });
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const get = (path: string, name = 'app', lines = ''): Promise<void> =>
    sayAll(port(`${name}.test_80`), `GET ${path} HTTP/1.1\r\nhost: ${name}.test\r\n${lines}connection: close\r\n\r\n`);
  await get('/old/x?a=1&b=%20', 'app');
  await get('/same?');
  await get('/gone', 'app', `traceparent: 00-${traceId}-00f067aa0ba902b7-00\r\n`);
  await get('/two', 'app2', `traceparent: 00-${traceId}-00f067aa0ba902b7-01\r\n`);
  await sayAll(port('raw.test_80'), 'GET / HTTP/1.1\r\n\r\n');
  const lines = (): string[] => readFileSync(settings.accessLogFile, 'utf8').trim().split('\n');
  await expect.poll(lines, PATIENT).toHaveLength(5);
  await stop();
  const [old, same, gone, two, raw] = lines().map((line) => line.split('\t'));
  const [own = '', next = ''] = traceparents.map((text) => text.slice(3, 35));
  const places = (name: string): string[] => [`${name}.test_80`, `${name}.test_80`];
  const here = [`127.0.0.1:${port1}`, '127.0.0.1'];
  expect(own).toMatch(/^[0-9a-f]{32}$/);
  expect([old, same, gone, two, raw]).toEqual([
    ['/old/x?a=1&b=%20', '/old/x', '/old/x?a=1&b=%20', '/new/x', '/old/x?a=1&b=%20', 'HTTP/1.1', ...here, ...places('app'), own],
    ['/same?', '/same', '-', '/same', '/same?', 'HTTP/1.1', ...here, ...places('app'), next],
    ['/gone', '/gone', '-', '/gone', '/gone', '-', '-', '-', ...places('app'), traceId],
    ['/two', '/two', '-', '/two', '/two', 'HTTP/2', 'localhost', 'localhost', ...places('app2'), traceId],
    ['-', '-', '-', '-', '-', '-', ...here, ...places('raw'), '-'],
  ]);
});
