// Timeouts, retries, circuit breakers, outlier detection: what a client sees and the flag that says why.

import { type Case, type ServiceSpec, arrivals, grpc, http, service, until } from '../case.ts';
import { between, oneOf } from '../harness/match.ts';
import { policy, rule } from './parts.ts';

const area = 'resilience';
const grpcService = (name: string): ServiceSpec[] => [{ name, ports: [{ name: 'grpc', number: 80 }], endpoints: [{ app: 'a' }] }];

/** A retry policy, one request the application treats as told, how often it must have come. */
const retrying = (
  id: string,
  name: string,
  retries: string,
  act: Parameters<typeof http>[0]['do'],
  status: number,
  tries: number,
  more: Partial<Case> = {},
): Case => ({
  area,
  name: `retryOn ${name}`,
  services: [service(`retry-${id}`, { app: 'a', direct: true })],
  objects: rule(`retry-${id}`, `retries: { ${retries}, backoff: 1ms }`),
  steps: [http({ ...(act === undefined ? {} : { do: act }), expect: { status } }), arrivals(Array.from({ length: tries }, () => ({ app: 'a' })))],
  ...more,
});

export const RESILIENCE: readonly Case[] = [
  {
    area,
    name: 'route timeout: 504, flag UT',
    services: [service('timeout')],
    objects: rule('timeout', 'timeout: 1s'),
    steps: [http({ do: { hold: true }, expect: { status: 504, body: 'upstream request timeout' } }), http({ expect: { status: 200 } })],
    telemetry: {
      logs: [{ status: '504', flags: 'UT', details: 'response_timeout' }],
      metrics: [{ metric: 'istio_requests_total', reporter: 'source', response_code: '504', response_flags: 'UT' }],
    },
  },
  {
    area,
    name: 'route timeout covers retries and back-off together',
    random: true,
    services: [service('timeout-retries')],
    objects: rule('timeout-retries', 'timeout: 400ms, retries: { attempts: 50, retryOn: 5xx, perTryTimeout: 100ms }'),
    steps: [http({ do: { hold: true }, expect: { status: 504 } })],
  },
  {
    area,
    name: 'per-try timeout: the next try answers; without one left 504, flag UT',
    services: [service('per-try'), service('per-try-out')],
    objects: `${rule('per-try', 'retries: { attempts: 1, perTryTimeout: 4s, retryOn: gateway-error }')}---${rule('per-try-out', 'retries: { attempts: 1, perTryTimeout: 2s, retryOn: gateway-error }')}`,
    steps: [
      http({ do: { hold: true, first: 1 }, expect: { status: 200, upstream: { headers: { 'x-envoy-attempt-count': '2' } } } }),
      arrivals([{ app: 'a' }, { app: 'a' }]),
      http({ to: 'per-try-out', do: { hold: true }, expect: { status: 504 } }),
    ],
  },
  {
    area,
    name: 'x-envoy-upstream-rq-timeout-ms from the application beats the route’s',
    services: [service('timeout-header')],
    objects: rule('timeout-header', 'timeout: 10s'),
    steps: [http({ headers: { 'x-envoy-upstream-rq-timeout-ms': '150' }, do: { hold: true }, expect: { status: 504 } })],
  },
  retrying('5xx', '5xx', 'attempts: 2, retryOn: 5xx', { status: 500, first: 2 }, 200, 3),
  retrying('5xx-all', '5xx, all tries used: the last answer, flag URX', 'attempts: 2, retryOn: 5xx', { status: 500 }, 500, 3, {
    telemetry: { logs: [{ status: '500', flags: 'URX' }] },
  }),
  retrying('gateway', 'gateway-error', 'attempts: 1, retryOn: gateway-error', { status: 502, first: 1 }, 200, 2),
  retrying('gateway-500', 'gateway-error leaves a 500', 'attempts: 1, retryOn: gateway-error', { status: 500, first: 1 }, 500, 1),
  retrying('reset', 'reset', 'attempts: 1, retryOn: reset', { reset: 'before-headers', first: 1 }, 200, 2),
  retrying('4xx', 'retriable-4xx', 'attempts: 1, retryOn: retriable-4xx', { status: 409, first: 1 }, 200, 2),
  retrying('codes', '503,418 (status codes)', 'attempts: 1, retryOn: "503,418"', { status: 418, first: 1 }, 200, 2),
  retrying('other-code', '503 leaves a 502', 'attempts: 1, retryOn: "503"', { status: 502, first: 1 }, 502, 1),
  retrying(
    'ratelimited',
    'envoy-ratelimited',
    'attempts: 1, retryOn: envoy-ratelimited',
    { status: 429, headers: { 'x-envoy-ratelimited': 'true' }, first: 1 },
    200,
    2,
  ),
  {
    area,
    name: 'by default an application’s 503 is not retried, a refused connection is',
    services: [service('default-retry'), service('default-dead', { app: 'dead', direct: true }, { app: 'a', direct: true })],
    steps: [
      http({ do: { status: 503, first: 1 }, expect: { status: 503 } }),
      arrivals([{ app: 'a' }]),
      http({ to: 'default-dead', times: 20, expect: { statuses: { 200: 20 }, apps: { a: 20 } } }),
    ],
  },
  {
    area,
    name: 'retries go to another endpoint than the one that failed',
    services: [service('previous-hosts', { app: 'a', direct: true }, { app: 'b', direct: true })],
    objects: `${policy('previous-hosts', '{ loadBalancer: { simple: ROUND_ROBIN } }')}
---
${rule('previous-hosts', 'retries: { attempts: 1, retryOn: 5xx, backoff: 1ms }')}`,
    random: true,
    steps: [http({ do: { status: 500, first: 1 }, expect: { status: 200 } }), arrivals([{ app: 'a' }, { app: 'b' }])],
  },
  {
    area,
    name: 'attempts: 0 switches retries off',
    services: [service('no-retry', { app: 'dead', direct: true })],
    objects: rule('no-retry', 'retries: { attempts: 0 }'),
    steps: [http({ expect: { status: 503 } })],
    telemetry: { logs: [{ status: '503', flags: 'UF' }] },
  },
  {
    area,
    name: 'bodies are sent again on a retry',
    services: [service('retry-body')],
    objects: rule('retry-body', 'retries: { attempts: 1, retryOn: 5xx, backoff: 1ms }'),
    steps: [
      http({
        method: 'POST',
        body: 'again',
        do: { status: 500, first: 1 },
        expect: { status: 200, upstream: { body: 'again', headers: { 'x-envoy-attempt-count': '2' } } },
      }),
    ],
  },
  {
    area,
    name: 'the server’s sidecar retries only what it has not sent: a reset by the application is a 503',
    services: [service('inbound-reset')],
    steps: [http({ do: { reset: 'before-headers', first: 1 }, expect: { status: 503 } }), arrivals([{ app: 'a' }])],
  },
  {
    area,
    name: 'retries of gRPC: unavailable in the head; not what comes in trailers',
    services: grpcService('retry-grpc'),
    objects: rule('retry-grpc', 'retries: { attempts: 1, retryOn: "unavailable,cancelled,resource-exhausted", backoff: 1ms }'),
    steps: [
      grpc({ do: { grpcStatus: 14, trailersOnly: true, first: 1 }, expect: { grpc: { status: 0 } } }),
      grpc({ do: { grpcStatus: 14, first: 1 }, expect: { grpc: { status: 14 } } }),
    ],
  },
  {
    area,
    name: 'no connection: 503, flag UF and the reason in the body; retried first, flag URX',
    services: [service('refused', { app: 'dead', direct: true })],
    steps: [http({ expect: { status: 503, body: /^upstream connect error or disconnect\/reset before headers\. / } })],
    telemetry: { logs: [{ status: '503', flags: /UF/ }] },
  },
  {
    area,
    name: 'the application resets before its answer: 503, flag UC',
    services: [service('reset-first', { app: 'a', direct: true })],
    steps: [http({ do: { reset: 'before-headers' }, expect: { status: 503 } })],
    telemetry: { logs: [{ status: '503', flags: 'UC' }] },
  },
  {
    area,
    name: 'the application resets in the middle of its answer: the client’s connection ends',
    services: [service('reset-middle', { app: 'a', direct: true })],
    steps: [http({ do: { reset: 'after-headers' }, expect: { status: 200, failed: 'closed' } })],
    telemetry: { logs: [{ status: '200', flags: 'UPE' }] },
  },
  {
    area,
    name: 'circuit breaker: pending requests; overflow is 503, flag UO, x-envoy-overloaded',
    services: [service('pending', { app: 'a', direct: true })],
    objects: policy('pending', '{ connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } } }'),
    random: true,
    steps: [
      http({ do: { hold: true }, background: true, expect: { status: 200 } }),
      // One more waits for the connection; there is no room for others.
      http({ times: 6, parallel: 6, background: 5, expect: { statuses: { 200: 1, 503: 5 } } }),
      http({
        expect: {
          status: 503,
          headers: { 'x-envoy-overloaded': 'true' },
          body: 'upstream connect error or disconnect/reset before headers. reset reason: overflow',
        },
      }),
    ],
    telemetry: { logs: [{ status: '503', flags: 'UO' }] },
  },
  {
    area,
    name: 'circuit breaker: requests (http2MaxRequests)',
    services: [service('max-requests', { app: 'a', direct: true })],
    objects: policy('max-requests', '{ connectionPool: { http: { http2MaxRequests: 2 } } }'),
    random: true,
    steps: [
      http({ times: 2, parallel: 2, do: { hold: true }, background: true, expect: { statuses: { 200: 2 } } }),
      http({ expect: { status: 503, headers: { 'x-envoy-overloaded': 'true' } } }),
    ],
    telemetry: { logs: [{ status: '503', flags: 'UO' }] },
  },
  {
    area,
    name: 'maxRequestsPerConnection: a new connection after each',
    services: [service('per-connection', { app: 'a', direct: true })],
    objects: policy('per-connection', '{ connectionPool: { http: { maxRequestsPerConnection: 1 } } }'),
    steps: [http({ times: 5, expect: { statuses: { 200: 5 } } })],
  },
  {
    area,
    name: 'connectTimeout and idle limits are accepted',
    services: [service('pool')],
    objects: policy(
      'pool',
      '{ connectionPool: { tcp: { connectTimeout: 5s, idleTimeout: 30s, maxConnectionDuration: 60s, tcpKeepalive: { time: 30s } }, http: { idleTimeout: 20s, maxRetries: 5, maxConcurrentStreams: 50, http2MaxRequests: 500 } } }',
    ),
    steps: [http({ expect: { status: 200 } })],
  },
  {
    area,
    name: 'retry budget: a budget of nothing lets no more through than its floor',
    services: [service('budget', { app: 'a', direct: true })],
    objects: `${policy('budget', '{ retryBudget: { percent: 0, minRetryConcurrency: 1 } }')}
---
${rule('budget', 'retries: { attempts: 1, retryOn: 5xx, backoff: 1ms }')}`,
    steps: [http({ do: { status: 500, first: 1 }, expect: { status: oneOf(200, 500) } })],
    random: true,
  },
  {
    area,
    name: 'outlier detection: consecutive 5xx eject, the others serve',
    services: [service('outlier', { app: 'a', version: 'v1', direct: true }, { app: 'b', version: 'v2', direct: true })],
    objects: `${policy('outlier', '{ loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: { consecutive5xxErrors: 3, interval: 60s, baseEjectionTime: 60s, maxEjectionPercent: 50 } }')}
---
${rule('outlier', 'retries: { attempts: 0 }')}`,
    random: true,
    steps: [
      // Errors come from whoever is asked; after three in a row one is out, and 50 % keeps the other in.
      http({ times: 12, do: { status: 500 }, expect: { statuses: { 500: 12 } } }),
      until(http({ times: 20, expect: { statuses: { 200: 20 }, distinct: 1 } })),
    ],
  },
  {
    area,
    name: 'outlier detection: gateway errors; ejecting nobody with the default 10 %',
    services: [
      service('outlier-gateway', { app: 'a', direct: true }, { app: 'b', direct: true }),
      service('outlier-few', { app: 'a', direct: true }, { app: 'b', direct: true }),
    ],
    objects: `${policy('outlier-gateway', '{ loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: { consecutiveGatewayErrors: 2, consecutive5xxErrors: 0, interval: 60s, baseEjectionTime: 60s, maxEjectionPercent: 50 } }')}
---
${rule('outlier-gateway', 'retries: { attempts: 0 }')}
---
${policy('outlier-few', '{ loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: { consecutive5xxErrors: 1, interval: 60s, baseEjectionTime: 60s } }')}
---
${rule('outlier-few', 'retries: { attempts: 0 }')}`,
    random: true,
    steps: [
      http({ times: 12, do: { status: 500 }, expect: { statuses: { 500: 12 } } }),
      http({ times: 20, expect: { distinct: 2 } }),
      http({ times: 12, do: { status: 502 }, expect: { statuses: { 502: 12 } } }),
      until(http({ times: 20, expect: { distinct: 1 } })),
      http({ to: 'outlier-few', times: 12, do: { status: 500 }, expect: { statuses: { 500: 12 } } }),
      http({ to: 'outlier-few', times: 20, expect: { distinct: between(1, 2) } }),
    ],
  },
  {
    area,
    name: 'outlier detection: all ejected and no panic: 503, flag UH',
    services: [service('outlier-all', { app: 'a', direct: true })],
    objects: `${policy('outlier-all', '{ outlierDetection: { consecutive5xxErrors: 2, interval: 60s, baseEjectionTime: 60s, maxEjectionPercent: 100 } }')}
---
${rule('outlier-all', 'retries: { attempts: 0 }')}`,
    random: true,
    steps: [http({ times: 2, do: { status: 500 }, expect: { statuses: { 500: 2 } } }), until(http({ expect: { status: 503, body: 'no healthy upstream' } }))],
  },
  {
    area,
    name: 'outlier detection: local origin failures apart',
    services: [service('outlier-local', { app: 'dead', direct: true }, { app: 'a', direct: true })],
    objects: `${policy('outlier-local', '{ loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2, interval: 60s, baseEjectionTime: 60s, maxEjectionPercent: 50 } }')}
---
${rule('outlier-local', 'retries: { attempts: 0 }')}`,
    random: true,
    steps: [http({ times: 8, expect: { statuses: { 503: between(2, 4) } } }), until(http({ times: 12, expect: { statuses: { 200: 12 } } }))],
  },
];
