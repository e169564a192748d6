// Headers that routes change, to the last byte; and those the proxy itself writes for the application.

import { type Case, arrivals, http, service } from '../case.ts';
import { absent } from '../harness/match.ts';
import { rule, subsets } from './parts.ts';

const area = 'header operations';

export const HEADER_OPERATIONS: readonly Case[] = [
  {
    area,
    name: 'values are UTF-8, in operations, matches and rewrites',
    services: [service('ops-utf8', { app: 'a', version: 'v1' }, { app: 'b', version: 'v2' })],
    objects: `${subsets('ops-utf8')}
kind: VirtualService
metadata: { name: ops-utf8 }
spec:
  hosts: [ops-utf8]
  http:
  - match: [{ headers: { x-in: { exact: café } } }]
    headers: { request: { set: { x-out: café } }, response: { set: { x-back: café } } }
    route: [{ destination: { host: ops-utf8, subset: v2 } }]
  - route: [{ destination: { host: ops-utf8, subset: v1 } }]
`,
    // As latin1, as Node has them.
    steps: [
      http({
        headers: { 'x-in': 'caf\u00c3\u00a9' },
        expect: { app: 'b', headers: { 'x-back': 'caf\u00c3\u00a9' }, upstream: { headers: { 'x-out': 'caf\u00c3\u00a9' } } },
      }),
    ],
  },
  {
    area,
    name: 'nothing overwrites nothing: what was there stays, all of it',
    services: [service('ops-nothing')],
    objects: rule('ops-nothing', 'headers: { request: { set: { x-a: "", x-b: "%REQ(x-none)%", x-c: "%REQ(x-c)%!" } } }'),
    steps: [
      http({
        headers: { 'x-a': 'one', 'x-b': ['two', 'three'], 'x-c': 'four' },
        expect: { upstream: { headers: { 'x-a': 'one', 'x-b': 'two, three', 'x-c': 'four!' } } },
      }),
    ],
  },
  {
    area,
    name: 'of some headers there is one: what is added joins it',
    differs: { 'headers.content-length': 'an echo is as long as the names in it' },
    services: [service('ops-join')],
    objects: rule(
      'ops-join',
      `headers: {
         request: { add: { user-agent: and-more, accept-encoding: br, etag: b } },
         response: { add: { content-type: a/b, cache-control: private, vary: origin, accept: b } } }`,
    ),
    steps: [
      http({
        headers: { 'user-agent': 'me', 'accept-encoding': '', etag: '' },
        do: { headers: { 'cache-control': '', vary: '', accept: '' } },
        expect: {
          headers: { 'content-type': 'application/json,a/b', 'cache-control': 'private', vary: 'origin', accept: ', b' },
          upstream: { headers: { 'user-agent': 'me,and-more', 'accept-encoding': 'br', etag: ', b' } },
        },
      }),
    ],
  },
  {
    area,
    name: 'values speak of the target as it came, and on the response of what has become of it',
    services: [service('ops-target')],
    objects: rule(
      'ops-target',
      `rewrite: { uri: /new, authority: new.test },
       headers: {
         request: { set: { x-path: "%REQ(:path)%", x-host: "%REQ(:authority)%", x-scheme: "%REQ(:scheme)%", x-try: "%UPSTREAM_REQUEST_ATTEMPT_COUNT%", x-status: "%RESP(:status)%" } },
         response: { set: { x-path: "%REQ(:path)%", x-status: "%RESP(:status)%" } } }`,
    ),
    steps: [
      http({
        path: '/old',
        headers: { host: 'old.test', 'x-forwarded-proto': 'https' },
        expect: {
          headers: { 'x-path': '/newold', 'x-status': '200' },
          upstream: { headers: { 'x-path': '/old', 'x-host': 'old.test', 'x-scheme': 'https', 'x-try': '1', 'x-status': absent } },
        },
      }),
    ],
  },
  {
    area,
    name: 'what a level changes of the response is no change of the request',
    services: [service('ops-sides', { app: 'a', version: 'v1' })],
    objects: `
kind: VirtualService
metadata: { name: ops-sides }
spec:
  hosts: [ops-sides]
  http:
  - headers: { response: { remove: [x-in], add: { x-back: "<%REQ(x-in)%>" } } }
    route: [{ destination: { host: ops-sides }, headers: { response: { set: { x-in: other }, add: { x-more: "<%REQ(x-in)%>" } } } }]
`,
    steps: [http({ headers: { 'x-in': 'there' }, expect: { headers: { 'x-in': 'other', 'x-back': '<there>', 'x-more': '<there>' } } })],
  },
  {
    area,
    name: 'a group the pattern does not have rewrites nothing',
    services: [service('ops-group')],
    objects: rule('ops-group', 'rewrite: { uriRegexRewrite: { match: "a", rewrite: "/x\\\\1" } }'),
    steps: [http({ path: '/a', expect: { upstream: { path: '/a' } } })],
  },
  {
    area,
    name: 'what the proxy writes takes the place of what a client says; trailers are accepted',
    services: [service('ops-own')],
    objects: rule('ops-own', 'rewrite: { uri: /new, authority: new.test }'),
    steps: [
      http({
        path: '/old',
        headers: { 'x-envoy-original-path': '/forged', 'x-envoy-original-host': 'forged.test', te: 'trailers, deflate' },
        expect: { upstream: { path: '/newold', headers: { 'x-envoy-original-path': '/old', 'x-envoy-original-host': '<local>', te: 'trailers' } } },
      }),
    ],
  },
  {
    area,
    name: 'HTTP/2 takes paths beyond ASCII, and they go on escaped',
    services: [service('ops-path')],
    steps: [http({ path: '/caf\u00e9', http2: true, expect: { status: 200, upstream: { path: '/caf%E9' } } })],
  },
  {
    area,
    name: 'a mirror is told the clients there were, on one line',
    services: [service('ops-mirror'), service('ops-mirror-b', { app: 'b', direct: true })],
    objects: rule('ops-mirror', 'mirror: { host: ops-mirror-b }'),
    steps: [
      http({ headers: { 'x-forwarded-for': '1.1.1.1' }, expect: { app: 'a', upstream: { headers: { 'x-forwarded-for': '<address>' } } } }),
      arrivals([{ app: 'a' }, { app: 'b', headers: { 'x-forwarded-for': '1.1.1.1,<address>' } }]),
    ],
  },
  {
    area,
    name: 'an application that promises a body with 204 is not understood',
    services: [service('ops-204', { app: 'a', direct: true })],
    steps: [http({ do: { status: 204 }, expect: { status: 502, body: /protocol error$/ } })],
  },
];
