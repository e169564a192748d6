import { expect, test } from 'vitest';
import type { MeshObject } from '../model/index.ts';
import { type Targeted, concerns } from './policy-targets.ts';

const policy = (spec: Targeted, namespace = 'edge'): MeshObject<Targeted> => ({ apiVersion: '', kind: '', metadata: { name: 'p', namespace }, spec });
const node = (labels: Record<string, string>, namespace = 'edge') => ({ labels, namespace });
const GATEWAY = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'web' };
const WEB = node({ 'gateway.networking.k8s.io/gateway-name': 'web' });

test('a policy for a Gateway is for the proxies of its name in its own namespace, one without target for those it selects', () => {
  const toGateway = policy({ targetRefs: [{ kind: 'Service', name: 'a' }, GATEWAY] });
  expect(concerns(toGateway, WEB)).toBe(true);
  expect(concerns(policy({ targetRef: GATEWAY }), WEB)).toBe(true);
  expect(concerns(toGateway, { ...WEB, namespace: 'other' })).toBe(false);
  expect(concerns(toGateway, node({ app: 'web' }))).toBe(false);
  // Of the root namespace too: targets are in the policy's own.
  expect(concerns(policy({ targetRefs: [GATEWAY] }, 'istio-system'), WEB)).toBe(false);
  expect(concerns(policy({ targetRefs: [{ ...GATEWAY, name: 'other' }] }), WEB)).toBe(false);
  expect(concerns(policy({ targetRefs: [{ kind: 'Service', name: 'web' }] }), WEB)).toBe(false);
  expect(concerns(policy({ selector: { matchLabels: { app: 'web' } } }), node({ app: 'web' }))).toBe(true);
  expect(concerns(policy({ selector: { matchLabels: { app: 'web' } } }), WEB)).toBe(false);
  expect(concerns(policy({ targetRefs: [] }), WEB)).toBe(true);
});
