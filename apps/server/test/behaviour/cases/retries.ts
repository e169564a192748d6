// Retries: every word of retryOn, how often, how fast, where to, and hedging.

import { type AppAction, type Case, type EndpointSpec, type HttpStep, type ServiceSpec, arrivals, grpc, http, service } from '../case.ts';
import { between, oneOf } from '../harness/match.ts';
import { LOOPBACK, envoyFilter, internalClients, onRoutes, policy, rule, subsets } from './parts.ts';

const area = 'retries';
const bare: EndpointSpec = { app: 'a', direct: true };
const twice: EndpointSpec[] = [bare, { app: 'b', direct: true }];
const speaking = (protocol: 'http2' | 'grpc', name: string, ...endpoints: EndpointSpec[]): ServiceSpec => ({
  name,
  ports: [{ name: protocol, number: 80 }],
  endpoints: endpoints.length === 0 ? [bare] : endpoints,
});
const once = (fields: string): string => `retries: { attempts: 1, backoff: 1ms, ${fields} }`;
const tries = (n: number): ReturnType<typeof arrivals> => arrivals(Array.from({ length: n }, () => ({ app: 'a' })));

/** What a retry on this word mends, and what it leaves. */
const word = (on: string, mends: AppAction, leaves: AppAction, left: number, more: Partial<HttpStep> = {}, protocol?: 'http2'): Case => {
  const name = `retry-on-${on}`;
  const asked = more.headers !== undefined;
  return {
    ...(asked ? { own: {} } : {}),
    area,
    name: `retryOn ${on}`,
    services: [protocol === undefined ? service(name, bare) : speaking(protocol, name)],
    objects: `${rule(name, once(`retryOn: ${on}`))}${asked ? `---${internalClients(name)}` : ''}`,
    steps: [
      http({ ...more, do: { ...mends, first: 1 }, expect: { status: 200, upstream: { headers: { 'x-envoy-attempt-count': '2' } } } }),
      tries(2),
      http({ ...more, do: { ...leaves, first: 1 }, expect: { status: left } }),
      tries(1),
    ],
  };
};

/** Not through a connection: two tries reach the one that listens in the end. */
const refused = (on: string): Case => {
  const name = `retry-on-${on}`;
  return {
    area,
    name: `retryOn ${on}: nobody listens`,
    random: true,
    services: [service(name, { app: 'dead', direct: true }, bare)],
    objects: `${policy(name, '{ loadBalancer: { simple: ROUND_ROBIN } }')}
---
${rule(name, once(`retryOn: ${on}`))}`,
    steps: [http({ times: 8, expect: { statuses: { 200: 8 }, apps: { a: 8 } } }), http({ do: { reset: 'before-headers', first: 1 }, expect: { status: 503 } })],
  };
};

const GRPC_WORDS = { cancelled: 1, 'deadline-exceeded': 4, internal: 13, 'resource-exhausted': 8, unavailable: 14 } as const;
const says = (status: number): AppAction => ({ grpcStatus: status, trailersOnly: true, first: 1 });

export const RETRIES: readonly Case[] = [
  word('5xx', { status: 503 }, { status: 404 }, 404),
  word('gateway-error', { status: 504 }, { status: 501 }, 501),
  word('reset', { reset: 'before-headers' }, { status: 503 }, 503),
  word('retriable-4xx', { status: 409 }, { status: 404 }, 404),
  word('refused-stream', { reset: 'refused' }, { reset: 'before-headers' }, 503, {}, 'http2'),
  word('envoy-ratelimited', { status: 429, headers: { 'x-envoy-ratelimited': 'true' } }, { status: 429 }, 429),
  word('retriable-headers', { status: 404, headers: { 'x-again': '1' } }, { status: 404 }, 404, {
    headers: { ...LOOPBACK, 'x-envoy-retriable-header-names': 'x-again' },
  }),
  word('retriable-status-codes', { status: 418 }, { status: 417 }, 417, { headers: { ...LOOPBACK, 'x-envoy-retriable-status-codes': '418,400' } }),
  {
    area,
    name: 'retryOn 503,418 (status codes), and no others',
    services: [service('retry-codes', bare)],
    objects: rule('retry-codes', once('retryOn: "503,418"')),
    steps: [418, 502].flatMap((status) => [http({ do: { status, first: 1 }, expect: { status: status === 418 ? 200 : 502 } }), tries(status === 418 ? 2 : 1)]),
  },
  {
    area,
    name: 'x-envoy-ratelimited keeps an answer from being tried again, whatever its status',
    services: [service('retry-limited', bare)],
    objects: rule('retry-limited', once('retryOn: "5xx,503"')),
    steps: [http({ do: { status: 503, headers: { 'x-envoy-ratelimited': 'true' }, first: 1 }, expect: { status: 503 } }), tries(1)],
  },
  {
    area,
    name: 'a retry stays with the destination the weights chose',
    random: true,
    services: [service('retry-chosen', { ...bare, version: 'v1' }, { app: 'b', direct: true, version: 'v2' })],
    objects: `${subsets('retry-chosen')}
kind: VirtualService
metadata: { name: retry-chosen }
spec:
  hosts: [retry-chosen]
  http:
  - route: [{ destination: { host: retry-chosen, subset: v1 }, weight: 50 }, { destination: { host: retry-chosen, subset: v2 }, weight: 50 }]
    ${once('retryOn: 5xx')}
`,
    steps: Array.from({ length: 6 }).flatMap(() => [
      http({ do: { status: 500, first: 1 }, expect: { status: 200 } }),
      arrivals(oneOf([{ app: 'a' }, { app: 'a' }], [{ app: 'b' }, { app: 'b' }])),
    ]),
  },
  {
    area,
    name: 'back-off as the answer asks for (rate_limited_retry_back_off, by EnvoyFilter)',
    own: {},
    random: true,
    services: [service('retry-asked-wait', bare)],
    objects: `${rule('retry-asked-wait', once('retryOn: 5xx'))}---${envoyFilter(
      'retry-asked-wait',
      onRoutes('route: { retry_policy: { rate_limited_retry_back_off: { reset_headers: [{ name: retry-after, format: SECONDS }], max_interval: 2s } } }'),
    )}`,
    steps: [
      http({ times: 1, do: { status: 503, headers: { 'retry-after': '1' }, first: 1 }, expect: { statuses: { 200: 1 }, slowestMs: between(990, 20_000) } }),
      // More than it may ask for, so the usual one.
      http({ times: 1, do: { status: 503, headers: { 'retry-after': '30' }, first: 1 }, expect: { statuses: { 200: 1 } } }),
    ],
  },
  {
    area,
    name: 'a gRPC status that comes in trailers is too late for a retry',
    services: [speaking('grpc', 'retry-trailers')],
    objects: rule('retry-trailers', once('retryOn: unavailable')),
    steps: [grpc({ do: { grpcStatus: 14, first: 1 }, expect: { grpc: { status: 14 } } }), tries(1)],
  },
  refused('connect-failure'),
  refused('reset-before-request'),
  ...Object.entries(GRPC_WORDS).map(([on, status]): Case => {
    const name = `retry-on-${on}`;
    return {
      area,
      name: `retryOn ${on} (gRPC)`,
      services: [speaking('grpc', name)],
      objects: rule(name, once(`retryOn: ${on}`)),
      steps: [grpc({ do: says(status), expect: { grpc: { status: 0 } } }), tries(2), grpc({ do: says(5), expect: { grpc: { status: 5 } } }), tries(1)],
    };
  }),
  {
    area,
    name: 'retryOn http3-post-connect-failure says nothing of HTTP/1.1, other words beside it count',
    services: [service('retry-http3', bare)],
    objects: rule('retry-http3', once('retryOn: "http3-post-connect-failure,reset"')),
    steps: [http({ do: { reset: 'before-headers', first: 1 }, expect: { status: 200 } }), tries(2)],
  },
  ...[true, false].map((believed): Case => {
    const name = believed ? 'retry-asked' : 'retry-stranger';
    return {
      area,
      name: `x-envoy-retry-on, -max-retries and -retry-grpc-on of ${believed ? 'an internal client' : 'others say nothing'}`,
      ...(believed ? { own: {} } : {}),
      services: [service(name, bare), speaking('grpc', `${name}-grpc`)],
      objects: [name, `${name}-grpc`]
        .map((s) => rule(s, 'retries: { attempts: 1, retryOn: reset, backoff: 1ms }'))
        .concat(believed ? [internalClients(name)] : [])
        .join('---'),
      steps: [
        http({
          headers: { ...LOOPBACK, 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '3' },
          do: { status: 500, first: 3 },
          expect: { status: believed ? 200 : 500 },
        }),
        tries(believed ? 4 : 1),
        grpc({
          to: `${name}-grpc`,
          metadata: { ...LOOPBACK, 'x-envoy-retry-grpc-on': 'internal' },
          do: says(13),
          expect: { grpc: { status: believed ? 0 : 13 } },
        }),
        tries(believed ? 2 : 1),
      ],
    };
  }),
  {
    area,
    name: 'all tries used: the last answer, flag URX, how many there were',
    services: [service('retry-used', bare)],
    objects: rule('retry-used', 'retries: { attempts: 3, retryOn: 5xx, backoff: 1ms }'),
    steps: [http({ do: { status: 500, body: 'still' }, expect: { status: 500, body: 'still' } }), tries(4)],
    telemetry: {
      logs: [{ status: '500', flags: 'URX', details: 'via_upstream' }],
      metrics: [{ metric: 'istio_requests_total', reporter: 'source', response_code: '500', response_flags: 'URX', value: 1 }],
    },
  },
  {
    area,
    name: 'back-off: tries wait, somewhere up to the interval',
    random: true,
    services: [service('backoff', bare), service('no-backoff', bare)],
    objects: `${rule('backoff', 'retries: { attempts: 1, retryOn: 5xx, backoff: 2s }')}
---
${rule('no-backoff', 'retries: { attempts: 1, retryOn: 5xx, backoff: 1ms }')}`,
    steps: [
      // Of twelve that wait somewhere in 0-2 s the last comes within 0.3 s once in 7,000 million runs.
      http({ times: 12, parallel: 12, do: { status: 500, first: 1 }, expect: { statuses: { 200: 12 }, slowestMs: between(300, 15_000) } }),
      http({ to: 'no-backoff', times: 1, do: { status: 500, first: 1 }, expect: { statuses: { 200: 1 } } }),
    ],
  },
  ...(
    [
      ['maxRetries of the connection pool', 'max-retries', '{ connectionPool: { http: { maxRetries: 1 } } }'],
      ['retry budget of nothing: its floor', 'retry-budget', '{ retryBudget: { percent: 0, minRetryConcurrency: 1 } }'],
    ] as const
  ).map(([what, name, limit]): Case => ({
    area,
    name: `${what}: one retry at a time, the others’ answers stay, flag UO`,
    random: true,
    services: [service(name, bare)],
    objects: `${policy(name, limit)}
---
${rule(name, once('retryOn: 5xx'))}`,
    steps: [
      http({ times: 6, parallel: 6, do: { status: 500, first: 1, after: { hold: true } }, background: 5, expect: { statuses: { 200: 1, 500: 5 } } }),
      http({ do: { status: 500, first: 1 }, expect: { status: 500 } }),
      tries(1),
    ],
    telemetry: { logs: [{ status: '500', flags: 'UO' }] },
  })),
  {
    area,
    name: 'retry budget: a share of the requests under way',
    random: true,
    services: [service('retry-share', bare)],
    objects: `${policy('retry-share', '{ retryBudget: { percent: 50, minRetryConcurrency: 1 } }')}
---
${rule('retry-share', once('retryOn: 5xx'))}`,
    steps: [
      http({ times: 12, parallel: 12, do: { hold: true }, background: true, expect: { statuses: { 200: 12 } } }),
      http({ times: 4, parallel: 4, do: { status: 500, first: 1, after: { delayMs: 50 } }, expect: { statuses: { 200: 4 } } }),
    ],
  },
  {
    area,
    name: 'retry budget with an interval: a share of the requests begun within it, though they are over',
    random: true,
    services: [service('retry-recent', bare)],
    objects: `${policy('retry-recent', '{ retryBudget: { percent: 20, minRetryConcurrency: 1, budgetInterval: 60s } }')}
---
${rule('retry-recent', once('retryOn: 5xx'))}`,
    steps: [
      http({ times: 20, expect: { statuses: { 200: 20 } } }),
      http({ times: 4, parallel: 4, do: { status: 500, first: 1, after: { delayMs: 200 } }, expect: { statuses: { 200: 4 } } }),
    ],
  },
  {
    area,
    name: 'hashed requests are tried again where their hash points; retryIgnorePreviousHosts sends them elsewhere',
    random: true,
    // Of four: five choices by the same hash and a number rarely all meet one of them; of two they do once in thirty runs.
    services: [service('retry-hashed', ...twice), service('retry-moved', ...twice, { app: 'c', direct: true }, { app: 'd', direct: true })],
    objects: ['retry-hashed', 'retry-moved']
      .map(
        (name) => `${policy(name, '{ loadBalancer: { consistentHash: { httpHeaderName: x-user } } }')}
---
${rule(name, once(`retryOn: 5xx${name === 'retry-moved' ? ', retryIgnorePreviousHosts: true' : ''}`))}`,
      )
      .join('\n---\n'),
    steps: [
      http({ headers: { 'x-user': 'ada' }, do: { status: 500, first: 1 }, expect: { status: 200 } }),
      arrivals(oneOf([{ app: 'a' }, { app: 'a' }], [{ app: 'b' }, { app: 'b' }])),
      http({ to: 'retry-moved', headers: { 'x-user': 'ada' }, do: { status: 500, first: 1 }, expect: { status: 200 } }),
      arrivals(oneOf(...['ab', 'ac', 'ad', 'bc', 'bd', 'cd'].map((pair) => Array.from(pair, (app) => ({ app }))))),
    ],
  },
  {
    area,
    name: 'retryRemoteLocalities: the second retry leaves a priority that fails',
    random: true,
    services: [service('retry-remote', { app: 'a', direct: true, labels: { site: 'x' } }, { app: 'b', direct: true, labels: { site: 'y' } })],
    objects: `${policy('retry-remote', '{ loadBalancer: { localityLbSetting: { failoverPriority: ["site=x"] } }, outlierDetection: { consecutive5xxErrors: 100 } }')}
---
${rule('retry-remote', 'retries: { attempts: 3, retryOn: 5xx, backoff: 1ms, retryRemoteLocalities: true }')}`,
    steps: [http({ do: { status: 500, only: 'a' }, expect: { status: 200, app: 'b' } })],
  },
  {
    area,
    name: 'hedging: a try that is late is not given up, whoever answers first counts',
    own: {},
    random: true,
    services: [service('hedged', bare)],
    objects: `${rule('hedged', 'retries: { attempts: 2, retryOn: 5xx, backoff: 1ms, perTryTimeout: 500ms }')}---${envoyFilter('hedged', onRoutes('route: { hedge_policy: { hedge_on_per_try_timeout: true } }'))}`,
    steps: [
      http({ do: { hold: true, first: 1, after: { body: 'second' } }, expect: { status: 200, body: 'second' } }),
      tries(2),
      http({ do: { delayMs: 800, body: 'first', first: 1, after: { hold: true } }, expect: { status: 200, body: 'first' } }),
    ],
  },
];
