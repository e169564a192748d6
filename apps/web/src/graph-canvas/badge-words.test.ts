import type { GraphNode } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { nodeWords } from './badge-words.ts';

const node = (more: Partial<GraphNode>): GraphNode => ({
  ...{ id: 'wl:shop/web', kind: 'workload', namespace: 'shop', label: 'web', box: 'ns:shop', badges: [], inMesh: true, proxies: [] },
  ...more,
});

test('a node without a sidecar says so once, and a host outside the mesh not at all', () => {
  expect(nodeWords(node({ badges: ['mirroring'] }))).toEqual(['mirrored']);
  expect(nodeWords(node({ inMesh: false }))).toEqual(['no sidecar']);
  expect(nodeWords(node({ inMesh: false, badges: ['missing-sidecar', 'mirroring'] }))).toEqual(['no sidecar', 'mirrored']);
  expect(nodeWords(node({ inMesh: false, kind: 'external' }))).toEqual([]);
});
