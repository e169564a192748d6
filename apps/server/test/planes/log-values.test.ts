// Values of access logs, character by character and type by type, on both data planes.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { sayAll } from './asking.ts';
import { PATIENT, PLANES, object, runPlane } from './planes.ts';

/** What is logged in these formats of the requests, one connection each, and what an application saw of them. */
async function logged(plane: 'embedded' | 'envoy', encoding: 'TEXT' | 'JSON', accessLogFormat: string, requests: readonly string[]) {
  const seen: string[] = [];
  const app = createServer((socket) =>
    socket
      .on('error', () => socket.destroy())
      .on('data', (bytes) => {
        seen.push(bytes.toString('latin1'));
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
      }),
  );
  const appPort = await new Promise<number>((resolve) => app.listen(0, '127.0.0.1', () => resolve((app.address() as AddressInfo).port)));
  const dir = mkdtempSync(join(tmpdir(), 'weft-log-'));
  onTestFinished(() => {
    app.close();
    rmSync(dir, { recursive: true });
  });
  const entry = (name: string, protocol: string): ReturnType<typeof object> =>
    object('ServiceEntry', name, {
      ...{ hosts: [`${name}.test`], resolution: 'STATIC', ports: [{ number: 80, name: 'p', protocol }] },
      endpoints: [{ address: '127.0.0.1', ports: { p: appPort } }],
    });
  const objects = [
    entry('app', 'HTTP'),
    entry('raw', 'TCP'),
    object('VirtualService', 'app', {
      hosts: ['app.test'],
      http: [{ name: 'a "b\\ \u00e9', match: [{ uri: { prefix: '/old' } }], rewrite: { uri: '/new' }, route: [{ destination: { host: 'app.test' } }] }],
    }),
  ];
  const settings = { tracingSamplingPercent: 0, accessLogFile: join(dir, 'log'), accessLogEncoding: encoding, accessLogFormat };
  const upstreams = ['app', 'raw'].map((name, i) => ({ host: `${name}.test`, port: 80, listenPort: i + 1 }));
  const { port, stop } = await runPlane(plane, objects, { node: { upstreams }, settings });
  for (const request of requests) {
    const to = port(request.startsWith('RAW') ? 'raw.test_80' : 'app.test_80');
    await sayAll(to, request);
  }
  const lines = (): string[] => readFileSync(settings.accessLogFile, 'utf8').trim().split('\n');
  await expect.poll(() => lines().length, PATIENT).toBe(requests.length);
  await stop();
  return { lines: lines(), seen, listener: port('app.test_80'), appPort };
}

const get = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\nhost: app.test\r\n${lines}connection: close\r\n\r\n`;
const json = (commands: readonly string[]): string => JSON.stringify(Object.fromEntries(commands.map((command) => [command, command])));

const config = '/apis/networking.istio.io/v1/namespaces/shop/virtual-service/app';
const services = [{ host: 'app.test', name: 'app.test', namespace: 'shop' }];
/** Of `/old?a=1&b=%C3%A9%22+&c&a=2`, with `x-q` in UTF-8. */
const VALUES: Readonly<Record<string, unknown>> = {
  '%REQ(X-Q)%': 'a"\\\u00e9',
  '%REQUEST_HEADER(X-None?X-Q):3%': 'a"\\',
  '<%REQ(X-Q)%>': '<a"\\\u00e9>',
  '%RESPONSE_HEADER(Content-Length)%': '0',
  '%RESPONSE_TRAILER(X-None)%': null,
  '%REQ(X-Forwarded-Proto)%': 'http',
  '%REQ(X-Envoy-Original-Host)%': 'app.test',
  '%QUERY_PARAM(a)%': '1',
  '%QUERY_PARAM(b)%': '\u00e9"+',
  '%QUERY_PARAM(b):2%': '\u00e9',
  '%QUERY_PARAM(c)%': '',
  '%QUERY_PARAM(d)%': null,
  '%QUERY_PARAMS%': 'a=1&b=%C3%A9%22+&c&a=2',
  '%QUERY_PARAMS(ORIG)%': 'a=1&b=%C3%A9%22+&c&a=2',
  '%REQUESTED_SERVER_NAME(SNI_ONLY)%': null,
  '%REQUESTED_SERVER_NAME(SNI_FIRST)%': 'app.test',
  '%REQUESTED_SERVER_NAME(HOST_FIRST:HOST)%': 'app.test:80',
  '%REQUESTED_SERVER_NAME(HOST_FIRST:ORIG)%': 'app.test',
  '%COALESCE({"operators": ["REQUESTED_SERVER_NAME", {"command": "REQ", "param": "x-q", "max_length": 2}]})%': 'a"',
  '%CEL(response.code)%': '200',
  "%CEL(request.headers['x-none'])%": null,
  '%TYPED_CEL(response.code)%': 200,
  "%TYPED_CEL(request.url_path.startsWith('/'))%": true,
  '%METADATA(ROUTE:istio):5%': { config, route: 'a "b\\ \u00e9' },
  '%METADATA(ROUTE:istio:route):3%': 'a "',
  '%CLUSTER_METADATA(istio:services)%': services,
  '<%CLUSTER_METADATA(istio:services)%>': `<${JSON.stringify(services)}>`,
  '%METADATA(LISTENER:none:key)%': null,
  '%METADATA(VIRTUAL_HOST:none:key)%': null,
  '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%': '127.0.0.1',
  '%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(9)%': '127.0.0.0/9',
  '%DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT(64)%': '127.0.0.1/32',
  '%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(0)%': '0.0.0.0/0',
  '%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%': 'LISTENER',
  '%DOWNSTREAM_DIRECT_LOCAL_PORT%': 'PORT',
  '%UPSTREAM_HOST_NAME_WITHOUT_PORT%': '127.0.0.1',
  '%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%': 'via_upstream',
  '%BYTES_RETRANSMITTED%': 0,
  '%PACKETS_RETRANSMITTED%': 0,
  '%ROUNDTRIP_DURATION%': null,
  '%LOCAL_REPLY_BODY%': '',
  '%CUSTOM_FLAGS%': '',
  '%ENVIRONMENT(WEFT_TEST_NONE)%': '-',
};

describe.each(PLANES)('%s', (plane) => {
  test('JSON keeps types, and reads bytes as UTF-8 where they are', async () => {
    const request = get('/old?a=1&b=%C3%A9%22+&c&a=2', 'x-q: a"\\\u00c3\u00a9\r\n');
    const { lines, listener } = await logged(plane, 'JSON', json(Object.keys(VALUES)), [request]);
    const wanted = { ...VALUES, '%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%': `127.0.0.1:${listener}`, '%DOWNSTREAM_DIRECT_LOCAL_PORT%': listener };
    expect(JSON.parse(lines[0] ?? '')).toEqual(wanted);
  });

  test('text has JSON of metadata as it is, bytes as they came, and cuts before anything is escaped', async () => {
    const format = '%METADATA(ROUTE:istio)% %METADATA(ROUTE:istio):11% %ROUTE_NAME% %REQ(x-q)% %REQ(x-q):2%|%LOCAL_REPLY_BODY%|%QUERY_PARAM(d)%';
    const { lines } = await logged(plane, 'TEXT', format, [get('/old', 'x-q: \u00c3\u00a9x\r\n')]);
    const [route] = ['a "b\\ \u00e9'];
    expect(lines).toEqual([`${JSON.stringify({ config, route })} {"config":" ${route} \u00e9x \u00e9||-`]);
  });

  test('the span of a request that is not recorded is the one that goes on', async () => {
    const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7';
    const requests = ['', `traceparent: ${parent}-00\r\n`, `traceparent: ${parent}-01\r\n`].map((line) => get('/old', line));
    const { lines, seen } = await logged(plane, 'TEXT', '%TRACE_ID%-%SPAN_ID%', requests);
    expect(lines).toEqual(seen.map((head) => /traceparent: 00-(.*)-00/.exec(head)?.[1]));
  });

  test('of an answer without a status calls are told the one of its HTTP status, CEL everybody', async () => {
    const types = ['application/grpc', 'application/grpc+proto', 'application/grpcx', 'text/plain'];
    const format = '%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER% %CEL(response.grpc_status)%';
    const requests = types.map((type) => get('/old', `content-type: ${type}\r\n`));
    const { lines } = await logged(plane, 'TEXT', format, requests);
    expect(lines).toEqual(['Unknown UNKNOWN 2 2', 'Unknown UNKNOWN 2 2', '- - - 2', '- - - 2']);
  });

  test('connections have an id of their own, and count whom they asked', async () => {
    const { lines } = await logged(plane, 'TEXT', '%STREAM_ID% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %REQ(:scheme)% %REQ(host)% %QUERY_PARAMS%', ['RAW', 'RAW']);
    for (const line of lines) expect(line).toMatch(/^[0-9a-f-]{36} 1 - - -$/);
    expect(lines[0]).not.toBe(lines[1]);
  });
});
