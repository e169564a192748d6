import { expect, test } from 'vitest';
import type { MeshObject } from '../model/index.ts';
import { analyzeObjects } from './analyze.ts';
import { validateObject } from './validate.ts';

const namespace = (name: string, metadata: object): MeshObject =>
  validateObject({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, ...metadata } }).object as MeshObject;
const found = (...objects: MeshObject[]): string[] => analyzeObjects(objects).map((p) => `${p.severity} ${p.code} ${p.path}`);

test('labels and annotations that do nothing here are told at their place; those Gateways select by are not', () => {
  const labels = { 'istio-injection': 'enabled', 'istio.io/dataplane-mode': 'ambient', 'topology.istio.io/network': 'n1', team: 'shop' };
  const annotations = { 'networking.istio.io/exportTo': '.', 'networking.istio.io/traffic-distribution': 'PreferClose', note: 'x' };
  expect(found(namespace('shop', { labels, annotations }))).toEqual([
    'warning WEFT_NO_EFFECT metadata.labels["istio-injection"]',
    'warning WEFT_NO_EFFECT metadata.labels["istio.io/dataplane-mode"]',
    'info WEFT_NO_EFFECT metadata.labels["topology.istio.io/network"]',
    'info WEFT_NO_EFFECT metadata.annotations["networking.istio.io/exportTo"]',
    'warning WEFT_NO_EFFECT metadata.annotations["networking.istio.io/traffic-distribution"]',
  ]);
});

test('what asks for what is so anyway is not told, and the network of the mesh is a warning only where Istio reads it', () => {
  expect(found(namespace('shop', { labels: { 'istio.io/dataplane-mode': 'none', 'istio.io/use-waypoint': 'none' } }))).toEqual([]);
  expect(found(namespace('istio-system', { labels: { 'topology.istio.io/network': 'n1' } }))).toEqual([
    'warning WEFT_NO_EFFECT metadata.labels["topology.istio.io/network"]',
  ]);
});

test('a name that cannot be part of a host name, and one that is', () => {
  const problems = (name: string): string[] =>
    validateObject({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }).problems.map((p) => `${p.path}: ${p.message}`);
  expect(problems('shop')).toEqual([]);
  expect(problems('shop.eu')).toEqual([expect.stringMatching(/^metadata.name: .*DNS label/)]);
});
