import { expect, test } from 'vitest';
import { configPath, refOfConfigPath } from './config-path.ts';

test.each([
  ['Service', '/api/v1/namespaces/shop/services/reviews'],
  ['VirtualService', '/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews'],
  ['DestinationRule', '/apis/networking.istio.io/v1/namespaces/shop/destination-rule/reviews'],
] as const)('the path of a %s leads back to it', (kind, path) => {
  expect(configPath(kind, 'shop', 'reviews')).toBe(path);
  expect(refOfConfigPath(path)).toEqual({ kind, namespace: 'shop', name: 'reviews' });
});

test.each(['', 'reviews', '/apis/networking.istio.io/v1/namespaces/shop/gateways/front', '/api/v1/namespaces/shop/services'])('%j names no object', (text) => {
  expect(refOfConfigPath(text)).toBeUndefined();
});
