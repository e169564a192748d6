// What ends requests and connections that take too long or are too many. Where Istio has no word for a limit, by EnvoyFilter.

import { type Case, type EndpointSpec, grpc, http, raw, service } from '../case.ts';
import { absent } from '../harness/match.ts';
import { envoyFilter, onCluster, onManager, onRoutes, policy, rateLimit, rule } from './parts.ts';

const area = 'limits';
const bare: EndpointSpec = { app: 'a', direct: true };
const own = {};
const GET = 'GET / HTTP/1.1\r\nHost: ${host}\r\nx-key: ${key}\r\nx-request-id: ${id}\r\n';

export const LIMITS: readonly Case[] = [
  {
    area,
    name: 'local rate limit: 429, flag RL, x-ratelimit headers, headers of its own',
    own,
    services: [service('rate-limit', bare)],
    objects: envoyFilter(
      'rate-limit',
      ...rateLimit(', enable_x_ratelimit_headers: DRAFT_VERSION_03, response_headers_to_add: [{ header: { key: x-limited, value: "yes" } }]'),
    ),
    steps: [
      http({ expect: { status: 200, headers: { 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '<s>', 'x-limited': absent } } }),
      http({ expect: { status: 200, headers: { 'x-ratelimit-remaining': '0' } } }),
      http({ expect: { status: 429, body: 'local_rate_limited', headers: { 'x-ratelimit-limit': '2', 'x-ratelimit-remaining': '0', 'x-limited': 'yes' } } }),
    ],
    telemetry: { logs: [{ status: '429', flags: 'RL', details: 'local_rate_limited' }] },
  },
  {
    area,
    name: 'local rate limit: a status of its own; gRPC as RESOURCE_EXHAUSTED',
    own,
    services: [service('rate-status', bare), { name: 'rate-grpc', ports: [{ name: 'grpc', number: 80 }], endpoints: [bare] }],
    objects: envoyFilter('rate-status', ...rateLimit(', status: { code: ServiceUnavailable }, rate_limited_as_resource_exhausted: true')),
    steps: [
      http({ times: 2, expect: { statuses: { 200: 2 } } }),
      http({ expect: { status: 503, body: 'local_rate_limited' } }),
      grpc({ to: 'rate-grpc', times: 2, expect: {} }),
      grpc({ to: 'rate-grpc', expect: { grpc: { status: 8, message: 'local_rate_limited' } } }),
    ],
  },
  {
    area,
    name: 'local rate limit that is not enforced only tells the application',
    own,
    services: [service('rate-told', bare)],
    objects: envoyFilter(
      'rate-told',
      ...rateLimit(
        ', request_headers_to_add_when_not_enforced: [{ header: { key: x-over, value: "yes" } }]',
        'default_value: { numerator: 0, denominator: HUNDRED }',
      ),
    ),
    steps: [
      http({ expect: { status: 200, upstream: { headers: { 'x-over': absent } } } }),
      http({ expect: { status: 200 } }),
      http({ expect: { status: 200, upstream: { headers: { 'x-over': 'yes' } } } }),
    ],
  },
  {
    area,
    name: 'local rate limit per connection',
    own,
    random: true,
    services: [service('rate-connection', bare)],
    objects: envoyFilter('rate-connection', ...rateLimit(', local_rate_limit_per_downstream_connection: true')),
    steps: [
      raw({ send: [`${GET}\r\n`.repeat(3)], until: [/429 [^]*local_rate_limited/], expect: { text: /200 OK[^]*200 OK[^]*429 Too Many Requests/ } }),
      raw({ send: [`${GET}\r\n`.repeat(2)], until: [/200 OK[^]*200 OK/], expect: { text: /^(?![^]*429)/ } }),
    ],
  },
  {
    area,
    name: 'stream idle timeout: nothing moves, 504 or, before the request is whole, 408; flag SI',
    own,
    services: [service('stream-idle', bare)],
    objects: envoyFilter('stream-idle', onManager('stream_idle_timeout: 0.6s')),
    steps: [
      http({ do: { hold: true }, expect: { status: 504, body: 'stream timeout' } }),
      raw({ send: [`${GET}content-length: 5\r\n\r\n12`], until: [/stream timeout/], expect: { text: /^HTTP\/1\.1 408 Request Timeout\r\n/ } }),
    ],
    telemetry: {
      logs: [
        { status: '504', flags: 'SI', details: 'stream_idle_timeout' },
        { status: '408', flags: 'SI', details: 'stream_idle_timeout' },
      ],
    },
  },
  {
    area,
    name: 'idle timeout of a route: over the one of all',
    own,
    services: [service('route-idle', bare)],
    objects: envoyFilter('route-idle', onManager('stream_idle_timeout: 300s'), onRoutes('route: { idle_timeout: 0.6s }')),
    steps: [http({ do: { hold: true }, expect: { status: 504, body: 'stream timeout' } })],
    telemetry: { logs: [{ status: '504', flags: 'SI' }] },
  },
  {
    area,
    name: 'request timeout: a body that does not end, 408',
    own,
    services: [service('request-time', bare)],
    objects: envoyFilter('request-time', onManager('request_timeout: 0.6s')),
    steps: [raw({ send: [`${GET}content-length: 5\r\n\r\n12`], until: [/request timeout/], expect: { text: /^HTTP\/1\.1 408 Request Timeout\r\n/ } })],
    telemetry: { logs: [{ status: '408', details: 'request_overall_timeout' }] },
  },
  {
    area,
    name: 'request headers timeout: a head that does not end, 408',
    own,
    services: [service('head-time', bare)],
    objects: envoyFilter('head-time', onManager('request_headers_timeout: 0.6s')),
    steps: [raw({ send: ['GET / HTTP/1.1\r\nHost: x'], until: [/timeout$/], expect: { text: /^HTTP\/1\.1 408 Request Timeout\r\n/ } })],
  },
  {
    area,
    name: 'longest duration of a stream, downstream and upstream',
    own,
    services: [service('max-down', bare), service('max-up', bare)],
    objects: envoyFilter(
      'max-duration',
      onCluster(
        'max-up',
        'typed_extension_protocol_options: { envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, common_http_protocol_options: { max_stream_duration: 0.6s }, explicit_http_config: { http_protocol_options: {} } } }',
      ),
      `{ applyTo: HTTP_ROUTE, match: { routeConfiguration: { name: "max-down.$NS.svc.cluster.local:80" } }, patch: { operation: MERGE, value: { route: { max_stream_duration: { max_stream_duration: 0.6s } } } } }`,
    ),
    steps: [http({ do: { hold: true }, expect: { status: 504 } }), http({ to: 'max-up', do: { hold: true }, expect: { status: 504 } })],
    telemetry: {
      logs: [
        { status: '504', flags: 'UMSDR' },
        { status: '504', details: 'max_duration_timeout' },
      ],
    },
  },
  {
    area,
    name: 'connections of clients: idle ones end',
    own,
    random: true,
    services: [service('idle-client', bare)],
    objects: envoyFilter('idle-client', onManager('common_http_protocol_options: { idle_timeout: 0.6s }')),
    steps: [raw({ send: [`${GET}\r\n`], expect: { failed: 'closed', text: /^HTTP\/1\.1 200 OK/ } })],
  },
  {
    area,
    name: 'connections of clients: the answer after their longest duration says close',
    own,
    random: true,
    services: [service('old-client', bare)],
    objects: envoyFilter('old-client', onManager('common_http_protocol_options: { max_connection_duration: 0.6s }')),
    steps: [raw({ send: [`${GET}x-do: {"delayMs":1200}\r\n\r\n`], expect: { failed: 'closed', text: /^HTTP\/1\.1 200 OK\r\n[^]*connection: close/ } })],
  },
  {
    area,
    name: 'idle connections to applications end (idleTimeout), and all after maxConnectionDuration',
    random: true,
    services: [service('pool-idle', bare), service('pool-old', bare), service('pool-kept', bare)],
    objects: `${policy('pool-idle', '{ connectionPool: { http: { idleTimeout: 500ms } } }')}
---
${policy('pool-old', '{ connectionPool: { tcp: { maxConnectionDuration: 500ms } } }')}
---
${policy('pool-kept', '{ connectionPool: { tcp: { maxConnectionDuration: 60s, connectTimeout: 5s, tcpKeepalive: { time: 30s } }, http: { idleTimeout: 60s } } }')}`,
    steps: [
      http({ times: 3, gapMs: 2_000, expect: { statuses: { 200: 3 }, connections: 3 } }),
      http({ to: 'pool-old', times: 3, gapMs: 2_000, expect: { statuses: { 200: 3 }, connections: 3 } }),
      http({ to: 'pool-kept', times: 3, gapMs: 1_000, expect: { statuses: { 200: 3 }, connections: 1 } }),
    ],
  },
  {
    area,
    name: 'idleTimeout of TCP: connections nothing moves on end',
    random: true,
    services: [service('tcp-idle')].map((s) => ({ ...s, ports: [{ name: 'tcp', number: 9000 }], endpoints: [{ app: 'echo', direct: true }] })),
    objects: policy('tcp-idle', '{ connectionPool: { tcp: { idleTimeout: 1s } } }'),
    steps: [
      raw({ send: ['x'], expect: { failed: 'closed', text: 'echo:x' } }),
      raw({ send: ['x', 'y', 'z'], pauseMs: 600, until: [/x/, /y/, /z/], expect: { text: 'echo:xecho:yecho:z' } }),
    ],
  },
  {
    area,
    name: 'maxRequestsPerConnection: as many on each connection',
    random: true,
    services: [service('per-connection', bare), service('per-two', bare), service('per-none', bare)],
    objects: `${policy('per-connection', '{ connectionPool: { http: { maxRequestsPerConnection: 1 } } }')}
---
${policy('per-two', '{ connectionPool: { http: { maxRequestsPerConnection: 2 } } }')}`,
    steps: [
      http({ times: 6, expect: { statuses: { 200: 6 }, connections: 6 } }),
      http({ to: 'per-two', times: 6, expect: { statuses: { 200: 6 }, connections: 3 } }),
      http({ to: 'per-none', times: 6, expect: { statuses: { 200: 6 }, connections: 1 } }),
    ],
  },
  {
    area,
    name: 'connectTimeout: a peer that never finishes the handshake, 503, flag UF',
    services: [service('connect-time', { app: 'late', direct: true })],
    objects: `${policy('connect-time', '{ tls: { mode: SIMPLE, insecureSkipVerify: true }, connectionPool: { tcp: { connectTimeout: 600ms } } }')}
---
${rule('connect-time', 'retries: { attempts: 0 }')}`,
    steps: [http({ expect: { status: 503, body: 'upstream connect error or disconnect/reset before headers. reset reason: connection timeout' } })],
    telemetry: { logs: [{ status: '503', flags: 'UF', details: 'upstream_reset_before_response_started{connection_timeout}' }] },
  },
  {
    area,
    name: 'maxConcurrentStreams: more connections to an HTTP/2 application',
    random: true,
    services: [{ name: 'one-stream', ports: [{ name: 'http2', number: 80 }], endpoints: [bare] }],
    objects: policy('one-stream', '{ connectionPool: { http: { maxConcurrentStreams: 1 } } }'),
    steps: [http({ times: 3, parallel: 3, do: { hold: true }, expect: { statuses: { 200: 3 }, connections: 3 }, background: true })],
  },
  {
    area,
    name: 'maxConnections of TCP: one more ends at once, flag UO',
    random: true,
    services: [{ name: 'tcp-limit', ports: [{ name: 'tcp', number: 9000 }], endpoints: [{ app: 'late', direct: true }] }],
    objects: policy('tcp-limit', '{ connectionPool: { tcp: { maxConnections: 1 } } }'),
    steps: [raw({ send: ['x'], times: 3, parallel: 3, expect: { apps: { late: 1, none: 2 } } })],
  },
];
