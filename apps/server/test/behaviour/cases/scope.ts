// Whom configuration is for: rules private to a namespace, delegates, what only one workload or one data plane is told.

import { type Case, http, raw, service, until } from '../case.ts';
import { absent, allOf, oneOf } from '../harness/match.ts';
import { policy, subsets, twoVersions } from './parts.ts';

const area = 'scope';
const v1 = { status: 200, app: 'a' };
const v2 = { status: 200, app: 'b' };

/** A gateway's port of the case's own, to its service: one that is there already would serve old connections as before. */
/** `headers`: of its one route. */
const ownGateway = (name: string, headers = '{}'): string => `
kind: Gateway
metadata: { name: ${name} }
spec: { selector: { istio: ingress-$PLANE }, servers: [{ port: { number: $AT(${name}), name: http, protocol: HTTP }, hosts: ["*"] }] }
---
kind: VirtualService
metadata: { name: ${name} }
spec: { hosts: [${name}.example.com], gateways: [${name}], http: [{ headers: ${headers}, route: [{ destination: { host: ${name} } }] }] }
`;

export const SCOPE: readonly Case[] = [
  {
    area,
    name: 'exportTo of a DestinationRule: who does not see it has no subsets; a rule of the client’s namespace comes first',
    services: [...twoVersions('dr-private'), ...twoVersions('dr-own')],
    objects: `
kind: DestinationRule
metadata: { name: dr-private }
spec: { host: dr-private, exportTo: ["."], subsets: [{ name: v2, labels: { version: v2 } }] }
---
kind: VirtualService
metadata: { name: dr-private }
spec: { hosts: [dr-private], http: [{ route: [{ destination: { host: dr-private, subset: v2 } }] }] }
---${subsets('dr-own')}
kind: VirtualService
metadata: { name: dr-own }
spec: { hosts: [dr-own], http: [{ route: [{ destination: { host: dr-own, subset: v1 } }] }] }
---
kind: DestinationRule
metadata: { name: dr-own, namespace: $OTHER }
spec: { host: dr-own.$NS.svc.cluster.local, exportTo: ["."], subsets: [{ name: v1, labels: { version: v2 } }] }
`,
    steps: [
      http({ expect: v2 }),
      http({ from: 'other', expect: { status: 503 } }),
      http({ to: 'dr-own', expect: v1 }),
      http({ to: 'dr-own', from: 'other', expect: v2 }),
    ],
  },
  {
    area,
    name: 'of two DestinationRules of a host the subsets are joined, the policy is the older one’s',
    services: twoVersions('dr-joined'),
    objects: `
kind: DestinationRule
metadata: { name: dr-joined-1, creationTimestamp: "2020-01-01T00:00:00Z" }
spec: { host: dr-joined, trafficPolicy: { connectionPool: { http: { http2MaxRequests: 1 } } }, subsets: [{ name: v1, labels: { version: v1 } }, { name: both, labels: { version: v1 } }] }
---
kind: DestinationRule
metadata: { name: dr-joined-2, creationTimestamp: "2021-01-01T00:00:00Z" }
spec: { host: dr-joined, trafficPolicy: { connectionPool: { http: { http2MaxRequests: 100 } } }, subsets: [{ name: v2, labels: { version: v2 } }, { name: both, labels: { version: v2 } }] }
---
kind: VirtualService
metadata: { name: dr-joined }
spec:
  hosts: [dr-joined]
  http:
  - { match: [{ uri: { prefix: /v1 } }], route: [{ destination: { host: dr-joined, subset: v1 } }] }
  - { match: [{ uri: { prefix: /both } }], route: [{ destination: { host: dr-joined, subset: both } }] }
  - { route: [{ destination: { host: dr-joined, subset: v2 } }] }
`,
    steps: [
      http({ to: 'dr-joined', path: '/v1', expect: v1 }),
      http({ to: 'dr-joined', path: '/both', expect: v1 }),
      http({ to: 'dr-joined', path: '/v2', background: true, do: { hold: true }, expect: v2 }),
      http({ to: 'dr-joined', path: '/v2', expect: { status: 503, headers: { 'x-envoy-overloaded': 'true' } } }),
    ],
    random: true,
  },
  {
    area,
    name: 'DestinationRules: for some workloads only (workloadSelector), and of a port: its settings in place of all others',
    services: [
      ...twoVersions('dr-selected'),
      {
        name: 'dr-port',
        ports: [
          { name: 'http-one', number: 80 },
          { name: 'http-two', number: 81 },
        ],
        endpoints: [{ app: 'a', direct: true }],
      },
    ],
    objects: `
kind: DestinationRule
metadata: { name: dr-selected }
spec: { host: dr-selected, workloadSelector: { matchLabels: { app: client } }, subsets: [{ name: v2, labels: { version: v2 } }] }
---
kind: VirtualService
metadata: { name: dr-selected }
spec: { hosts: [dr-selected], http: [{ route: [{ destination: { host: dr-selected, subset: v2 } }] }] }
---
kind: DestinationRule
metadata: { name: dr-port }
spec:
  host: dr-port
  trafficPolicy:
    connectionPool: { http: { http2MaxRequests: 1 } }
    portLevelSettings: [{ port: { number: 81 }, loadBalancer: { simple: ROUND_ROBIN } }]
`,
    steps: [
      http({ expect: v2 }),
      http({ from: 'told', expect: { status: 503 } }),
      ...[80, 81].flatMap((port) => [
        http({ to: `dr-port:${port}`, background: true, do: { hold: true }, expect: { status: 200 } }),
        http({ to: `dr-port:${port}`, expect: port === 80 ? { status: 503, headers: { 'x-envoy-overloaded': 'true' } } : { status: 200 } }),
      ]),
    ],
    random: true,
  },
  {
    area,
    name: 'delegates: of another namespace when exported, with its short names; what they leave out the root says; contradictions drop',
    services: twoVersions('shared-root'),
    objects: `${subsets('shared-root')}
kind: VirtualService
metadata: { name: shared-root }
spec:
  hosts: [shared-root]
  http:
  - { match: [{ uri: { prefix: /seen } }], delegate: { name: shared-leaf, namespace: $OTHER }, headers: { request: { set: { x-by: root } } } }
  - { match: [{ uri: { prefix: /hidden } }], delegate: { name: hidden-leaf, namespace: $OTHER } }
  - { match: [{ uri: { prefix: /none } }], delegate: { name: no-leaf } }
  - { route: [{ destination: { host: shared-root, subset: v1 } }] }
---
kind: VirtualService
metadata: { name: shared-leaf, namespace: $OTHER }
spec:
  http:
  - match: [{ uri: { prefix: /elsewhere } }]
    directResponse: { status: 418 }
  - match: [{ uri: { prefix: /seen/own }, headers: { x-a: { exact: b } } }]
    headers: { request: { set: { x-by: leaf } } }
    route: [{ destination: { host: shared-root.$NS.svc.cluster.local, subset: v2 } }]
  - match: [{ uri: { prefix: /seen/short } }]
    route: [{ destination: { host: shared-root } }]
  - route: [{ destination: { host: shared-root.$NS.svc.cluster.local, subset: v2 } }]
---
kind: VirtualService
metadata: { name: hidden-leaf, namespace: $OTHER }
spec: { exportTo: ["."], http: [{ directResponse: { status: 418 } }] }
`,
    steps: [
      http({ path: '/seen', expect: { ...v2, upstream: { headers: { 'x-by': 'root' } } } }),
      http({ path: '/seen/own', headers: { 'x-a': 'b' }, expect: { ...v2, upstream: { headers: { 'x-by': 'leaf' } } } }),
      // A service of the delegate's namespace that is not there.
      http({ path: '/seen/short', expect: { status: 503 } }),
      ...['/elsewhere', '/hidden', '/none', '/'].map((path) => http({ path, expect: { ...v1, upstream: { headers: { 'x-by': absent } } } })),
    ],
  },
  {
    area,
    name: 'EnvoyFilter: applied on Envoy, told as not applied on embedded proxies',
    alone: true,
    services: [service('patched')],
    differs: { 'x-patched': 'EnvoyFilter patches Envoy only', 'step 1.': 'what the status says of it' },
    objects: `
kind: EnvoyFilter
metadata: { name: patched }
spec:
  workloadSelector: { labels: { app: client } }
  configPatches:
  - applyTo: VIRTUAL_HOST
    match: { context: SIDECAR_OUTBOUND, routeConfiguration: { vhost: { name: "patched.$NS.svc.cluster.local:80" } } }
    patch:
      operation: MERGE
      value: { response_headers_to_add: [{ header: { key: x-patched, value: "yes" } }] }
`,
    steps: [
      http({ expect: v1, on: { embedded: { headers: { 'x-patched': absent } }, envoy: { headers: { 'x-patched': 'yes' } } } }),
      {
        kind: 'status',
        workload: 'client',
        expect: {},
        on: {
          embedded: { envoyFilters: [{ filter: /patched$/, applied: false, reason: 'EnvoyFilter patches stock Envoy only' }] },
          envoy: { envoyFilters: [{ filter: /patched$/, applied: true }] },
        },
      },
    ],
  },
  {
    area,
    name: 'Sidecar ingress: further ports, a port of the workload led elsewhere',
    alone: true,
    services: [{ name: 'led', ports: [{ name: 'http', number: 80 }], endpoints: [{ app: 'c' }] }],
    objects: `
kind: Sidecar
metadata: { name: ingress }
spec:
  workloadSelector: { labels: { app: observed } }
  ingress:
  - { port: { number: $AT(in-http), protocol: HTTP, name: http }, defaultEndpoint: "127.0.0.1:$PORT(a)" }
  - { port: { number: $AT(in-tcp), protocol: TCP, name: tcp }, defaultEndpoint: "0.0.0.0:$PORT(echo)" }
  - { port: { number: 8082, protocol: HTTP, name: http-c }, defaultEndpoint: "127.0.0.1:$PORT(d)" }
`,
    steps: [
      http({ at: 'in-http', expect: { ...v1, headers: { server: 'istio-envoy' } } }),
      raw({ at: 'in-tcp', send: ['hello'], until: ['echo:hello'], expect: { text: 'echo:hello' } }),
      http({ expect: { status: 200, app: 'd' } }),
    ],
  },
  {
    area,
    name: 'Sidecar inboundConnectionPool, and the pool of one ingress before it',
    alone: true,
    services: [service('not-asked-pool')],
    objects: `
kind: Sidecar
metadata: { name: pool }
spec:
  workloadSelector: { labels: { app: observed } }
  inboundConnectionPool: { http: { http2MaxRequests: 1 } }
  ingress:
  - { port: { number: $AT(in-pool), protocol: HTTP, name: http }, defaultEndpoint: "127.0.0.1:$PORT(a)" }
  - { port: { number: $AT(in-wide), protocol: HTTP, name: wide }, defaultEndpoint: "127.0.0.1:$PORT(a)", connectionPool: { http: { http2MaxRequests: 100 } } }
`,
    steps: ['in-pool', 'in-wide'].flatMap((at, i) => [
      http({ at, background: true, do: { hold: true }, expect: { status: 200 } }),
      http({ at, expect: i === 0 ? { status: 503, headers: { 'x-envoy-overloaded': 'true' } } : { status: 200 } }),
    ]),
  },
  {
    area,
    name: 'PeerAuthentication of a namespace: STRICT where the port says nothing, DISABLE where it does',
    alone: true,
    services: [service('ns-strict'), service('ns-plain'), service('ns-disable', { app: 'a', mode: 'disable' })],
    objects: `${policy('ns-plain', '{ tls: { mode: DISABLE } }')}---
kind: PeerAuthentication
metadata: { name: everybody }
spec: { mtls: { mode: STRICT } }
`,
    steps: [
      http({ expect: { status: 200, upstream: { headers: { 'x-forwarded-client-cert': /sa\/client$/ } } } }),
      http({ to: 'ns-plain', expect: { status: 503 } }),
      http({ to: 'ns-disable', expect: { status: 200, upstream: { headers: { 'x-forwarded-client-cert': absent } } } }),
    ],
  },
  {
    area,
    name: 'MeshConfig: REGISTRY_ONLY but for who says ALLOW_ANY; path normalization; servers that speak first on sniffed ports; numTrustedProxies',
    alone: true,
    // A port whose listener is being replaced may refuse once: counts differ.
    differs: {
      istio_tcp: 'how often the first port was asked',
      'headers.connection': 'connections of before are told to close, if their listener is gone by then',
    },
    services: [service('trusted'), { name: 'auto-first', ports: [{ name: 'auto', number: 7000 }], endpoints: [{ app: 'first' }] }],
    objects: `
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data:
  mesh: |
    outboundTrafficPolicy: { mode: REGISTRY_ONLY }
    protocolDetectionTimeout: 100ms
    pathNormalization: { normalization: DECODE_AND_MERGE_SLASHES }
    defaultConfig: { gatewayTopology: { numTrustedProxies: 2, forwardClientCertDetails: ALWAYS_FORWARD_ONLY } }
---
${ownGateway('trusted')}`,
    steps: [
      http({ from: 'http-proxy', expect: { status: 200, app: 'a' } }),
      http({ from: 'http-proxy', headers: { host: '127.0.0.1:${port_d}' }, expect: { status: 502, body: '' } }),
      until(raw({ to: 'auto-first', send: ['', 'HELO'], until: ['220 ready\n', 'first:HELO'], expect: { text: '220 ready\nfirst:HELO' } })),
      http({
        at: 'trusted',
        headers: { host: 'trusted.example.com', 'x-forwarded-for': '1.1.1.1, 2.2.2.2', 'x-forwarded-proto': 'https', 'x-forwarded-client-cert': 'Hash=told' },
        expect: {
          status: 200,
          upstream: {
            headers: {
              'x-forwarded-proto': 'https',
              'x-envoy-external-address': '1.1.1.1',
              'x-forwarded-for': '1.1.1.1, 2.2.2.2,<address>',
              'x-forwarded-client-cert': /^Hash=told,By=.*sa\/gateway$/,
            },
          },
        },
      }),
      // On a connection of its own: those of before keep what their listener did with paths.
      until(
        raw({
          from: 'http-proxy',
          send: ['GET /a//b%2fc/../d%5Ce?f=//%2f HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n'],
          expect: { text: /^HTTP\/1\.1 200 OK[^]*"path":"\/a\/b\/d\/e\?f=\/\/%2f"/ },
        }),
      ),
      // One proxy of two has not written its line: the connection itself is believed.
      http({
        at: 'trusted',
        headers: { host: 'trusted.example.com', 'x-forwarded-for': '3.3.3.3' },
        expect: { status: 200, upstream: { headers: { 'x-forwarded-proto': 'http', 'x-envoy-external-address': '127.0.0.1' } } },
      }),
      {
        kind: 'apply',
        objects: `
kind: Sidecar
metadata: { name: registry-only }
spec: { workloadSelector: { labels: { app: by-host } }, outboundTrafficPolicy: { mode: ALLOW_ANY } }
`,
      },
      http({ from: 'http-proxy', headers: { host: '127.0.0.1:${port_d}' }, expect: { status: 200, app: 'd' } }),
    ],
  },
  {
    area,
    name: 'MeshConfig proxyProtocol: gateways learn of the client by the balancer’s header',
    alone: true,
    services: [service('announced')],
    objects: `
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: "defaultConfig: { gatewayTopology: { proxyProtocol: {} } }" }
---
${ownGateway('announced', '{ request: { set: { x-client: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", x-balancer: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%" } } }')}`,
    steps: [
      raw({
        at: 'announced',
        send: ['PROXY TCP4 9.9.9.9 10.0.0.1 1234 80\r\nGET / HTTP/1.1\r\nhost: announced.example.com\r\nconnection: close\r\n\r\n'],
        expect: {
          text: allOf(/^HTTP\/1\.1 200 OK/, /"x-envoy-external-address":"9\.9\.9\.9"/, /"x-client":"9\.9\.9\.9"/, /"x-balancer":"127\.0\.0\.1"/),
        },
      }),
      raw({ at: 'announced', send: ['GET / HTTP/1.1\r\nhost: announced.example.com\r\n\r\n'], expect: { text: '', failed: oneOf('closed', 'reset') } }),
    ],
  },
];
