import type { GraphNode } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { nodeFigures } from '../../data/graph-figures.ts';
import { nodeTraffic } from './node-traffic.ts';

const workload: GraphNode = { id: 'wl:a/b', kind: 'workload', label: 'b', namespace: 'a', badges: [], proxies: [], inMesh: true };
const idle = nodeFigures(undefined);

test('a node that speaks HTTP and TCP shows both', () => {
  expect(nodeTraffic(workload, { ...idle, outRps: 3.4, outErrors: 0.5, tcpBytes: 13_300 })).toEqual({
    Requests: '3.4 /s out',
    Errors: '50 %',
    p95: '–',
    Traffic: '13.3 kB/s',
  });
  expect(nodeTraffic(workload, { ...idle, inRps: 20, outRps: 40, p95: 12, tcpBytes: 13_300 })).toEqual({
    Requests: '20.0 /s',
    Errors: '0 %',
    p95: '12 ms',
    Traffic: '13.3 kB/s',
  });
});

test('a node that speaks one of them shows that', () => {
  expect(nodeTraffic(workload, { ...idle, tcpBytes: 13_300 })).toEqual({ Traffic: '13.3 kB/s' });
  expect(nodeTraffic(workload, { ...idle, inRps: 20 })).toMatchObject({ Requests: '20.0 /s' });
  expect(nodeTraffic(workload, idle)).toMatchObject({ Requests: '0.0 /s' });
  expect(nodeTraffic({ ...workload, kind: 'gateway' }, { ...idle, outRps: 3.4 })).toMatchObject({ Requests: '3.4 /s' });
});
