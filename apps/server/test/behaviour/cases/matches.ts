// VirtualService http rules: what a match sees.

import { type Case, http, service } from '../case.ts';
import { absent } from '../harness/match.ts';
import { subsets, twoVersions } from './parts.ts';

const area = 'routing: matches';

/** One rule for subset v2 with this match, everything else to v1. */
const matching = (name: string, match: string): Pick<Case, 'services' | 'objects'> => ({
  services: twoVersions(name),
  objects: `${subsets(name)}
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}]
  http:
  - match: ${match}
    route: [{ destination: { host: ${name}, subset: v2 } }]
  - route: [{ destination: { host: ${name}, subset: v1 } }]
`,
});
const v1 = { status: 200, app: 'a' };
const v2 = { status: 200, app: 'b' };

export const MATCHES: readonly Case[] = [
  {
    area,
    name: 'without a VirtualService every request goes to the service',
    services: [service('plain')],
    mixed: true,
    steps: [http({ path: '/x?y=1', expect: { ...v1, upstream: { path: '/x?y=1', headers: { 'x-envoy-attempt-count': '1', 'x-weft-peer': absent } } } })],
  },
  {
    area,
    name: 'header exact; the rest by the last rule',
    ...matching('by-header', '[{ headers: { end-user: { exact: jason } } }]'),
    steps: [
      http({ headers: { 'end-user': 'jason' }, expect: v2 }),
      http({ headers: { 'End-User': 'jason' }, expect: v2 }),
      http({ headers: { 'end-user': 'jasons' }, expect: v1 }),
      http({ headers: { 'end-user': 'Jason' }, expect: v1 }),
      http({ expect: v1 }),
    ],
  },
  {
    area,
    name: 'header prefix, regex (whole value), presence',
    ...matching('by-header-kind', '[{ headers: { x-p: { prefix: ab } } }, { headers: { x-r: { regex: "a+b" } } }, { headers: { x-here: {} } }]'),
    steps: [
      http({ headers: { 'x-p': 'abc' }, expect: v2 }),
      http({ headers: { 'x-p': 'cab' }, expect: v1 }),
      http({ headers: { 'x-r': 'aab' }, expect: v2 }),
      http({ headers: { 'x-r': 'aabx' }, expect: v1 }),
      http({ headers: { 'x-here': '' }, expect: v2 }),
      http({ headers: { 'x-here': 'any' }, expect: v2 }),
      http({ expect: v1 }),
    ],
  },
  {
    area,
    name: 'of a header sent twice each value is matched by itself',
    ...matching('by-header-twice', '[{ headers: { x-twice: { exact: "b" } } }]'),
    steps: [
      http({ headers: { 'x-twice': ['a', 'b'] }, expect: v2 }),
      http({ headers: { 'x-twice': 'a,b' }, expect: v1 }),
      http({ headers: { 'x-twice': ['a', 'c'] }, expect: v1 }),
    ],
  },
  {
    area,
    name: 'withoutHeaders: a missing header counts as matching',
    ...matching(
      'without',
      '[{ withoutHeaders: { x-not: { exact: "no" } }, uri: { prefix: /value } }, { withoutHeaders: { x-not: {} }, uri: { prefix: /presence } }]',
    ),
    steps: [
      http({ path: '/value', expect: v2 }),
      http({ path: '/value', headers: { 'x-not': 'yes' }, expect: v2 }),
      http({ path: '/value', headers: { 'x-not': 'no' }, expect: v1 }),
      http({ path: '/presence', expect: v2 }),
      http({ path: '/presence', headers: { 'x-not': 'yes' }, expect: v1 }),
    ],
  },
  {
    area,
    name: 'uri exact, prefix (of the raw path), regex (whole path)',
    ...matching('by-uri', '[{ uri: { exact: /one } }, { uri: { prefix: /pre } }, { uri: { regex: "/r/[0-9]+" } }]'),
    steps: [
      http({ path: '/one', expect: v2 }),
      http({ path: '/one?q=1', expect: v2 }),
      http({ path: '/one/', expect: v1 }),
      http({ path: '/prefixed/x', expect: v2 }),
      http({ path: '/PRE', expect: v1 }),
      http({ path: '/r/12?x', expect: v2 }),
      http({ path: '/r/12/3', expect: v1 }),
    ],
  },
  {
    area,
    name: 'ignoreUriCase for exact and prefix',
    ...matching('by-uri-case', '[{ uri: { exact: /One }, ignoreUriCase: true }, { uri: { prefix: /Pre }, ignoreUriCase: true }]'),
    steps: [http({ path: '/oNE', expect: v2 }), http({ path: '/pREfix', expect: v2 }), http({ path: '/two', expect: v1 })],
  },
  {
    area,
    name: 'paths are matched as forwarded: dots resolved, unreserved characters decoded',
    ...matching('normal-path', '[{ uri: { prefix: /admin } }]'),
    steps: [
      http({ path: '/x/../admin', expect: { ...v2, upstream: { path: '/admin' } } }),
      http({ path: '/%61dmin', expect: { ...v2, upstream: { path: '/admin' } } }),
      http({ path: '/./admin/./y', expect: { ...v2, upstream: { path: '/admin/y' } } }),
      http({ path: '//admin', expect: { ...v1, upstream: { path: '//admin' } } }),
      http({ path: '/x%2F..%2Fadmin', expect: v1 }),
      http({ path: '/x\\..\\admin', expect: v2 }),
    ],
  },
  {
    area,
    name: 'method',
    ...matching('by-method', '[{ method: { exact: POST } }, { method: { regex: "PUT|PATCH" } }]'),
    steps: [
      http({ method: 'POST', body: 'x', expect: { ...v2, upstream: { method: 'POST', body: 'x' } } }),
      http({ method: 'PATCH', expect: v2 }),
      http({ method: 'DELETE', expect: v1 }),
    ],
  },
  {
    area,
    name: 'authority and scheme, as the client or a proxy before it says',
    ...matching('by-authority', '[{ authority: { prefix: shop.example } }, { scheme: { exact: https } }]'),
    steps: [
      http({ headers: { host: 'shop.example.com' }, expect: v2 }),
      http({ headers: { host: 'x.shop.example.com' }, expect: v1 }),
      http({ headers: { 'x-forwarded-proto': 'https' }, expect: v2 }),
    ],
  },
  {
    area,
    name: 'query parameters: exact, prefix, regex, presence',
    ...matching(
      'by-query',
      '[{ queryParams: { e: { exact: "1" } } }, { queryParams: { p: { prefix: ab } } }, { queryParams: { r: { regex: "x+" } } }, { queryParams: { here: {} } }]',
    ),
    steps: [
      http({ path: '/?e=1', expect: v2 }),
      http({ path: '/?e=12', expect: v1 }),
      http({ path: '/?a=b&p=abc', expect: v2 }),
      http({ path: '/?r=xxx', expect: v2 }),
      http({ path: '/?r=xxy', expect: v1 }),
      http({ path: '/?here', expect: v2 }),
      http({ path: '/?e=2&e=1', expect: v1 }),
      http({ path: '/?e=%31', expect: v1 }),
    ],
  },
  {
    area,
    name: 'fields of a match are all needed; matches of a rule are alternatives',
    ...matching('and-or', '[{ uri: { prefix: /a }, headers: { x-a: { exact: "1" } }, method: { exact: GET } }, { uri: { prefix: /b } }]'),
    steps: [
      http({ path: '/a', headers: { 'x-a': '1' }, expect: v2 }),
      http({ path: '/a', expect: v1 }),
      http({ path: '/a', headers: { 'x-a': '1' }, method: 'POST', expect: v1 }),
      http({ path: '/b', expect: v2 }),
    ],
  },
  {
    area,
    name: 'sourceLabels and sourceNamespace choose by who asks',
    ...matching('by-source', '[{ sourceLabels: { app: client }, uri: { prefix: /labels } }, { sourceNamespace: $OTHER, uri: { prefix: /namespace } }]'),
    steps: [
      http({ path: '/labels', expect: v2 }),
      http({ path: '/labels', from: 'other', expect: v1 }),
      http({ path: '/namespace', expect: v1 }),
      http({ path: '/namespace', from: 'other', expect: v2 }),
    ],
  },
];
