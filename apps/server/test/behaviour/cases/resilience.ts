// Timeouts, what retries do by themselves, circuit breakers: what a client sees and the flag that says why.

import { type Case, type EndpointSpec, arrivals, http, raw, service, until } from '../case.ts';
import { absent } from '../harness/match.ts';
import { LOOPBACK, envoyFilter, internalClients, onRoutes, policy, rule } from './parts.ts';

const area = 'resilience';
const bare: EndpointSpec = { app: 'a', direct: true };

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
    name: 'route timeout runs from the end of the request, and is never retried',
    services: [service('timeout-from', bare)],
    objects: rule('timeout-from', 'timeout: 600ms, retries: { attempts: 3, retryOn: "5xx,gateway-error,reset", backoff: 1ms }'),
    steps: [
      raw({
        send: [
          'POST / HTTP/1.1\r\nHost: ${host}\r\nx-key: ${key}\r\nx-request-id: ${id}\r\ncontent-length: 3\r\nconnection: close\r\nx-do: {"informational":[]}\r\n\r\n',
          'abc',
        ],
        pauseMs: 1_000,
        until: [/^/, /(?!)/],
        expect: { text: /^HTTP\/1\.1 200 OK[^]*"body":"abc"/ },
      }),
      http({ do: { hold: true }, expect: { status: 504, body: 'upstream request timeout' } }),
      arrivals([{ app: 'a' }]),
    ],
    telemetry: { logs: [{ status: '504', flags: 'UT', details: 'response_timeout' }] },
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
    name: 'x-envoy-upstream-rq-timeout-ms and -per-try-timeout-ms of an application say nothing, as in Istio: no address is internal',
    services: [service('timeout-stranger', bare)],
    objects: rule('timeout-stranger', 'timeout: 30s, retries: { attempts: 1, retryOn: gateway-error, backoff: 1ms }'),
    steps: [{}, LOOPBACK].flatMap((more) => [
      http({
        headers: { ...more, 'x-envoy-upstream-rq-timeout-ms': '100', 'x-envoy-upstream-rq-per-try-timeout-ms': '50' },
        do: { delayMs: 700, first: 1 },
        expect: { status: 200, upstream: { headers: { 'x-envoy-upstream-rq-timeout-ms': absent, 'x-envoy-expected-rq-timeout-ms': /^(30000|29\d{3})$/ } } },
      }),
      arrivals([{ app: 'a' }]),
    ]),
  },
  {
    area,
    name: 'x-envoy-upstream-rq-timeout-ms of an internal client beats the route’s, whether shorter or longer; -per-try-timeout-ms too',
    own: {},
    services: [service('timeout-none', bare), service('timeout-short', bare), service('timeout-try', bare)],
    objects: `${rule('timeout-short', 'timeout: 500ms')}---${rule('timeout-try', 'timeout: 20s, retries: { attempts: 1, retryOn: gateway-error, perTryTimeout: 15s, backoff: 1ms }')}---${internalClients('timeout-internal')}`,
    steps: [
      http({
        headers: { ...LOOPBACK, 'x-envoy-upstream-rq-timeout-ms': '600' },
        do: { hold: true },
        expect: { status: 504, body: 'upstream request timeout' },
      }),
      http({ to: 'timeout-short', headers: { ...LOOPBACK, 'x-envoy-upstream-rq-timeout-ms': '15000' }, do: { delayMs: 1_200 }, expect: { status: 200 } }),
      http({ to: 'timeout-short', headers: LOOPBACK, do: { delayMs: 15_000 }, expect: { status: 504 } }),
      http({
        to: 'timeout-try',
        headers: { ...LOOPBACK, 'x-envoy-upstream-rq-per-try-timeout-ms': '1500' },
        do: { hold: true, first: 1 },
        expect: { status: 200 },
      }),
      arrivals([{ app: 'a' }, { app: 'a' }]),
    ],
    telemetry: { logs: [{ status: '504', flags: 'UT', details: 'response_timeout' }] },
  },
  {
    area,
    name: 'per-try idle timeout (by EnvoyFilter: Istio has no word for it): the next try answers; without one left 504',
    own: {},
    services: [service('try-idle', bare), service('try-idle-out', bare)],
    objects: `${rule('try-idle', 'retries: { attempts: 1, retryOn: gateway-error, backoff: 1ms }')}---${rule('try-idle-out', 'retries: { attempts: 1, retryOn: connect-failure }')}---${envoyFilter('try-idle', onRoutes('route: { retry_policy: { per_try_idle_timeout: 1.5s } }'))}`,
    steps: [
      http({ do: { hold: true, first: 1 }, expect: { status: 200, upstream: { headers: { 'x-envoy-attempt-count': '2' } } } }),
      arrivals([{ app: 'a' }, { app: 'a' }]),
      http({ to: 'try-idle-out', do: { hold: true }, expect: { status: 504 } }),
      arrivals([{ app: 'a' }]),
    ],
    telemetry: { logs: [{ status: '504', details: 'upstream_per_try_idle_timeout' }] },
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
