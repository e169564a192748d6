import { EDGE_COLUMNS, type GraphNode, type GraphSnapshot, HEALTH, NODE_COLUMNS } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { matching, parseExpression, without } from './find-expression.ts';

const node = (workload: string, namespace: string, badges: GraphNode['badges'] = []): GraphNode => ({
  ...{ id: `wl:${namespace}/${workload}`, kind: 'workload' as const, namespace, label: workload, workload },
  ...{ app: workload.split('-')[0] ?? '', version: workload.split('-')[1] ?? '', box: `ns:${namespace}`, badges, inMesh: namespace !== 'legacy', proxies: [] },
});
const nodeRow = (values: Partial<Record<(typeof NODE_COLUMNS)[number], number>>): number[] => NODE_COLUMNS.map((c) => values[c] ?? 0);
const edgeRow = (values: Partial<Record<(typeof EDGE_COLUMNS)[number], number>>): number[] => EDGE_COLUMNS.map((c) => values[c] ?? -1);
const edge = (source: string, target: string): GraphSnapshot['edges'][number] => ({ id: `${source}>${target}:http`, source, target, protocol: 'http' });
const [A, B, C] = ['wl:shop/web-v1', 'wl:shop/cart-v2', 'wl:legacy/db-v1'];
const graph: GraphSnapshot = {
  ...{ at: 1, windowSec: 30, graphType: 'workload', notes: [] },
  boxes: ['shop', 'legacy'].map((namespace) => ({ id: `ns:${namespace}`, kind: 'namespace', label: namespace, namespace })),
  nodes: [node('web-v1', 'shop'), node('cart-v2', 'shop', ['fault-injection']), node('db-v1', 'legacy')],
  edges: [edge(A, B), edge(B, C)],
  nodeRows: [
    nodeRow({ inRps: 20, inErrors: 0, p95: 300, health: HEALTH.indexOf('healthy') }),
    nodeRow({ inRps: 5, inErrors: 0.02, p95: 1_200, health: HEALTH.indexOf('degraded') }),
    nodeRow({ inRps: 0, inErrors: 0, p95: -1, health: HEALTH.indexOf('idle') }),
  ],
  edgeRows: [edgeRow({ rps: 20, errors: 0, mtls: 1, health: 2 }), edgeRow({ rps: 0, bytes: 0, errors: 0, mtls: 0, health: 1 })],
};
const found = (text: string): string[] => {
  const { test: wanted, error } = parseExpression(text);
  return wanted === undefined ? [error ?? ''] : [...matching(graph, wanted)].map((id) => id.replaceAll(/wl:|:http/g, ''));
};

test('words look in names, conditions at figures, texts and states', () => {
  expect(found('cart')).toEqual(['shop/cart-v2']);
  expect(found('err > 1 %')).toEqual(['shop/cart-v2']);
  expect(found('p95 > 1s')).toEqual(['shop/cart-v2']);
  expect(found('p95 >= 0 and kind != edge')).toEqual(['shop/web-v1', 'shop/cart-v2']);
  expect(found('ns = shop and not degraded')).toEqual(['shop/web-v1']);
  expect(found('name ~ web or fault')).toEqual(['shop/web-v1', 'shop/cart-v2']);
  expect(found('idle')).toEqual(['legacy/db-v1', 'shop/cart-v2>legacy/db-v1']);
  expect(found('!sidecar and kind = workload')).toEqual(['legacy/db-v1']);
  expect(found('mtls = 100 and kind = edge')).toEqual(['shop/web-v1>shop/cart-v2']);
});

test('what is not understood is told', () => {
  expect(found('colour = red')[0]).toContain('colour is nothing to compare');
  expect(found('err > lots')).toEqual(['lots is no number']);
  expect(found('err >')).toEqual(['err > what?']);
  expect(found('ns > 3')[0]).toContain('is a text');
  expect(found('rps ~ 3')[0]).toContain('is a number');
  expect(parseExpression('  ')).toEqual({ test: undefined });
});

test('hiding takes nodes with their edges and boxes that are empty then; rows stay beside what they belong to', () => {
  const rest = without(graph, new Set([C]));
  expect([rest.nodes.map((n) => n.id), rest.edges.map((e) => e.id), rest.boxes.map((b) => b.id)]).toEqual([[A, B], [`${A}>${B}:http`], ['ns:shop']]);
  expect(rest.nodeRows).toEqual(graph.nodeRows.slice(0, 2));
  expect(without(graph, new Set([A])).edgeRows).toEqual([graph.edgeRows[1]]);
});
