import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { MeshObject } from '../model/index.ts';
import { analyzeObjects } from './analyze.ts';
import { validateObject } from './validate.ts';
import { parseYaml } from './yaml-text.ts';

const object = (kind: string, name: string, spec: unknown, namespace = 'shop'): MeshObject => ({ apiVersion: 'v1', kind, metadata: { name, namespace }, spec });
const HOST = 'authz.shop.svc.cluster.local';
const ports = [
  { name: 'http', port: 8000 },
  { name: 'grpc', port: 9000 },
];
const entry = (namespace: string): MeshObject =>
  object('ServiceEntry', 'e', { hosts: ['two.test'], ports: [{ number: 9000, name: 'g', protocol: 'GRPC' }] }, namespace);
const WORLD = [
  object('Service', 'authz', { selector: { app: 'authz' }, ports }),
  object('Service', 'db', { selector: { app: 'db' }, ports: [{ name: 'tcp-db', port: 5432 }] }),
  ...['authz', 'db', 'web'].map((app) => object('WorkloadEntry', `${app}-0`, { address: '127.0.0.1', labels: { app } })),
  entry('shop'),
  entry('other'),
  object('ServiceEntry', 'own', { hosts: ['own.test'], exportTo: ['.'], ports: [{ number: 9000, name: 'g', protocol: 'GRPC' }] }, 'other'),
];
const http = (check: object): object => ({ name: 'p', envoyExtAuthzHttp: { service: HOST, port: 8000, ...check } });
const grpc = (check: object): object => ({ name: 'p', envoyExtAuthzGrpc: { service: HOST, port: 9000, ...check } });
const policy = (name: string, provider: string, matchLabels: object = { app: 'web' }, namespace = 'shop'): MeshObject =>
  object('AuthorizationPolicy', name, { action: 'CUSTOM', provider: { name: provider }, selector: { matchLabels }, rules: [{}] }, namespace);
const found = (extensionProviders: readonly object[], ...policies: MeshObject[]): string[] =>
  analyzeObjects([...WORLD, object('ConfigMap', 'istio', { data: { mesh: JSON.stringify({ extensionProviders }) } }, 'istio-system'), ...policies]).map(
    ({ severity, code, ref, path, unresolved }) => `${unresolved === true ? 'unresolved ' : ''}${severity} ${code} ${ref?.name ?? ''} ${path ?? ''}`,
  );
const AT = 'a spec.provider.name';

test.each<[string, object, string[]]>([
  ['one over HTTP', http({}), []],
  ['one over gRPC', grpc({ service: `shop/${HOST}` }), []],
  ['another name', { ...http({}), name: 'q' }, [`unresolved error WEFT_PROVIDER_UNKNOWN ${AT}`]],
  ['what cannot be asked', http({ port: 0 }), ['error WEFT_BAD_PROVIDER istio data.mesh', `unresolved error WEFT_BAD_PROVIDER ${AT}`]],
  ['a service nobody has', http({ service: 'x.shop.svc.cluster.local' }), [`unresolved error WEFT_PROVIDER_SERVICE ${AT}`]],
  ['a short name', http({ service: 'authz' }), [`unresolved error WEFT_PROVIDER_SERVICE ${AT}`]],
  ['a service of another namespace', http({ service: `other/${HOST}` }), [`unresolved error WEFT_PROVIDER_SERVICE ${AT}`]],
  ['a port it has not', http({ port: 1 }), [`unresolved error WEFT_PROVIDER_SERVICE ${AT}`]],
  ['a service of two namespaces', grpc({ service: 'two.test' }), [`error WEFT_PROVIDER_SERVICE ${AT}`]],
  ['one of these', grpc({ service: 'other/two.test' }), []],
  ['one that is not exported here', grpc({ service: 'own.test' }), [`unresolved error WEFT_PROVIDER_SERVICE ${AT}`]],
  ['gRPC on a port of HTTP', grpc({ port: 8000 }), [`warning WEFT_PROVIDER_PROTOCOL ${AT}`]],
])('%s', (_, provider, problems) => {
  expect(found([provider], policy('a', 'p'))).toEqual(problems);
});

test('a provider nobody uses is told only where it cannot be asked', () => {
  expect(found([http({ service: 'x.shop.svc.cluster.local' })])).toEqual([]);
  expect(found([http({ port: 0 })])).toEqual(['error WEFT_BAD_PROVIDER istio data.mesh']);
});

test('without a MeshConfig there is none', () => {
  expect(analyzeObjects([...WORLD, policy('a', 'p')]).map((p) => p.code)).toEqual(['WEFT_PROVIDER_UNKNOWN']);
});

test('a provider that the Sidecar of a workload does not name is told', () => {
  const sidecar = (hosts: string[], labels?: object): MeshObject =>
    object('Sidecar', 's', { egress: [{ hosts }], ...(labels === undefined ? {} : { workloadSelector: { labels } }) });
  const told = (...more: MeshObject[]): string[] => found([http({})], policy('a', 'p'), ...more);
  expect(told(sidecar(['./*']))).toEqual([]);
  expect(told(sidecar([`*/${HOST}`]))).toEqual([]);
  expect(told(sidecar(['other/*']))).toEqual([`unresolved error WEFT_PROVIDER_SERVICE ${AT}`]);
  expect(told(sidecar(['other/*'], { app: 'db' }))).toEqual([]);
});

test('a workload that would ask two denies', () => {
  const two = [http({}), { ...grpc({}), name: 'q' }];
  const both = ['a', 'b'].map((name) => `error WEFT_PROVIDERS_DIFFER ${name} spec.provider.name`);
  expect(found(two, policy('a', 'p'), policy('b', 'p'))).toEqual([]);
  expect(found(two, policy('a', 'p'), policy('b', 'q', { app: 'db' }))).toEqual([]);
  expect(found(two, policy('a', 'p'), policy('b', 'q'))).toEqual(both);
  expect(found(two, policy('a', 'p', { app: 'pod' }), policy('b', 'q', { app: 'pod', v: '1' })).filter((p) => !p.includes('KIA'))).toEqual(both);
  expect(found(two, policy('a', 'p'), policy('b', 'q', {}, 'istio-system')).filter((p) => p.includes('DIFFER'))).toEqual(both);
  expect(found(two, policy('a', 'p', {}), policy('b', 'q', {}, 'other')).filter((p) => p.includes('DIFFER'))).toEqual([]);
});

test('policies for Gateways meet where they name the same, or where one is for everything', () => {
  const two = [http({}), { ...grpc({}), name: 'q' }];
  const at = (name: string, provider: string, gateway: string): MeshObject => {
    const targetRefs = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: gateway }];
    return object('AuthorizationPolicy', name, { action: 'CUSTOM', provider: { name: provider }, targetRefs, rules: [{}] });
  };
  expect(found(two, at('a', 'p', 'edge'), at('b', 'q', 'other'))).toEqual([]);
  expect(found(two, at('a', 'p', 'edge'), policy('b', 'q'))).toEqual([]);
  const both = ['a', 'b'].map((name) => `error WEFT_PROVIDERS_DIFFER ${name} spec.provider.name`);
  expect(found(two, at('a', 'p', 'edge'), at('b', 'q', 'edge'))).toEqual(both);
  expect(found(two, at('a', 'p', 'edge'), policy('b', 'q', {})).filter((p) => p.includes('DIFFER'))).toEqual(both);
});

test('what passes unasked, and who is asked about being asked, are told', () => {
  expect(found([http({})], policy('a', 'p', { app: 'db' }))).toEqual([`warning WEFT_TCP_UNASKED ${AT}`]);
  expect(found([grpc({})], policy('a', 'p', { app: 'db' }))).toEqual([]);
  expect(found([grpc({})], policy('a', 'p', { app: 'authz' }))).toEqual([`warning WEFT_PROVIDER_ASKED ${AT}`]);
});

test('the example is in order in the demo it is for', () => {
  const text = readFileSync(new URL('../../../../examples/security/external-authorization.yaml', import.meta.url), 'utf8');
  const checked = parseYaml(text).documents.map(({ value }) => validateObject(value));
  expect(checked.flatMap(({ problems }) => problems)).toEqual([]);
  const demo = object('WorkloadEntry', 'productpage-v1', { address: '127.0.0.1', labels: { app: 'productpage' } }, 'bookinfo');
  expect(analyzeObjects([demo, ...checked.flatMap((c) => c.object ?? [])])).toEqual([]);
});
