// Consistent hashing: by what, with which table, and who moves when endpoints do. Applications are asked directly, so that
// both data planes hash the same addresses and must choose the same.

import { type Case, type EndpointSpec, type HttpStep, arrivalCounts, http, service, spread } from '../case.ts';
import { absent, between, oneOf } from '../harness/match.ts';
import { policy, rule } from './parts.ts';

const area = 'consistent hashing';
const four = (): EndpointSpec[] => (['a', 'b', 'c', 'd'] as const).map((app) => ({ app, direct: true }));

const BY: Readonly<Record<string, { hash: string; ask: Omit<HttpStep, 'kind' | 'expect'> }>> = {
  header: { hash: 'httpHeaderName: x-user', ask: { headers: { 'x-user': '$key' } } },
  cookie: { hash: 'httpCookie: { name: seat, ttl: 0s }', ask: { headers: { cookie: 'other=1; seat=$key' } } },
  query: { hash: 'httpQueryParameterName: user', ask: { path: '/hashed?x=1&user=$key' } },
};
const few = oneOf(absent, between(1, 5));
const TABLES = { ring: 'ringHash: { minimumRingSize: 512 }', maglev: 'maglev: { tableSize: 503 }' } as const;

export const HASHING: readonly Case[] = [
  ...Object.entries(BY).flatMap(([by, { hash, ask }]) =>
    Object.entries(TABLES).map(([table, settings]): Case => {
      const name = `hash-${table}-${by}`;
      const step = http({ ...ask, expect: {} });
      return {
        area,
        name: `${table} by ${by}: the same choice on both; who was on the endpoint that goes moves, the others stay`,
        services: [service(name, ...four())],
        objects: policy(name, `{ loadBalancer: { consistentHash: { ${hash}, ${settings} } }, outlierDetection: { consecutive5xxErrors: 100 } }`),
        steps: [
          spread({ step, keys: 32, expect: { chosen: /^(?=.*a)(?=.*b)(?=.*c)(?=.*d)/, moved: { a: absent, b: absent, c: absent, d: absent } } }),
          {
            kind: 'apply',
            objects: `
kind: WorkloadEntry
metadata: { name: ${name}-3, annotations: { weft.dev/health: unhealthy } }
spec: { address: 127.0.0.1, ports: { http: $PORT(d) }, labels: { app: ${name} }, serviceAccount: observed }
`,
          },
          // The others have more of the table each than before, so a few of theirs move too.
          spread({ step, keys: 32, expect: { chosen: /^[abc ]+$/, moved: { a: few, b: few, c: few, d: between(1, 31) } } }),
        ],
      };
    }),
  ),
  {
    area,
    name: 'by source address, ring and maglev: one client, one endpoint, the same on both',
    services: [service('hash-ring-source', ...four()), service('hash-maglev-source', ...four())],
    objects: Object.entries(TABLES)
      .map(([table, settings]) => policy(`hash-${table}-source`, `{ loadBalancer: { consistentHash: { useSourceIp: true, ${settings} } } }`))
      .join('---'),
    steps: ['hash-ring-source', 'hash-maglev-source'].map((to) => http({ to, times: 12, expect: { statuses: { 200: 12 }, distinct: 1 } })),
  },
  {
    area,
    name: 'what is hashed is the request as it goes on: set, removed, rewritten, and all values of a header in any order',
    services: ['hash-set', 'hash-rewritten', 'hash-all'].map((name) => service(name, ...four())),
    objects: [
      ['set', 'httpHeaderName: x-user', 'headers: { request: { set: { x-user: "%REQ(x-other)%" } } }'],
      ['rewritten', 'httpQueryParameterName: user', 'rewrite: { uriRegexRewrite: { match: "^/(.*)$", rewrite: "/?user=\\\\1" } }'],
      ['all', 'httpHeaderName: x-user', 'timeout: 20s'],
    ]
      .map(([name, by, fields]) => `${policy(`hash-${name}`, `{ loadBalancer: { consistentHash: { ${by} } } }`)}---${rule(`hash-${name}`, fields ?? '')}`)
      .join('---'),
    steps: [
      spread({ step: http({ to: 'hash-set', headers: { 'x-user': 'same', 'x-other': '$key' }, expect: {} }), keys: 24, expect: { chosen: /^(?=.*a)(?=.*b)/ } }),
      spread({ step: http({ to: 'hash-rewritten', path: '/$key', expect: {} }), keys: 24, expect: { chosen: /^(?=.*a)(?=.*b)/ } }),
      ...[
        ['$key', 'x'],
        ['x', '$key'],
      ].map((values) => spread({ step: http({ to: 'hash-all', headers: { 'x-user': values }, expect: {} }), keys: 24, expect: { chosen: /^(?=.*a)(?=.*b)/ } })),
    ],
  },
  {
    area,
    name: 'a cookie that ties to an endpoint comes with its answer only, and the route may take it away, but not put nothing in its place',
    // A cookie is made of the client's port.
    random: true,
    services: ['', '-gone', '-stays'].map((which) => service(`hash-cookie${which}`, ...four())),
    objects: Object.entries({
      'hash-cookie': 'retries: { attempts: 2, retryOn: 5xx }',
      'hash-cookie-gone': 'headers: { response: { remove: [set-cookie] } }',
      'hash-cookie-stays': 'headers: { response: { set: { set-cookie: "%REQ(x-none)%" } } }',
    })
      .map(([name, more]) => `${policy(name, '{ loadBalancer: { consistentHash: { httpCookie: { name: seat, ttl: 0s } } } }')}---${rule(name, more)}`)
      .join('---'),
    steps: [
      http({ to: 'hash-cookie', do: { body: 'x' }, expect: { headers: { 'set-cookie': /^seat="/ } } }),
      // As often as there were tries.
      http({ to: 'hash-cookie', do: { status: 503, first: 1 }, expect: { status: 200, headers: { 'set-cookie': /^(seat="[^\n]*)\n\1$/ } } }),
      http({ to: 'hash-cookie', do: { reset: 'before-headers' }, expect: { status: 503, headers: { 'set-cookie': absent } } }),
      http({ to: 'hash-cookie-gone', expect: { status: 200, headers: { 'set-cookie': absent } } }),
      http({ to: 'hash-cookie-stays', do: { body: 'x' }, expect: { status: 200, headers: { 'set-cookie': /^seat="/ } } }),
    ],
  },
  {
    area,
    name: 'the source is whom x-forwarded-for tells last',
    services: [service('hash-forwarded', ...four())],
    objects: policy('hash-forwarded', '{ loadBalancer: { consistentHash: { useSourceIp: true } } }'),
    steps: [
      spread({ step: http({ headers: { 'x-forwarded-for': '10.9.9.9, 1.2.3.4' }, expect: {} }), keys: 4, expect: { chosen: /^(.) \1 \1 \1$/ } }),
      ...[5, 6, 7, 8, 9].map((last) => http({ headers: { 'x-forwarded-for': `10.9.9.9, 1.2.3.${last}` }, do: { body: 'x' }, expect: { status: 200 } })),
      arrivalCounts({}),
    ],
  },
  {
    area,
    name: 'weights count in both tables',
    services: ['hash-ring-weights', 'hash-maglev-weights'].map((name) =>
      service(name, { app: 'a', direct: true, weight: 9 }, { app: 'b', direct: true, weight: 1 }),
    ),
    objects: Object.entries(TABLES)
      .map(([table, settings]) => policy(`hash-${table}-weights`, `{ loadBalancer: { consistentHash: { httpHeaderName: x-user, ${settings} } } }`))
      .join('---'),
    steps: ['hash-ring-weights', 'hash-maglev-weights'].map((to) =>
      spread({ step: http({ to, headers: { 'x-user': '$key' }, expect: {} }), keys: 40, expect: { chosen: /^([^a]*a){28}/ } }),
    ),
  },
];
