// Ways in by the Gateway API: listeners, the routes they take, where TLS ends, what may be named in other namespaces.

import { type Case, grpc, http, service, until } from '../case.ts';
import { oneOf } from '../harness/match.ts';
import { EDGE, edgeHost, secret } from './gateways.ts';
import { elsewhere } from './parts.ts';

const area = 'gateways: Gateway API';
const API = 'gateway.networking.k8s.io';
const a = { status: 200, app: 'a' };
const b = { status: 200, app: 'b' };
const ended = { failed: oneOf('tls', 'closed', 'reset') };

/** A Gateway of these listeners (flow YAML) at the suite's gateway proxy: its address names a Service that selects that. */
const gateway = (name: string, ...listeners: string[]): string => `
kind: Service
metadata: { name: ${name}-edge }
spec: { selector: { app: gateway }, ports: [{ name: http, port: 80 }] }
---
apiVersion: ${API}/v1
kind: Gateway
metadata: { name: ${name} }
spec: { gatewayClassName: istio, addresses: [{ type: Hostname, value: ${name}-edge }], listeners: [${listeners.join(', ')}] }
---`;
const listener = (name: string, more = '', protocol = 'HTTP', at = name): string => `{ name: ${name}, port: $AT(${at}), protocol: ${protocol} ${more} }`;
const route = (name: string, spec: string, namespace = '$NS', kind = 'HTTPRoute'): string => `
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ${spec} }
---`;
const to = (name: string, more = ''): string => `backendRefs: [{ name: ${name}, port: 80${more} }]`;
const grant = (name: string, from: string, toKind: string, target: string): string => `
kind: ReferenceGrant
metadata: { name: ${name}, namespace: $OTHER }
spec:
  from: [{ group: ${API}, kind: ${from}, namespace: $NS }]
  to: [{ group: "", kind: ${toKind}, name: ${target} }]
---`;
/** The other namespace, with a label. */
const labelled = (label: string): string => `
kind: Namespace
metadata: { name: $OTHER, labels: { ${label} } }
---`;
const ALL = ', allowedRoutes: { namespaces: { from: All } }';

export const GATEWAY_API_EDGE: readonly Case[] = [
  {
    area,
    name: 'HTTPRoutes attach by section, host name and namespace; their rules are one list, sorted',
    services: [service('gwa-http'), service('gwa-http-b', { app: 'b' })],
    objects: `${gateway(
      'gwa-http',
      listener('gwa-http', ', hostname: "*.shop.example.com"'),
      listener('gwa-all', `, hostname: any.example.com ${ALL}`, 'HTTP', 'gwa-http'),
    )}${route('gwa-one', `parentRefs: [{ name: gwa-http }], hostnames: [one.shop.example.com, one.example.org], rules: [{ ${to('gwa-http')} }]`)}
    ${route('gwa-two', `parentRefs: [{ name: gwa-http, sectionName: gwa-http }], hostnames: [one.shop.example.com], rules: [{ matches: [{ path: { value: /b/ } }], ${to('gwa-http-b')} }]`)}
    ${route('gwa-outside', `parentRefs: [{ name: gwa-http, namespace: $NS }], hostnames: [any.example.com, lost.shop.example.com], rules: [{ filters: [{ type: RequestRedirect, requestRedirect: { hostname: new.example.com, port: 8081, statusCode: 301 } }] }]`, '$OTHER')}`,
    steps: [
      until(http({ at: 'gwa-http', headers: { host: 'one.shop.example.com' }, expect: { ...a, headers: { server: 'istio-envoy' } } })),
      http({ at: 'gwa-http', path: '/b', headers: { host: 'one.shop.example.com' }, expect: b }),
      // A prefix ends at a segment.
      http({ at: 'gwa-http', path: '/bb', headers: { host: 'one.shop.example.com' }, expect: a }),
      http({ at: 'gwa-http', headers: { host: 'two.shop.example.com' }, expect: { status: 404 } }),
      http({ at: 'gwa-http', headers: { host: 'one.example.org' }, expect: { status: 404 } }),
      // Of another namespace: one listener takes it, the other does not.
      http({ at: 'gwa-http', headers: { host: 'any.example.com' }, expect: { status: 301, headers: { location: 'http://new.example.com:8081/' } } }),
      http({ at: 'gwa-http', headers: { host: 'lost.shop.example.com' }, expect: { status: 404 } }),
    ],
  },
  {
    area,
    name: 'a listener takes the routes of namespaces whose labels its selector fits, from the moment they do',
    services: [],
    objects: `${labelled('team: none')}${elsewhere('gwa-labels')}${gateway(
      'gwa-labels',
      listener('gwa-labels', ', allowedRoutes: { namespaces: { from: Selector, selector: { matchLabels: { team: web } } } }'),
    )}
    ${route('gwa-labels', `parentRefs: [{ name: gwa-labels, namespace: $NS }], hostnames: [labels.example.com], rules: [{ ${to('gwa-labels')} }]`, '$OTHER')}`,
    steps: [
      until(http({ at: 'gwa-labels', headers: { host: 'labels.example.com' }, expect: { status: 404 } })),
      { kind: 'apply', objects: labelled('team: web') },
      http({ at: 'gwa-labels', headers: { host: 'labels.example.com' }, expect: b }),
      { kind: 'apply', objects: labelled('team: other') },
      http({ at: 'gwa-labels', headers: { host: 'labels.example.com' }, expect: { status: 404 } }),
    ],
  },
  {
    area,
    name: 'a GRPCRoute takes calls by service and method; CORS, and a preflight that is not allowed',
    services: [{ name: 'gwa-grpc', ports: [{ name: 'grpc', number: 80 }], endpoints: [{ app: 'a' }] }, service('gwa-cors')],
    objects: `${gateway('gwa-grpc', listener('gwa-grpc'))}
    ${route('gwa-grpc', `parentRefs: [{ name: gwa-grpc }], hostnames: [rpc.example.com], rules: [{ matches: [{ method: { service: suite.Echo, method: Say } }], ${to('gwa-grpc')} }]`, '$NS', 'GRPCRoute')}
    ${route('gwa-cors', `parentRefs: [{ name: gwa-grpc }], hostnames: [cors.example.com], rules: [{ filters: [{ type: CORS, cors: { allowOrigins: ["https://*.example.com"], allowMethods: [GET] } }], ${to('gwa-cors')} }]`)}`,
    steps: [
      until(grpc({ at: 'gwa-grpc', metadata: { ':authority': 'rpc.example.com' }, expect: { grpc: { status: 0 } } })),
      grpc({ at: 'gwa-grpc', method: 'Shout', metadata: { ':authority': 'rpc.example.com' }, expect: { grpc: { status: 12 } } }),
      http({
        ...{ at: 'gwa-grpc', method: 'OPTIONS' },
        headers: { host: 'cors.example.com', origin: 'https://app.example.com', 'access-control-request-method': 'GET' },
        expect: { status: 200, headers: { 'access-control-allow-origin': 'https://app.example.com', 'access-control-max-age': '5' } },
      }),
      http({ at: 'gwa-grpc', headers: { host: 'cors.example.com', origin: 'https://app.example.com' }, expect: a }),
    ],
  },
  {
    area,
    name: 'a backend of another namespace: 500 without a ReferenceGrant there, served with it',
    services: [],
    objects: `${elsewhere('gwa-granted')}${gateway('gwa-cross', listener('gwa-cross'))}
    ${route('gwa-cross', `parentRefs: [{ name: gwa-cross }], rules: [{ ${to('gwa-granted', ', namespace: $OTHER')} }]`)}`,
    steps: [
      until(http({ at: 'gwa-cross', expect: { status: 500 } })),
      { kind: 'apply', objects: grant('gwa-wrong', 'HTTPRoute', 'Service', 'gwa-another') },
      http({ at: 'gwa-cross', expect: { status: 500 } }),
      { kind: 'apply', objects: grant('gwa-right', 'HTTPRoute', 'Service', 'gwa-granted') },
      http({ at: 'gwa-cross', expect: b }),
      { kind: 'remove', objects: grant('gwa-right', 'HTTPRoute', 'Service', 'gwa-granted') },
      http({ at: 'gwa-cross', expect: { status: 500 } }),
    ],
  },
  {
    area,
    name: 'TLS ends at the listener by SNI; a certificate of another namespace needs a ReferenceGrant, and goes with its Secret; clients are asked for theirs',
    differs: { 'failed: "closed" | "tls"': 'of a certificate it does not trust Envoy says so by an alert; Node only ends the connection' },
    services: [service('gwa-tls')],
    objects: `${secret('gwa-tls')}
kind: Secret
metadata: { name: gwa-two, namespace: $OTHER }
data: { tls.crt: $BASE64(edge-two.pem), tls.key: $BASE64(edge-two.key) }
---${gateway(
      'gwa-tls',
      listener('gwa-tls', ', hostname: edge.example.com, tls: { certificateRefs: [{ name: gwa-tls }] }', 'HTTPS'),
      listener('gwa-theirs', ', hostname: "*.example.com", tls: { certificateRefs: [{ name: gwa-two, namespace: $OTHER }] }', 'HTTPS', 'gwa-tls'),
      listener(
        'gwa-mutual',
        ', hostname: edge.example.com, tls: { certificateRefs: [{ name: gwa-tls }], options: { gateway.istio.io/tls-terminate-mode: MUTUAL } }',
        'HTTPS',
      ),
    )}
    ${route('gwa-tls', `parentRefs: [{ name: gwa-tls }], rules: [{ ${to('gwa-tls')} }]`)}`,
    steps: [
      until(
        http({
          ...{ at: 'gwa-tls', tls: EDGE, headers: edgeHost },
          expect: { ...a, certificate: 'DNS:edge.example.com', upstream: { headers: { 'x-forwarded-proto': 'https' } } },
        }),
      ),
      http({ at: 'gwa-tls', tls: { sni: 'two.example.com' }, headers: { host: 'two.example.com' }, expect: ended }),
      { kind: 'apply', objects: grant('gwa-cert', 'Gateway', 'Secret', 'gwa-two') },
      until(http({ at: 'gwa-tls', tls: { sni: 'two.example.com' }, headers: { host: 'two.example.com' }, expect: a })),
      until(http({ at: 'gwa-mutual', tls: { ...EDGE, as: 'client' }, headers: edgeHost, expect: a })),
      http({ at: 'gwa-mutual', tls: EDGE, headers: edgeHost, expect: ended }),
      { kind: 'remove', objects: 'kind: Secret\nmetadata: { name: gwa-two, namespace: $OTHER }\n' },
      until(http({ at: 'gwa-tls', tls: { sni: 'two.example.com' }, headers: { host: 'two.example.com' }, expect: ended })),
      http({ at: 'gwa-tls', tls: EDGE, headers: edgeHost, expect: a }),
    ],
  },
  {
    area,
    name: 'the proxy of a Gateway’s name serves it, and policies that name it are for that proxy',
    // With ports: what a DENY says of requests holds for every connection of the proxy where there are none, as in Istio.
    services: [service('gwa-named')],
    objects: `
apiVersion: ${API}/v1
kind: Gateway
metadata: { name: gateway }
spec: { gatewayClassName: istio, listeners: [${listener('gwa-named')}] }
---${route('gwa-named', `parentRefs: [{ name: gateway }], hostnames: [named.example.com], rules: [{ ${to('gwa-named')} }]`)}
kind: AuthorizationPolicy
metadata: { name: gwa-named }
spec:
  targetRefs: [{ group: ${API}, kind: Gateway, name: gateway }]
  action: DENY
  rules: [{ to: [{ operation: { hosts: [named.example.com], paths: [/closed], ports: ["$AT(gwa-named)"] } }] }]
---
kind: AuthorizationPolicy
metadata: { name: gwa-unnamed }
spec:
  targetRefs: [{ group: ${API}, kind: Gateway, name: other }]
  action: DENY
  rules: [{ to: [{ operation: { hosts: [named.example.com], ports: ["$AT(gwa-named)"] } }] }]
`,
    steps: [
      until(http({ at: 'gwa-named', headers: { host: 'named.example.com' }, expect: a })),
      http({ at: 'gwa-named', path: '/closed', headers: { host: 'named.example.com' }, expect: { status: 403, body: 'RBAC: access denied' } }),
    ],
  },
];
