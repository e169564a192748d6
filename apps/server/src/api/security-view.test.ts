import type { ProxyStatus } from '@weft/mesh-core/api';
import { parseYaml } from '@weft/mesh-core/config';
import type { MeshObject } from '@weft/mesh-core/model';
import { expect, test } from 'vitest';
import { securityOf } from './security-view.ts';

const objects = (yaml: string): MeshObject[] => parseYaml(yaml).documents.map((d) => d.value as MeshObject);
const WORKLOADS = ['reviews', 'ratings', 'db']
  .map(
    (app) => `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: ${app}-v1, namespace: ${app === 'db' ? 'data' : 'shop'} }
spec: { address: 127.0.0.1, labels: { app: ${app}, version: v1 } }
---
`,
  )
  .join('');
const policy = (kind: string, name: string, namespace: string, spec: string): string =>
  `apiVersion: security.istio.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
---
`;

test('the mode of the narrowest PeerAuthentication, with the object that says so', () => {
  const found = securityOf(
    objects(
      WORKLOADS +
        policy('PeerAuthentication', 'mesh', 'istio-system', '{ mtls: { mode: STRICT } }') +
        policy('PeerAuthentication', 'shop', 'shop', '{ mtls: { mode: PERMISSIVE } }') +
        policy(
          'PeerAuthentication',
          'old',
          'shop',
          '{ selector: { matchLabels: { app: ratings } }, mtls: { mode: DISABLE }, portLevelMtls: { 9080: { mode: STRICT } } }',
        ),
    ),
    [],
  );
  expect(Object.fromEntries(found.map((w) => [w.workload, [w.mtls, w.peerAuthentication?.name, w.ports]]))).toEqual({
    'reviews-v1': ['PERMISSIVE', 'shop', {}],
    'ratings-v1': ['DISABLE', 'old', { 9080: 'STRICT' }],
    'db-v1': ['STRICT', 'mesh', {}],
  });
});

test('policies that select a workload, by labels, namespace and root namespace; its identity while a proxy is connected', () => {
  const proxy = {
    id: 'p',
    namespace: 'shop',
    workload: 'reviews-v1',
    role: 'sidecar',
    state: 'synced',
    identity: 'spiffe://a',
    certificate: { serial: '1', notAfter: 7 },
  };
  const found = securityOf(
    objects(
      WORKLOADS +
        policy('AuthorizationPolicy', 'everywhere', 'istio-system', '{}') +
        policy('AuthorizationPolicy', 'shop', 'shop', '{}') +
        policy('RequestAuthentication', 'of-reviews', 'shop', '{ selector: { matchLabels: { app: reviews } } }') +
        policy('AuthorizationPolicy', 'of-a-gateway', 'shop', '{ targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: web }] }'),
    ),
    [proxy as unknown as ProxyStatus],
  );
  expect(Object.fromEntries(found.map((w) => [w.workload, w.policies.map((p) => p.name)]))).toEqual({
    'reviews-v1': ['everywhere', 'shop', 'of-reviews'],
    'ratings-v1': ['everywhere', 'shop'],
    'db-v1': ['everywhere'],
  });
  expect(found.map((w) => [w.identity, w.notAfter])).toEqual([
    ['spiffe://a', 7],
    [undefined, undefined],
    [undefined, undefined],
  ]);
});
