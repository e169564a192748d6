// AuthorizationPolicies with action CUSTOM as filters: Istio's own inputs and outputs (shared/corpus), and what is denied because it
// cannot be asked.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type JsonObject, fromJson, toJson } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { parseYaml } from '../config/index.ts';
import { ExtAuthzSchema as HttpExtAuthz } from '../gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts';
import { RBACSchema as HttpRbac } from '../gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts';
import { ExtAuthzSchema as TcpExtAuthz } from '../gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.ts';
import { RBACSchema as TcpRbac } from '../gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts';
import { DEFAULT_MESH_SETTINGS, type ExtensionProvider, type GrpcCheck, type HttpCheck, type MeshObject, type ProxyNode } from '../model/index.ts';
import { tcpAuthorization } from './authorization.ts';
import { httpExternalAuthorization } from './external-authorization.ts';
import { type Mesh, buildMesh } from './mesh.ts';
import { registry } from './registry.ts';
import { proxyNode } from './testing/proxy-node.ts';
import { decoded } from './testing/static-envoy.ts';
import { translate } from './translate.ts';
import { TYPE_URL } from '../xds/index.ts';

const corpus = resolve(process.env['WEFT_CORPUS'] ?? resolve(dirname(fileURLToPath(import.meta.url)), '../../../../../shared/corpus'), 'istio/authz');
const present = existsSync(corpus);
if (!present) console.warn(`skipped: Istio's conformance corpus is not at ${corpus}; set WEFT_CORPUS`);

const NODE = { namespace: 'foo', labels: { app: 'httpbin', version: 'v1' } } as unknown as ProxyNode;
const SERVICE = 'my-custom-ext-authz.foo.svc.cluster.local';
/** Those of Istio's own tests. */
const GRPC: GrpcCheck = {
  ...{ service: `foo/${SERVICE}`, port: 9000, timeout: '0.002s', failOpen: true, statusOnError: '403' },
  includeRequestBodyInCheck: { maxRequestBytes: 4096, allowPartialMessage: true },
};
const HTTP: HttpCheck = {
  ...{ service: `foo/${SERVICE}`, port: 9000, timeout: '10s', failOpen: true, statusOnError: '403', pathPrefix: '/check' },
  includeRequestHeadersInCheck: ['x-custom-id', 'x-prefix-*', '*-suffix'],
  includeHeadersInCheck: ['not-beside-the-other'],
  includeAdditionalHeadersInCheck: { 'x-header-2': 'value-2', 'x-header-1': 'value-1' },
  includeRequestBodyInCheck: { maxRequestBytes: 2048, allowPartialMessage: true, packAsBytes: true },
  headersToUpstreamOnAllow: ['Authorization', 'x-prefix-*', '*-suffix'],
  headersToDownstreamOnDeny: ['Set-cookie', 'x-prefix-*', '*-suffix'],
  headersToDownstreamOnAllow: ['Set-cookie', 'x-prefix-*', '*-suffix'],
};
const BAD: HttpCheck = { service: 'foo/my-custom-ext-authz', port: 999_999, pathPrefix: 'check', statusOnError: '999' };

const service = (name: string, namespace: string): MeshObject => ({
  ...{ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace } },
  spec: { ports: [{ name: 'grpc', port: 9000 }] },
});
const policy = (name: string, provider: string, rules: object[] = [{}]): MeshObject => ({
  ...{ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name, namespace: 'foo' } },
  spec: { action: 'CUSTOM', provider: { name: provider }, rules },
});

function filtersOf(objects: readonly MeshObject[], extensionProviders: readonly ExtensionProvider[], tcp = false): JsonObject[] {
  const mesh = buildMesh([service('my-custom-ext-authz', 'foo'), ...objects], { ...DEFAULT_MESH_SETTINGS, extensionProviders });
  return (tcp ? tcpAuthorization : httpExternalAuthorization)(mesh, NODE, { listenPort: 1 });
}
const SCHEMAS = {
  'envoy.filters.http.rbac': HttpRbac,
  'envoy.filters.http.ext_authz': HttpExtAuthz,
  'envoy.filters.network.rbac': TcpRbac,
  'envoy.filters.network.ext_authz': TcpExtAuthz,
};
/** In one form, whatever is left out in one and said in the other. */
function canonical(filter: JsonObject): unknown {
  const { '@type': _, ...fields } = filter['typedConfig'] as JsonObject;
  const schema = SCHEMAS[filter['name'] as keyof typeof SCHEMAS] as typeof HttpRbac;
  return { name: filter['name'], config: toJson(schema, fromJson(schema, fields, { registry }), { registry }) };
}
const documents = (file: string): unknown[] => parseYaml(readFileSync(join(corpus, file), 'utf8')).documents.map(({ value }) => value);

test.skipIf(!present).each<[string, 'http' | 'tcp', string, Omit<ExtensionProvider, 'name'>, string[]]>([
  ['HTTP', 'http', 'tcp/custom-only-http-in', { envoyExtAuthzHttp: HTTP }, ['http/custom-http-provider-out1', 'http/custom-http-provider-out2']],
  ['gRPC on TCP', 'tcp', 'tcp/custom-both-http-tcp-in', { envoyExtAuthzGrpc: GRPC }, ['tcp/custom-both-http-tcp-out1', 'tcp/custom-both-http-tcp-out2']],
  ['HTTP on TCP', 'tcp', 'tcp/custom-only-http-in', { envoyExtAuthzHttp: HTTP }, []],
  ['a bad one', 'http', 'tcp/custom-only-http-in', { envoyExtAuthzHttp: BAD }, ['http/custom-bad-out']],
  [
    'several',
    'http',
    'http/custom-bad-multiple-providers-in',
    { envoyExtAuthzHttp: HTTP },
    ['http/custom-bad-multiple-providers-out1', 'http/custom-bad-multiple-providers-out2'],
  ],
])("%s: the filters are Istio's", (_, layer, input, provider, outputs) => {
  const ours = filtersOf(documents(`${input}.yaml`) as MeshObject[], [{ name: 'default', ...provider }], layer === 'tcp');
  const theirs = outputs.flatMap((file) => documents(`${file}.yaml`) as JsonObject[]);
  expect(ours.map(canonical)).toEqual(theirs.map(canonical));
});

const names = (filters: readonly JsonObject[]): unknown[] => filters.map((f) => String(f['name']).replace('envoy.filters.', ''));
const asked = (check: Partial<GrpcCheck>, ...others: ExtensionProvider[]): unknown[] =>
  names(filtersOf([policy('p', 'g')], [...others, { name: 'g', envoyExtAuthzGrpc: { ...GRPC, ...check } }]));
const ASKS = ['http.rbac', 'http.ext_authz'];
const DENIES = ['http.rbac'];

test.each<[string, Partial<GrpcCheck>, boolean]>([
  ['a host in full', { service: SERVICE }, true],
  ['a namespace before it', { service: `foo/${SERVICE}` }, true],
  ['another namespace', { service: `bar/${SERVICE}` }, false],
  ['any namespace', { service: `*/${SERVICE}` }, false],
  ['a short name', { service: 'my-custom-ext-authz' }, false],
  ['a name nobody has', { service: 'nobody.foo.svc.cluster.local' }, false],
  ['nothing', { service: '' }, false],
  ['no port', { port: 0 }, false],
  ['a port the service has not', { port: 1 }, true],
  ['a status Envoy does not know', { statusOnError: '299' }, false],
  ['a status that is no number', { statusOnError: 'Forbidden' }, false],
  ['a status', { statusOnError: '503' }, true],
  ['no body to speak of', { includeRequestBodyInCheck: {} }, false],
])('%s', (_, check, works) => {
  expect(asked(check)).toEqual(works ? ASKS : DENIES);
});

test('a host of several namespaces needs one of them said', () => {
  const entry = (namespace: string): MeshObject => ({
    ...{ apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata: { name: 'e', namespace } },
    spec: { hosts: ['authz.test'], ports: [{ number: 9000, name: 'grpc', protocol: 'GRPC' }], resolution: 'DNS' },
  });
  const at = (to: string): unknown[] =>
    names(filtersOf([entry('foo'), entry('bar'), policy('p', 'g')], [{ name: 'g', envoyExtAuthzGrpc: { ...GRPC, service: to } }]));
  expect(at('authz.test')).toEqual(DENIES);
  expect(at('bar/authz.test')).toEqual(ASKS);
});

test('names of providers are fit for metadata', () => {
  expect(asked({}, { name: 'other', envoyExtAuthzGrpc: GRPC })).toEqual(ASKS);
  for (const name of ['Upper', 'a_b', '-a', 'a-', 'x'.repeat(64), ''])
    expect({ name, filters: names(filtersOf([policy('p', name)], [{ name, envoyExtAuthzGrpc: GRPC }])) }).toEqual({ name, filters: DENIES });
  expect(names(filtersOf([policy('p', 'nobody')], []))).toEqual(DENIES);
});

test('headers: the old name where the new says nothing; what cannot be sent or matched is not asked', () => {
  const http = (check: Partial<HttpCheck>): JsonObject[] =>
    filtersOf([policy('p', 'h')], [{ name: 'h', envoyExtAuthzHttp: { service: SERVICE, port: 9000, ...check } }]);
  const config = (check: Partial<HttpCheck>): JsonObject => http(check)[1]?.['typedConfig'] as JsonObject;
  expect(config({ includeHeadersInCheck: ['a'], includeRequestHeadersInCheck: [] })).toMatchObject({ allowedHeaders: { patterns: [{ exact: 'a' }] } });
  expect(config({})).toEqual({
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz',
    transportApiVersion: 'V3',
    httpService: { serverUri: { uri: `http://${SERVICE}`, cluster: `outbound|9000||${SERVICE}`, timeout: '600s' } },
    filterEnabledMetadata: expect.anything() as unknown,
  });
  expect(config({ clearRouteCache: true })).toMatchObject({ clearRouteCache: true });
  for (const bad of [
    { headersToUpstreamOnAllow: ['*'] },
    { pathPrefix: 'check' },
    { includeAdditionalHeadersInCheck: { 'a b': '1' } },
    { includeAdditionalHeadersInCheck: { a: '1\n2' } },
  ])
    expect({ bad, filters: names(http(bad)) }).toEqual({ bad, filters: DENIES });
});

test('a provider whose service comes later is asked from then on', () => {
  const settings = { ...DEFAULT_MESH_SETTINGS, extensionProviders: [{ name: 'g', envoyExtAuthzGrpc: GRPC }] };
  const node = proxyNode('a', 'foo', { dataPlane: 'envoy', inbound: [{ name: 'http', listenPort: 21_000, servicePort: 80, appPort: 8080 }] });
  const asks = (mesh: Mesh): boolean =>
    JSON.stringify(decoded(translate(mesh, node, settings), TYPE_URL.listener, 'virtualInbound_21000')).includes('envoy.filters.http.ext_authz');
  const [custom, authz] = [policy('p', 'g'), service('my-custom-ext-authz', 'foo')];
  const before = buildMesh([custom], settings);
  expect(asks(before)).toBe(false);
  const after = buildMesh([custom, authz], settings, before);
  expect(asks(after)).toBe(true);
  // What else comes and goes leaves its listeners alone.
  const later = buildMesh([custom, authz, service('other', 'foo')], settings, after);
  expect(translate(later, node, settings)[TYPE_URL.listener]).toBe(translate(after, node, settings)[TYPE_URL.listener]);
});

test('on TCP others are asked before anything is denied', () => {
  const deny: MeshObject = { ...policy('d', ''), spec: { action: 'DENY', rules: [{}] } };
  expect(names(filtersOf([deny, policy('p', 'g')], [{ name: 'g', envoyExtAuthzGrpc: GRPC }], true))).toEqual([
    'network.rbac',
    'network.ext_authz',
    'network.rbac',
  ]);
});
