// Istio's own code and ours on the same AuthorizationPolicies: the same refused, and for those that are taken the same filters.

import { type JsonObject, fromBinary, fromJson, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { RBACSchema as HttpRbac } from '@weft/mesh-core/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb';
import { RBACSchema as TcpRbac } from '@weft/mesh-core/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { validateObject } from '@weft/mesh-core/config';
import { DEFAULT_MESH_SETTINGS, type MeshObject } from '@weft/mesh-core/model';
import { registry } from '@weft/mesh-core/translate';
import { TYPE_URL, bytesOf } from '@weft/mesh-core/xds';
import { IstioOracle, oracleBinary } from './istio-oracle.ts';
import { proxy, resourcesOf } from './objects.ts';

const binary = oracleBinary();
const oracle = binary === undefined ? undefined : new IstioOracle(binary);
afterAll(() => oracle?.close());

const policy = (name: string, spec: unknown, annotations: Record<string, string> = {}): MeshObject => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name, namespace: 'foo', annotations },
  spec,
});
const text = (objects: readonly object[]): string => objects.map((o) => JSON.stringify(o)).join('\n---\n');

const from = (source: unknown): object => ({ rules: [{ from: [{ source }] }] });
const to = (operation: unknown): object => ({ rules: [{ to: [{ operation }] }] });
const when = (key: string, values: unknown, notValues?: unknown): object => ({ rules: [{ when: [{ key, values, notValues }] }] });

/** Good and bad specs; what differs on purpose (CUSTOM, targets) is in the corpus' test. */
const SPECS: readonly unknown[] = [
  ...[
    {},
    { action: 'DENY' },
    { action: 'DENY', rules: [] },
    { action: 'DENY', rules: [{}] },
    { action: 'AUDIT' },
    { action: 'LOG' },
    { rules: [] },
    { rule: [] },
  ],
  ...[
    { selector: {} },
    { selector: { matchLabels: { 'a*': 'b' } } },
    { selector: { matchLabels: { a: '*' } } },
    { provider: { name: 'x' } },
    { rules: [{ from: [] }] },
  ],
  ...[
    { rules: [{ to: [] }] },
    { rules: [{ when: [] }] },
    { rules: [{ from: [{}] }] },
    { rules: [{ to: [{}] }] },
    from({}),
    to({}),
    from({ principals: [] }),
    to({ paths: [] }),
  ],
  ...[from({ principals: ['a', '*', '*a', 'a*', 'a*b'] }), from({ principals: [''] }), from({ notPrincipals: [''] }), from({ requestPrincipals: [''] })],
  ...[from({ namespaces: ['a*b', '*'] }), from({ notNamespaces: [''] }), from({ serviceAccounts: ['a', 'a/b'] }), from({ serviceAccounts: ['a/b/c'] })],
  ...[
    from({ serviceAccounts: ['/b'] }),
    from({ serviceAccounts: ['b/'] }),
    from({ serviceAccounts: ['b*'] }),
    from({ serviceAccounts: ['a'], principals: ['a'] }),
  ],
  ...[
    from({ serviceAccounts: ['a'], notNamespaces: ['a'] }),
    from({ serviceAccounts: ['a'], ipBlocks: ['1.2.3.4'] }),
    from({ serviceAccounts: Array(17).fill('a') }),
  ],
  ...[
    from({ notServiceAccounts: ['x'.repeat(321)] }),
    from({ trustDomains: ['a', '*', 'a*', '*a'] }),
    from({ trustDomains: ['a*b'] }),
    from({ trustDomains: ['**'] }),
  ],
  ...[
    from({ trustDomains: ['a/b'] }),
    from({ ipBlocks: ['1.2.3.4', '1.2.3.0/24', '::1', 'fe80::/10'] }),
    from({ ipBlocks: ['1.2.3'] }),
    from({ ipBlocks: ['1.2.3.4/33'] }),
  ],
  ...[
    from({ ipBlocks: ['01.2.3.4'] }),
    from({ remoteIpBlocks: ['1.2.3.4/'] }),
    from({ notRemoteIpBlocks: ['a'] }),
    from({ remoteIpBlocks: [''] }),
    from({ unknown: ['a'] }),
  ],
  ...[
    to({ hosts: ['a', '*.a', 'a.*', '*'] }),
    to({ hosts: [''] }),
    to({ ports: ['0', '65535'] }),
    to({ ports: ['65536'] }),
    to({ ports: ['-1'] }),
    to({ ports: ['http'] }),
    to({ ports: [80] }),
  ],
  ...[
    to({ methods: ['get'] }),
    to({ notMethods: [''] }),
    to({ paths: ['/a', '*', '/a*', '*/a', 'a'] }),
    to({ paths: ['/{*}', '/a/{*}/b/{**}'] }),
    to({ paths: ['/{**}/{*}'] }),
  ],
  ...[
    to({ paths: ['/{**}/{**}'] }),
    to({ paths: ['/{a}'] }),
    to({ paths: ['/a{*}'] }),
    to({ paths: ['/a/{*}/b c'] }),
    to({ paths: ['/a b'] }),
    to({ notPaths: ['/{'] }),
    to({ notPaths: [''] }),
  ],
  ...[to({ paths: ['/{*}//a'] }), to({ paths: ['/{*}/a*'] }), to({ paths: ['//{**}//'] }), to({ paths: ['/{**}/a'] })],
  ...[
    when('', ['a']),
    when('source.ip', ['1.2.3.4']),
    when('source.ip', ['a']),
    when('source.ip', undefined, ['a']),
    when('source.ip', []),
    when('source.ip', undefined),
  ],
  ...[
    when('remote.ip', ['1.2.3.4/8']),
    when('source.namespace', ['a']),
    when('source.namespace', ['']),
    when('source.serviceAccount', ['a/b']),
    when('source.serviceAccount', ['*']),
  ],
  ...[when('source.principal', ['*']), when('source.trustDomain', ['a*']), when('source.trustDomain', ['a*a']), when('source.trustDomain', ['a/b'])],
  ...[
    when('request.headers[x]', ['a']),
    when('request.headers', ['a']),
    when('request.headers[]', ['a']),
    when('request.headers[x', ['a']),
    when('request.auth.claims[a][b]', ['a']),
  ],
  ...[
    when('request.auth.claims', ['a']),
    when('request.auth.principal', ['a/b']),
    when('request.auth.audiences', ['a']),
    when('request.auth.presenter', ['a']),
    when('request.auth.x', ['a']),
  ],
  ...[
    when('destination.ip', ['1.2.3.4']),
    when('destination.port', ['80']),
    when('destination.port', ['x']),
    when('destination.labels[a]', ['a']),
    when('destination.user', ['a']),
  ],
  ...[
    when('connection.sni', ['*.a']),
    when('experimental.envoy.filters.a.b[c]', ['a', '[b]']),
    when('experimental.envoy.filters.a.b', ['a']),
    when('source.user', ['a']),
  ],
];

interface Verdict {
  ok: boolean;
  errors?: string[];
}

test.skipIf(oracle === undefined)('the same specs are refused', async () => {
  const objects = [
    ...SPECS.map((spec, i) => policy(`p${i}`, spec)),
    ...['true', 'TRUE', 't', 'f', '0', 'yes', ''].map((value, i) =>
      policy(`d${i}`, { action: i % 2 === 0 ? 'ALLOW' : 'DENY', rules: [{}] }, { 'istio.io/dry-run': value }),
    ),
    policy('audit', { action: 'AUDIT', rules: [{}] }, { 'istio.io/dry-run': 'true' }),
    { ...policy('other', { mtls: { mode: 'STRICT' } }, { 'istio.io/dry-run': 'true' }), kind: 'PeerAuthentication' },
  ];
  const verdicts = await (oracle as IstioOracle).ask<Verdict[]>('validate', { yaml: text(objects) });
  expect(verdicts).toHaveLength(objects.length);
  const differing = objects.flatMap((object, i) => {
    const { problems } = validateObject(JSON.parse(JSON.stringify(object)));
    const ok = problems.length === 0;
    return ok === verdicts[i]?.ok
      ? []
      : [{ spec: object.spec, metadata: object.metadata, ours: problems.map((p) => p.message), theirs: verdicts[i]?.errors ?? 'taken' }];
  });
  expect(differing).toEqual([]);
});

const several = <T>(...values: T[]): fc.Arbitrary<T[]> => fc.subarray(values, { minLength: 1 });
const maybe = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(values, { nil: undefined, freq: 2 });
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
const rule = some(
  fc.record({
    from: maybe(fc.array(fc.record({ source }), { minLength: 1, maxLength: 2 })),
    to: maybe(fc.array(fc.record({ operation }), { minLength: 1, maxLength: 2 })),
    when: maybe(fc.array(condition, { minLength: 1, maxLength: 2 })),
  }),
);
const spec = fc.record({
  action: fc.constantFrom('ALLOW', 'DENY', 'AUDIT'),
  rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
  selector: fc.constantFrom({}, { matchLabels: { app: 'a' } }, { matchLabels: { app: 'b' } }),
  tried: fc.boolean(),
});

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

/** RBAC filters of the first chain, in one form: of HTTP and of TCP. */
function filtersOf(chain: JsonObject | undefined): object[] {
  const all = (chain?.['filters'] ?? []) as JsonObject[];
  const config = (f: JsonObject): JsonObject => (f['typedConfig'] ?? f['typed_config']) as JsonObject;
  const http = all.flatMap((f) => (config(f)['httpFilters'] ?? config(f)['http_filters'] ?? []) as JsonObject[]);
  return [...all, ...http].flatMap((f) => {
    if (!String(f['name']).endsWith('.rbac')) return [];
    const { '@type': type, ...fields } = config(f);
    const schema = (String(type).includes('.http.') ? HttpRbac : TcpRbac) as typeof HttpRbac;
    return [{ name: f['name'], config: toJson(schema, fromJson(schema, fields, { registry }), { registry }) }];
  });
}

test.skipIf(oracle === undefined)('the same filters, on HTTP and on TCP', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(spec, { minLength: 1, maxLength: 3 }), async (specs) => {
      const objects = specs.map(({ tried, ...rest }, i) => policy(`p${i}`, rest, tried && rest.action !== 'AUDIT' ? { 'istio.io/dry-run': 'true' } : {}));
      const { listeners } = await (oracle as IstioOracle).ask<{ listeners: JsonObject[] }>('xds', {
        yaml: text([...WORLD, ...objects]),
        proxy: { type: 'sidecar', namespace: 'foo', labels: NODE.labels, ip: NODE.ip },
      });
      const chains = (listeners.find((l) => l['name'] === 'virtualInbound')?.['filter_chains'] ?? []) as JsonObject[];
      const set = resourcesOf([{ ...WORLD[0] } as MeshObject, ...objects], NODE, DEFAULT_MESH_SETTINGS);
      for (const port of [8080, 9090]) {
        const resource = set[TYPE_URL.listener].get(`virtualInbound_${port}`);
        if (resource === undefined) throw new Error(`no listener for ${port}`);
        const ours = toJson(ListenerSchema, fromBinary(ListenerSchema, bytesOf(resource)), { registry }) as JsonObject;
        const theirs = chains.find((c) => c['name'] === `0.0.0.0_${port}`);
        const [one, other] = [filtersOf((ours['filterChains'] as JsonObject[])[0]), filtersOf(theirs)].map((f) => JSON.stringify(f)) as [string, string];
        if (one !== other) throw new Error(`port ${port}:\n${one}\n${other}`);
      }
    }),
    { numRuns: Number(process.env['WEFT_ORACLE_RUNS'] ?? 40), endOnFailure: true },
  );
});
