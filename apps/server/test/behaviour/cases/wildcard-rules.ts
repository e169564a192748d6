// DestinationRules for many hosts: which of several holds, and for whom.

import { type Case, http, service } from '../case.ts';
import { absent } from '../harness/match.ts';

const area = 'scope';
const bare = { 'x-forwarded-client-cert': absent };
const identified = (who: string) => ({ 'x-forwarded-client-cert': new RegExp(`sa/${who}$`) });

/** A DestinationRule that makes TLS with this server name: the application tells which rule it was. Its year must not decide. */
const named = (name: string, year: number, host: string): string => `
kind: DestinationRule
metadata: { name: host-${name}, creationTimestamp: "${year}-01-01T00:00:00Z" }
spec: { host: "${host}", trafficPolicy: { tls: { mode: SIMPLE, sni: ${name}.dw.example.net, insecureSkipVerify: true } } }
---`;

export const WILDCARD_RULES: readonly Case[] = [
  {
    area,
    name: 'DestinationRule for *.example.org: an exact host before a wildcard, a longer wildcard before a shorter; a wildcard is not its own suffix',
    objects: `${named('wide', 2020, '*.dw-$NS.example.org')}${named('deep', 2021, '*.deep.dw-$NS.example.org')}${named('exact', 2022, 'exact.dw-$NS.example.org')}
kind: ServiceEntry
metadata: { name: dw-hosts }
spec:
  hosts: [one.dw-$NS.example.org, exact.dw-$NS.example.org, one.deep.dw-$NS.example.org, deep.dw-$NS.example.org]
  resolution: STATIC
  ports: [{ number: 80, name: p, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { p: $PORT(tls) } }]
`,
    steps: [
      ['one', 'wide'],
      ['exact', 'exact'],
      ['one.deep', 'deep'],
      ['deep', 'wide'],
    ].map(([host, rule]) =>
      http({
        ...{ from: 'http-proxy', headers: { host: `${host}.dw-of-\${plane}.example.org` } },
        expect: { status: 200, app: 'tls', upstream: { tls: `sni=${rule}.dw.example.net` } },
      }),
    ),
  },
  {
    area,
    name: 'DestinationRule for *.<ns>.svc.cluster.local: under an exact one of its namespace; not exported it leaves room for the root’s; a wildcard of the client’s namespace before all',
    alone: true,
    services: [service('dw-plain'), service('dw-exact')],
    objects: `
kind: DestinationRule
metadata: { name: dw-all }
spec: { host: "*.$NS.svc.cluster.local", exportTo: ["."], trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } } }
---
kind: DestinationRule
metadata: { name: dw-exact }
spec: { host: dw-exact, trafficPolicy: { tls: { mode: DISABLE } } }
---
kind: DestinationRule
metadata: { name: dw-root-$PLANE, namespace: istio-system }
spec: { host: "*.$NS.svc.cluster.local", trafficPolicy: { tls: { mode: DISABLE } } }
`,
    steps: [
      http({ to: 'dw-plain', expect: { status: 200, upstream: { headers: identified('client') } } }),
      http({ to: 'dw-exact', expect: { status: 200, upstream: { headers: bare } } }),
      http({ to: 'dw-plain', from: 'other', expect: { status: 200, upstream: { headers: bare } } }),
      http({ to: 'dw-exact', from: 'other', expect: { status: 200, upstream: { headers: bare } } }),
      {
        kind: 'apply',
        objects: `
kind: DestinationRule
metadata: { name: dw-clients, namespace: $OTHER }
spec: { host: "*.$NS.svc.cluster.local", exportTo: ["."], trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } } }
`,
      },
      ...['dw-plain', 'dw-exact'].map((to) => http({ to, from: 'other', expect: { status: 200, upstream: { headers: identified('other') } } })),
    ],
  },
];
