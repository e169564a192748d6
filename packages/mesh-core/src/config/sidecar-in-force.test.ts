import { expect, test } from 'vitest';
import type { MeshObject } from '../model/index.ts';
import { isNamed, namedScopes, sidecarInForce } from './sidecar-in-force.ts';
import type { SidecarSpec } from './sidecar.ts';

const sidecar = (name: string, namespace: string, labels?: Record<string, string>): MeshObject<SidecarSpec> => ({
  ...{ apiVersion: 'networking.istio.io/v1', kind: 'Sidecar', metadata: { name, namespace } },
  spec: labels === undefined ? {} : { workloadSelector: { labels } },
});

test('a Sidecar that selects the workload comes before older ones for its namespace, these before the root namespace', () => {
  const all = [sidecar('root', 'istio-system'), sidecar('all', 'shop'), sidecar('one', 'shop', { app: 'a' }), sidecar('two', 'shop', { app: 'a' })];
  const inForce = (app: string, namespace = 'shop', list = all): string | undefined =>
    sidecarInForce(list, { namespace, labels: { app } }, 'istio-system')?.metadata.name;
  expect(inForce('a')).toBe('one');
  expect(inForce('b')).toBe('all');
  expect(inForce('a', 'other')).toBe('root');
  expect(inForce('a', 'other', [sidecar('root', 'istio-system', { app: 'a' })])).toBeUndefined();
});

test.each<[string[], boolean]>([
  [[], true],
  [['./*'], true],
  [['*/*'], true],
  [['shop/A.shop.svc.cluster.local'], true],
  [['./*.svc.cluster.local'], true],
  [['other/*'], false],
  [['~/*'], false],
  [['./b.shop.svc.cluster.local', 'other/*'], false],
])('%j', (hosts, named) => {
  expect(isNamed({ host: 'a.shop.svc.cluster.local', namespace: 'shop' }, namedScopes(hosts, 'shop'))).toBe(named);
});
