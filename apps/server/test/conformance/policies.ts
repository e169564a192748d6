// AuthorizationPolicies at random, and the filters Istio and we make of them for one sidecar.

import { type JsonObject, fromBinary, fromJson, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { ExtAuthzSchema as HttpExtAuthz } from '@weft/mesh-core/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb';
import { RBACSchema as HttpRbac } from '@weft/mesh-core/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb';
import { ExtAuthzSchema as TcpExtAuthz } from '@weft/mesh-core/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb';
import { RBACSchema as TcpRbac } from '@weft/mesh-core/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { DEFAULT_MESH_SETTINGS, KINDS, type MeshObject } from '@weft/mesh-core/model';
import { registry } from '@weft/mesh-core/translate';
import { TYPE_URL, bytesOf } from '@weft/mesh-core/xds';
import type { IstioOracle } from './istio-oracle.ts';
import { proxy, resourcesOf } from './objects.ts';

export const policy = (name: string, spec: unknown, annotations: Record<string, string> = {}): MeshObject => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name, namespace: 'foo', annotations },
  spec,
});
export const text = (objects: readonly object[]): string => objects.map((o) => JSON.stringify(o)).join('\n---\n');

export const several = <T>(...values: T[]): fc.Arbitrary<T[]> => fc.subarray(values, { minLength: 1 });
export const maybe = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(values, { nil: undefined, freq: 2 });
const some = <T extends object>(fields: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fields.filter((f) => Object.values(f).some((v) => v !== undefined)).map((f) => JSON.parse(JSON.stringify(f)) as T);
const names = maybe(several('*', 'a*', '*b', 'cluster.local/ns/foo/sa/a.b', 'other/ns/foo/sa/x', '*/ns/foo/sa/x', '*local/ns/a/sa/b', 'clu*/ns/a/sa/b'));
const requestNames = maybe(several('*', 'i/s', 'https://a/b/s', '*/s', '*x/s', 'i/*', 'i/s*', '*s', 's*', 'x'));
const spaces = maybe(several('a', 'a*', '*a', 'a.b*c', '*'));
const accounts = maybe(several('a', 'b/c.d'));
const domains = maybe(several('*', 'cluster.local', 'td.a', 'a*', '*a'));
const blocks = maybe(several('1.2.3.4', '10.1.2.3/16', '::1', 'fe80::/10', '0.0.0.0/0'));
const source = fc.oneof(
  some(
    fc.record({
      principals: names,
      notPrincipals: names,
      requestPrincipals: requestNames,
      notRequestPrincipals: requestNames,
      namespaces: spaces,
      notNamespaces: spaces,
    }),
  ),
  some(fc.record({ serviceAccounts: accounts, notServiceAccounts: accounts, trustDomains: domains, notTrustDomains: domains })),
  some(fc.record({ ipBlocks: blocks, notIpBlocks: blocks, remoteIpBlocks: blocks, notRemoteIpBlocks: blocks, principals: names })),
);
const words = maybe(several('*', 'A*', '*B', 'GET'));
const ports = maybe(several('8080', '9090', '7'));
const paths = maybe(several('/a', '/a*', '*/a', '*', '/{*}/b', '/a/{**}', '/{**}/c'));
const operation = some(fc.record({ hosts: words, notHosts: words, ports, notPorts: ports, methods: words, notMethods: words, paths, notPaths: paths }));
const condition = fc
  .record({
    of: fc.constantFrom(
      ...['request.headers[X-a]', 'source.namespace', 'source.principal', 'source.trustDomain', 'request.auth.principal', 'request.auth.audiences'],
      ...['request.auth.presenter', 'request.auth.claims[a]', 'request.auth.claims[a][b]', 'request.auth.claims[a]b]', 'connection.sni'],
      ...['experimental.envoy.filters.network.x[y]', 'source.ip', 'remote.ip', 'destination.ip', 'destination.port', 'source.serviceAccount'],
    ),
    values: fc.boolean(),
    not: fc.boolean(),
    count: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ of, values, not, count }) => {
    const all = of.endsWith('.ip')
      ? ['1.2.3.4', '10.0.0.0/8', '::1']
      : of.endsWith('.port')
        ? ['8080', '7']
        : of.endsWith('serviceAccount')
          ? ['a', 'b/c']
          : ['x', 'x*', '*', '[y]'];
    const list = all.slice(0, count);
    return { key: of, ...(values || !not ? { values: list } : {}), ...(not ? { notValues: list } : {}) };
  });
/** One of ALLOW, DENY or AUDIT. */
export const rule = some(
  fc.record({
    from: maybe(fc.array(fc.record({ source }), { minLength: 1, maxLength: 2 })),
    to: maybe(fc.array(fc.record({ operation }), { minLength: 1, maxLength: 2 })),
    when: maybe(fc.array(condition, { minLength: 1, maxLength: 2 })),
  }),
);

/** One of CUSTOM, which is asked before anybody is known. */
export const customRule = some(
  fc.record({
    from: maybe(
      fc.array(fc.record({ source: some(fc.record({ ipBlocks: blocks, notIpBlocks: blocks, remoteIpBlocks: blocks, notRemoteIpBlocks: blocks })) }), {
        minLength: 1,
        maxLength: 2,
      }),
    ),
    to: maybe(fc.array(fc.record({ operation }), { minLength: 1, maxLength: 2 })),
    when: maybe(
      fc.array(
        condition.filter(({ key }) => !/^(source\.[^i]|request\.auth)/.test(key)),
        { minLength: 1, maxLength: 2 },
      ),
    ),
  }),
);

const WORLD = [
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a', namespace: 'foo' },
    spec: {
      selector: { app: 'a' },
      clusterIP: '10.9.0.1',
      ports: [
        { name: 'http', port: 80, targetPort: 8080 },
        { name: 'tcp', port: 90, targetPort: 9090 },
      ],
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a-0', namespace: 'foo', labels: { app: 'a' } },
    spec: { containers: [] },
    status: { podIP: '1.1.1.1', phase: 'Running' },
  },
  {
    ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: 'a', namespace: 'foo', labels: { 'kubernetes.io/service-name': 'a' } } },
    ...{
      addressType: 'IPv4',
      ports: [
        { name: 'http', port: 8080 },
        { name: 'tcp', port: 9090 },
      ],
    },
    endpoints: [{ addresses: ['1.1.1.1'], targetRef: { kind: 'Pod', name: 'a-0', namespace: 'foo' }, conditions: { ready: true } }],
  },
];
const NODE = proxy({
  ...{ namespace: 'foo', workload: 'a-0', labels: { app: 'a' } },
  inbound: [
    { name: 'http', servicePort: 80, listenPort: 8080, appPort: 8080 },
    { name: 'tcp', servicePort: 90, listenPort: 9090, appPort: 9090 },
  ],
});

const SCHEMAS: Readonly<Record<string, unknown>> = {
  'envoy.filters.http.rbac': HttpRbac,
  'envoy.filters.http.ext_authz': HttpExtAuthz,
  'envoy.filters.network.rbac': TcpRbac,
  'envoy.filters.network.ext_authz': TcpExtAuthz,
};

/** What decides in the first chain, in one form: of HTTP and of TCP. Of other filters that ask who a client is, their place. */
function filtersOf(chain: JsonObject | undefined): object[] {
  const all = (chain?.['filters'] ?? []) as JsonObject[];
  const config = (f: JsonObject): JsonObject => (f['typedConfig'] ?? f['typed_config']) as JsonObject;
  const http = all.flatMap((f) => (config(f)['httpFilters'] ?? config(f)['http_filters'] ?? []) as JsonObject[]);
  return [...all, ...http].flatMap((f) => {
    const name = String(f['name']);
    const schema = SCHEMAS[name] as typeof HttpRbac | undefined;
    if (schema === undefined) return name.endsWith('.jwt_authn') ? [{ name }] : [];
    const { '@type': _, ...fields } = config(f);
    return [{ name, config: toJson(schema, fromJson(schema, fields, { registry }), { registry }) }];
  });
}

/** Throws where Istio makes other filters than we of these objects, for requests (8080) or for connections (9090). */
export async function expectSameFilters(oracle: IstioOracle, objects: readonly MeshObject[]): Promise<void> {
  const { listeners } = await oracle.ask<{ listeners: JsonObject[] }>('xds', {
    yaml: text([...WORLD, ...objects]),
    proxy: { type: 'sidecar', namespace: 'foo', labels: NODE.labels, ip: NODE.ip },
  });
  const chains = (listeners.find((l) => l['name'] === 'virtualInbound')?.['filter_chains'] ?? []) as JsonObject[];
  const served = (WORLD as readonly MeshObject[]).filter((o) => KINDS.some((k) => k.kind === o.kind));
  const set = resourcesOf([...served, ...objects], NODE, DEFAULT_MESH_SETTINGS);
  for (const port of [8080, 9090]) {
    const resource = set[TYPE_URL.listener].get(`virtualInbound_${port}`);
    if (resource === undefined) throw new Error(`no listener for ${port}`);
    const ours = toJson(ListenerSchema, fromBinary(ListenerSchema, bytesOf(resource)), { registry }) as JsonObject;
    const theirs = chains.find((c) => c['name'] === `0.0.0.0_${port}`);
    const [one, other] = [filtersOf((ours['filterChains'] as JsonObject[])[0]), filtersOf(theirs)].map((f) => JSON.stringify(f)) as [string, string];
    if (one !== other) throw new Error(`port ${port}:\n${one}\n${other}`);
  }
}
