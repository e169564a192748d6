// Which endpoint: algorithms, stickiness, localities, health.

import { type Case, type EndpointSpec, http, service } from '../case.ts';
import { absent, between } from '../harness/match.ts';
import { policy } from './parts.ts';

const area = 'load balancing';
const three: EndpointSpec[] = [{ app: 'a' }, { app: 'b' }, { app: 'c' }];

export const BALANCING: readonly Case[] = [
  {
    area,
    name: 'ROUND_ROBIN: equal turns',
    services: [service('round-robin', ...three)],
    objects: policy('round-robin', '{ loadBalancer: { simple: ROUND_ROBIN } }'),
    random: true,
    steps: [http({ times: 90, expect: { statuses: { 200: 90 }, apps: { a: 30, b: 30, c: 30 } } })],
  },
  {
    area,
    name: 'an endpoint that is listed twice is one',
    services: [service('listed-twice', { app: 'a', direct: true }, { app: 'a', direct: true }, { app: 'b', direct: true })],
    objects: policy('listed-twice', '{ loadBalancer: { simple: ROUND_ROBIN } }'),
    random: true,
    steps: [http({ times: 30, expect: { statuses: { 200: 30 }, apps: { a: 15, b: 15 } } })],
  },
  {
    area,
    name: 'RANDOM and the default LEAST_REQUEST: about equal shares',
    services: [service('random', ...three), service('least', ...three)],
    objects: policy('random', '{ loadBalancer: { simple: RANDOM } }'),
    random: true,
    steps: [
      http({ times: 300, parallel: 6, expect: { apps: { a: between(60, 140), b: between(60, 140), c: between(60, 140) } } }),
      http({ to: 'least', times: 300, parallel: 6, expect: { apps: { a: between(60, 140), b: between(60, 140), c: between(60, 140) } } }),
    ],
  },
  {
    area,
    name: 'LEAST_REQUEST keeps away from the endpoint that is busy',
    services: [service('busy', { app: 'a', direct: true }, { app: 'b', direct: true })],
    objects: policy('busy', '{ loadBalancer: { simple: LEAST_REQUEST } }'),
    random: true,
    steps: [
      http({ times: 16, parallel: 16, do: { hold: true, only: 'a' }, background: true, expect: { statuses: { 200: 16 } } }),
      // Two are drawn, and the one with less to do is taken: the busy one only when it is drawn twice, a quarter of the time.
      http({ times: 120, parallel: 3, expect: { statuses: { 200: 120 }, apps: { a: between(8, 50) } } }),
    ],
  },
  {
    area,
    name: 'PEAK_EWMA by annotation (Envoy has no such policy in its own builds: least request): the slow one gets less',
    services: [service('ewma', { app: 'a', direct: true }, { app: 'b', direct: true })],
    objects: `
kind: DestinationRule
metadata: { name: ewma, annotations: { weft.dev/load-balancer: PEAK_EWMA } }
spec: { host: ewma }
`,
    random: true,
    steps: [http({ times: 200, parallel: 8, do: { delayMs: 60, only: 'a' }, expect: { statuses: { 200: 200 }, apps: { a: between(5, 85) } } })],
  },
  {
    area,
    name: 'endpoint weights count',
    services: [service('weighted', { app: 'a', weight: 3 }, { app: 'b', weight: 1 })],
    objects: policy('weighted', '{ loadBalancer: { simple: ROUND_ROBIN } }'),
    random: true,
    steps: [http({ times: 200, expect: { apps: { a: between(140, 160), b: between(40, 60) } } })],
  },
  ...(['ringHash: {}', 'maglev: { tableSize: 65537 }'] as const).map((table): Case => {
    const name = table.startsWith('ring') ? 'ring' : 'maglev';
    return {
      area,
      name: `consistentHash by header, ${name}: same value, same endpoint; without the header any`,
      services: [service(`${name}-header`, ...three)],
      objects: policy(`${name}-header`, `{ loadBalancer: { consistentHash: { httpHeaderName: x-user, ${table} } } }`),
      // The tables are the same in both data planes, but the endpoints' ports, which they are made from, are not.
      random: true,
      steps: [
        ...['alice', 'bob', 'carol'].map((user) => http({ times: 12, headers: { 'x-user': user }, expect: { statuses: { 200: 12 }, distinct: 1 } })),
        http({ times: 120, expect: { distinct: 3 } }),
      ],
    };
  }),
  {
    area,
    name: 'consistentHash by cookie with ttl: the proxy makes the cookie, the client stays',
    services: [service('cookie', ...three)],
    objects: policy('cookie', '{ loadBalancer: { consistentHash: { httpCookie: { name: seat, path: /, ttl: 60s } } } }'),
    random: true,
    steps: [
      http({
        save: { seat: (seen) => (seen.headers?.['set-cookie'] ?? '').split(';')[0] ?? '' },
        expect: { status: 200, headers: { 'set-cookie': /^seat="?[0-9a-f]+"?; Max-Age=60; Path=\/; HttpOnly$/ } },
      }),
      http({ times: 12, headers: { cookie: '${seat}' }, expect: { statuses: { 200: 12 }, distinct: 1 } }),
      http({ headers: { cookie: '${seat}' }, expect: { headers: { 'set-cookie': absent } } }),
    ],
  },
  {
    area,
    name: 'endpoints found unhealthy get nothing; all unhealthy: 503, flag UH',
    services: [service('unhealthy', { app: 'a' }, { app: 'b', healthy: false }), service('all-unhealthy', { app: 'a', healthy: false })],
    objects: `${policy('unhealthy', '{ outlierDetection: { consecutive5xxErrors: 100 } }')}
---
${policy('all-unhealthy', '{ outlierDetection: { consecutive5xxErrors: 100 } }')}`,
    steps: [http({ times: 30, expect: { apps: { a: 30 } } }), http({ to: 'all-unhealthy', expect: { status: 503, body: 'no healthy upstream' } })],
  },
  {
    area,
    name: 'locality distribute: shares by locality of the client',
    services: [service('distribute', { app: 'a', locality: 'r1/z1' }, { app: 'b', locality: 'r1/z2' }, { app: 'c', locality: 'r2/z1' })],
    objects: policy(
      'distribute',
      '{ loadBalancer: { simple: ROUND_ROBIN, localityLbSetting: { distribute: [{ from: "*", to: { "r1/z1/*": 80, "r1/z2/*": 20 } }] } } }',
    ),
    random: true,
    steps: [http({ times: 300, parallel: 4, expect: { statuses: { 200: 300 }, apps: { a: between(200, 280), b: between(20, 100), c: absent } } })],
  },
  {
    area,
    name: 'failoverPriority: endpoints with more labels in common first, the others when those are gone',
    services: [
      service('failover', { app: 'a', labels: { site: 'x' } }, { app: 'b', labels: { site: 'y' } }),
      service('failover-gone', { app: 'a', labels: { site: 'x' }, healthy: false }, { app: 'b', labels: { site: 'y' } }),
    ],
    objects: `${policy('failover', '{ loadBalancer: { localityLbSetting: { failoverPriority: ["site=x"] } }, outlierDetection: { consecutive5xxErrors: 100 } }')}
---
${policy('failover-gone', '{ loadBalancer: { localityLbSetting: { failoverPriority: ["site=x"] } }, outlierDetection: { consecutive5xxErrors: 100 } }')}`,
    steps: [http({ times: 20, expect: { apps: { a: 20 } } }), http({ to: 'failover-gone', times: 20, expect: { apps: { b: 20 } } })],
  },
  {
    area,
    name: 'zoneAwareLbSetting: the client’s own region with all its zones, then the one it fails over to, then the others',
    random: true,
    services: [
      service('zone-near', { app: 'a', locality: 'r1/z1' }, { app: 'b', locality: 'r1/z2' }, { app: 'c', locality: 'r2/z1' }),
      service('zone-gone', { app: 'a', locality: 'r1/z1', healthy: false }, { app: 'b', locality: 'r2/z1' }, { app: 'c', locality: 'r3/z1' }),
    ],
    objects: ['zone-near', 'zone-gone']
      .map((name) =>
        policy(
          name,
          '{ loadBalancer: { simple: ROUND_ROBIN, zoneAwareLbSetting: { failover: [{ from: r1, to: r3 }] } }, outlierDetection: { consecutive5xxErrors: 100 } }',
        ),
      )
      .join('---'),
    steps: [
      http({ from: 'told', times: 20, expect: { apps: { a: 10, b: 10, c: absent } } }),
      http({ to: 'zone-gone', from: 'told', times: 20, expect: { apps: { b: absent, c: 20 } } }),
    ],
  },
  {
    area,
    name: 'a subset has its own policy',
    services: [service('subset-policy', { app: 'a', version: 'v1' }, { app: 'b', version: 'v1' }, { app: 'c', version: 'v2' })],
    objects: `
kind: DestinationRule
metadata: { name: subset-policy }
spec:
  host: subset-policy
  trafficPolicy: { loadBalancer: { simple: RANDOM } }
  subsets: [{ name: v1, labels: { version: v1 }, trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } } }]
---
kind: VirtualService
metadata: { name: subset-policy }
spec:
  hosts: [subset-policy]
  http: [{ route: [{ destination: { host: subset-policy, subset: v1 } }] }]
`,
    random: true,
    steps: [http({ times: 40, expect: { apps: { a: 20, b: 20, c: absent } } })],
  },
  {
    area,
    name: 'endpoints come and go under traffic: no request fails',
    services: [service('moving-endpoints', { app: 'a' }, { app: 'b' })],
    random: true,
    steps: [
      http({ times: 200, parallel: 4, background: true, expect: { statuses: { 200: 200 } } }),
      {
        kind: 'apply',
        objects: `
kind: WorkloadEntry
metadata: { name: moving-endpoints-1 }
spec: { address: 127.0.0.1, ports: { http: $INBOUND(http-c) }, labels: { app: moving-endpoints, security.istio.io/tlsMode: istio }, serviceAccount: observed }
`,
      },
      http({ times: 40, expect: { statuses: { 200: 40 }, apps: { b: absent } } }),
    ],
  },
];
