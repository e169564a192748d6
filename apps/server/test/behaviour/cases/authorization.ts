// AuthorizationPolicy: who may do what. The server has one sidecar for all cases: what denies names its ports, what allows runs alone.

import { type Case, type HttpStep, type ServiceSpec, grpc, http, raw, service, until } from '../case.ts';
import { type Expected, absent, oneOf } from '../harness/match.ts';
import { ISSUER, JWKS, token } from '../harness/tokens.ts';
import { byHost } from './gateways.ts';
import { policy } from './parts.ts';

const area = 'authorization';
const REFUSED = { status: 403, body: 'RBAC: access denied', headers: { 'content-type': 'text/plain' } };
const TAKEN = { status: 200 };

/** Of the server; `rules` and other fields in flow YAML. */
const authorization = (name: string, fields: string, { namespace = '$NS', annotations = '{}' } = {}): string => `
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${namespace}, annotations: ${annotations} }
spec: { selector: { matchLabels: { app: observed } }, ${fields} }
---`;
const denying = (name: string, rules: string): string => authorization(name, `action: DENY, rules: [${rules}]`);
/** A rule that denies on the port of application \`a\`, under a path of the case's own. */
const on = (path: string, more = ''): string => `{ to: [{ operation: { ports: ["$INBOUND(http-a)"], paths: ["${path}"] } }]${more === '' ? '' : `, ${more}`} }`;
const plaintext = (name: string): string => policy(name, '{ tls: { mode: DISABLE } }');
const bearing = (path: string, jwt: string, expect: Expected): HttpStep => http({ path, headers: { authorization: `Bearer ${jwt}` }, expect });
const tcp = (name: string): ServiceSpec => ({ name, ports: [{ name: 'tcp', number: 9000 }], endpoints: [{ app: 'echo' }] });
const closed = { failed: oneOf('closed', 'reset') };

export const AUTHORIZATION: readonly Case[] = [
  {
    area,
    name: 'by path: exact, prefix, suffix, templates, without its query; judged as it is forwarded; notPaths',
    services: [service('az-paths')],
    objects: denying(
      'az-paths',
      [
        '{ to: [{ operation: { ports: ["$INBOUND(http-a)"], paths: [/az-paths/exact, "/az-paths/begins*", "*/az-paths-ends", "/az-paths/{*}/one", "/az-paths/any/{**}/last"] } }] }',
        '{ to: [{ operation: { ports: ["$INBOUND(http-a)"], paths: ["/az-not-paths/*"], notPaths: ["/az-not-paths/open"] } }] }',
      ].join(', '),
    ),
    steps: [
      ...['exact', 'exact?q=1', 'begins', 'begins/more', 'x/az-paths-ends', 'x/one', 'any/a/last', 'any/a/b/last'].map((path) =>
        http({ path: `/az-paths/${path}`, expect: REFUSED }),
      ),
      // What would be forwarded is judged: dots, escapes of plain characters, backslashes.
      ...['/az-paths/x/../exact', '/az-paths/%65xact', String.raw`/az-paths\exact`, '/az-paths/./exact'].map((path) => http({ path, expect: REFUSED })),
      ...['Exact', 'exact/', 'x/y/one', 'any/a/b', 'any/last', 'x?/az-paths/exact'].map((path) => http({ path: `/az-paths/${path}`, expect: TAKEN })),
      http({ path: '/az-not-paths/closed', expect: REFUSED }),
      http({ path: '/az-not-paths/open', expect: { ...TAKEN, upstream: { path: '/az-not-paths/open' } } }),
    ],
  },
  {
    area,
    name: 'by method, host (in any case) and header; not*; counted and logged as the server’s own answer',
    services: [service('az-words')],
    objects: denying(
      'az-words',
      [
        on('/az-methods').replace('paths:', 'methods: [POST, "PU*"], paths:'),
        on('/az-not-methods').replace('paths:', 'notMethods: [GET], paths:'),
        on('/az-hosts').replace('paths:', 'hosts: ["AZ-Words*"], paths:'),
        on('/az-other-hosts').replace('paths:', 'hosts: ["*.az.test", az-word], paths:'),
        on('/az-headers', 'when: [{ key: "request.headers[X-Word]", values: [one, "two*", "*three"] }]'),
        on('/az-no-header', 'when: [{ key: "request.headers[x-word]", notValues: ["*"] }]'),
        on('/az-both', 'when: [{ key: "request.headers[x-word]", values: ["*"] }, { key: "request.headers[x-other]", values: [b] }]'),
      ].join(', '),
    ),
    steps: [
      ...['POST', 'PUT'].map((method) => http({ method, path: '/az-methods', expect: REFUSED })),
      http({ path: '/az-methods', expect: TAKEN }),
      http({ method: 'DELETE', path: '/az-not-methods', expect: REFUSED }),
      http({ path: '/az-not-methods', expect: TAKEN }),
      // The service's name, whatever the application wrote: gateways are asked by others below.
      http({ path: '/az-hosts', expect: REFUSED }),
      http({ path: '/az-other-hosts', expect: TAKEN }),
      ...['one', 'two-and-more', 'and-three'].map((word) => http({ path: '/az-headers', headers: { 'x-word': word }, expect: REFUSED })),
      ...[{}, { 'x-word': 'One' }, { 'x-word': 'three-not' }].map((headers) => http({ path: '/az-headers', headers, expect: TAKEN })),
      http({ path: '/az-no-header', expect: REFUSED }),
      http({ path: '/az-no-header', headers: { 'x-word': 'x' }, expect: TAKEN }),
      http({ path: '/az-both', headers: { 'x-word': 'x', 'x-other': 'b' }, expect: REFUSED }),
      http({ path: '/az-both', headers: { 'x-word': 'x', 'x-other': 'c' }, expect: TAKEN }),
    ],
    telemetry: { logs: [{ request: 'POST /az-methods HTTP/2', status: '403', flags: '-' }] },
  },
  {
    area,
    name: 'by who sends it: principal, namespace, service account, trust domain, and their not*; a peer without certificate is nobody',
    services: [service('az-who'), service('az-nobody')],
    objects: `${denying(
      'az-who',
      [
        on('/az-principal', 'from: [{ source: { principals: ["cluster.local/ns/$NS/sa/client"] } }]'),
        on('/az-any-principal', 'from: [{ source: { principals: ["*"] } }]'),
        on('/az-not-principal', 'from: [{ source: { notPrincipals: ["*/sa/client"] } }]'),
        on('/az-namespace', 'from: [{ source: { namespaces: ["oth*-$PLANE"] } }]'),
        on('/az-not-namespace', 'from: [{ source: { notNamespaces: [$NS] } }]'),
        on('/az-account', 'from: [{ source: { serviceAccounts: [client, $OTHER/nobody] } }]'),
        on('/az-other-account', 'when: [{ key: source.serviceAccount, values: [$OTHER/other] }]'),
        on('/az-domain', 'from: [{ source: { trustDomains: ["cluster.*"] } }]'),
        on('/az-not-domain', 'when: [{ key: source.trustDomain, notValues: [cluster.local] }]'),
      ].join(', '),
    )}${plaintext('az-nobody')}`,
    steps: [
      ...['principal', 'any-principal', 'account', 'domain'].map((path) => http({ path: `/az-${path}`, expect: REFUSED })),
      ...['not-principal', 'namespace', 'not-namespace', 'other-account', 'not-domain'].map((path) => http({ path: `/az-${path}`, expect: TAKEN })),
      ...['not-principal', 'namespace', 'not-namespace', 'other-account'].map((path) => http({ from: 'other', path: `/az-${path}`, expect: REFUSED })),
      ...['principal', 'account'].map((path) => http({ from: 'other', path: `/az-${path}`, expect: TAKEN })),
      // Whatever its headers claim.
      ...['not-principal', 'not-namespace', 'not-domain'].map((path) =>
        http({
          to: 'az-nobody',
          path: `/az-${path}`,
          headers: { 'x-forwarded-client-cert': 'URI=spiffe://cluster.local/ns/of-embedded/sa/client' },
          expect: REFUSED,
        }),
      ),
      ...['principal', 'any-principal', 'namespace', 'account', 'domain'].map((path) =>
        http({
          to: 'az-nobody',
          path: `/az-${path}`,
          headers: { 'x-forwarded-client-cert': 'URI=spiffe://cluster.local/ns/of-embedded/sa/client' },
          expect: TAKEN,
        }),
      ),
    ],
  },
  {
    area,
    name: 'by address and port: of the peer, of the client, of the server; the port by any of its numbers',
    services: [service('az-where')],
    objects: denying(
      'az-where',
      [
        on('/az-peer', 'from: [{ source: { ipBlocks: ["127.0.0.0/8"] } }]'),
        on('/az-not-peer', 'from: [{ source: { notIpBlocks: ["127.0.0.1"] } }]'),
        on('/az-client', 'from: [{ source: { remoteIpBlocks: ["203.0.113.0/24"] } }]'),
        on('/az-when', 'when: [{ key: source.ip, values: ["127.0.0.1"] }, { key: destination.ip, values: ["127.0.0.1"] }]'),
        on('/az-when-not', 'when: [{ key: destination.ip, notValues: ["127.0.0.1"] }]'),
        '{ to: [{ operation: { ports: ["8080"], paths: [/az-service-port] } }] }',
        '{ to: [{ operation: { ports: ["$PORT(a)"], paths: [/az-app-port] } }] }',
        '{ to: [{ operation: { ports: ["$INBOUND(http-a)"], paths: [/az-all-ports], notPorts: ["1"] } }], when: [{ key: destination.port, values: ["8080"] }] }',
        '{ to: [{ operation: { ports: ["8081"], paths: [/az-other-port] } }] }',
      ].join(', '),
    ),
    steps: [
      ...['peer', 'when', 'service-port', 'app-port', 'all-ports'].map((path) => http({ path: `/az-${path}`, expect: REFUSED })),
      ...['not-peer', 'client', 'when-not', 'other-port'].map((path) => http({ path: `/az-${path}`, expect: TAKEN })),
    ],
  },
  {
    area,
    name: 'gRPC is refused as status 7',
    services: [{ name: 'az-grpc', ports: [{ name: 'grpc', number: 80 }], endpoints: [{ app: 'a' }] }],
    objects: denying('az-grpc', '{ to: [{ operation: { ports: ["9090"] } }], when: [{ key: "request.headers[x-az]", values: [deny] }] }'),
    steps: [
      grpc({
        metadata: { 'x-az': 'deny' },
        expect: { status: 200, headers: { 'grpc-status': '7' }, grpc: { status: 7, message: 'RBAC: access denied', messages: [] } },
      }),
      grpc({ metadata: { 'x-az': 'other' }, expect: { status: 200, grpc: { status: 0 } } }),
    ],
  },
  {
    area,
    name: 'at a gateway: by Host, before routing and CORS; the client’s address as the gateway knows it',
    services: [service('az-edge')],
    objects: `
kind: VirtualService
metadata: { name: az-edge }
spec:
  hosts: ["az-edge.example.com"]
  gateways: [gateway]
  http: [{ route: [{ destination: { host: az-edge } }], corsPolicy: { allowOrigins: [{ exact: "https://a.test" }], allowMethods: [GET] } }]
---
kind: AuthorizationPolicy
metadata: { name: az-edge }
spec:
  selector: { matchLabels: { app: gateway } }
  action: DENY
  rules:
  - to: [{ operation: { hosts: [AZ-edge.example.com, az-nowhere.example.com], paths: [/closed], ports: ["$AT(gateway)"] } }]
  - to: [{ operation: { hosts: [az-edge.example.com], paths: [/from], ports: ["$AT(gateway)"] } }]
    from: [{ source: { remoteIpBlocks: ["127.0.0.1"], notIpBlocks: ["10.0.0.0/8"] } }]
---`,
    steps: [
      byHost('az-edge.example.com', { path: '/closed', expect: { ...REFUSED, headers: { ...REFUSED.headers, server: 'istio-envoy' } } }),
      byHost('az-nowhere.example.com', { path: '/closed', expect: REFUSED }),
      byHost('az-edge.example.com', { path: '/from', headers: { 'x-forwarded-for': '203.0.113.7' }, expect: REFUSED }),
      byHost('az-edge.example.com', { path: '/open', expect: TAKEN }),
      byHost('az-edge.example.com', {
        method: 'OPTIONS',
        path: '/closed',
        headers: { origin: 'https://a.test', 'access-control-request-method': 'GET' },
        expect: { status: 403, headers: { 'access-control-allow-origin': absent } },
      }),
      byHost('az-edge.example.com', {
        method: 'OPTIONS',
        path: '/open',
        headers: { origin: 'https://a.test', 'access-control-request-method': 'GET' },
        expect: { status: 200, headers: { 'access-control-allow-origin': 'https://a.test' } },
      }),
    ],
  },
  {
    area,
    name: 'ALLOW refuses all it does not name; DENY goes before it; a policy without rules allows nothing; those of others do not count',
    alone: true,
    random: true,
    // Connections live on with what was in force when they were made: each is asked under one policy only.
    services: ['az-allow', 'az-deny', 'az-empty', 'az-others', 'az-again'].map((name) => service(name)),
    objects: authorization('az-allow', 'rules: [{ to: [{ operation: { paths: ["/allowed/*"] } }], from: [{ source: { principals: ["*/sa/client"] } }] }]'),
    steps: [
      until(http({ to: 'az-allow', path: '/other', expect: REFUSED })),
      http({ to: 'az-allow', path: '/allowed/x', expect: TAKEN }),
      http({ to: 'az-allow', from: 'other', path: '/allowed/x', expect: REFUSED }),
      { kind: 'apply', objects: authorization('az-deny', 'action: DENY, rules: [{ to: [{ operation: { paths: ["/allowed/but-not"] } }] }]') },
      until(http({ to: 'az-deny', path: '/allowed/but-not', expect: REFUSED })),
      http({ to: 'az-deny', path: '/allowed/x', expect: TAKEN }),
      { kind: 'remove', objects: authorization('az-deny', 'action: ALLOW') },
      { kind: 'apply', objects: 'kind: AuthorizationPolicy\nmetadata: { name: az-allow }\nspec: {}\n' },
      until(http({ to: 'az-empty', path: '/allowed/x', expect: REFUSED })),
      // Of another namespace, for other workloads, and one that is only tried.
      {
        kind: 'apply',
        objects: `${authorization('az-others', '', { namespace: '$OTHER' })}
kind: AuthorizationPolicy
metadata: { name: az-allow }
spec: { selector: { matchLabels: { app: somebody-else } } }
---${authorization('az-tried', 'action: DENY, rules: [{}]', { annotations: '{ istio.io/dry-run: "true" }' })}`,
      },
      until(http({ to: 'az-others', path: '/x', expect: TAKEN })),
      // The root namespace's are for all; an AUDIT refuses nothing.
      {
        kind: 'apply',
        objects: `${authorization('az-root', 'action: DENY, rules: [{ to: [{ operation: { paths: [/root] } }] }]', { namespace: 'istio-system' })}${authorization('az-told', 'action: AUDIT, rules: [{}]')}`,
      },
      until(http({ to: 'az-again', path: '/root', expect: REFUSED })),
      http({ to: 'az-again', path: '/x', expect: TAKEN }),
    ],
  },
  {
    area,
    name: 'TCP: closed by DENY and by ALLOW of others; HTTP’s fields deny more and allow nothing',
    alone: true,
    random: true,
    services: ['az-tcp-deny', 'az-tcp-more', 'az-tcp-allow', 'az-tcp-none'].map(tcp),
    objects: denying('az-tcp', '{ to: [{ operation: { ports: ["9000"] } }], from: [{ source: { namespaces: [$OTHER] } }] }'),
    steps: [
      until(raw({ to: 'az-tcp-deny', from: 'other', send: ['x'], until: [/:x/], expect: closed })),
      raw({ to: 'az-tcp-deny', send: ['x'], until: [/:x/], expect: { text: 'echo:x' } }),
      { kind: 'apply', objects: denying('az-tcp', '{ to: [{ operation: { ports: ["9000"], paths: [/only] } }] }') },
      until(raw({ to: 'az-tcp-more', send: ['x'], until: [/:x/], expect: closed })),
      {
        kind: 'apply',
        objects: authorization('az-tcp', 'rules: [{ to: [{ operation: { ports: ["9000"] } }], from: [{ source: { principals: ["*/sa/client"] } }] }]'),
      },
      until(raw({ to: 'az-tcp-allow', send: ['x'], until: [/:x/], expect: { text: 'echo:x' } })),
      raw({ to: 'az-tcp-allow', from: 'other', send: ['x'], until: [/:x/], expect: closed }),
      { kind: 'apply', objects: authorization('az-tcp', 'rules: [{ to: [{ operation: { ports: ["9000"], methods: ["*"] } }] }]') },
      until(raw({ to: 'az-tcp-none', send: ['x'], until: [/:x/], expect: closed })),
    ],
  },
  {
    area,
    name: 'by token: issuer and subject, audience, claims and parts of them; nothing that no issuer has signed',
    alone: true,
    random: true,
    services: [service('az-token')],
    objects: `
kind: RequestAuthentication
metadata: { name: az-token }
spec: { selector: { matchLabels: { app: observed } }, jwtRules: [{ issuer: "${ISSUER}", jwks: '${JWKS}' }] }
---${authorization(
      'az-token',
      `rules: [${[
        '{ to: [{ operation: { paths: [/any] } }], from: [{ source: { requestPrincipals: ["*"] } }] }',
        `{ to: [{ operation: { paths: [/alice] } }], from: [{ source: { requestPrincipals: ["${ISSUER}/alice"] } }] }`,
        '{ to: [{ operation: { paths: [/nobody] } }], from: [{ source: { notRequestPrincipals: ["*"] } }] }',
        '{ to: [{ operation: { paths: [/bank] } }], when: [{ key: request.auth.audiences, values: [bank] }] }',
        '{ to: [{ operation: { paths: [/blue] } }], when: [{ key: "request.auth.claims[team][name]", values: ["bl*"] }] }',
        '{ to: [{ operation: { paths: [/write] } }], when: [{ key: "request.auth.claims[scope]", values: [write], notValues: [admin] }] }',
      ].join(', ')}]`,
    )}`,
    steps: [
      until(http({ path: '/any', expect: REFUSED })),
      ...(['any', 'alice', 'blue', 'write'] as const).map((path) => bearing(`/${path}`, token(), TAKEN)),
      bearing('/alice', token({ sub: 'bob' }), REFUSED),
      http({ path: '/nobody', expect: TAKEN }),
      bearing('/nobody', token(), REFUSED),
      bearing('/bank', token(), REFUSED),
      bearing('/bank', token({ aud: ['shop', 'bank'] }), TAKEN),
      bearing('/blue', token({ team: { name: 'red' } }), REFUSED),
      bearing('/write', token({ scope: 'read' }), REFUSED),
      bearing('/write', token({ scope: 'write admin' }), REFUSED),
      bearing('/any', token({}, { stranger: true }), { status: 401, body: 'Jwt verification fails' }),
    ],
  },
];
