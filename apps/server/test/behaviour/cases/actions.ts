// VirtualService http rules: what is done with a request that matched.

import { type Case, grpc, http, service } from '../case.ts';
import { absent, between } from '../harness/match.ts';
import { rule, subsets, twoVersions } from './parts.ts';

const area = 'routing: actions';
const ok = (upstream: Record<string, string>): { status: number; upstream: Record<string, string> } => ({ status: 200, upstream });

/** One rule without destination. */
const bare = (name: string, fields: string): string => `
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}]
  http: [{ ${fields} }]
`;

export const ACTIONS: readonly Case[] = [
  {
    area,
    name: 'rewrite uri: a prefix is replaced, an exact path whole; the query stays',
    services: [service('rewrite')],
    objects: `
kind: VirtualService
metadata: { name: rewrite }
spec:
  hosts: [rewrite]
  http:
  - { match: [{ uri: { prefix: /old/ } }], rewrite: { uri: / }, route: [{ destination: { host: rewrite } }] }
  - { match: [{ uri: { prefix: /v1 } }], rewrite: { uri: /v2 }, route: [{ destination: { host: rewrite } }] }
  - { match: [{ uri: { exact: /one } }], rewrite: { uri: /two }, route: [{ destination: { host: rewrite } }] }
  - { match: [{ uri: { regex: "/r/.*" } }], rewrite: { uri: /whole }, route: [{ destination: { host: rewrite } }] }
`,
    steps: [
      http({ path: '/old/a?q=1', expect: { status: 200, upstream: { path: '/a?q=1', headers: { 'x-envoy-original-path': '/old/a?q=1' } } } }),
      http({ path: '/v1x/y', expect: ok({ path: '/v2x/y' }) }),
      http({ path: '/one?q', expect: ok({ path: '/two?q' }) }),
      http({ path: '/r/a/b?q=2', expect: ok({ path: '/whole?q=2' }) }),
    ],
  },
  {
    area,
    name: 'rewrite uriRegexRewrite with groups; one that leaves nothing is none; authority',
    services: [service('regex-rewrite')],
    objects: `
kind: VirtualService
metadata: { name: regex-rewrite }
spec:
  hosts: [regex-rewrite]
  http:
  - match: [{ uri: { prefix: /service } }]
    rewrite: { uriRegexRewrite: { match: "^/service/([^/]+)(/.*)$", rewrite: "\\\\2/instance/\\\\1" } }
    route: [{ destination: { host: regex-rewrite } }]
  - match: [{ uri: { prefix: /nothing } }]
    rewrite: { uriRegexRewrite: { match: "/(x)?.*", rewrite: "\\\\1" } }
    route: [{ destination: { host: regex-rewrite } }]
  - rewrite: { authority: other.example.com }
    route: [{ destination: { host: regex-rewrite } }]
`,
    steps: [
      http({ path: '/service/foo/v1/api?x=1', expect: ok({ path: '/v1/api/instance/foo?x=1' }) }),
      http({ path: '/service/foo', expect: ok({ path: '/service/foo' }) }),
      http({ path: '/nothing?q', expect: { status: 200, upstream: { path: '/nothing?q', headers: { 'x-envoy-original-path': absent } } } }),
      http({ path: '/a', expect: { status: 200, upstream: { path: '/a', headers: { host: 'other.example.com' } } } }),
    ],
  },
  {
    area,
    name: 'redirect: uri, authority, scheme, port, code; the query is kept',
    services: [service('redirect')],
    objects: `
kind: VirtualService
metadata: { name: redirect }
spec:
  hosts: [redirect]
  http:
  - { match: [{ uri: { exact: /uri } }], redirect: { uri: /new } }
  - { match: [{ uri: { exact: /authority } }], redirect: { authority: new.example.com, redirectCode: 302 } }
  - { match: [{ uri: { exact: /scheme } }], redirect: { scheme: https, authority: new.example.com, redirectCode: 307 } }
  - { match: [{ uri: { exact: /port } }], redirect: { port: 8443, authority: new.example.com, redirectCode: 308 } }
  - { match: [{ uri: { exact: /default-port } }], redirect: { scheme: https, port: 443, authority: new.example.com, redirectCode: 303 } }
`,
    steps: [
      http({ path: '/uri?q=1', headers: { host: 'old.example.com' }, expect: { status: 301, headers: { location: 'http://old.example.com/new?q=1' } } }),
      http({ path: '/authority', expect: { status: 302, headers: { location: 'http://new.example.com/authority' } } }),
      http({ path: '/scheme?q', expect: { status: 307, headers: { location: 'https://new.example.com/scheme?q' } } }),
      http({ path: '/port', expect: { status: 308, headers: { location: 'http://new.example.com:8443/port' } } }),
      http({ path: '/default-port', expect: { status: 303, headers: { location: 'https://new.example.com/default-port' } } }),
    ],
  },
  {
    area,
    name: 'redirect: prefixRewrite; derivePort; a call of gRPC is told as an error',
    services: [service('redirect-more')],
    objects: `
kind: VirtualService
metadata: { name: redirect-more }
spec:
  hosts: [redirect-more]
  http:
  - { match: [{ uri: { prefix: /docs } }], redirect: { prefixRewrite: /manual }, headers: { response: { set: { x-from: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%" } } } }
  - { match: [{ uri: { exact: /default } }], redirect: { scheme: https, derivePort: FROM_PROTOCOL_DEFAULT } }
  - { match: [{ uri: { exact: /request } }], redirect: { scheme: https, derivePort: FROM_REQUEST_PORT } }
  - { match: [{ uri: { prefix: /suite.Echo } }], redirect: { uri: /elsewhere } }
`,
    steps: [
      http({
        path: '/docs/a?q',
        headers: { host: 'x.example.com:8080' },
        expect: { status: 301, headers: { location: 'http://x.example.com:8080/manual/a?q', 'x-from': '/docs/a?q' } },
      }),
      http({ path: '/default', headers: { host: 'x.example.com:8080' }, expect: { status: 301 } }),
      http({ path: '/request', headers: { host: 'x.example.com:8080' }, expect: { status: 301 } }),
      // By how the client says it came, letter by letter.
      http({
        path: '/default',
        headers: { host: 'x.example.com:80', 'x-forwarded-proto': 'HTTPS' },
        expect: { status: 301, headers: { location: 'https://x.example.com:80/default' } },
      }),
      grpc({ method: 'Say', expect: { status: 200, headers: { location: /:\/\/.*\/elsewhere$/ }, grpc: { status: 2 } } }),
    ],
  },
  {
    area,
    name: 'directResponse: status, string and bytes, no body',
    services: [service('direct')],
    objects: `
kind: VirtualService
metadata: { name: direct }
spec:
  hosts: [direct]
  http:
  - { match: [{ uri: { exact: /string } }], directResponse: { status: 503, body: { string: "closed" } } }
  - { match: [{ uri: { exact: /bytes } }], directResponse: { status: 418, body: { bytes: "dGVhcG90" } } }
  - { directResponse: { status: 204 } }
`,
    steps: [
      http({ path: '/string', expect: { status: 503, body: 'closed', headers: { 'content-type': 'text/plain', 'content-length': '6' } } }),
      http({ path: '/bytes', expect: { status: 418, body: 'teapot' } }),
      http({ path: '/', method: 'POST', body: 'x', expect: { status: 204, body: '' } }),
      http({ path: '/string', method: 'HEAD', expect: { status: 503, body: '' } }),
    ],
    telemetry: { logs: [{ status: '503', details: 'direct_response' }] },
  },
  {
    area,
    name: 'headers: set replaces, add appends, remove removes, in both directions',
    services: [service('headers')],
    objects: rule(
      'headers',
      `headers: {
        request: { set: { x-set: new, x-fresh: "1" }, add: { x-add: more }, remove: [x-gone] },
        response: { set: { x-set: new }, add: { x-add: more }, remove: [x-gone] } }`,
    ),
    steps: [
      http({
        headers: { 'x-set': ['old', 'older'], 'x-add': 'one', 'x-gone': 'here' },
        do: { headers: { 'x-set': 'old', 'x-add': 'one', 'x-gone': 'here' } },
        expect: {
          status: 200,
          headers: { 'x-set': 'new', 'x-add': 'one, more', 'x-gone': absent },
          upstream: { headers: { 'x-set': 'new', 'x-fresh': '1', 'x-add': 'one, more', 'x-gone': absent } },
        },
      }),
    ],
  },
  {
    area,
    name: 'headers of a destination; Host set by the route beats the destination’s',
    services: twoVersions('destination-headers'),
    objects: `${subsets('destination-headers')}
kind: VirtualService
metadata: { name: destination-headers }
spec:
  hosts: [destination-headers]
  http:
  - match: [{ uri: { prefix: /one } }]
    headers: { request: { set: { x-route: r, x-both: route } }, response: { set: { x-both: route } } }
    route:
    - destination: { host: destination-headers, subset: v1 }
      weight: 100
      headers: { request: { set: { x-destination: d, x-both: destination, Host: destination.example.com } }, response: { set: { x-both: destination, x-from: v1 } } }
    - { destination: { host: destination-headers, subset: v2 }, weight: 0 }
  - match: [{ uri: { prefix: /host } }]
    headers: { request: { set: { Host: route.example.com } } }
    route:
    - destination: { host: destination-headers, subset: v1 }
      weight: 50
      headers: { request: { set: { Host: destination.example.com } } }
    - { destination: { host: destination-headers, subset: v1 }, weight: 50 }
`,
    steps: [
      http({ path: '/one', expect: { status: 200, headers: { 'x-from': 'v1' }, upstream: { headers: { 'x-route': 'r', 'x-destination': 'd' } } } }),
      http({ path: '/host', expect: { status: 200, upstream: { headers: { host: 'route.example.com' } } } }),
    ],
  },
  {
    area,
    name: 'header values with what Envoy fills in',
    services: [service('header-variables')],
    objects: rule(
      'header-variables',
      `headers: { request: { set: { x-protocol: "%PROTOCOL%", x-percent: "100%%", x-path: "%REQ(:PATH)%" } }, response: { set: { x-code: "%RESPONSE_CODE%" } } }`,
    ),
    steps: [
      http({
        path: '/p?q',
        expect: { status: 200, headers: { 'x-code': '200' }, upstream: { headers: { 'x-protocol': 'HTTP/1.1', 'x-percent': '100%', 'x-path': '/p?q' } } },
      }),
    ],
  },
  {
    area,
    name: 'CORS: preflight answered, origin allowed on the response',
    differs: { 'upstream.headers.content-length': 'see the case of methods that may have a body' },
    services: [service('cors')],
    objects: rule(
      'cors',
      `corsPolicy: { allowOrigins: [{ exact: "https://shop.example.com" }, { regex: "https://[a-z]+\\\\.example\\\\.org" }], allowMethods: [GET, POST],
        allowHeaders: [x-one, x-two], exposeHeaders: [x-out], maxAge: 24h, allowCredentials: true }`,
    ),
    steps: [
      http({
        method: 'OPTIONS',
        headers: { origin: 'https://shop.example.com', 'access-control-request-method': 'POST' },
        expect: {
          status: 200,
          body: '',
          headers: {
            'access-control-allow-origin': 'https://shop.example.com',
            'access-control-allow-methods': 'GET,POST',
            'access-control-allow-headers': 'x-one,x-two',
            'access-control-max-age': '86400',
            'access-control-allow-credentials': 'true',
          },
        },
      }),
      http({
        headers: { origin: 'https://a.example.org' },
        expect: {
          status: 200,
          headers: {
            'access-control-allow-origin': 'https://a.example.org',
            'access-control-allow-credentials': 'true',
            'access-control-expose-headers': 'x-out',
          },
        },
      }),
      http({ headers: { origin: 'https://evil.example.com' }, expect: { status: 200, headers: { 'access-control-allow-origin': absent } } }),
      http({ method: 'OPTIONS', headers: { origin: 'https://evil.example.com', 'access-control-request-method': 'POST' }, expect: { status: 200, app: 'a' } }),
    ],
  },
  {
    area,
    name: 'CORS: unmatchedPreflights IGNORE answers preflights of strangers itself',
    services: [service('cors-ignore')],
    objects: rule('cors-ignore', `corsPolicy: { allowOrigins: [{ exact: "https://shop.example.com" }], allowMethods: [GET], unmatchedPreflights: IGNORE }`),
    steps: [
      http({
        method: 'OPTIONS',
        headers: { origin: 'https://evil.example.com', 'access-control-request-method': 'GET' },
        expect: { status: 200, app: absent },
      }),
    ],
  },
  {
    area,
    name: 'fault: abort with a status, flag FI; a percentage left out is none',
    services: [service('abort'), service('abort-none')],
    objects: `${rule('abort', 'fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }')}
---
${rule('abort-none', 'fault: { abort: { httpStatus: 418 } }')}`,
    steps: [http({ expect: { status: 418, body: 'fault filter abort' } }), http({ to: 'abort-none', expect: { status: 200 } })],
    telemetry: { logs: [{ status: '418', flags: 'FI' }] },
  },
  {
    area,
    name: 'fault: a share of requests',
    services: [service('abort-half')],
    objects: rule('abort-half', 'fault: { abort: { httpStatus: 555, percentage: { value: 50 } } }'),
    random: true,
    steps: [http({ times: 300, parallel: 6, expect: { statuses: { 200: between(105, 195), 555: between(105, 195) } } })],
  },
  {
    area,
    name: 'fault: delay, then the answer; flag DI; delay and abort together',
    services: [service('delay'), service('delay-abort')],
    objects: `${rule('delay', 'fault: { delay: { fixedDelay: 150ms, percentage: { value: 100 } } }')}
---
${rule('delay-abort', 'fault: { delay: { fixedDelay: 20ms, percentage: { value: 100 } }, abort: { httpStatus: 500, percentage: { value: 100 } } }')}`,
    steps: [http({ expect: { status: 200 } }), http({ to: 'delay-abort', expect: { status: 500 } })],
    telemetry: {
      logs: [
        { status: '200', flags: 'DI', duration: /^(1[5-9]\d|[2-9]\d\d|\d{4,})$/ },
        { status: '500', flags: 'DI,FI' },
      ],
    },
  },
  {
    area,
    name: 'fault: abort with a gRPC status answers in gRPC',
    services: [{ name: 'abort-grpc', ports: [{ name: 'grpc', number: 80 }], endpoints: [{ app: 'a' }] }],
    objects: rule('abort-grpc', 'fault: { abort: { grpcStatus: UNAVAILABLE, percentage: { value: 100 } } }'),
    steps: [{ kind: 'grpc', expect: { status: 200, grpc: { status: 14 } } }],
  },
  {
    area,
    name: 'fault: only where the rule matches',
    services: [service('fault-match')],
    objects: `
kind: VirtualService
metadata: { name: fault-match }
spec:
  hosts: [fault-match]
  http:
  - { match: [{ headers: { x-user: { exact: tester } } }], fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }, route: [{ destination: { host: fault-match } }] }
  - { route: [{ destination: { host: fault-match } }] }
`,
    steps: [http({ headers: { 'x-user': 'tester' }, expect: { status: 418 } }), http({ expect: { status: 200 } })],
  },
  {
    area,
    name: 'a rule without destination and one with: each does its own',
    services: [service('mixed-rules')],
    objects: bare('mixed-rules', 'redirect: { uri: /only }'),
    steps: [http({ expect: { status: 301 } })],
  },
];
