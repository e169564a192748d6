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
