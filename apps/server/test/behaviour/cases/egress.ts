// Ways out: hosts that ServiceEntries add, how they are found, and what happens to the others.

import { type Case, http, raw, service, until } from '../case.ts';
import { absent, oneOf } from '../harness/match.ts';
import { elsewhere } from './parts.ts';

const area = 'egress';

interface Entry {
  hosts: string;
  resolution: string;
  /** Flow YAML. */
  port?: string;
  /** Application behind it, by this address. */
  app?: string;
  address?: string;
  more?: string;
}

const entry = (name: string, { hosts, resolution, port = '{ number: 80, name: p, protocol: HTTP }', app, address = '127.0.0.1', more = '' }: Entry): string => `
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: ["${hosts}"]
  resolution: ${resolution}
  ports: [${port}]
  ${app === undefined ? '' : `endpoints: [{ address: ${address}, ports: { p: $PORT(${app}) } }]`}
  ${more}
---`;

/** Asks the Host-keyed listener. */
const out = (host: string, step: Omit<Parameters<typeof http>[0], 'from'>): ReturnType<typeof http> => http({ from: 'http-proxy', headers: { host }, ...step });
const unknown = (expect: Parameters<typeof http>[0]['expect']): ReturnType<typeof http> => out('127.0.0.1:${port_d}', { expect });

export const EGRESS: readonly Case[] = [
  {
    area,
    name: 'ServiceEntry STATIC: a host outside the mesh, plaintext, by its name',
    objects: entry('static', { hosts: 'static.$NS.example.com', resolution: 'STATIC', app: 'a' }),
    steps: [out('static.of-${plane}.example.com', { expect: { status: 200, app: 'a', upstream: { headers: { 'x-weft-peer': absent } } } })],
  },
  {
    area,
    name: 'ServiceEntry DNS and DNS_ROUND_ROBIN: endpoints by name',
    objects: ['DNS', 'DNS_ROUND_ROBIN']
      .map((resolution, i) => entry(`dns-${i}`, { hosts: `dns-${i}.$NS.example.com`, resolution, app: 'b', address: 'localhost' }))
      .join(''),
    // A name's first answer takes a moment.
    steps: [0, 1].map((i) => until(out(`dns-${i}.of-\${plane}.example.com`, { expect: { status: 200, app: 'b' } }))),
  },
  {
    area,
    name: 'ServiceEntry DNS: a name nobody has: 503, flag UH',
    objects: entry('dns-none', { hosts: 'dns-none.$NS.example.com', resolution: 'DNS', app: 'b', address: 'nobody.invalid' }),
    steps: [out('dns-none.of-${plane}.example.com', { expect: { status: 503, body: 'no healthy upstream' } })],
  },
  {
    area,
    name: 'ServiceEntry NONE: the host itself is looked up; with a wildcard the one each request names, as with DYNAMIC_DNS',
    objects: [
      entry('none', { hosts: 'localhost', resolution: 'NONE', port: '{ number: $PORT(a), name: p, protocol: HTTP }', more: 'exportTo: ["."]' }),
      entry('none-wild', { hosts: '*ocalhost', resolution: 'NONE', port: '{ number: $PORT(b), name: p, protocol: HTTP }', more: 'exportTo: ["."]' }),
      entry('dynamic', { hosts: '*alhost', resolution: 'DYNAMIC_DNS', port: '{ number: $PORT(c), name: p, protocol: HTTP }', more: 'exportTo: ["."]' }),
    ].join(''),
    steps: ['a', 'b', 'c'].map((app) => until(out(`localhost:\${port_${app}}`, { expect: { status: 200, app } }))),
  },
  {
    area,
    name: 'an unknown host is passed on as it is under ALLOW_ANY; a name nobody has: 503',
    steps: [unknown({ status: 200, app: 'd', upstream: { headers: { 'x-weft-peer': absent } } }), out('nobody.invalid', { expect: { status: 503 } })],
  },
  {
    area,
    name: 'a VirtualService for a host outside: headers, another authority, a share to the mesh',
    services: [service('ext-inside', { app: 'b' })],
    objects: `${entry('ext', { hosts: 'ext.$NS.example.com', resolution: 'STATIC', app: 'a' })}
kind: VirtualService
metadata: { name: ext }
spec:
  hosts: [ext.$NS.example.com]
  http:
  - match: [{ uri: { prefix: /in } }]
    route: [{ destination: { host: ext-inside } }]
  - rewrite: { authority: api.example.com }
    headers: { request: { set: { x-via: rule } } }
    route: [{ destination: { host: ext.$NS.example.com } }]
`,
    steps: [
      out('ext.of-${plane}.example.com', { expect: { app: 'a', upstream: { headers: { host: 'api.example.com', 'x-via': 'rule' } } } }),
      out('ext.of-${plane}.example.com', { path: '/in', expect: { app: 'b', upstream: { headers: { 'x-forwarded-client-cert': /by-host$/ } } } }),
    ],
  },
  {
    area,
    name: 'a VirtualService for a host nobody has registered holds on port 80, by Host',
    services: [service('unregistered')],
    objects: `
kind: VirtualService
metadata: { name: unregistered }
spec: { hosts: [unregistered.$NS.example.com, "*.unregistered.$NS.example.com"], http: [{ route: [{ destination: { host: unregistered } }], headers: { request: { set: { x-via: rule } } } }] }
`,
    steps: [
      ...['unregistered', 'x.unregistered'].map((name) =>
        out(`${name}.of-\${plane}.example.com`, { expect: { status: 200, app: 'a', upstream: { headers: { 'x-via': 'rule' } } } }),
      ),
      out('unregistered.of-${plane}.example.com:8080', { expect: { status: 503 } }),
    ],
  },
  {
    area,
    name: 'a ServiceEntry inside the mesh: its endpoints speak mutual TLS, those a selector finds too',
    services: [service('inside-found')],
    objects: `
kind: ServiceEntry
metadata: { name: inside }
spec:
  hosts: [inside.$NS.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: $INBOUND(http-a) }, labels: { security.istio.io/tlsMode: istio }, serviceAccount: observed }]
---
kind: ServiceEntry
metadata: { name: inside-found }
spec:
  hosts: [found.$NS.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  workloadSelector: { labels: { app: inside-found } }
`,
    steps: ['inside', 'found'].map((name) =>
      out(`${name}.of-\${plane}.example.com`, { expect: { status: 200, app: 'a', upstream: { headers: { 'x-forwarded-client-cert': /by-host$/ } } } }),
    ),
  },
  {
    area,
    name: 'opaque TCP to a host outside',
    outside: ['db.$NS.example.com:5432'],
    objects: entry('db', { hosts: 'db.$NS.example.com', resolution: 'STATIC', port: '{ number: 5432, name: p, protocol: TCP }', app: 'echo' }),
    steps: [raw({ to: 'db.$NS.example.com:5432', send: ['select'], until: ['echo:select'], expect: { text: 'echo:select' } })],
  },
  {
    area,
    name: 'a port without a protocol: HTTP is seen as HTTP, other bytes pass',
    outside: ['mixed.$NS.example.com:9100', 'mixed-tcp.$NS.example.com:9100'],
    objects: `${entry('mixed', { hosts: 'mixed.$NS.example.com', resolution: 'STATIC', port: '{ number: 9100, name: p }', app: 'a' })}${entry('mixed-tcp', { hosts: 'mixed-tcp.$NS.example.com', resolution: 'STATIC', port: '{ number: 9100, name: p }', app: 'echo' })}`,
    steps: [
      http({ to: 'mixed.$NS.example.com:9100', expect: { status: 200, app: 'a', headers: { server: 'envoy' } } }),
      raw({ to: 'mixed-tcp.$NS.example.com:9100', send: ['\u0000binary'], until: [/echo:/], expect: { text: 'echo:\u0000binary' } }),
    ],
  },
  {
    area,
    name: 'tunnel: TCP inside CONNECT or POST to what the rule of the subset names; a proxy that refuses ends the connection',
    outside: ['connect', 'post', 'refused'].map((way) => `${way}.$NS.example.com:5432`),
    objects: `${entry('forward', { hosts: 'forward.$NS.example.com', resolution: 'STATIC', port: '{ number: 3128, name: p, protocol: TCP }', app: 'forward' })}
kind: DestinationRule
metadata: { name: forward }
spec:
  host: forward.$NS.example.com
  subsets:
  - { name: connect, trafficPolicy: { tunnel: { protocol: CONNECT, targetHost: db.example.com, targetPort: 5432 } } }
  - { name: post, trafficPolicy: { tunnel: { protocol: POST, targetHost: db.example.com, targetPort: 5432 } } }
  - { name: refused, trafficPolicy: { tunnel: { targetHost: refused.example.com, targetPort: 5432 } } }
---${['connect', 'post', 'refused']
      .map(
        (way) => `${entry(way, { hosts: `${way}.$NS.example.com`, resolution: 'STATIC', port: '{ number: 5432, name: p, protocol: TCP }', app: 'dead' })}
kind: VirtualService
metadata: { name: ${way} }
spec: { hosts: [${way}.$NS.example.com], tcp: [{ route: [{ destination: { host: forward.$NS.example.com, subset: ${way} } }] }] }
`,
      )
      .join('---')}`,
    steps: [
      ...['CONNECT db.example.com:5432 db.example.com:5432', 'POST / db.example.com:5432'].map((asked) =>
        raw({
          to: `${asked.split(' ')[0]?.toLowerCase()}.$NS.example.com:5432`,
          send: ['hello'],
          until: ['forward:hello'],
          expect: { text: `${asked}\nforward:hello` },
        }),
      ),
      raw({ to: 'refused.$NS.example.com:5432', send: [''], expect: { text: '' } }),
    ],
  },
  {
    area,
    name: 'through an egress gateway: the mesh’s rule leads to it, its own rule out',
    services: [service('not-asked')],
    objects: `${entry('far', { hosts: 'far.$NS.example.com', resolution: 'STATIC', app: 'c' })}
kind: Service
metadata: { name: egress-gateway }
spec: { selector: { app: egress-gateway }, ports: [{ name: http, port: 80 }] }
---
kind: WorkloadEntry
metadata: { name: egress-gateway-0 }
spec: { address: 127.0.0.1, ports: { http: $AT(egress-gateway) }, labels: { app: egress-gateway } }
---
kind: Gateway
metadata: { name: egress-gateway }
spec:
  selector: { istio: ingress-$PLANE }
  servers: [{ port: { number: $AT(egress-gateway), name: http, protocol: HTTP }, hosts: [far.$NS.example.com] }]
---
kind: VirtualService
metadata: { name: far }
spec:
  hosts: [far.$NS.example.com]
  gateways: [mesh, egress-gateway]
  http:
  - { match: [{ gateways: [mesh] }], route: [{ destination: { host: egress-gateway } }], headers: { request: { add: { x-way: mesh } } } }
  - { match: [{ gateways: [egress-gateway] }], route: [{ destination: { host: far.$NS.example.com } }], headers: { request: { add: { x-way: gateway } } } }
`,
    steps: [out('far.of-${plane}.example.com', { expect: { status: 200, app: 'c', upstream: { headers: { 'x-way': 'mesh, gateway' } } } })],
  },
  {
    area,
    name: 'exportTo: hosts of another namespace are known here only when exported',
    objects: `
kind: ServiceEntry
metadata: { name: hidden, namespace: $OTHER }
spec:
  hosts: [hidden.$NS.example.com]
  exportTo: ["."]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: $PORT(a) } }]
---
kind: ServiceEntry
metadata: { name: shown, namespace: $OTHER }
spec:
  hosts: [shown.$NS.example.com]
  exportTo: ["$NS"]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: $PORT(a) } }]
`,
    steps: [
      out('shown.of-${plane}.example.com', { expect: { status: 200, app: 'a' } }),
      // Not known, so looked up, and not found.
      out('hidden.of-${plane}.example.com', { expect: { status: 503 } }),
    ],
  },
  {
    area,
    name: 'one host in two namespaces, private to each: each its own',
    objects: ['$NS', '$OTHER']
      .map(
        (namespace, i) => `
kind: ServiceEntry
metadata: { name: twice, namespace: ${namespace}, creationTimestamp: "202${1 - i}-01-01T00:00:00Z" }
spec:
  hosts: [twice.$NS.example.com]
  exportTo: ["."]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: $PORT(${i === 0 ? 'a' : 'b'}) } }]
`,
      )
      .join('---'),
    outside: ['twice.$NS.example.com:80'],
    steps: [
      out('twice.of-${plane}.example.com', { expect: { status: 200, app: 'a' } }),
      http({ to: 'twice.$NS.example.com:80', expect: { status: 200, app: 'a' } }),
      http({ to: 'twice.$NS.example.com:80', from: 'other', expect: { status: 200, app: 'b' } }),
    ],
  },
  {
    area,
    // Who is chosen is chance.
    random: true,
    name: 'a ServiceEntry with the host of a Service: in its namespace endpoints join, in another it is what sidecars there see',
    services: [service('se-joins')],
    objects: ['b', 'c']
      .map(
        (app) => `
kind: ServiceEntry
metadata: { name: se-joins, namespace: ${app === 'b' ? '$NS' : '$OTHER'} }
spec:
  hosts: [se-joins.$NS.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 81, name: http, targetPort: 9, protocol: HTTP }, { number: 80, name: http-other, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: $PORT(${app}), http-other: $PORT(${app}) } }]
`,
      )
      .join('---'),
    steps: [http({ times: 24, expect: { statuses: { 200: 24 }, distinct: 2 } }), http({ from: 'other', times: 4, expect: { apps: { c: 4 } } })],
  },
  {
    area,
    name: 'Sidecar egress hosts: only what they name is there; outboundTrafficPolicy {} refuses the rest with 502',
    alone: true,
    services: [service('seen'), service('unseen')],
    objects: `${elsewhere('there-seen')}${elsewhere('there-unseen')}${entry('seen', { hosts: 'seen.$NS.example.com', resolution: 'STATIC', app: 'a' })}${entry('unseen', { hosts: 'unseen.$NS.example.com', resolution: 'STATIC', app: 'a' })}
kind: Sidecar
metadata: { name: seen }
spec:
  workloadSelector: { labels: { app: by-host } }
  outboundTrafficPolicy: {}
  egress: [{ hosts: ["./seen.$NS.svc.cluster.local", "*/seen.$NS.example.com", "$OTHER/there-seen.$OTHER.svc.cluster.local"] }]
`,
    steps: [
      out('seen', { expect: { status: 200, app: 'a' } }),
      out('seen.of-${plane}.example.com', { expect: { status: 200, app: 'a' } }),
      out('there-seen.other-${plane}', { expect: { status: 200, app: 'b' } }),
      ...['unseen', 'unseen.of-${plane}.example.com', 'there-unseen.other-${plane}', '127.0.0.1:${port_d}'].map((host) =>
        out(host, { expect: { status: 502, body: '', headers: { server: 'envoy' } } }),
      ),
    ],
    telemetry: { logs: [{ status: '502', details: 'direct_response', route: 'block_all' }] },
  },
  {
    area,
    name: 'Sidecar egress hosts with ALLOW_ANY: what is not named is passed on like any other host',
    alone: true,
    services: [service('named')],
    objects: `
kind: Sidecar
metadata: { name: named }
spec:
  workloadSelector: { labels: { app: by-host } }
  outboundTrafficPolicy: { mode: ALLOW_ANY }
  egress: [{ hosts: ["./named.$NS.svc.cluster.local"] }]
`,
    steps: [out('named', { expect: { status: 200, app: 'a' } }), unknown({ status: 200, app: 'd' })],
  },
  {
    area,
    name: 'egressProxy: unknown hosts go there',
    alone: true,
    objects: `${entry('egress-proxy', { hosts: 'proxy.$NS.example.com', resolution: 'STATIC', port: '{ number: 3128, name: p, protocol: HTTP }', app: 'c' })}
kind: Sidecar
metadata: { name: egress-proxy }
spec:
  workloadSelector: { labels: { app: by-host } }
  outboundTrafficPolicy: { mode: ALLOW_ANY, egressProxy: { host: proxy.$NS.example.com, port: { number: 3128 } } }
`,
    steps: [out('anywhere.invalid', { expect: { status: 200, app: 'c', upstream: { headers: { host: 'anywhere.invalid' } } } })],
  },
  {
    area,
    name: 'Sidecar egress ports: one by Host for what it names, one for TCP, one for TLS by SNI',
    alone: true,
    objects: `
${entry('own-a', { hosts: 'own-a.$NS.example.com', resolution: 'STATIC', port: '{ number: $AT(own-http), name: p, protocol: HTTP }', app: 'a' })}${entry('own-b', { hosts: 'own-b.$NS.example.com', resolution: 'STATIC', port: '{ number: $AT(own-http), name: p, protocol: HTTP }', app: 'b' })}${entry('own-db', { hosts: 'own-db.$NS.example.com', resolution: 'STATIC', port: '{ number: $AT(own-tcp), name: p, protocol: TCP }', app: 'echo' })}${entry('own-tls', { hosts: '*.example.org', resolution: 'STATIC', port: '{ number: $AT(own-tls), name: p, protocol: TLS }', app: 'tls', more: 'exportTo: ["."]' })}
kind: Sidecar
metadata: { name: own-ports }
spec:
  workloadSelector: { labels: { app: by-host } }
  outboundTrafficPolicy: { mode: REGISTRY_ONLY }
  egress:
  - { port: { number: $AT(own-http), protocol: HTTP, name: web }, bind: 127.0.0.1, hosts: ["./own-a.$NS.example.com"] }
  - { port: { number: $AT(own-tcp), protocol: TCP, name: db }, captureMode: NONE, hosts: ["./own-db.$NS.example.com"] }
  - { port: { number: $AT(own-tls), protocol: TLS, name: tls }, captureMode: NONE, hosts: ["./*.example.org"] }
`,
    steps: [
      http({ at: 'own-http', headers: { host: 'own-a.of-${plane}.example.com' }, expect: { status: 200, app: 'a' } }),
      http({ at: 'own-http', headers: { host: 'own-b.of-${plane}.example.com' }, expect: { status: 502 } }),
      raw({ at: 'own-tcp', send: ['select'], until: ['echo:select'], expect: { text: 'echo:select' } }),
      http({ at: 'own-tls', tls: { sni: 'x.example.org' }, expect: { status: 200, app: 'tls', upstream: { tls: 'sni=x.example.org' } } }),
      http({ at: 'own-tls', tls: { sni: 'x.example.com' }, expect: { failed: oneOf('tls', 'closed', 'reset') } }),
    ],
  },
];
