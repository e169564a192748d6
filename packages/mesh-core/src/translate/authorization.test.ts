// AuthorizationPolicies as RBAC filters: Istio's own inputs and outputs (shared/corpus), and whom a policy is for.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type JsonObject, fromJson, toJson } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { parseYaml, validateObject } from '../config/index.ts';
import { RBACSchema as HttpRbac } from '../gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts';
import { RBACSchema as TcpRbac } from '../gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../model/index.ts';
import { TYPE_URL, diffResourceSets } from '../xds/index.ts';
import { httpAuthorization, tcpAuthorization } from './authorization.ts';
import { buildMesh } from './mesh.ts';
import { registry } from './registry.ts';
import { proxyNode } from './testing/proxy-node.ts';
import { translate } from './translate.ts';

const corpus = resolve(process.env['WEFT_CORPUS'] ?? resolve(dirname(fileURLToPath(import.meta.url)), '../../../../../shared/corpus'), 'istio/authz');
const present = existsSync(corpus);
if (!present) console.warn(`skipped: Istio's conformance corpus is not at ${corpus}; set WEFT_CORPUS`);

const NODE = { namespace: 'foo', labels: { app: 'httpbin', version: 'v1' } } as unknown as ProxyNode;
const PORT = { listenPort: 21_000, servicePort: 80, appPort: 8080 };

const objectsIn = (text: string): MeshObject[] =>
  parseYaml(text).documents.flatMap(({ value }) => {
    const { object, problems } = validateObject(value);
    if (object === undefined) throw new Error(problems.map((p) => p.message).join('\n'));
    return [object];
  });
const read = (file: string): string => readFileSync(join(corpus, file), 'utf8');

/** In one form, whatever is left out in one and said in the other. */
function canonical(filter: JsonObject): unknown {
  const { '@type': type, ...fields } = filter['typedConfig'] as JsonObject;
  const schema = String(type).includes('.http.') ? HttpRbac : TcpRbac;
  return { name: filter['name'], config: toJson(schema, fromJson(schema as typeof HttpRbac, fields, { registry }), { registry }) };
}

/** In external-authorization.test.ts. */
const ASKED = /^custom/;
/** The trust domain and its aliases. */
const TRUST: Readonly<Record<string, string[]>> = {
  'simple-policy-multiple-td-aliases-in.yaml': ['td1', 'cluster.local', 'some-td'],
  'simple-policy-principal-with-wildcard-in.yaml': ['td1', 'foobar'],
  'td-aliases-source-principal-in.yaml': ['new-td', 'old-td', 'some-trustdomain'],
};

for (const layer of ['http', 'tcp'] as const) {
  const names = present ? readdirSync(join(corpus, layer)).filter((file) => file.endsWith('-in.yaml') && !ASKED.test(file)) : [];
  test.skipIf(!present)(`${layer}: the filters are Istio's`, () => {
    expect(names.length).toBeGreaterThan(layer === 'http' ? 10 : 1);
    for (const file of names) {
      const [trustDomain = 'cluster.local', ...trustDomainAliases] = TRUST[file] ?? [];
      const mesh = buildMesh(objectsIn(read(`${layer}/${file}`)), { ...DEFAULT_MESH_SETTINGS, trustDomain, trustDomainAliases });
      const ours = (layer === 'http' ? httpAuthorization : tcpAuthorization)(mesh, NODE, { listenPort: 1 });
      const outputs = readdirSync(join(corpus, layer)).filter((f) => f.startsWith(file.replace('-in.yaml', '-out')));
      const theirs = outputs.toSorted().flatMap((f) => parseYaml(read(`${layer}/${f}`)).documents.map(({ value }) => value as JsonObject));
      expect({ file, filters: ours.map(canonical) }).toEqual({ file, filters: theirs.map(canonical) });
    }
  });
}

const policy = (name: string, namespace: string, spec: object, annotations?: Record<string, string>): MeshObject => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name, namespace, ...(annotations === undefined ? {} : { annotations }) },
  spec,
});
const filtersOf = (...objects: MeshObject[]): JsonObject[] =>
  httpAuthorization(buildMesh(objects, DEFAULT_MESH_SETTINGS), NODE, PORT).map((f) => f['typedConfig'] as JsonObject);
const policiesOf = (filters: readonly JsonObject[]): string[] =>
  filters.flatMap((f) => [f['rules'], f['shadowRules']]).flatMap((r) => Object.keys((r as JsonObject | undefined)?.['policies'] ?? {}));

test('a policy is for its namespace, the root namespace for all, and a selector for those it fits', () => {
  const all = (namespace: string, name: string, matchLabels?: Record<string, string>): MeshObject =>
    policy(name, namespace, { ...(matchLabels === undefined ? {} : { selector: { matchLabels } }), rules: [{}] });
  expect(
    policiesOf(
      filtersOf(
        all('foo', 'own'),
        all('bar', 'other'),
        all('istio-system', 'root'),
        all('istio-system', 'root-selects', { app: 'httpbin' }),
        all('istio-system', 'root-selects-others', { app: 'b' }),
        all('foo', 'selects', { app: 'httpbin', version: 'v1' }),
        all('foo', 'selects-others', { app: 'httpbin', version: 'v2' }),
      ),
    ),
  ).toEqual(['root', 'root-selects', 'own', 'selects'].map((name) => `ns[${name.startsWith('root') ? 'istio-system' : 'foo'}]-policy[${name}]-rule[0]`));
});

test('the numbers a port is known by are the one its listener has; others stay', () => {
  const [filter] = filtersOf(policy('p', 'foo', { rules: [{ to: [{ operation: { ports: ['80', '8080', '21000', '9'] } }] }] }));
  expect(JSON.stringify(filter).match(/"destinationPort":\d+/g)).toEqual([21_000, 21_000, 21_000, 9].map((n) => `"destinationPort":${n}`));
});

test('told before denied before allowed; what is only tried is not enforced', () => {
  const filters = filtersOf(
    policy('allow', 'foo', { rules: [{}] }),
    policy('deny', 'foo', { action: 'DENY', rules: [{}] }),
    policy('audit', 'foo', { action: 'AUDIT', rules: [{}] }),
    policy('try', 'foo', { action: 'DENY', rules: [{}] }, { 'istio.io/dry-run': 'true' }),
    policy('not-try', 'foo', { rules: [{}] }, { 'istio.io/dry-run': 'false' }),
  );
  expect(filters.map((f) => (f['rules'] as JsonObject)['action'])).toEqual(['LOG', 'DENY', 'ALLOW']);
  expect(Object.keys((filters[1]?.['shadowRules'] as JsonObject)['policies'] as JsonObject)).toEqual(['ns[foo]-policy[try]-rule[0]']);
  expect(Object.keys((filters[2]?.['rules'] as JsonObject)['policies'] as JsonObject)).toHaveLength(2);
});

test('what asks for requests allows nothing on TCP and denies the more', () => {
  const rules = [{ to: [{ operation: { paths: ['/a'], ports: ['80'] } }] }, { when: [{ key: 'request.headers[x]', values: ['1'] }] }];
  const mesh = buildMesh([policy('a', 'foo', { rules }), policy('d', 'foo', { action: 'DENY', rules })], DEFAULT_MESH_SETTINGS);
  const [deny, allow] = tcpAuthorization(mesh, NODE, PORT).map((f) => (f['typedConfig'] as JsonObject)['rules'] as { policies: JsonObject });
  expect(allow?.policies).toEqual({});
  expect(Object.values(deny?.policies ?? {}).map((p) => (p as JsonObject)['permissions'])).toEqual([
    [{ andRules: { rules: [{ orRules: { rules: [{ destinationPort: 21_000 }] } }] } }],
    [{ andRules: { rules: [{ any: true }] } }],
  ]);
});

test('an edit reaches those a policy is for as an update of their listeners, and nobody else', () => {
  const node = (app: string, role: ProxyNode['role'] = 'sidecar'): ProxyNode =>
    proxyNode(app, 'foo', { role, dataPlane: 'envoy', inbound: role === 'router' ? [] : [{ name: 'http', ...PORT }] });
  const gateway: MeshObject = {
    ...policy('gw', 'foo', { selector: { app: 'gw' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] }),
    ...{ apiVersion: 'networking.istio.io/v1', kind: 'Gateway' },
  };
  const changes = (spec: object): Record<string, string[]> => {
    const before = buildMesh([gateway], DEFAULT_MESH_SETTINGS);
    const sets = [node('a'), node('b'), node('gw', 'router')].map((n) => ({ n, set: translate(before, n, DEFAULT_MESH_SETTINGS) }));
    const after = buildMesh([gateway, policy('p', 'foo', spec)], DEFAULT_MESH_SETTINGS, before);
    return Object.fromEntries(
      sets.map(({ n, set }) => {
        const changed = diffResourceSets(set, translate(after, n, DEFAULT_MESH_SETTINGS));
        expect([...changed.keys()].filter((type) => type !== TYPE_URL.listener)).toEqual([]);
        return [n.workload, changed.get(TYPE_URL.listener) ?? []];
      }),
    );
  };
  expect(changes({ selector: { matchLabels: { app: 'a' } } })).toEqual({ a: ['virtualInbound_21000'], b: [], gw: [] });
  expect(changes({ selector: { matchLabels: { app: 'gw' } } })).toEqual({ a: [], b: [], gw: ['127.0.0.1_80'] });
  expect(changes({})).toEqual({ a: ['virtualInbound_21000'], b: ['virtualInbound_21000'], gw: ['127.0.0.1_80'] });
});
