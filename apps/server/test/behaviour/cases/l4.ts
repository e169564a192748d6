// TCP, TLS by name, protocols found out by looking.

import { type Case, type HttpStep, type ServiceSpec, http, raw } from '../case.ts';
import { between, oneOf } from '../harness/match.ts';
import { policy, subsets } from './parts.ts';

const tcp = (name: string, ...endpoints: ServiceSpec['endpoints']): ServiceSpec => ({
  name,
  ports: [{ name: 'tcp', number: 9000 }],
  endpoints: endpoints.length === 0 ? [{ app: 'echo' }] : endpoints,
});

const tls = (name: string, ...endpoints: ServiceSpec['endpoints']): ServiceSpec => ({
  name,
  ports: [{ name: 'tls', number: 443 }],
  endpoints: endpoints.length === 0 ? [{ app: 'tls' }] : endpoints,
});
/** Through the proxy as it is: the application sees the name. */
const bySni = (sni: string, app: string, more: Partial<HttpStep> = {}): HttpStep =>
  http({ ...more, tls: { sni }, expect: { status: 200, app, certificate: 'DNS:*.example.org', upstream: { tls: `sni=${sni}` } } });

export const L4: readonly Case[] = [
  {
    area: 'TCP and TLS',
    name: 'opaque TCP through both sidecars',
    services: [tcp('tcp')],
    mixed: true,
    steps: [raw({ send: ['hello', ' again'], until: ['echo:hello', 'echo: again'], expect: { text: 'echo:helloecho: again' } })],
  },
  {
    area: 'TCP and TLS',
    name: 'half close: what is sent before the end is answered',
    services: [tcp('tcp-half')],
    steps: [raw({ send: ['x'], until: [/echo:x/], expect: { text: 'echo:x' } })],
  },
  {
    area: 'TCP and TLS',
    name: 'server-first protocols on a declared TCP port',
    services: [tcp('tcp-first', { app: 'first' })],
    mixed: true,
    steps: [raw({ send: ['', 'HELO'], until: ['220 ready\n', 'first:HELO'], expect: { text: '220 ready\nfirst:HELO' } })],
  },
  {
    area: 'TCP and TLS',
    name: 'tcp routes: weights between subsets',
    services: [tcp('tcp-weights', { app: 'echo', version: 'v1' }, { app: 'echo2', version: 'v2' })],
    objects: `
kind: DestinationRule
metadata: { name: tcp-weights }
spec: { host: tcp-weights, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
---
kind: VirtualService
metadata: { name: tcp-weights }
spec:
  hosts: [tcp-weights]
  tcp:
  - route:
    - { destination: { host: tcp-weights, subset: v1 }, weight: 75 }
    - { destination: { host: tcp-weights, subset: v2 }, weight: 25 }
`,
    random: true,
    steps: [raw({ send: ['x'], until: [/echo2?:x/], times: 120, parallel: 4, expect: { apps: { echo: between(70, 110), echo2: between(10, 50) } } })],
  },
  {
    area: 'TCP and TLS',
    name: 'tcp route by sourceLabels',
    services: [tcp('tcp-source', { app: 'echo', version: 'v1' }, { app: 'echo2', version: 'v2' })],
    objects: `
kind: DestinationRule
metadata: { name: tcp-source }
spec: { host: tcp-source, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
---
kind: VirtualService
metadata: { name: tcp-source }
spec:
  hosts: [tcp-source]
  tcp:
  - { match: [{ sourceLabels: { app: other } }], route: [{ destination: { host: tcp-source, subset: v2 } }] }
  - { route: [{ destination: { host: tcp-source, subset: v1 } }] }
`,
    steps: [raw({ send: ['x'], until: [/:x/], expect: { text: 'echo:x' } }), raw({ from: 'other', send: ['x'], until: [/:x/], expect: { text: 'echo2:x' } })],
  },
  {
    area: 'TCP and TLS',
    name: 'tcp and tls rules by destinationSubnets: the narrowest block the service’s address is in; a rule without for the others',
    outside: ['subnets.$NS.test:9000', 'tls-subnets.$NS.test:443'],
    objects: [
      ['subnets', 9000, 'TCP', 'echo', 'echo2'],
      ['tls-subnets', 443, 'TLS', 'tls', 'tls2'],
    ]
      .map(([name, port, protocol, one, two]) => {
        const entry = (entryName: string, host: string, app: string): string => `
kind: ServiceEntry
metadata: { name: ${entryName} }
spec:
  hosts: [${host}]
  addresses: [10.77.0.1]
  resolution: STATIC
  ports: [{ number: ${port}, name: p, protocol: ${protocol} }]
  endpoints: [{ address: 127.0.0.1, ports: { p: $PORT(${app}) } }]
---`;
        const match = (subnets: string): string =>
          `match: [{ destinationSubnets: [${subnets}]${protocol === 'TLS' ? `, sniHosts: [${name}.$NS.test, by.${name}.test]` : ''} }]`;
        const to = (host: string): string => `route: [{ destination: { host: ${host} } }]`;
        return `${entry(String(name), `${name}.$NS.test`, String(one))}${entry(`${name}-two`, `${name}-two.$NS.test`, String(two))}
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}.$NS.test${protocol === 'TLS' ? `, by.${name}.test` : ''}]
  ${String(protocol).toLowerCase()}:
  - { ${match('10.77.0.2/32, 10.77.0.0/16')}, ${to(`nobody.$NS.test`)} }
  - { ${match('10.78.0.0/16, 10.77.0.0/24')}, ${to(`${name}-two.$NS.test`)} }
  - { ${match('')}, ${to(`nobody.$NS.test`)} }
`;
      })
      .join('---'),
    steps: [
      raw({ to: 'subnets.$NS.test:9000', send: ['x'], until: [/:x/], expect: { text: 'echo2:x' } }),
      bySni('by.tls-subnets.test', 'tls2', { to: 'tls-subnets.$NS.test:443' }),
    ],
  },
  {
    area: 'TCP and TLS',
    name: 'tcp and tls rules with gateways: one for the gateway, the next for the mesh',
    random: true,
    services: [tcp('l4-gateways'), tcp('l4-gateways-two', { app: 'echo2' }), tls('tls-gateways'), tls('tls-gateways-two', { app: 'tls2' })],
    objects: [
      ['l4-gateways', 'TCP', ''],
      ['tls-gateways', 'TLS', ', sniHosts: [both.gateways.example.org]'],
    ]
      .map(([name, protocol, more]) => {
        const rule = (where: string, to: string): string => `  - { match: [{ gateways: [${where}]${more} }], route: [{ destination: { host: ${to} } }] }`;
        return `
kind: Gateway
metadata: { name: ${name} }
spec:
  selector: { istio: ingress-$PLANE }
  servers: [{ port: { number: $AT(${name}), name: p, protocol: ${protocol} }, hosts: ["*"]${protocol === 'TLS' ? ', tls: { mode: PASSTHROUGH }' : ''} }]
---
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}.$NS.svc.cluster.local${protocol === 'TLS' ? ', both.gateways.example.org' : ''}]
  gateways: [mesh, ${name}]
  ${String(protocol).toLowerCase()}:
${rule(String(name), `${name}-two`)}
${rule('mesh', String(name))}
`;
      })
      .join('---'),
    steps: [
      raw({ send: ['x'], until: [/:x/], expect: { text: 'echo:x' } }),
      raw({ at: 'l4-gateways', send: ['x'], until: [/:x/], expect: { text: 'echo2:x' } }),
      bySni('both.gateways.example.org', 'tls', { to: 'tls-gateways' }),
      bySni('both.gateways.example.org', 'tls2', { at: 'tls-gateways' }),
    ],
  },
  {
    area: 'TCP and TLS',
    name: 'nobody behind a TCP port: the connection ends',
    services: [tcp('tcp-dead', { app: 'dead', direct: true })],
    // Nothing is sent: what a proxy has not read when it closes makes the end a reset.
    steps: [raw({ send: [], expect: { failed: 'closed', text: '' } })],
  },
  {
    area: 'TCP and TLS',
    name: 'TLS of the application passes through untouched',
    services: [{ name: 'tls-through', ports: [{ name: 'tls', number: 443 }], endpoints: [{ app: 'tls' }] }],
    mixed: true,
    steps: [
      raw({
        tls: { sni: 'secure.example.com' },
        send: ['GET /s HTTP/1.1\r\nHost: secure.example.com\r\nConnection: close\r\n\r\n'],
        expect: { text: /^HTTP\/1\.1 200 OK[^]*sni=secure\.example\.com/ },
      }),
    ],
  },
  {
    area: 'TCP and TLS',
    name: 'tls routes: by SNI, exact and by suffix, the first rule that names it; other names go to the service itself',
    services: [tls('tls-names'), tls('tls-names-two', { app: 'tls2' })],
    differs: { _bytes_total: 'signatures of the handshake vary in length' },
    objects: `
kind: VirtualService
metadata: { name: tls-names }
spec:
  hosts: [tls-names, "*.names.example.org"]
  tls:
  - match: [{ port: 443, sniHosts: [two.names.example.org] }, { sniHosts: [also.names.example.org] }]
    route: [{ destination: { host: tls-names-two } }]
  - { match: [{ port: 444, sniHosts: [port.names.example.org] }], route: [{ destination: { host: tls-names-two } }] }
  - { match: [{ sniHosts: [who.names.example.org], sourceLabels: { app: other } }], route: [{ destination: { host: tls-names-two } }] }
  - { match: [{ sniHosts: [two.names.example.org] }], route: [{ destination: { host: tls-names } }] }
  - { match: [{ sniHosts: ["*.deep.names.example.org"] }], route: [{ destination: { host: tls-names-two } }] }
`,
    steps: [
      ...['two', 'also', 'a.deep', 'TWO'].map((name) => bySni(`${name}.names.example.org`, 'tls2')),
      ...['one', 'port', 'who', 'deep'].map((name) => bySni(`${name}.names.example.org`, 'tls')),
      bySni('who.names.example.org', 'tls2', { from: 'other' }),
      // Not TLS at all, for an application that only speaks TLS.
      raw({ send: ['GET / HTTP/1.1\r\nHost: x\r\n\r\n'], expect: { failed: oneOf('closed', 'reset'), text: '' } }),
    ],
  },
  {
    area: 'TCP and TLS',
    name: 'tls routes: weights between subsets, of one service and another',
    random: true,
    services: [tls('tls-shares', { app: 'tls', version: 'v1' }, { app: 'tls2', version: 'v2' }), tls('tls-shares-two', { app: 'tls2' })],
    objects: `${subsets('tls-shares')}
kind: VirtualService
metadata: { name: tls-shares }
spec:
  hosts: [tls-shares, "*.shares.example.org"]
  tls:
  - match: [{ sniHosts: [subsets.shares.example.org] }]
    route: [{ destination: { host: tls-shares, subset: v1 }, weight: 85 }, { destination: { host: tls-shares, subset: v2 }, weight: 15 }]
  - match: [{ sniHosts: [none.shares.example.org] }]
    route: [{ destination: { host: tls-shares, subset: v1 }, weight: 100 }, { destination: { host: tls-shares-two }, weight: 0 }]
  - match: [{ sniHosts: [services.shares.example.org] }]
    route: [{ destination: { host: tls-shares, subset: v1 }, weight: 15 }, { destination: { host: tls-shares-two }, weight: 85 }]
`,
    steps: [
      ...(['subsets', 'services'] as const).map((name) => {
        const [tls, tls2] = name === 'subsets' ? [between(40, 59), between(1, 20)] : [between(1, 20), between(40, 59)];
        return http({ tls: { sni: `${name}.shares.example.org` }, times: 60, parallel: 4, expect: { statuses: { 200: 60 }, apps: { tls, tls2 } } });
      }),
      http({ tls: { sni: 'none.shares.example.org' }, times: 12, expect: { apps: { tls: 12 } } }),
    ],
  },
  {
    area: 'TCP and TLS',
    name: 'ports of protocols that speak first (25, 53, 3306, 27017) are TCP without a word',
    services: [25, 53, 3306, 27_017].map((number) => ({
      name: `known-${number}`,
      ports: [{ name: 'auto', number }],
      endpoints: [{ app: 'first', direct: true }],
    })),
    steps: [25, 53, 3306, 27_017].map((number) =>
      raw({ to: `known-${number}`, send: ['', 'HELO'], until: ['220 ready\n', 'first:HELO'], expect: { text: '220 ready\nfirst:HELO' } }),
    ),
  },
  {
    area: 'TCP and TLS',
    name: 'proxyProtocol: the application learns of the client by a line of its own, version 1 or 2',
    random: true,
    services: [tcp('told-client', { app: 'echo', direct: true }), tcp('told-client-two', { app: 'echo', direct: true })],
    objects: `${policy('told-client', '{ proxyProtocol: { version: V1 } }')}
---
${policy('told-client-two', '{ proxyProtocol: { version: V2 } }')}`,
    steps: [
      raw({ send: ['hello'], until: [/hello/], expect: { text: /^echo:PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\n(echo:)?hello$/ } }),
      raw({ to: 'told-client-two', send: ['hello'], until: [/hello/], expect: { text: /^echo:\r\n\r\n[^]\r\nQUIT\n![^]{8,40}hello$/ } }),
    ],
  },
  {
    area: 'TCP and TLS',
    name: 'a port without a protocol in its name: HTTP is seen as HTTP',
    services: [{ name: 'auto-http', ports: [{ name: 'auto', number: 7000 }], endpoints: [{ app: 'a' }] }],
    steps: [http({ expect: { status: 200, app: 'a', headers: { server: 'envoy' } } })],
  },
  {
    area: 'TCP and TLS',
    name: 'a port without a protocol in its name: other bytes pass as TCP',
    services: [{ name: 'auto-tcp', ports: [{ name: 'auto', number: 7000 }], endpoints: [{ app: 'echo' }] }],
    steps: [raw({ send: ['\u0001binary'], until: [/echo:/], expect: { text: 'echo:\u0001binary' } })],
  },
];
