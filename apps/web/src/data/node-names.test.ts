import type { GraphNode } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { edgeName, serviceOfNode, tracedName } from './node-names.ts';

const node = (more: Partial<GraphNode>): GraphNode => ({
  ...{ id: 'x', kind: 'workload', namespace: 'shop', label: 'v1', box: 'ns:shop', badges: [], inMesh: true, proxies: [] },
  ...more,
});

test('a node leads to its service, and a host outside the mesh to none', () => {
  const service = 'web.shop.svc.cluster.local';
  expect(serviceOfNode(node({ service }))).toEqual({ name: 'web', namespace: 'shop' });
  expect(serviceOfNode(node({ service, kind: 'external' }))).toBeUndefined();
  expect(serviceOfNode(node({}))).toBeUndefined();
});

test('traces know a node by its app, else by its service, else as it is labelled', () => {
  expect(tracedName(node({ app: 'web', service: 'front.shop.svc.cluster.local' }))).toBe('web.shop');
  expect(tracedName(node({ service: 'front.shop.svc.cluster.local' }))).toBe('front.shop');
  expect(tracedName(node({ label: 'ratings' }))).toBe('ratings.shop');
});

test('an edge is named by what it joins, not by ids', () => {
  const nodes = [node({ id: 'wl:shop/web-v1', workload: 'web-v1' }), node({ id: 'svc:shop/cart', kind: 'service', label: 'cart' })];
  expect(edgeName({ source: 'wl:shop/web-v1', target: 'svc:shop/cart', protocol: 'http' }, nodes)).toBe('http traffic from workload web-v1 to service cart');
});
