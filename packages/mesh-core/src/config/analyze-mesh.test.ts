import { expect, test } from 'vitest';
import { meshOf, selectsAny } from './analyze-mesh.ts';

test('workloads are selected by labels of their metadata and of their spec, which win, and connected proxies by theirs', () => {
  const entry = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: 'w', namespace: 'shop', labels: { team: 'x', version: 'v1' } },
    spec: { address: '10.0.0.1', labels: { app: 'a', version: 'v2' } },
  };
  const mesh = meshOf([entry], [{ namespace: 'edge', identity: 'spiffe://cluster.local/ns/edge/sa/gate', labels: { app: 'gate' } }]);
  const selects = (labels: Record<string, string>, namespace?: string): boolean => selectsAny(mesh, labels, namespace);
  for (const namespace of ['shop', undefined]) {
    expect(selects({ team: 'x', app: 'a', version: 'v2' }, namespace)).toBe(true);
    expect(selects({ team: 'x', version: 'v1' }, namespace)).toBe(false);
  }
  expect(selects({ team: 'x' }, 'edge')).toBe(false);
  expect([selects({ app: 'gate' }), selects({ app: 'gate' }, 'edge'), selects({ app: 'gate' }, 'shop')]).toEqual([true, true, false]);
});
