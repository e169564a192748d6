import { expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type MeshObject } from '../model/index.ts';
import { ingressStatus } from './ingress-status.ts';

const ingress = (name: string, className?: string): MeshObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: { name, namespace: 'shop', annotations: className === undefined ? {} : { 'kubernetes.io/ingress.class': className } },
  spec: { rules: [] },
});

test('an Ingress we serve has the address of the gateway proxies once one is there; of others nothing is said', () => {
  const [ours, theirs, nobodys] = [ingress('ours', 'istio'), ingress('theirs', 'nginx'), ingress('nobodys')];
  const of = (...proxies: Record<string, string>[]) =>
    [ours, theirs, nobodys].map(
      ingressStatus(
        [ours, theirs, nobodys],
        DEFAULT_MESH_SETTINGS,
        proxies.map((labels) => ({ labels })),
      ),
    );
  expect(of({ istio: 'egressgateway' })).toEqual([{ loadBalancer: {} }, undefined, undefined]);
  expect(of({ istio: 'ingressgateway' })).toEqual([{ loadBalancer: { ingress: [{ ip: '127.0.0.1' }] } }, undefined, undefined]);
});
