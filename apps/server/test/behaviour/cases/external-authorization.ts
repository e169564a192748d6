// AuthorizationPolicy with action CUSTOM: another service decides. The server has one sidecar and the mesh one configuration for all cases:
// they run alone. What the service says, and what it is told, see harness/app-authz.ts.

import { type Case, type EndpointSpec, type Plane, type ServiceSpec, PLANES, grpc, http, namespaceOf, raw, service, until } from '../case.ts';
import { absent, oneOf } from '../harness/match.ts';
import { byHost } from './gateways.ts';

const area = 'external authorization';
const alone = { area, alone: true, random: true } as const;
const TAKEN = { status: 200 };
const closed = { failed: oneOf('closed', 'reset') };

/** The services that are asked, over either protocol. */
const authorizer = (name: string, endpoint: EndpointSpec): ServiceSpec => ({
  ...{ name, endpoints: [endpoint] },
  ports: [
    { name: 'http', number: 8000 },
    { name: 'grpc', number: 9000 },
  ],
});
const plaintext: EndpointSpec = { app: 'authz', direct: true };

interface Provider {
  /** Its name ends with the data plane's. */
  name: string;
  kind: 'envoyExtAuthzHttp' | 'envoyExtAuthzGrpc';
  service: string;
  fields?: object;
}

/** The mesh has one configuration, whichever data plane a case is about. */
function providers(...list: readonly Provider[]): string {
  const of = (plane: Plane): object[] =>
    list.map(({ name, kind, service: host, fields }) => ({
      name: `${name}-${plane}`,
      [kind]: { service: `${host}.${namespaceOf(plane)}.svc.cluster.local`, port: kind === 'envoyExtAuthzHttp' ? 8000 : 9000, ...fields },
    }));
  return `
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: '${JSON.stringify({ extensionProviders: PLANES.flatMap(of) })}' }
---`;
}

const policy = (name: string, spec: string, app = 'observed'): string => `
kind: AuthorizationPolicy
metadata: { name: ${name} }
spec: { selector: { matchLabels: { app: ${app} } }, ${spec} }
---`;
const custom = (name: string, provider: string, rules: string, app?: string): string =>
  policy(name, `action: CUSTOM, provider: { name: ${provider}-$PLANE }, rules: [${rules}]`, app);
const paths = (...list: string[]): string => `{ to: [{ operation: { ports: ["$INBOUND(http-a)"], paths: [${list.join(', ')}] } }] }`;

/** What the service is to say. */
const says = (answer: object): { 'x-authz': string } => ({ 'x-authz': JSON.stringify(answer) });
/** What the application must have got of what the service was told. */
const told = (checked: object) => ({ upstream: { headers: { 'x-checked': JSON.stringify(checked) } } });
const denies = (status: string): object => ({
  status: { code: 7 },
  deniedResponse: { status: { code: status }, headers: [option('x-deny', 'd')], body: 'not you' },
});
const option = (key: string, value: string, more: object = {}): object => ({ header: { key, value }, ...more });

export const EXTERNAL_AUTHORIZATION: readonly Case[] = [
  {
    ...alone,
    name: 'HTTP: who may pass with which headers, who may not and why; before DENY and ALLOW; who meets no rule is not asked about',
    services: [
      service('ea-http'),
      { name: 'ea-http-grpc', ports: [{ name: 'grpc', number: 80 }], endpoints: [{ app: 'a' }] },
      authorizer('ea-http-authz', plaintext),
    ],
    objects: `${providers({
      ...{ name: 'ea-http', kind: 'envoyExtAuthzHttp', service: 'ea-http-authz' },
      fields: {
        pathPrefix: '/check',
        includeRequestHeadersInCheck: ['x-authz', 'X-Test-A', 'x-test-p*'],
        includeAdditionalHeadersInCheck: { 'x-test-added': 'v' },
        includeRequestBodyInCheck: { maxRequestBytes: 8, allowPartialMessage: true },
        headersToUpstreamOnAllow: ['x-checked', 'x-up', 'x-test-a'],
        headersToDownstreamOnAllow: ['x-allowed'],
        headersToDownstreamOnDeny: ['x-deny', 'Set-Cookie'],
      },
    })}${custom('ea-http', 'ea-http', `${paths('"/ea/*"')}, { to: [{ operation: { ports: ["9090"] } }] }`)}${policy('ea-http-deny', `action: DENY, rules: [${paths('"/ea/denied"')}]`)}${policy('ea-http-allow', 'rules: [{ to: [{ operation: { notPaths: ["/ea/not-allowed"] } }] }]')}`,
    steps: [
      until(http({ path: '/ea/x', headers: says({ status: 418 }), expect: { status: 418 } })),
      http({
        ...{
          method: 'POST',
          path: '/ea/x?q=1',
          body: 'hello',
          headers: { authorization: 'me', 'x-test-a': '1', 'x-test-p1': 'p', 'x-test-b': 'b', cookie: 'c=1' },
        },
        expect: {
          ...TAKEN,
          ...told({
            ...{ method: 'POST', path: '/check/ea/x?q=1' },
            headers: {
              authorization: 'me',
              'content-length': '5',
              'x-envoy-auth-partial-body': 'false',
              'x-test-a': '1',
              'x-test-added': 'v',
              'x-test-p1': 'p',
            },
            body: 'hello',
          }),
        },
      }),
      http({
        ...{ method: 'PUT', path: '/ea/x', body: 'longer than eight' },
        expect: {
          ...TAKEN,
          upstream: {
            body: 'longer than eight',
            ...told({
              ...{ method: 'PUT', path: '/check/ea/x' },
              headers: { 'content-length': '8', 'x-envoy-auth-partial-body': 'true', 'x-test-added': 'v' },
              body: 'longer t',
            }).upstream,
          },
        },
      }),
      http({
        ...{ path: '/ea/x', headers: { 'x-test-a': 'mine', ...says({ headers: { 'x-allowed': 'yes', 'x-up': 'u', 'x-test-a': 'theirs', 'x-kept': 'k' } }) } },
        expect: { ...TAKEN, headers: { 'x-allowed': 'yes', 'x-up': absent }, upstream: { headers: { 'x-up': 'u', 'x-test-a': 'theirs', 'x-kept': absent } } },
      }),
      http({
        ...{
          path: '/ea/x',
          headers: says({ status: 401, headers: { 'www-authenticate': 'Basic', 'x-deny': 'd', 'x-other': 'o', 'set-cookie': 's=1' }, body: 'go away' }),
        },
        expect: {
          ...{ status: 401, body: 'go away' },
          headers: { 'www-authenticate': 'Basic', 'x-deny': 'd', 'set-cookie': 's=1', 'x-other': absent, 'content-type': 'text/plain', 'x-checked': absent },
        },
      }),
      http({ path: '/ea/x', headers: says({ status: 302, headers: { location: '/login' } }), expect: { status: 302, headers: { location: '/login' } } }),
      // Nobody knows.
      http({ path: '/ea/broken', headers: says({ status: 500, body: 'broken' }), expect: { status: 403, body: '' } }),
      http({ path: '/ea/denied', expect: { status: 403, body: 'RBAC: access denied' } }),
      http({ path: '/ea/denied', headers: says({ status: 401 }), expect: { status: 401, body: '' } }),
      http({ path: '/ea/not-allowed', expect: { status: 403, body: 'RBAC: access denied' } }),
      http({ path: '/other', headers: says({ status: 401 }), expect: { ...TAKEN, upstream: { headers: { 'x-checked': absent } } } }),
      grpc({
        ...{ to: 'ea-http-grpc', metadata: says({ status: 403, body: 'not you' }) },
        expect: { status: 200, grpc: { status: 7, message: 'not you', messages: [] } },
      }),
      grpc({ to: 'ea-http-grpc', expect: { status: 200, grpc: { status: 0 } } }),
    ],
    telemetry: {
      logs: [
        { request: 'GET /ea/x HTTP/2', status: '401', flags: 'UAEX' },
        { request: 'GET /ea/broken HTTP/2', status: '403', flags: 'UAEX' },
      ],
    },
  },
  {
    ...alone,
    name: 'gRPC, by mutual TLS: what the service is told of both ends, what it changes, what it refuses',
    services: [service('ea-grpc'), authorizer('ea-grpc-authz', { app: 'authz' })],
    objects: `${providers({
      ...{ name: 'ea-grpc', kind: 'envoyExtAuthzGrpc', service: 'ea-grpc-authz' },
      fields: { includeRequestBodyInCheck: { maxRequestBytes: 64 }, clearRouteCache: true },
    })}${custom('ea-grpc', 'ea-grpc', paths('"/ea/*"'))}`,
    steps: [
      until(http({ path: '/ea/x', headers: says(denies('Conflict')), expect: { status: 409 } })),
      http({
        ...{ method: 'POST', path: '/ea/x?q=1', body: 'hello', headers: { 'x-test-a': ['1', '2'], cookie: 'c=1' } },
        expect: {
          ...TAKEN,
          ...told({
            ...{ caller: 'spiffe://cluster.local/ns/<ns>/sa/client', callee: 'spiffe://cluster.local/ns/<ns>/sa/observed' },
            ...{ method: 'POST', path: '/ea/x?q=1', protocol: 'HTTP/2', body: 'hello' },
            headers: {
              ...{ ':method': 'POST', ':path': '/ea/x?q=1', ':scheme': 'http', 'content-length': '5', cookie: 'c=1' },
              ...{ 'x-envoy-auth-partial-body': 'false', 'x-test-a': '1,2' },
            },
          }),
        },
      }),
      http({
        path: '/ea/x',
        headers: {
          ...{ 'x-test-a': '1', 'x-test-b': '1', 'x-test-c': '1' },
          ...says({
            okResponse: {
              headers: [option('x-test-a', 'new'), option('x-test-b', 'more', { append: true }), option('x-test-d', 'more', { append: true })],
              headersToRemove: ['x-test-c'],
              responseHeadersToAdd: [option('x-allowed', 'yes')],
              queryParametersToSet: [{ key: 'by', value: 'them' }],
            },
          }),
        },
        expect: {
          ...{ ...TAKEN, headers: { 'x-allowed': 'yes' } },
          upstream: { path: '/ea/x?by=them', headers: { 'x-test-a': 'new', 'x-test-b': '1,more', 'x-test-c': absent, 'x-test-d': absent } },
        },
      }),
      http({
        path: '/ea/x',
        headers: says(denies('TooManyRequests')),
        expect: { status: 429, body: 'not you', headers: { 'x-deny': 'd', 'content-type': 'text/plain' } },
      }),
      http({ path: '/ea/x', headers: says({ status: { code: 16 } }), expect: { status: 403, body: '' } }),
      http({ method: 'POST', path: '/ea/x', body: 'x'.repeat(65), expect: { status: 413, body: 'Payload Too Large' } }),
      http({ path: '/other', headers: says(denies('Forbidden')), expect: { ...TAKEN, upstream: { headers: { 'x-checked': absent } } } }),
    ],
  },
  {
    ...alone,
    name: 'who does not answer: nobody there, or too late; refused with a status of choice, or let through; a provider nobody knows, or two of them, let nobody pass',
    // Connections live on with what was in force when they were made: each is asked under one policy only.
    services: [
      ...['ea-gone', 'ea-gone-open', 'ea-late', 'ea-late-open', 'ea-unknown', 'ea-two'].map((name) => service(name)),
      authorizer('ea-nobody', { app: 'dead', direct: true }),
      authorizer('ea-slow', plaintext),
    ],
    objects: `${providers(
      { name: 'gone', kind: 'envoyExtAuthzHttp', service: 'ea-nobody', fields: { statusOnError: '503' } },
      { name: 'gone-open', kind: 'envoyExtAuthzGrpc', service: 'ea-nobody', fields: { failOpen: true } },
      { name: 'late', kind: 'envoyExtAuthzGrpc', service: 'ea-slow', fields: { timeout: '1s', statusOnError: '504' } },
      {
        name: 'late-open',
        kind: 'envoyExtAuthzHttp',
        service: 'ea-slow',
        fields: { timeout: '1s', failOpen: true, includeRequestHeadersInCheck: ['x-authz'] },
      },
    )}${custom('ea-failing', 'gone', paths('"/ea/*"'))}`,
    steps: [
      until(http({ to: 'ea-gone', path: '/ea/x', expect: { status: 503, body: '' } })),
      { kind: 'apply', objects: custom('ea-failing', 'gone-open', paths('"/ea/open"')) },
      until(http({ to: 'ea-gone-open', path: '/ea/open', expect: TAKEN })),
      { kind: 'apply', objects: custom('ea-failing', 'late', paths('"/ea/*"')) },
      until(http({ to: 'ea-late', path: '/ea/x', headers: says({ delayMs: 5_000 }), expect: { status: 504, body: '' } })),
      http({ to: 'ea-late', path: '/ea/x', expect: TAKEN }),
      { kind: 'apply', objects: custom('ea-failing', 'late-open', paths('"/ea/*"')) },
      until(http({ to: 'ea-late-open', path: '/ea/x', headers: says({ status: 418 }), expect: { status: 418 } })),
      http({ to: 'ea-late-open', path: '/ea/x', headers: says({ delayMs: 5_000, status: 418 }), expect: TAKEN }),
      { kind: 'apply', objects: custom('ea-failing', 'unknown', paths('"/ea/*"')) },
      until(http({ to: 'ea-unknown', path: '/ea/x', expect: { status: 403, body: 'RBAC: access denied' } })),
      http({ to: 'ea-unknown', path: '/other', expect: TAKEN }),
      { kind: 'apply', objects: `${custom('ea-failing', 'late', paths('"/ea/*"'))}${custom('ea-failing-2', 'late-open', paths('"/more/*"'))}` },
      until(http({ to: 'ea-two', path: '/more/x', expect: { status: 403, body: 'RBAC: access denied' } })),
      http({ to: 'ea-two', path: '/ea/x', expect: { status: 403, body: 'RBAC: access denied' } }),
      http({ to: 'ea-two', path: '/other', expect: TAKEN }),
    ],
  },
  {
    ...alone,
    name: 'at a gateway: by Host, with the client’s address as the gateway knows it; what has no route is nobody’s question',
    services: [service('ea-edge'), authorizer('ea-edge-authz', plaintext)],
    objects: `${providers({
      ...{ name: 'ea-edge', kind: 'envoyExtAuthzHttp', service: 'ea-edge-authz' },
      fields: { includeRequestHeadersInCheck: ['x-authz'], headersToUpstreamOnAllow: ['x-checked'] },
    })}
kind: VirtualService
metadata: { name: ea-edge }
spec: { hosts: ["ea-edge.example.com"], gateways: [gateway], http: [{ route: [{ destination: { host: ea-edge } }] }] }
---${custom('ea-edge', 'ea-edge', '{ to: [{ operation: { hosts: [ea-edge.example.com, ea-nowhere.example.com] } }], from: [{ source: { remoteIpBlocks: ["127.0.0.1"] } }] }', 'gateway')}`,
    steps: [
      until(byHost('ea-edge.example.com', { path: '/x', headers: says({ status: 401, body: 'log in' }), expect: { status: 401, body: 'log in' } })),
      byHost('ea-edge.example.com', {
        ...{ path: '/x', headers: { authorization: 'me' } },
        expect: { ...TAKEN, ...told({ method: 'GET', path: '/x', headers: { authorization: 'me', 'content-length': '0' }, body: '' }) },
      }),
      byHost('ea-nowhere.example.com', { path: '/x', headers: says({ status: 401 }), expect: { status: 404 } }),
    ],
  },
  {
    ...alone,
    name: 'TCP: a gRPC service decides who may connect; one over HTTP is not asked',
    services: [
      ...['ea-tcp', 'ea-tcp-http'].map((name): ServiceSpec => ({ name, ports: [{ name: 'tcp', number: 9000 }], endpoints: [{ app: 'echo' }] })),
      authorizer('ea-tcp-authz', plaintext),
    ],
    objects: `${providers(
      { name: 'ea-tcp', kind: 'envoyExtAuthzGrpc', service: 'ea-tcp-authz' },
      { name: 'ea-tcp-http', kind: 'envoyExtAuthzHttp', service: 'ea-tcp-authz' },
    )}${custom('ea-tcp', 'ea-tcp', '{ to: [{ operation: { ports: ["9000"] } }] }')}`,
    steps: [
      until(raw({ to: 'ea-tcp', from: 'other', send: ['x'], until: [/:x/], expect: closed })),
      raw({ to: 'ea-tcp', send: ['x'], until: [/:x/], expect: { text: 'echo:x' } }),
      { kind: 'apply', objects: custom('ea-tcp', 'ea-tcp-http', '{ to: [{ operation: { ports: ["9000"] } }] }') },
      until(raw({ to: 'ea-tcp-http', from: 'other', send: ['x'], until: [/:x/], expect: { text: 'echo:x' } })),
    ],
  },
];
