import { create, toBinary } from '@bufbuild/protobuf';
import { LoadStatsRequestSchema } from '@weft/mesh-core/gen/envoy/service/load_stats/v3/lrs_pb';
import { expect, test } from 'vitest';
import type { GrpcCall } from './grpc/grpc-call.ts';
import { type LoadRow, loadReportMethods } from './load-reports.ts';

test('of more rows than are kept those reported last stay', async () => {
  const store = new Map<string, LoadRow>();
  const [[, method] = []] = loadReportMethods(store, { clock: () => 0, intervalSeconds: 1, mayReport: async () => undefined, clustersOf: () => [] });
  await new Promise<void>((resolve) => {
    const call = { pause: () => undefined, resume: resolve, write: () => 0, fail: resolve } as unknown as GrpcCall;
    const zones = Array.from({ length: 20_001 }, (_, i) => ({ locality: { zone: `z${i}` }, totalIssuedRequests: 1n }));
    // The first is reported once more before the last.
    const upstreamLocalityStats = [...zones.slice(0, -1), ...zones.slice(0, 1), ...zones.slice(-1)];
    const message = create(LoadStatsRequestSchema, { node: { id: 'n' }, clusterStats: [{ clusterName: 'c', upstreamLocalityStats }] });
    method?.(call).message(toBinary(LoadStatsRequestSchema, message));
  });
  expect(store.size).toBe(20_000);
  expect(['z0', 'z1', 'z20000'].map((zone) => store.get(`n|c|${zone}`)?.issued)).toEqual([2, undefined, 1]);
});
