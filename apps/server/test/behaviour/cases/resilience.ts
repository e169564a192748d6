// Timeouts, what retries do by themselves, circuit breakers: what a client sees and the flag that says why.

import { type Case, arrivals, http, service, until } from '../case.ts';
import { policy, rule } from './parts.ts';

const area = 'resilience';

export const RESILIENCE: readonly Case[] = [
  {
    area,
    name: 'route timeout: 504, flag UT',
    services: [service('timeout')],
    objects: rule('timeout', 'timeout: 3s'),
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
    name: 'outlier detection: all ejected and no panic: 503, flag UH',
    services: [service('outlier-all', { app: 'a', direct: true })],
    objects: `${policy('outlier-all', '{ outlierDetection: { consecutive5xxErrors: 2, interval: 60s, baseEjectionTime: 60s, maxEjectionPercent: 100 } }')}
---
${rule('outlier-all', 'retries: { attempts: 0 }')}`,
    random: true,
    steps: [http({ times: 2, do: { status: 500 }, expect: { statuses: { 500: 2 } } }), until(http({ expect: { status: 503, body: 'no healthy upstream' } }))],
  },
];
