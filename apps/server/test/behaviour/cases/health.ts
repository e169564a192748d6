// Whom requests are kept from: active health checks, outlier detection, panic, priorities of localities, slow start.

import { type Case, type EndpointSpec, type ServiceSpec, grpc, http, raw, service, until } from '../case.ts';
import { absent, between, oneOf } from '../harness/match.ts';
import { envoyFilter, onCluster, policy, rule } from './parts.ts';

const area = 'health';
const [a, b, c, d] = (['a', 'b', 'c', 'd'] as const).map((app): EndpointSpec => ({ app, direct: true })) as [
  EndpointSpec,
  EndpointSpec,
  EndpointSpec,
  EndpointSpec,
];
const dead: EndpointSpec = { app: 'dead', direct: true };
const grpcOn = (name: string, ...endpoints: EndpointSpec[]): ServiceSpec => ({ name, ports: [{ name: 'grpc', number: 80 }], endpoints });
const noRetries = (name: string): string => rule(name, 'retries: { attempts: 0 }');
const often = 'timeout: 5s, interval: 0.2s, unhealthy_threshold: 1, healthy_threshold: 1, no_traffic_interval: 0.2s';
const outliers = (name: string, fields: string, balance = 'loadBalancer: { simple: ROUND_ROBIN }, '): string =>
  `${policy(name, `{ ${balance}outlierDetection: { interval: 300ms, baseEjectionTime: 60s, ${fields} } }`)}---${noRetries(name)}`;

export const HEALTH: readonly Case[] = [
  {
    area,
    name: 'active health checks, HTTP: who does not answer 200 gets nothing, and is asked again when it does; nobody left: 503, flag UH',
    own: {},
    random: true,
    services: [service('checked', a, b, dead), service('checked-none', a)],
    objects: `${noRetries('checked')}---${noRetries('checked-none')}---${envoyFilter(
      'checked',
      onCluster(
        'checked',
        `health_checks: [{ ${often}, http_health_check: { path: /healthz, request_headers_to_add: [{ header: { key: x-do, value: '{"only":"b","status":503}' } }] } }]`,
      ),
      onCluster(
        'checked-none',
        `common_lb_config: { healthy_panic_threshold: { value: 0 } }, health_checks: [{ ${often}, http_health_check: { path: /healthz, expected_statuses: [{ start: 201, end: 202 }] } }]`,
      ),
    )}`,
    steps: [
      until(http({ times: 12, expect: { statuses: { 200: 12 }, apps: { a: 12 } } })),
      http({ times: 12, expect: { statuses: { 200: 12 }, apps: { a: 12 } } }),
      until(http({ to: 'checked-none', expect: { status: 503, body: 'no healthy upstream' } })),
    ],
    telemetry: { logs: [{ status: '503', flags: 'UH', details: 'no_healthy_upstream', upstream: '-' }] },
  },
  {
    area,
    name: 'active health checks, TCP: connected or not',
    own: {},
    random: true,
    services: [
      {
        name: 'checked-tcp',
        ports: [{ name: 'tcp', number: 9000 }],
        endpoints: [
          { app: 'echo', direct: true },
          { app: 'dead', direct: true },
        ],
      },
    ],
    objects: envoyFilter('checked-tcp', onCluster('checked-tcp', `health_checks: [{ ${often}, tcp_health_check: {} }]`)),
    steps: [until(raw({ send: ['x'], until: [/echo:x/], times: 8, expect: { apps: { echo: 8 } } }))],
  },
  {
    area,
    name: 'active health checks, gRPC: who says SERVING of the service that is named; nobody left: UNAVAILABLE, flag UH',
    own: {},
    random: true,
    services: [grpcOn('checked-grpc', a, b, dead), grpcOn('checked-grpc-none', a)],
    objects: envoyFilter(
      'checked-grpc',
      onCluster('checked-grpc', `health_checks: [{ ${often}, grpc_health_check: { service_name: shop-of-b, authority: health.example.com } }]`),
      onCluster(
        'checked-grpc-none',
        `common_lb_config: { healthy_panic_threshold: { value: 0 } }, health_checks: [{ ${often}, grpc_health_check: { service_name: shop-of-b } }]`,
      ),
    ),
    steps: [
      until({ kind: 'grpc', times: 12, expect: { statuses: { 200: 12 }, apps: { b: 12 } } }),
      { kind: 'grpc', times: 12, expect: { apps: { b: 12 } } },
      until(grpc({ to: 'checked-grpc-none', expect: { status: 200, grpc: { status: 14, message: 'no healthy upstream' } } })),
    ],
    telemetry: { logs: [{ status: '200', flags: 'UH', details: 'no_healthy_upstream', upstream: '-' }] },
  },
  {
    area,
    name: 'outlier detection: consecutive 5xx eject; an ejection ends after its time, and another takes longer',
    random: true,
    services: [service('outlier-back', a, b)],
    objects: `${policy('outlier-back', '{ loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: { consecutive5xxErrors: 2, interval: 200ms, baseEjectionTime: 3s, maxEjectionPercent: 100 } }')}---${noRetries('outlier-back')}`,
    steps: [
      http({ times: 4, do: { status: 500, only: 'a' }, expect: { statuses: { 200: 2, 500: 2 } } }),
      until(http({ times: 8, expect: { statuses: { 200: 8 }, apps: { b: 8 } } })),
      until(http({ times: 8, expect: { apps: { a: 4, b: 4 } } })),
    ],
  },
  {
    area,
    name: 'outlier detection: a change of the cluster lets everybody back and counts anew, one of its endpoints does not',
    random: true,
    services: [service('outlier-edited', a, b)],
    objects: outliers('outlier-edited', 'consecutive5xxErrors: 2, maxEjectionPercent: 50'),
    steps: [
      http({ times: 4, do: { status: 500, only: 'a' }, expect: { statuses: { 200: 2, 500: 2 } } }),
      until(http({ times: 8, expect: { apps: { b: 8 } } })),
      {
        kind: 'apply',
        objects: `
kind: WorkloadEntry
metadata: { name: outlier-edited-more }
spec: { address: 127.0.0.1, ports: { http: $PORT(c) }, labels: { app: outlier-edited }, serviceAccount: observed }
`,
      },
      until(http({ times: 8, expect: { apps: { b: 4, c: 4 } } })),
      // One short of an ejection.
      http({ times: 2, do: { status: 500, only: 'c' }, expect: { statuses: { 200: 1, 500: 1 } } }),
      {
        kind: 'apply',
        objects: policy(
          'outlier-edited',
          '{ loadBalancer: { simple: ROUND_ROBIN }, connectionPool: { http: { maxRetries: 7 } }, outlierDetection: { interval: 300ms, baseEjectionTime: 60s, consecutive5xxErrors: 2, maxEjectionPercent: 50 } }',
        ),
      },
      until(http({ times: 12, expect: { apps: { a: 4, b: 4, c: 4 } } })),
      http({ times: 3, do: { status: 500, only: 'c' }, expect: { statuses: { 200: 2, 500: 1 } } }),
      http({ times: 12, expect: { apps: { a: 4, b: 4, c: 4 } } }),
    ],
  },
  {
    area,
    name: 'outlier detection: maxEjectionPercent leaves the others in; the default of 10 % is nobody of four',
    random: true,
    services: [service('outlier-few', a, b, c, d), service('outlier-half', a, b, c, d)],
    objects: `${outliers('outlier-few', 'consecutive5xxErrors: 1')}---${outliers('outlier-half', 'consecutive5xxErrors: 1, maxEjectionPercent: 50')}`,
    steps: [
      http({ times: 16, do: { status: 500 }, expect: {} }),
      http({ times: 24, expect: { statuses: { 200: 24 }, distinct: 4 } }),
      http({ to: 'outlier-half', times: 16, do: { status: 500 }, expect: {} }),
      until(http({ to: 'outlier-half', times: 24, expect: { statuses: { 200: 24 }, distinct: 2 } })),
    ],
  },
  {
    area,
    name: 'outlier detection: an answer that is no error begins the count anew; which statuses are errors (outlierDetectionHttpErrorCodes)',
    services: [service('outlier-anew', a), service('outlier-codes', a)],
    objects: `${outliers('outlier-anew', 'consecutive5xxErrors: 3, maxEjectionPercent: 100')}---${outliers('outlier-codes', 'consecutive5xxErrors: 2, maxEjectionPercent: 100, outlierDetectionHttpErrorCodes: [429]')}`,
    steps: [
      ...[500, 500, 200, 500, 500, 404].map((status) => http({ do: { status }, expect: { status } })),
      ...[500, 500, 500].map((status) => http({ to: 'outlier-codes', do: { status }, expect: { status } })),
      ...[429, 429].map((status) => http({ to: 'outlier-codes', do: { status }, expect: { status } })),
      until(http({ to: 'outlier-codes', times: 1, expect: { statuses: { 503: 1 } } })),
      ...[500, 500, 500].map((status) => http({ do: { status }, expect: { status } })),
      until(http({ times: 1, expect: { statuses: { 503: 1 } } })),
    ],
    random: true,
  },
  {
    area,
    name: 'outlier detection: gateway errors eject, other 5xx do not',
    random: true,
    services: [service('outlier-gateway', a, b)],
    objects: outliers('outlier-gateway', 'consecutiveGatewayErrors: 2, consecutive5xxErrors: 0, maxEjectionPercent: 50'),
    steps: [
      http({ times: 12, do: { status: 500, only: 'a' }, expect: { statuses: { 200: 6, 500: 6 } } }),
      http({ times: 20, expect: { apps: { a: 10, b: 10 } } }),
      http({ times: 4, do: { status: 502, only: 'a' }, expect: { statuses: { 200: 2, 502: 2 } } }),
      until(http({ times: 20, expect: { apps: { b: 20 } } })),
    ],
  },
  {
    area,
    name: 'outlier detection: success rate, of those that had enough requests',
    own: {},
    random: true,
    services: [service('outlier-rate', a, b, c, d)],
    objects: `${policy('outlier-rate', '{ loadBalancer: { simple: ROUND_ROBIN } }')}---${noRetries('outlier-rate')}---${envoyFilter(
      'outlier-rate',
      onCluster(
        'outlier-rate',
        'outlier_detection: { consecutive_5xx: 1000, consecutive_gateway_failure: 1000, interval: 3s, base_ejection_time: 60s, max_ejection_percent: 50, enforcing_success_rate: 100, success_rate_minimum_hosts: 3, success_rate_request_volume: 2, success_rate_stdev_factor: 1000 }',
      ),
    )}`,
    steps: [
      until(http({ times: 80, parallel: 4, do: { status: 503, only: 'd' }, expect: { statuses: { 200: 80 }, apps: { d: absent } } })),
      http({ times: 30, expect: { apps: { a: 10, b: 10, c: 10 } } }),
    ],
  },
  {
    area,
    name: 'outlier detection: failure percentage',
    own: {},
    random: true,
    services: [service('outlier-percent', a, b, c)],
    objects: `${policy('outlier-percent', '{ loadBalancer: { simple: ROUND_ROBIN } }')}---${noRetries('outlier-percent')}---${envoyFilter(
      'outlier-percent',
      onCluster(
        'outlier-percent',
        'outlier_detection: { consecutive_5xx: 1000, interval: 3s, base_ejection_time: 60s, max_ejection_percent: 50, enforcing_success_rate: 0, enforcing_failure_percentage: 100, failure_percentage_threshold: 60, failure_percentage_minimum_hosts: 2, failure_percentage_request_volume: 2 }',
      ),
    )}`,
    steps: [
      until(http({ times: 60, parallel: 3, do: { status: 503, only: 'c' }, expect: { statuses: { 200: 60 } } })),
      http({ times: 30, expect: { apps: { a: 15, b: 15 } } }),
    ],
  },
  {
    area,
    name: 'outlier detection: failures of the proxy’s own (consecutiveLocalOriginFailures) apart from those of the application',
    random: true,
    services: [service('outlier-local', dead, a), service('outlier-not-local', dead, a)],
    objects: `${outliers('outlier-local', 'splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2, consecutive5xxErrors: 0, maxEjectionPercent: 50')}---${outliers('outlier-not-local', 'splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 1000, consecutive5xxErrors: 1, maxEjectionPercent: 50')}`,
    steps: [
      http({ times: 8, expect: { statuses: { 503: between(2, 4) } } }),
      until(http({ times: 12, expect: { statuses: { 200: 12 } } })),
      // Of no application's making, so they do not count there.
      http({ to: 'outlier-not-local', times: 20, expect: { statuses: { 200: 10, 503: 10 } } }),
      http({ to: 'outlier-not-local', times: 20, expect: { statuses: { 200: 10, 503: 10 } } }),
    ],
  },
  {
    area,
    name: 'outlier detection of gRPC: by grpc-status',
    random: true,
    services: [grpcOn('outlier-grpc', a, b)],
    objects: outliers('outlier-grpc', 'consecutive5xxErrors: 2, maxEjectionPercent: 50'),
    steps: [
      { kind: 'grpc', times: 6, do: { grpcStatus: 14, trailersOnly: true, only: 'a' }, expect: {} },
      until({ kind: 'grpc', times: 12, expect: { apps: { b: 12 } } }),
    ],
  },
  {
    area,
    name: 'minHealthPercent: above it only the healthy, below it everybody; off without it',
    random: true,
    services: (['panic-above', 'panic-below', 'panic-off'] as const).map((name) =>
      service(name, a, name === 'panic-above' ? b : { ...b, healthy: false }, { ...c, healthy: false }),
    ),
    objects: (['panic-above', 'panic-below', 'panic-off'] as const)
      .map((name) =>
        policy(
          name,
          `{ loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: { consecutive5xxErrors: 100${name === 'panic-off' ? '' : ', minHealthPercent: 50'} } }`,
        ),
      )
      .join('---'),
    steps: [
      http({ times: 60, expect: { apps: { a: 30, b: 30, c: absent } } }),
      http({ to: 'panic-below', times: 60, expect: { apps: { a: 20, b: 20, c: 20 } } }),
      http({ to: 'panic-off', times: 30, expect: { apps: { a: 30 } } }),
    ],
  },
  {
    area,
    name: 'locality failover: nearest first, then as failover says; a half healthy locality keeps its share',
    random: true,
    services: (['near', 'next', 'far', 'half'] as const).map((name) =>
      service(
        `locality-${name}`,
        { ...a, locality: 'r1/z1/s1', ...(name === 'near' || name === 'half' ? {} : { healthy: false as const }) },
        name === 'half' ? { ...b, locality: 'r1/z1/s1', healthy: false } : { ...b, locality: 'r1/z2', ...(name === 'far' ? { healthy: false as const } : {}) },
        { ...c, locality: 'r3/z1' },
        { ...d, locality: 'r2/z1' },
      ),
    ),
    objects: (['near', 'next', 'far', 'half'] as const)
      .map((name) =>
        policy(
          `locality-${name}`,
          '{ loadBalancer: { simple: ROUND_ROBIN, localityLbSetting: { enabled: true, failover: [{ from: r1, to: r2 }] } }, outlierDetection: { consecutive5xxErrors: 100 } }',
        ),
      )
      .join('---'),
    steps: [
      http({ from: 'told', to: 'locality-near', times: 20, expect: { apps: { a: 20 } } }),
      http({ from: 'told', to: 'locality-next', times: 20, expect: { apps: { b: 20 } } }),
      http({ from: 'told', to: 'locality-far', times: 20, expect: { apps: { d: 20 } } }),
      // Half of the first priority times 1.4 is 70 %.
      http({
        from: 'told',
        to: 'locality-half',
        times: 300,
        parallel: 4,
        expect: { statuses: { 200: 300 }, apps: { a: between(170, 250), b: absent, d: between(50, 130) } },
      }),
    ],
  },
  {
    area,
    name: 'locality distribute: by the client’s own locality',
    random: true,
    services: [service('distributed', { ...a, locality: 'r1/z1/s1' }, { ...b, locality: 'r1/z2' }, { ...c, locality: 'r2/z1' })],
    objects: policy(
      'distributed',
      '{ loadBalancer: { simple: ROUND_ROBIN, localityLbSetting: { enabled: true, distribute: [{ from: "r9/*", to: { "r2/*": 100 } }, { from: "r1/z1/*", to: { "r1/z1/*": 70, "r1/z2/*": 30 } }] } }, outlierDetection: { consecutive5xxErrors: 100 } }',
    ),
    steps: [http({ from: 'told', times: 300, parallel: 4, expect: { apps: { a: between(165, 255), b: between(45, 135), c: absent } } })],
  },
  {
    area,
    name: 'warmup: a new endpoint starts with a small share that grows to an equal one',
    random: true,
    services: [service('warm', a, b)],
    objects: policy('warm', '{ loadBalancer: { simple: ROUND_ROBIN, warmup: { duration: 16s, minimumPercent: 5 } } }'),
    steps: [
      // Until the first two are no longer new themselves.
      http({ do: { delayMs: 16_500 }, expect: { status: 200 } }),
      {
        kind: 'apply',
        objects: `
kind: WorkloadEntry
metadata: { name: warm-2 }
spec: { address: 127.0.0.1, ports: { http: $PORT(c) }, labels: { app: warm }, serviceAccount: observed }
`,
      },
      // Turns are exact: 30 each for equals.
      http({ times: 90, parallel: 3, expect: { statuses: { 200: 90 }, apps: { c: oneOf(absent, between(1, 26)) } } }),
      http({ do: { delayMs: 3_000 }, expect: { status: 200 } }),
      until(http({ times: 90, expect: { apps: { a: between(28, 32), b: between(28, 32), c: between(28, 32) } } })),
    ],
  },
];
