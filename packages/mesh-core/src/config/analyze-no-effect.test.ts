import { expect, test } from 'vitest';
import type { MeshObject } from '../model/index.ts';
import { noEffectProblems } from './analyze-no-effect.ts';

const told = (kind: string, spec: unknown): string[] =>
  noEffectProblems({ apiVersion: 'v1', kind, metadata: { name: 'x', namespace: 'shop' }, spec } satisfies MeshObject).map((p) => `${p.severity} ${p.path}`);

test('what is taken and does nothing is told at its place: a warning where Istio would do something', () => {
  expect(told('ProxyConfig', { concurrency: 0, image: { imageType: 'debug' } })).toEqual(['warning spec.concurrency', 'warning spec.image']);
  expect(told('WorkloadGroup', { template: { ports: {} }, probe: {} })).toEqual(['warning spec.template', 'warning spec.probe']);
  expect(told('Gateway', { servers: [{}, { port: { targetPort: 1 }, defaultEndpoint: 'x' }] })).toEqual([
    'info spec.servers[1].defaultEndpoint',
    'info spec.servers[1].port.targetPort',
  ]);
  expect(told('Gateway', { servers: [{ port: { number: 1 } }] })).toEqual([]);
  expect(told('VirtualService', { tcp: [{ match: [{ port: 1 }, { sourceSubnet: '10.0.0.0/8' }] }] })).toEqual(['info spec.tcp[0].match[1].sourceSubnet']);
});
