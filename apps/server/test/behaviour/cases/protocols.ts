// What travels: HTTP/1.0, 1.1, 2, gRPC, WebSocket, events, and the corners of the HTTP/1 codec.

import { type Case, type ServiceSpec, grpc, http, raw, service, websocket } from '../case.ts';
import { absent, oneOf } from '../harness/match.ts';
import { policy, rule } from './parts.ts';

const area = 'protocols';
const http2Service = (name: string): ServiceSpec[] => [{ name, ports: [{ name: 'http2', number: 80 }], endpoints: [{ app: 'a' }] }];
const grpcService = (name: string): ServiceSpec[] => [{ name, ports: [{ name: 'grpc', number: 80 }], endpoints: [{ app: 'a' }] }];

export const PROTOCOLS: readonly Case[] = [
  {
    area,
    name: 'HTTP/1.1: body by length and by chunks, answer in chunks',
    services: [service('h1')],
    mixed: true,
    steps: [
      http({ method: 'POST', body: 'hello', expect: { status: 200, upstream: { body: 'hello', protocol: 'HTTP/1.1' } } }),
      raw({
        send: ['POST /c HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n', '5\r\nhello\r\n', '0\r\n\r\n'],
        until: [/^/, /^/, /"body":"hello"/],
        expect: { text: /^HTTP\/1\.1 200 OK/ },
      }),
      http({ do: { chunks: ['one,', 'two,', 'three'] }, expect: { status: 200, body: 'one,two,three', headers: { 'transfer-encoding': 'chunked' } } }),
    ],
  },
  {
    area,
    name: 'HTTP/1.1: large bodies both ways',
    services: [service('large')],
    mixed: true,
    steps: [
      http({ do: { size: 3_000_000 }, expect: { status: 200, body: '3000000 bytes', headers: { 'content-length': '3000000' } } }),
      http({ method: 'PUT', body: 'y'.repeat(1_000_000), do: { body: 'taken' }, expect: { status: 200, body: 'taken' } }),
    ],
  },
  {
    area,
    name: 'HTTP/1.1: a head of 40 KB, over two sidecars in one frame or several',
    services: [service('large-head')],
    mixed: true,
    steps: [
      raw({
        send: ['GET / HTTP/1.1\r\nHost: ${host}\r\nx-do: {"headSize":40000}\r\nConnection: close\r\n\r\n'],
        expect: { failed: 'closed', text: /^HTTP\/1\.1 200 OK\r\n(?=[^]*x-long: x{40000}\r\n)/ },
      }),
    ],
  },
  {
    area,
    name: 'HTTP/1.0 in: answered with length and closed',
    services: [service('h10')],
    steps: [
      raw({
        send: ['GET /old HTTP/1.0\r\nHost: h10\r\n\r\n'],
        expect: { failed: 'closed', text: /^HTTP\/1\.[01] 200 OK\r\n(?=[^]*connection: close\r\n)(?=[^]*"path":"\/old")/ },
      }),
      raw({ send: ['GET /k HTTP/1.0\r\nHost: h10\r\nConnection: keep-alive\r\n\r\n'], until: [/"path":"\/k"/], expect: { text: /connection: keep-alive/ } }),
    ],
  },
  {
    area,
    name: 'pipelined requests are answered in order',
    services: [service('pipeline')],
    steps: [
      raw({
        send: ['GET /1 HTTP/1.1\r\nHost: p\r\n\r\nGET /2 HTTP/1.1\r\nHost: p\r\n\r\nGET /3 HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n'],
        expect: { failed: 'closed', text: /"\/1"[^]*"\/2"[^]*"\/3"/ },
      }),
    ],
  },
  {
    area,
    name: 'HEAD, 204 and 304 have no body',
    services: [service('bodiless')],
    steps: [
      http({ method: 'HEAD', expect: { status: 200, body: '' } }),
      http({ do: { status: 204, body: '' }, expect: { status: 204, body: '' } }),
      http({ do: { status: 304, body: '', headers: { etag: '"1"' } }, expect: { status: 304, body: '', headers: { etag: '"1"' } } }),
    ],
  },
  {
    area,
    name: 'methods that may have a body and have none',
    services: [service('no-body')],
    steps: [
      http({ method: 'OPTIONS', expect: { status: 200, upstream: { method: 'OPTIONS', headers: { 'content-length': '0' } } } }),
      http({ method: 'POST', expect: { status: 200 } }),
    ],
  },
  {
    area,
    name: 'Expect: 100-continue: told to go on, then answered',
    services: [service('continue')],
    mixed: true,
    steps: [
      http({
        method: 'POST',
        headers: { expect: '100-continue', 'content-length': '4' },
        body: 'data',
        expect: { status: 200, informational: [100], upstream: { body: 'data' } },
      }),
    ],
  },
  {
    area,
    name: '1xx from the application: 103 Early Hints',
    differs: { informational: 'Envoy drops 103; the embedded proxy passes it on' },
    services: [service('hints')],
    steps: [http({ do: { informational: [103], body: 'ok' }, expect: { status: 200, body: 'ok' } })],
  },
  {
    area,
    name: 'trailers of HTTP/1.1',
    differs: { trailers: 'Envoy drops trailers of HTTP/1.1 unless told otherwise; the embedded proxy passes them on' },
    services: [service('trailers')],
    steps: [
      http({
        method: 'POST',
        headers: { 'transfer-encoding': 'chunked', te: 'trailers' },
        body: 'x',
        trailers: { 'x-sum': '1' },
        do: { trailers: { 'x-out': '2' }, body: 'ok' },
        expect: { status: 200, body: 'ok' },
      }),
    ],
  },
  {
    area,
    name: 'hop-by-hop headers do not travel',
    services: [service('hops')],
    steps: [
      http({
        headers: { connection: 'keep-alive, x-mine', 'x-mine': '1', 'keep-alive': 'timeout=5', te: 'trailers', 'proxy-connection': 'keep-alive' },
        do: { headers: { 'keep-alive': 'timeout=9', 'x-kept': '1' }, body: 'ok' },
        expect: { status: 200, headers: { 'x-kept': '1', 'keep-alive': absent } },
      }),
    ],
  },
  {
    area,
    name: 'headers a proxy sets: request id, forwarded proto, service time, server',
    services: [service('own-headers')],
    steps: [
      http({
        headers: { server: 'mine' },
        do: { headers: { server: 'app', 'x-envoy-upstream-service-time': '7777' } },
        expect: { status: 200, headers: { server: 'envoy', 'x-envoy-upstream-service-time': '<ms>' }, upstream: { headers: { 'x-request-id': '<id 9>' } } },
      }),
      raw({ send: ['GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'], expect: { text: /"x-request-id":"<id>"/ } }),
    ],
  },
  {
    area,
    name: 'broken requests: 400 and the connection closed',
    services: [service('broken')],
    steps: [
      raw({ send: ['GET / HTTP/1.1\r\n\r\n'], expect: { failed: 'closed', text: /^HTTP\/1\.1 400/ } }),
      raw({
        send: ['GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
        expect: { failed: 'closed', text: /^HTTP\/1\.1 400/ },
      }),
      raw({ send: ['GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'], expect: { failed: 'closed', text: /^HTTP\/1\.1 400/ } }),
      raw({ send: ['GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n'], expect: { failed: 'closed', text: /^HTTP\/1\.1 400/ } }),
      raw({ send: ['NONSENSE\r\n\r\n'], expect: { failed: 'closed', text: /^HTTP\/1\.1 400/ } }),
    ],
  },
  {
    area,
    name: 'headers beyond 60 KiB or 100 fields: 431',
    services: [service('too-large')],
    steps: [
      raw({
        send: [`GET / HTTP/1.1\r\nHost: a\r\nx-big: ${'x'.repeat(70_000)}\r\n\r\n`],
        expect: { failed: oneOf('closed', 'reset'), text: /^HTTP\/1\.1 431/ },
      }),
      raw({
        send: [`GET / HTTP/1.1\r\nHost: a\r\n${Array.from({ length: 120 }, (_, i) => `x-${i}: 1\r\n`).join('')}\r\n`],
        expect: { failed: oneOf('closed', 'reset'), text: /^HTTP\/1\.1 431/ },
      }),
    ],
  },
  {
    area,
    name: 'a 400 of the proxy’s own ends the connection',
    services: [service('own-400')],
    objects: `
kind: VirtualService
metadata: { name: own-400 }
spec:
  hosts: [own-400]
  http:
  - { match: [{ uri: { prefix: /no } }], directResponse: { status: 400 } }
  - { route: [{ destination: { host: own-400 } }] }
`,
    steps: [
      raw({
        send: [
          'GET /yes HTTP/1.1\r\nHost: ${host}\r\nx-request-id: ${id}\r\nx-do: {"status":400,"body":"app"}\r\n\r\n',
          'GET /no HTTP/1.1\r\nHost: ${host}\r\nx-request-id: ${id}\r\n\r\n',
        ],
        until: [/app$/, /(?!)/],
        expect: { failed: 'closed', text: /HTTP\/1\.1 400 [\s\S]*app[\s\S]*connection: close/i },
      }),
      http({ headers: { 'x-forwarded-proto': 'https' }, expect: { status: 200 } }),
    ],
  },
  {
    area,
    name: 'CONNECT is refused',
    services: [service('connect')],
    steps: [
      raw({ send: ['CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n'], until: [/\r\n\r\n/], expect: { text: /^HTTP\/1\.1 (403|404) / } }),
    ],
  },
  {
    area,
    name: 'upgrades not listed are refused',
    services: [service('upgrade')],
    steps: [
      raw({
        send: ['GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: something\r\n\r\n'],
        until: [/\r\n\r\n/],
        expect: { text: /^HTTP\/1\.1 (403|200) / },
      }),
    ],
  },
  {
    area,
    name: 'WebSocket over both hops',
    services: [service('ws')],
    mixed: true,
    steps: [websocket({ path: '/socket?x=1', messages: ['one', 'two'], expect: { status: 101, app: 'a', messages: ['a:one', 'a:two'] } })],
  },
  {
    area,
    name: 'WebSocket: the route’s rewrite and headers hold',
    services: [service('ws-route')],
    objects: rule('ws-route', 'match: [{ uri: { prefix: /in } }], rewrite: { uri: /out }, headers: { request: { set: { x-ws: "1" } } }'),
    steps: [websocket({ path: '/in/x', messages: ['m'], expect: { status: 101, messages: ['a:m'] } })],
  },
  {
    area,
    name: 'WebSocket: the timeout of a route, and of a try, ends with the handshake',
    // After the closing handshake both ends close at once: which one the flags name is a race.
    random: true,
    services: [service('ws-timeout'), service('ws-try', { app: 'a', direct: true })],
    objects: `${rule('ws-timeout', 'timeout: 700ms')}---${rule('ws-try', 'timeout: 20s, retries: { attempts: 1, retryOn: 5xx, perTryTimeout: 700ms }')}`,
    steps: ['ws-timeout', 'ws-try'].map((to) =>
      websocket({ to, messages: ['one', 'two'], pauseMs: 1_200, expect: { status: 101, messages: ['a:one', 'a:two'] } }),
    ),
  },
  {
    area,
    name: 'server-sent events arrive one by one',
    services: [service('events')],
    mixed: true,
    steps: [
      raw({
        send: [
          'GET /events HTTP/1.1\r\nHost: ${host}\r\nx-do: {"headers":{"content-type":"text/event-stream"},"chunks":["data: 1\\n\\n","data: 2\\n\\n"],"hold":false}\r\nConnection: close\r\n\r\n',
          '',
          '',
        ],
        until: [/data: 1/, /data: 2/, /0\r\n\r\n/],
        expect: { text: /content-type: text\/event-stream/ },
      }),
    ],
  },
  {
    area,
    name: 'HTTP/2 in, HTTP/1.1 application behind: and back',
    services: [service('h2-in')],
    mixed: true,
    steps: [
      http({ http2: true, method: 'POST', path: '/two', body: 'x', expect: { status: 200, upstream: { protocol: 'HTTP/1.1', path: '/two', body: 'x' } } }),
    ],
  },
  {
    area,
    name: 'HTTP/2 from end to end',
    services: http2Service('h2'),
    mixed: true,
    steps: [
      http({ http2: true, path: '/a', expect: { status: 200, upstream: { protocol: 'HTTP/2.0' } } }),
      http({ path: '/b', expect: { status: 200, upstream: { protocol: 'HTTP/2.0' } } }),
      http({ http2: true, do: { size: 500_000 }, expect: { status: 200, body: '500000 bytes' } }),
      http({ http2: true, do: { trailers: { 'x-out': '2' }, body: 'ok' }, expect: { status: 200, body: 'ok', trailers: { 'x-out': '2' } } }),
    ],
  },
  {
    area,
    name: 'which protocol applications are asked by: h2UpgradePolicy, useClientProtocol; never HTTP/2 where a rule forbids it',
    services: ['speak-upgrade', 'speak-client', 'speak-no'].map((name) => service(name, { app: 'a', direct: true })),
    objects: `${policy('speak-upgrade', '{ connectionPool: { http: { h2UpgradePolicy: UPGRADE } } }')}
---
${policy('speak-client', '{ connectionPool: { http: { useClientProtocol: true } } }')}
---
${policy('speak-no', '{ connectionPool: { http: { h2UpgradePolicy: DO_NOT_UPGRADE } } }')}`,
    steps: [false, true].flatMap((http2) => {
      const asked = (to: string, protocol: string): ReturnType<typeof http> =>
        http({ to, ...(http2 ? { http2: true as const } : {}), expect: { status: 200, upstream: { protocol } } });
      return [asked('speak-upgrade', 'HTTP/2.0'), asked('speak-client', http2 ? 'HTTP/2.0' : 'HTTP/1.1'), asked('speak-no', 'HTTP/1.1')];
    }),
  },
  {
    area,
    name: 'appProtocol beats the port’s name; grpc and h2c are HTTP/2',
    services: (
      [
        ['app-http', 'tcp-web', 'http'],
        ['app-h2c', 'web', 'kubernetes.io/h2c'],
        ['app-grpc', 'web', 'grpc'],
        ['app-tcp', 'http-web', 'tcp'],
        ['app-ws', 'tcp-web', 'kubernetes.io/ws'],
      ] as const
    ).map(([name, port, appProtocol]) => ({
      name,
      ports: [{ name: port, number: 80, appProtocol }],
      endpoints: [{ app: name === 'app-tcp' ? 'echo' : 'a', direct: true }],
    })),
    steps: [
      http({ expect: { status: 200, headers: { server: 'envoy' }, upstream: { protocol: 'HTTP/1.1' } } }),
      http({ to: 'app-h2c', expect: { status: 200, upstream: { protocol: 'HTTP/2.0' } } }),
      http({ to: 'app-grpc', expect: { status: 200, upstream: { protocol: 'HTTP/2.0' } } }),
      raw({ to: 'app-tcp', send: ['\u0001x'], until: [/echo:/], expect: { text: 'echo:\u0001x' } }),
      http({ to: 'app-ws', expect: { status: 200, upstream: { protocol: 'HTTP/1.1' } } }),
    ],
  },
  {
    area,
    name: 'request ids: made where there is none, kept where there is one, whatever it looks like',
    services: [service('ids')],
    steps: [
      raw({ send: ['GET / HTTP/1.1\r\nHost: x\r\nx-request-id: mine\r\nConnection: close\r\n\r\n'], expect: { text: /"x-request-id":"mine"/ } }),
      raw({ send: ['GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'], expect: { text: /"x-request-id":"<id>"/ } }),
    ],
  },
  {
    area,
    name: 'gRPC: message, metadata, status in trailers',
    services: grpcService('grpc'),
    mixed: true,
    steps: [
      grpc({
        message: 'hi',
        metadata: { 'x-test-meta': 'm' },
        do: { headers: { 'x-head': 'h' }, trailers: { 'x-tail': 't' } },
        expect: { status: 200, headers: { 'x-head': 'h' }, trailers: { 'grpc-status': '0', 'x-tail': 't' }, app: 'a', grpc: { status: 0 } },
      }),
      grpc({ do: { grpcStatus: 5, grpcMessage: 'not here' }, expect: { status: 200, grpc: { status: 5, message: 'not here' } } }),
      grpc({ do: { grpcStatus: 7, trailersOnly: true }, expect: { status: 200, headers: { 'grpc-status': '7' }, grpc: { status: 7, messages: [] } } }),
      grpc({ message: 's', do: { messages: 5 }, expect: { grpc: { status: 0 } } }),
      grpc({ message: 'c', messages: 3, expect: { grpc: { status: 0 } } }),
    ],
  },
  {
    area,
    name: 'gRPC: errors of the proxy are gRPC statuses',
    services: [...grpcService('grpc-none'), { name: 'grpc-gone', ports: [{ name: 'grpc', number: 80 }], endpoints: [{ app: 'dead', direct: true }] }],
    objects: `
kind: VirtualService
metadata: { name: grpc-none }
spec:
  hosts: [grpc-none]
  http: [{ match: [{ uri: { prefix: /nothing } }], route: [{ destination: { host: grpc-none } }] }]
`,
    steps: [grpc({ expect: { status: 200, grpc: { status: 12 } } }), grpc({ to: 'grpc-gone', expect: { status: 200, grpc: { status: 14 } } })],
  },
  {
    area,
    name: 'gRPC: grpc-timeout travels, and 0 is no limit; a route timeout ends it with UNAVAILABLE',
    // Without a sidecar there: the client's tells it of the same moment, at which it says DEADLINE_EXCEEDED itself, and either may be first.
    services: [...grpcService('grpc-timeout'), { name: 'grpc-late', ports: [{ name: 'grpc', number: 80 }], endpoints: [{ app: 'a', direct: true }] }],
    objects: `${rule('grpc-timeout', 'timeout: 4s')}---${rule('grpc-late', 'timeout: 1s')}`,
    steps: [
      grpc({ metadata: { 'grpc-timeout': '5S' }, expect: { app: 'a', grpc: { status: 0 } } }),
      grpc({ metadata: { 'grpc-timeout': '0n' }, expect: { app: 'a', grpc: { status: 0 } } }),
      grpc({ to: 'grpc-late', do: { delayMs: 10_000 }, expect: { status: 200, grpc: { status: 14 } } }),
      grpc({ to: 'grpc-late', metadata: { 'grpc-timeout': '20S' }, do: { delayMs: 10_000 }, expect: { status: 200, grpc: { status: 14 } } }),
      grpc({ to: 'grpc-late', metadata: { 'grpc-timeout': '300m' }, do: { delayMs: 10_000 }, expect: { status: 200, grpc: { status: 14 } } }),
    ],
  },
  {
    area,
    name: 'a client that goes away: the application sees it, flag DC',
    services: [service('client-gone')],
    steps: [http({ do: { hold: true }, aborts: true, expect: { failed: 'aborted' } })],
    telemetry: { logs: [{ status: '0', flags: 'DC' }] },
  },
];
