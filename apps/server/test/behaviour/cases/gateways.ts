// Ways in: what a Gateway opens, which VirtualServices it serves, where TLS ends.

import { type Case, type ClientTls, type HttpStep, type ServiceSpec, grpc, http, raw, service, until } from '../case.ts';
import { absent, oneOf } from '../harness/match.ts';
import { subsets, twoVersions } from './parts.ts';

const area = 'gateways';

/** Through the gateway of all cases, by this Host. */
export const byHost = (host: string, step: Omit<HttpStep, 'kind'>): HttpStep => http({ at: 'gateway', ...step, headers: { host, ...step.headers } });

/** A VirtualService of one rule, to the whole service. */
const bound = (name: string, { gateway = 'gateway', host = `${name}.example.com`, to = name } = {}): string => `
kind: VirtualService
metadata: { name: ${name} }
spec: { hosts: ["${host}"], gateways: [${gateway}], http: [{ route: [{ destination: { host: ${to} } }] }] }
---`;

/** A Gateway of one server on the port \`$AT(name)\`; fields in flow YAML. */
export const gateway = (name: string, { protocol = 'HTTPS', hosts, tls }: { protocol?: string; hosts: string; tls?: string }): string => `
kind: Gateway
metadata: { name: ${name} }
spec:
  selector: { istio: ingress-$PLANE }
  servers: [{ port: { number: $AT(${name}), name: p, protocol: ${protocol} }, hosts: [${hosts}]${tls === undefined ? '' : `, tls: ${tls}`} }]
---`;

export const secret = (name: string, leaf = 'edge'): string => `
kind: Secret
metadata: { name: ${name} }
data: { tls.crt: $BASE64(${leaf}.pem), tls.key: $BASE64(${leaf}.key), ca.crt: $BASE64(ca.pem) }
---`;

export const EDGE: ClientTls = { sni: 'edge.example.com' };
export const edgeHost = { host: 'edge.example.com' };
/** A server that only listens once its certificate is there may close the first connections. */
const ended = { failed: oneOf('tls', 'closed', 'reset') };
const ALERT = 'of a certificate it does not trust Envoy says so by an alert; Node only ends the connection';
const tlsService = (name: string): ServiceSpec => ({ name, ports: [{ name: 'tls', number: 443 }], endpoints: [{ app: 'tls' }] });

export const GATEWAYS: readonly Case[] = [
  {
    area,
    name: 'by Host: in any case and with any port; a host nobody serves: 404',
    services: [service('gw-hosts')],
    objects: bound('gw-hosts'),
    steps: [
      byHost('gw-hosts.example.com', { expect: { status: 200, app: 'a', headers: { server: 'istio-envoy' } } }),
      byHost('GW-Hosts.example.com:8443', { expect: { status: 200, app: 'a' } }),
      byHost('gw-nobody.example.com', { expect: { status: 404, body: '', headers: { server: 'istio-envoy' } } }),
    ],
  },
  {
    area,
    name: 'a path from before a rewrite that a client tells is not believed by headers that name it',
    services: [service('gw-forged')],
    objects: `
kind: VirtualService
metadata: { name: gw-forged }
spec:
  hosts: [gw-forged.example.com]
  gateways: [gateway]
  http:
  - headers: { response: { set: { x-was: "%REQ(x-envoy-original-path?:path)%" } } }
    route: [{ destination: { host: gw-forged } }]
`,
    steps: [
      byHost('gw-forged.example.com', {
        ...{ path: '/<old>', headers: { 'x-envoy-original-path': '/forged' } },
        expect: { status: 200, headers: { 'x-was': '/%3Cold%3E' }, upstream: { path: '/%3Cold%3E', headers: { 'x-envoy-original-path': absent } } },
      }),
    ],
  },
  {
    area,
    name: 'what reaches the application: forwarded headers, no identity but the gateway’s',
    services: [service('gw-headers')],
    objects: bound('gw-headers'),
    steps: [
      byHost('gw-headers.example.com', {
        headers: {
          ...{ 'x-forwarded-for': '1.1.1.1, 2.2.2.2', 'x-forwarded-proto': 'https', 'x-forwarded-client-cert': 'Hash=forged' },
          ...{ 'x-envoy-external-address': '9.9.9.9', 'x-envoy-internal': 'true' },
        },
        expect: {
          status: 200,
          upstream: {
            headers: {
              'x-forwarded-for': '1.1.1.1, 2.2.2.2,<address>',
              'x-forwarded-proto': 'http',
              'x-envoy-external-address': '127.0.0.1',
              'x-envoy-internal': absent,
              'x-forwarded-client-cert':
                /^By=spiffe:\/\/cluster\.local\/ns\/<ns>\/sa\/observed;Hash=<hash>;.*URI=spiffe:\/\/cluster\.local\/ns\/<ns>\/sa\/gateway$/,
            },
          },
        },
      }),
      // An id of its own: nobody outside chooses what is traced.
      raw({
        ...{ at: 'gateway', send: ['GET / HTTP/1.1\r\nhost: gw-headers.example.com\r\nx-request-id: mine\r\nconnection: close\r\n\r\n'] },
        expect: { text: /"x-request-id":"<id>"/ },
      }),
    ],
  },
  {
    area,
    name: 'wildcard hosts: the longest that fits, an exact name before it',
    services: twoVersions('gw-wild'),
    objects: `${subsets('gw-wild')}${[
      ['one', '*.gw-wild.example.com', 'v1'],
      ['two', 'exact.gw-wild.example.com', 'v2'],
      ['three', '*.b.gw-wild.example.com', 'v2'],
    ]
      .map(
        ([name, host, subset]) => `
kind: VirtualService
metadata: { name: gw-wild-${name} }
spec: { hosts: ["${host}"], gateways: [gateway], http: [{ route: [{ destination: { host: gw-wild, subset: ${subset} } }] }] }
`,
      )
      .join('---')}`,
    steps: [
      byHost('x.gw-wild.example.com', { expect: { status: 200, app: 'a' } }),
      byHost('exact.gw-wild.example.com', { expect: { status: 200, app: 'b' } }),
      byHost('x.b.gw-wild.example.com', { expect: { status: 200, app: 'b' } }),
      byHost('gw-wild.example.com', { expect: { status: 404 } }),
    ],
  },
  {
    area,
    name: 'only hosts the server names, for the namespaces it names',
    services: [service('gw-narrow')],
    objects: `${gateway('gw-narrow', { protocol: 'HTTP', hosts: '"./own.example.com", "$OTHER/theirs.example.com", "*/all.example.com"' })}${bound('gw-narrow', { gateway: 'gw-narrow', host: '*.example.com' })}`,
    steps: [
      http({ at: 'gw-narrow', headers: { host: 'own.example.com' }, expect: { status: 200 } }),
      http({ at: 'gw-narrow', headers: { host: 'all.example.com' }, expect: { status: 200 } }),
      http({ at: 'gw-narrow', headers: { host: 'theirs.example.com' }, expect: { status: 404 } }),
      http({ at: 'gw-narrow', headers: { host: 'more.example.com' }, expect: { status: 404 } }),
    ],
  },
  {
    area,
    name: 'a rule for the gateway, one for the mesh, in one VirtualService; without gateways it is the mesh’s alone',
    services: [...twoVersions('gw-both'), service('gw-mesh-only')],
    objects: `${subsets('gw-both')}
kind: VirtualService
metadata: { name: gw-both }
spec:
  hosts: [gw-both.$NS.svc.cluster.local]
  gateways: [mesh, gateway]
  http:
  - { match: [{ gateways: [gateway] }], route: [{ destination: { host: gw-both, subset: v2 } }] }
  - { route: [{ destination: { host: gw-both, subset: v1 } }] }
---
kind: VirtualService
metadata: { name: gw-mesh-only }
spec: { hosts: [gw-mesh-only.example.com], http: [{ route: [{ destination: { host: gw-mesh-only } }] }] }
`,
    steps: [
      http({ expect: { status: 200, app: 'a' } }),
      byHost('gw-both.of-${plane}.svc.cluster.local', { expect: { status: 200, app: 'b' } }),
      byHost('gw-mesh-only.example.com', { expect: { status: 404 } }),
    ],
  },
  {
    area,
    name: 'rules of several VirtualServices for a host are joined, the oldest first, catch-alls last; delegates too',
    services: twoVersions('gw-join'),
    objects: `${subsets('gw-join')}
kind: VirtualService
metadata: { name: gw-join-1, creationTimestamp: "2020-01-01T00:00:00Z" }
spec: { hosts: [gw-join.example.com], gateways: [gateway], http: [{ route: [{ destination: { host: gw-join, subset: v1 } }] }] }
---
kind: VirtualService
metadata: { name: gw-join-2, creationTimestamp: "2021-01-01T00:00:00Z" }
spec:
  hosts: [gw-join.example.com]
  gateways: [gateway]
  http:
  - { match: [{ uri: { prefix: /two } }], route: [{ destination: { host: gw-join, subset: v2 } }] }
  - { match: [{ uri: { prefix: /team } }], delegate: { name: gw-join-team } }
---
kind: VirtualService
metadata: { name: gw-join-team }
spec: { http: [{ match: [{ uri: { exact: /team/b } }], route: [{ destination: { host: gw-join, subset: v2 } }] }] }
`,
    steps: [
      byHost('gw-join.example.com', { path: '/two', expect: { app: 'b' } }),
      byHost('gw-join.example.com', { path: '/team/b', expect: { app: 'b' } }),
      byHost('gw-join.example.com', { path: '/team/c', expect: { app: 'a' } }),
    ],
  },
  {
    area,
    name: 'match.port tells the servers of a gateway apart',
    services: twoVersions('gw-ports'),
    objects: `${subsets('gw-ports')}${gateway('gw-ports-one', { protocol: 'HTTP', hosts: '"*"' })}${gateway('gw-ports-two', { protocol: 'HTTP', hosts: '"*"' })}
kind: VirtualService
metadata: { name: gw-ports }
spec:
  hosts: [gw-ports.example.com]
  gateways: [gw-ports-one, gw-ports-two]
  http:
  - { match: [{ port: $AT(gw-ports-two) }], route: [{ destination: { host: gw-ports, subset: v2 } }] }
  - { route: [{ destination: { host: gw-ports, subset: v1 } }] }
`,
    steps: [
      http({ at: 'gw-ports-one', headers: { host: 'gw-ports.example.com' }, expect: { app: 'a' } }),
      http({ at: 'gw-ports-two', headers: { host: 'gw-ports.example.com' }, expect: { app: 'b' } }),
    ],
  },
  {
    area,
    name: 'servers of two Gateways share a port',
    services: [service('gw-shared')],
    objects: `${bound('gw-shared', { gateway: 'gw-shared-2', host: 'two.gw-shared.example.com' })}${gateway('gw-shared', { protocol: 'HTTP', hosts: '"one.gw-shared.example.com"' })}
kind: Gateway
metadata: { name: gw-shared-2 }
spec:
  selector: { istio: ingress-$PLANE }
  servers: [{ port: { number: $AT(gw-shared), name: q, protocol: HTTP }, hosts: ["two.gw-shared.example.com"] }]
`,
    steps: [
      http({ at: 'gw-shared', headers: { host: 'two.gw-shared.example.com' }, expect: { status: 200 } }),
      http({ at: 'gw-shared', headers: { host: 'one.gw-shared.example.com' }, expect: { status: 404 } }),
    ],
  },
  {
    area,
    name: 'HTTP/2 and gRPC come in by the plaintext port',
    services: [service('gw-kinds'), { name: 'gw-grpc', ports: [{ name: 'grpc', number: 80 }], endpoints: [{ app: 'a' }] }],
    objects: `${bound('gw-kinds')}${bound('gw-grpc')}`,
    steps: [
      http({
        at: 'gateway',
        http2: true,
        headers: { ':authority': 'gw-kinds.example.com' },
        expect: { status: 200, app: 'a', upstream: { protocol: 'HTTP/1.1' } },
      }),
      grpc({ at: 'gateway', metadata: { ':authority': 'gw-grpc.example.com' }, expect: { grpc: { status: 0 } } }),
    ],
  },
  {
    area,
    name: 'TLS SIMPLE: the certificate of the Secret, HTTP/2 by ALPN; another SNI finds no door',
    services: [service('gw-simple')],
    objects: `${secret('gw-simple')}${gateway('gw-simple', { hosts: 'edge.example.com', tls: '{ mode: SIMPLE, credentialName: gw-simple }' })}${bound('gw-simple', { gateway: 'gw-simple', host: 'edge.example.com' })}`,
    steps: [
      until(
        http({
          ...{ at: 'gw-simple', tls: EDGE, headers: edgeHost },
          expect: { status: 200, certificate: 'DNS:edge.example.com', upstream: { protocol: 'HTTP/1.1', headers: { 'x-forwarded-proto': 'https' } } },
        }),
      ),
      http({
        at: 'gw-simple',
        tls: { ...EDGE, alpn: ['h2', 'http/1.1'] },
        http2: true,
        headers: { ':authority': 'edge.example.com' },
        expect: { status: 200, alpn: 'h2' },
      }),
      http({ at: 'gw-simple', tls: { ...EDGE, alpn: ['http/1.1'] }, headers: edgeHost, expect: { status: 200, alpn: 'http/1.1' } }),
      http({ at: 'gw-simple', tls: { sni: 'nobody.example.com' }, headers: edgeHost, expect: ended }),
      http({ at: 'gw-simple', tls: { sni: '' }, headers: edgeHost, expect: ended }),
      http({ at: 'gw-simple', tls: EDGE, headers: { host: 'other.example.com' }, expect: { status: 404 } }),
      http({ at: 'gw-simple', headers: edgeHost, expect: ended }),
    ],
  },
  {
    area,
    name: 'servers of one port each have their certificate, told apart by SNI',
    services: [service('gw-sni')],
    objects: `${secret('gw-sni')}${secret('gw-sni-two', 'edge-two')}${bound('gw-sni', { gateway: 'gw-sni', host: '*.example.com' })}
kind: Gateway
metadata: { name: gw-sni }
spec:
  selector: { istio: ingress-$PLANE }
  servers:
  - { port: { number: $AT(gw-sni), name: one, protocol: HTTPS }, hosts: [edge.example.com], tls: { mode: SIMPLE, credentialName: gw-sni } }
  - { port: { number: $AT(gw-sni), name: two, protocol: HTTPS }, hosts: ["*.example.com"], tls: { mode: SIMPLE, credentialName: gw-sni-two } }
`,
    steps: [
      until(http({ at: 'gw-sni', tls: EDGE, headers: edgeHost, expect: { status: 200, certificate: 'DNS:edge.example.com' } })),
      until(
        http({
          at: 'gw-sni',
          tls: { sni: 'any.example.com' },
          headers: { host: 'any.example.com' },
          expect: { status: 200, certificate: 'DNS:two.example.com' },
        }),
      ),
    ],
  },
  {
    area,
    name: 'a Secret that changes: the next connection has the new certificate',
    services: [service('gw-rotate')],
    objects: `${secret('gw-rotate')}${gateway('gw-rotate', { hosts: 'edge.example.com', tls: '{ mode: SIMPLE, credentialName: gw-rotate }' })}${bound('gw-rotate', { gateway: 'gw-rotate', host: 'edge.example.com' })}`,
    steps: [
      until(http({ at: 'gw-rotate', tls: EDGE, headers: edgeHost, expect: { status: 200, certificate: 'DNS:edge.example.com' } })),
      { kind: 'apply', objects: secret('gw-rotate', 'edge-two') },
      // Without a request, so that both data planes count the same however often it asks.
      until(raw({ at: 'gw-rotate', tls: EDGE, send: [''], until: [''], expect: { certificate: 'DNS:two.example.com' } })),
    ],
  },
  {
    area,
    name: 'MUTUAL: only clients of the known authority, whose certificate the application is told of',
    differs: { 'failed: "closed" | "tls"': ALERT },
    services: [service('gw-mutual')],
    objects: `${secret('gw-mutual')}${gateway('gw-mutual', { hosts: 'edge.example.com', tls: '{ mode: MUTUAL, credentialName: gw-mutual }' })}${bound('gw-mutual', { gateway: 'gw-mutual', host: 'edge.example.com' })}`,
    steps: [
      until(
        http({
          ...{ at: 'gw-mutual', tls: { ...EDGE, as: 'client' }, headers: { ...edgeHost, 'x-forwarded-client-cert': 'Hash=forged' } },
          expect: { status: 200, upstream: { headers: { 'x-forwarded-client-cert': /^Hash=<hash>;Subject="O=weft test";URI=;DNS=client\.example\.com,By=/ } } },
        }),
      ),
      http({ at: 'gw-mutual', tls: EDGE, headers: edgeHost, expect: ended }),
      http({ at: 'gw-mutual', tls: { ...EDGE, as: 'stranger' }, headers: edgeHost, expect: ended }),
    ],
  },
  {
    area,
    name: 'OPTIONAL_MUTUAL: without a certificate too, but not with a stranger’s; subjectAltNames narrow MUTUAL',
    differs: { 'failed: "closed" | "tls"': ALERT },
    services: [service('gw-optional')],
    objects: `${secret('gw-optional')}${gateway('gw-optional', { hosts: 'edge.example.com', tls: '{ mode: OPTIONAL_MUTUAL, credentialName: gw-optional }' })}${gateway('gw-sans', { hosts: 'edge.example.com', tls: '{ mode: MUTUAL, credentialName: gw-optional, subjectAltNames: [somebody.example.com] }' })}${bound('gw-optional', { gateway: 'gw-optional, gw-sans', host: 'edge.example.com' })}`,
    steps: [
      until(http({ at: 'gw-optional', tls: EDGE, headers: edgeHost, expect: { status: 200 } })),
      http({ at: 'gw-optional', tls: { ...EDGE, as: 'client' }, headers: edgeHost, expect: { status: 200 } }),
      http({ at: 'gw-optional', tls: { ...EDGE, as: 'stranger' }, headers: edgeHost, expect: ended }),
      http({ at: 'gw-sans', tls: { ...EDGE, as: 'client' }, headers: edgeHost, expect: ended }),
    ],
  },
  {
    area,
    name: 'minProtocolVersion: older clients are refused',
    services: [service('gw-version')],
    objects: `${secret('gw-version')}${gateway('gw-version', { hosts: 'edge.example.com', tls: '{ mode: SIMPLE, credentialName: gw-version, minProtocolVersion: TLSV1_3 }' })}${bound('gw-version', { gateway: 'gw-version', host: 'edge.example.com' })}`,
    steps: [
      until(http({ at: 'gw-version', tls: EDGE, headers: edgeHost, expect: { status: 200 } })),
      http({ at: 'gw-version', tls: { ...EDGE, maxVersion: 'TLSv1.2' }, headers: edgeHost, expect: ended }),
    ],
  },
  {
    area,
    name: 'httpsRedirect: 301 to https, the query kept, whether routed or not',
    services: [service('gw-redirect')],
    objects: `${gateway('gw-redirect', { protocol: 'HTTP', hosts: '"*.example.com"', tls: '{ httpsRedirect: true }' })}${bound('gw-redirect', { gateway: 'gw-redirect' })}`,
    steps: ['gw-redirect.example.com', 'other.example.com:8080'].map((host) =>
      http({
        ...{ at: 'gw-redirect', path: '/a?b=c', headers: { host } },
        expect: { status: 301, body: '', headers: { location: `https://${host}/a?b=c` } },
      }),
    ),
  },
  {
    area,
    name: 'PASSTHROUGH: TLS goes on as it is by SNI, in shares; other names end',
    services: [tlsService('gw-through'), tlsService('gw-through-two')],
    differs: { _bytes_total: 'signatures of the handshake vary in length' },
    objects: `${gateway('gw-through', { protocol: 'TLS', hosts: '"*.example.org"', tls: '{ mode: PASSTHROUGH }' })}
kind: VirtualService
metadata: { name: gw-through }
spec:
  hosts: ["*.example.org"]
  gateways: [gw-through]
  tls:
  - match: [{ port: $AT(gw-through), sniHosts: [one.example.org] }]
    route: [{ destination: { host: gw-through }, weight: 100 }, { destination: { host: gw-through-two }, weight: 0 }]
  - { match: [{ port: 1, sniHosts: [two.example.org] }], route: [{ destination: { host: gw-through-two } }] }
`,
    steps: [
      http({
        ...{ at: 'gw-through', tls: { sni: 'one.example.org' } },
        expect: { status: 200, app: 'tls', certificate: 'DNS:*.example.org', upstream: { tls: 'sni=one.example.org' } },
      }),
      http({ at: 'gw-through', tls: { sni: 'two.example.org' }, expect: ended }),
    ],
  },
  {
    area,
    name: 'AUTO_PASSTHROUGH: by the name sidecars connect with',
    services: [{ ...tlsService('gw-auto'), endpoints: [{ app: 'tls', direct: true }] }],
    objects: gateway('gw-auto', { protocol: 'TLS', hosts: 'gw-auto.$NS.svc.cluster.local', tls: '{ mode: AUTO_PASSTHROUGH }' }),
    steps: [
      until(http({ at: 'gw-auto', tls: { sni: 'outbound_.443_._.gw-auto.$NS.svc.cluster.local' }, expect: { status: 200, app: 'tls' } })),
      http({ at: 'gw-auto', tls: { sni: 'outbound_.444_._.gw-auto.$NS.svc.cluster.local' }, expect: ended }),
    ],
  },
  {
    area,
    name: 'TCP as it is, and TCP inside TLS that ends here',
    services: [{ name: 'gw-tcp', ports: [{ name: 'tcp', number: 9000 }], endpoints: [{ app: 'echo' }] }],
    objects: `${secret('gw-tcp-tls')}${gateway('gw-tcp', { protocol: 'TCP', hosts: '"*"' })}${gateway('gw-tcp-tls', { protocol: 'TLS', hosts: 'edge.example.com', tls: '{ mode: SIMPLE, credentialName: gw-tcp-tls }' })}
kind: VirtualService
metadata: { name: gw-tcp }
spec: { hosts: ["*"], gateways: [gw-tcp, gw-tcp-tls], tcp: [{ route: [{ destination: { host: gw-tcp } }] }] }
`,
    steps: [
      raw({ at: 'gw-tcp', send: ['hello'], until: ['echo:hello'], expect: { text: 'echo:hello' } }),
      until(raw({ at: 'gw-tcp-tls', tls: EDGE, send: ['hello'], until: ['echo:hello'], expect: { text: 'echo:hello', certificate: 'DNS:edge.example.com' } })),
    ],
  },
];
