import { expect, test } from 'vitest';
import { parseSpiffeId, spiffeId } from './identity.ts';

test('a SPIFFE id survives the round trip', () => {
  const identity = { trustDomain: 'cluster.local', namespace: 'bookinfo', serviceAccount: 'bookinfo-reviews' };
  expect(parseSpiffeId(spiffeId(identity))).toEqual(identity);
});

test.each([
  'spiffe://cluster.local/ns/a/sa/b/',
  'spiffe://Cluster.local/ns/a/sa/b',
  'spiffe://cluster.local/ns/a/sa/b?x',
  'spiffe://cluster.local/ns/a',
  'https://cluster.local/ns/a/sa/b',
])('refuses %s', (id) => expect(parseSpiffeId(id)).toBeUndefined());
