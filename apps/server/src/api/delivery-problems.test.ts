import { expect, test } from 'vitest';
import type { ProxyStatus } from '@weft/mesh-core/api';
import { deliveryProblems } from './delivery-problems.ts';

const proxy = (part: Partial<ProxyStatus>): ProxyStatus => ({
  ...{ id: 'p', workload: 'w', namespace: 'shop', role: 'sidecar', dataPlane: 'embedded', version: '', address: '', adminPort: 0 },
  ...{ state: 'synced', lastSeenAt: 0, identity: '', types: [] },
  ...part,
});
const missing = { policy: 'RequestAuthentication/shop/p', rule: 1, reason: 'http://keys answered 503', url: 'http://keys' };

test('a rule without keys is told once, whatever proxies refuse its tokens', () => {
  const told = deliveryProblems([], [proxy({ missingKeys: [missing] }), proxy({ id: 'q', missingKeys: [missing] })], 'cluster.local');
  expect(told).toMatchObject([
    { severity: 'error', code: 'WEFT_NO_KEYS', ref: { kind: 'RequestAuthentication', namespace: 'shop', name: 'p' }, path: 'spec.jwtRules[1]' },
  ]);
  expect(told[0]?.message).toContain('http://keys answered 503');
});

test('nothing is told of proxies that are gone, nor once more what the objects say by themselves', () => {
  const { url: _, ...unusable } = missing;
  expect(deliveryProblems([], [proxy({ state: 'disconnected', missingKeys: [missing] }), proxy({ missingKeys: [unusable] })], 'cluster.local')).toEqual([]);
});
