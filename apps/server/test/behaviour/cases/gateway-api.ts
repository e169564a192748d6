// HTTPRoutes and GRPCRoutes attached to Services: what differs from VirtualServices, and that the rest is there.

import { type Case, type ServiceSpec, arrivals, grpc, http, service } from '../case.ts';
import { absent, between } from '../harness/match.ts';

const area = 'routing: Gateway API';
const a = { status: 200, app: 'a' };
const b = { status: 200, app: 'b' };

/** An HTTPRoute of the service of its name, with these rules (flow YAML). Ends with a document separator. */
const route = (name: string, ...rules: string[]): string => `
kind: HTTPRoute
metadata: { name: ${name} }
spec:
  parentRefs: [{ group: "", kind: Service, name: ${name}, port: 80 }]
  rules: [${rules.join(', ')}]
---`;
const to = (name: string, more = ''): string => `backendRefs: [{ name: ${name}, port: 80${more} }]`;
/** The service itself is application `a`, `<name>-b` is `b`. */
const two = (name: string): ServiceSpec[] => [service(name), service(`${name}-b`, { app: 'b' })];

export const GATEWAY_API: readonly Case[] = [
  {
    area,
    name: 'the rules are sorted: exact before longer prefix before shorter before regex, then method, headers, parameters',
    services: two('api-sorted'),
    objects: route(
      'api-sorted',
      `{ ${to('api-sorted')} }`,
      `{ matches: [{ path: { type: RegularExpression, value: "/r.*" } }], ${to('api-sorted-b')} }`,
      `{ matches: [{ path: { value: /long } }], ${to('api-sorted')} }`,
      `{ matches: [{ path: { value: /long/er } }], ${to('api-sorted-b')} }`,
      `{ matches: [{ path: { type: Exact, value: /long/er } }], ${to('api-sorted')} }`,
      `{ matches: [{ path: { value: /m } }], ${to('api-sorted')} }`,
      `{ matches: [{ path: { value: /m }, queryParams: [{ name: q, value: "1" }] }], ${to('api-sorted-b')} }`,
      `{ matches: [{ path: { value: /m }, headers: [{ name: x-user, value: "ad.*", type: RegularExpression }] }], ${to('api-sorted')} }`,
      `{ matches: [{ path: { value: /m }, method: POST }], ${to('api-sorted-b')} }`,
    ),
    steps: [
      http({ path: '/long/er', expect: a }),
      http({ path: '/long/er/x', expect: b }),
      http({ path: '/long/e', expect: a }),
      // The regular expression comes after the prefix / of the rule without matches.
      http({ path: '/regex', expect: a }),
      http({ path: '/m?q=1', expect: b }),
      http({ path: '/m?q=1', headers: { 'x-user': 'ada' }, expect: a }),
      http({ path: '/m?q=1', headers: { 'x-user': 'ada' }, method: 'POST', expect: b }),
      http({ path: '/m', expect: a }),
    ],
  },
  {
    area,
    name: 'prefixes end at a segment; several matches are alternatives, fields of one all needed; nothing fits: 404',
    services: two('api-prefix'),
    objects: route(
      'api-prefix',
      `{ matches: [{ path: { value: /shop/ } }, { path: { type: Exact, value: /one }, headers: [{ name: x-a, value: b }] }], ${to('api-prefix-b')} }`,
    ),
    steps: [
      ...['/shop', '/shop/', '/shop/x?q'].map((path) => http({ path, expect: { ...b, upstream: { path } } })),
      http({ path: '/shopping', expect: { status: 404, body: '' } }),
      http({ path: '/one', headers: { 'x-a': 'b' }, expect: b }),
      http({ path: '/one', expect: { status: 404 } }),
    ],
    telemetry: { logs: [{ status: '404', flags: 'NR' }] },
  },
  {
    area,
    name: 'weights: shares of their sum, 1 where none is given; all 0, or no backend at all: 500',
    random: true,
    services: two('api-weights'),
    objects: route(
      'api-weights',
      `{ matches: [{ path: { value: /none } }], backendRefs: [{ name: api-weights, port: 80, weight: 0 }] }`,
      `{ matches: [{ path: { value: /empty } }] }`,
      `{ matches: [{ path: { value: /zero } }], backendRefs: [{ name: api-weights, port: 80, weight: 0 }, { name: api-weights-b, port: 80 }] }`,
      `{ backendRefs: [{ name: api-weights, port: 80, weight: 3 }, { name: api-weights-b, port: 80 }] }`,
    ),
    steps: [
      http({ times: 200, parallel: 4, expect: { statuses: { 200: 200 }, apps: { a: between(115, 185), b: between(15, 85) } } }),
      http({ path: '/zero', times: 12, expect: { apps: { b: 12 } } }),
      http({ path: '/none', expect: { status: 500 } }),
      http({ path: '/empty', expect: { status: 500 } }),
    ],
  },
  {
    area,
    name: 'a backend that is not there: 500',
    services: [service('api-missing')],
    objects: route('api-missing', `{ ${to('api-nobody')} }`),
    steps: [http({ expect: { status: 500, body: '' } })],
  },
  {
    area,
    name: 'filters: header modifiers of rule and backend, URLRewrite of prefix, whole path and host, RequestMirror',
    services: two('api-filters'),
    objects: route(
      'api-filters',
      `{ matches: [{ path: { value: /headers } }],
         filters: [
           { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-set, value: new }], add: [{ name: x-add, value: more }], remove: [x-gone] } },
           { type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-out, value: new }], remove: [x-app] } }],
         backendRefs: [{ name: api-filters, port: 80, filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-backend, value: here }] } }] }] }`,
      `{ matches: [{ path: { value: /prefix } }], filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } } }], ${to('api-filters')} }`,
      `{ matches: [{ path: { value: /cut } }], filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }], ${to('api-filters')} }`,
      `{ matches: [{ path: { value: /whole } }], filters: [{ type: URLRewrite, urlRewrite: { hostname: other.example.com, path: { type: ReplaceFullPath, replaceFullPath: /all } } }], ${to('api-filters')} }`,
      `{ matches: [{ path: { value: /mirror } }], filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: api-filters-b, port: 80 } } }], ${to('api-filters')} }`,
    ),
    steps: [
      http({
        path: '/headers',
        headers: { 'x-set': 'old', 'x-add': 'one', 'x-gone': 'here' },
        do: { headers: { 'x-out': 'old', 'x-app': '1' } },
        expect: {
          ...{ ...a, headers: { 'x-out': 'new', 'x-app': absent } },
          upstream: { headers: { 'x-set': 'new', 'x-add': 'one, more', 'x-gone': absent, 'x-backend': 'here' } },
        },
      }),
      http({ path: '/prefix/x?q', expect: { ...a, upstream: { path: '/new/x?q' } } }),
      http({ path: '/cut/x?q', expect: { ...a, upstream: { path: '/x?q' } } }),
      http({ path: '/cut', expect: { ...a, upstream: { path: '/' } } }),
      http({ path: '/whole/x?q', expect: { ...a, upstream: { path: '/all?q', headers: { host: 'other.example.com' } } } }),
      http({ path: '/mirror', expect: a }),
      arrivals([{ app: 'a' }, { app: 'b' }]),
    ],
  },
  {
    area,
    name: 'RequestRedirect: 302 where no code is given, the port of the request stays unless the scheme changes',
    services: [{ ...service('api-redirect'), ports: [{ name: 'http', number: 8080 }] }],
    objects: route(
      'api-redirect',
      `{ matches: [{ path: { value: /host } }], filters: [{ type: RequestRedirect, requestRedirect: { hostname: new.example.com } }] }`,
      `{ matches: [{ path: { value: /scheme } }], filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, statusCode: 301 } }] }`,
      `{ matches: [{ path: { value: /path } }], filters: [{ type: RequestRedirect, requestRedirect: { port: 8081, path: { type: ReplacePrefixMatch, replacePrefixMatch: /to } } }] }`,
    ).replace('port: 80 }', 'port: 8080 }'),
    steps: [
      http({ path: '/host?q', headers: { host: 'x.example.com:8443' }, expect: { status: 302, headers: { location: 'http://new.example.com:8080/host?q' } } }),
      http({ path: '/scheme', headers: { host: 'x.example.com:8443' }, expect: { status: 301, headers: { location: 'https://x.example.com:8443/scheme' } } }),
      http({ path: '/path/x?q', headers: { host: 'x.example.com' }, expect: { status: 302, headers: { location: 'http://x.example.com:8081/to/x?q' } } }),
    ],
  },
  {
    area,
    name: 'timeouts of request and backend request, retry with codes',
    services: ['api-timeout', 'api-backend', 'api-retry'].map((name) => service(name, { app: 'a', direct: true })),
    objects: `${route('api-timeout', `{ ${to('api-timeout')}, timeouts: { request: 500ms } }`)}${route('api-backend', `{ ${to('api-backend')}, timeouts: { request: 20s, backendRequest: 1500ms }, retry: { attempts: 1, codes: [504], backoff: 1ms } }`)}${route('api-retry', `{ ${to('api-retry')}, retry: { attempts: 2, codes: [500, 503], backoff: 1ms } }`)}`,
    steps: [
      http({ do: { hold: true }, expect: { status: 504 } }),
      // The time of one try, which no code asks to try again.
      http({ to: 'api-backend', do: { hold: true, first: 1 }, expect: { status: 504 } }),
      arrivals([{ app: 'a', headers: { 'x-envoy-expected-rq-timeout-ms': '1500' } }]),
      http({ to: 'api-retry', do: { status: 500, first: 2 }, expect: { status: 200 } }),
      arrivals([{ app: 'a' }, { app: 'a' }, { app: 'a' }]),
      http({ to: 'api-retry', do: { status: 502, first: 1 }, expect: { status: 502 } }),
    ],
  },
  {
    area,
    name: 'a route in the client’s namespace is for the clients there, and in place of the service’s own',
    services: two('api-consumer'),
    objects: `${route('api-consumer', `{ ${to('api-consumer')} }`)}
kind: HTTPRoute
metadata: { name: api-consumer, namespace: $OTHER }
spec:
  parentRefs: [{ group: "", kind: Service, name: api-consumer, namespace: $NS, port: 80 }]
  rules: [{ backendRefs: [{ name: api-consumer-b, namespace: $NS, port: 80 }] }]
`,
    steps: [http({ expect: a }), http({ from: 'other', expect: b })],
  },
  {
    area,
    name: 'GRPCRoute: by service and method, by metadata; what nothing names is UNIMPLEMENTED',
    services: ['api-grpc', 'api-grpc-b'].map((name, i) => ({
      name,
      ports: [{ name: 'grpc', number: 80 }],
      endpoints: [{ app: i === 0 ? 'a' : 'b' } as const],
    })),
    objects: `
kind: GRPCRoute
metadata: { name: api-grpc }
spec:
  parentRefs: [{ group: "", kind: Service, name: api-grpc, port: 80 }]
  rules:
  - { matches: [{ method: { service: suite.Echo, method: Say } }], ${to('api-grpc')} }
  - { matches: [{ method: { service: suite.Echo, method: Say }, headers: [{ name: x-test, value: b }] }, { method: { method: Sing } }], ${to('api-grpc-b')} }
`,
    steps: [
      grpc({ expect: { app: 'a', grpc: { status: 0 } } }),
      grpc({ metadata: { 'x-test': 'b' }, expect: { app: 'b', grpc: { status: 0 } } }),
      grpc({ method: 'Sing', expect: { app: 'b', grpc: { status: 0 } } }),
      grpc({ method: 'Shout', expect: { grpc: { status: 12 } } }),
    ],
  },
];
