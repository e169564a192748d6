// Load reports (LRS): clients of our clusters tell how many requests they sent where. Kept as totals per proxy, cluster and locality.

import { status } from '@grpc/grpc-js';
import type { Server, ServerDuplexStream } from '@grpc/grpc-js';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { UpstreamLocalityStats } from '@weft/mesh-core/gen/envoy/config/endpoint/v3/load_report_pb';
import { LoadStatsRequestSchema, LoadStatsResponseSchema } from '@weft/mesh-core/gen/envoy/service/load_stats/v3/lrs_pb';

/** The interval other control planes ask for. */
export const LOAD_REPORT_SECONDS = 10;
const SEND_ALL = 'envoy.lrs.supports_send_all_clusters';
/** Rows kept; what reports beyond is counted in no row. */
const MAX_ROWS = 20_000;

export interface LoadRow {
  proxyId: string;
  cluster: string;
  /** `region/zone/subZone`, empty parts left out. */
  locality: string;
  issued: number;
  succeeded: number;
  failed: number;
  /** Of the last report. */
  inProgress: number;
  dropped: number;
  /** Unix ms. */
  reportedAt: number;
}

export interface LoadReports {
  rows(): readonly LoadRow[];
}

type Call = ServerDuplexStream<Buffer, Buffer>;
const pass = (bytes: Buffer): Buffer => bytes;

/** Serves LoadReportingService. `mayReport` says why a client may not speak for a node (undefined = it may); `clustersOf` names what it holds. */
export function addLoadReporting(
  server: Server,
  store: Map<string, LoadRow>,
  options: {
    clock: () => number;
    intervalSeconds: number;
    mayReport: (call: Call, nodeId: string) => Promise<string | undefined>;
    clustersOf: (nodeId: string) => readonly string[];
  },
): void {
  server.addService(
    {
      StreamLoadStats: {
        path: '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats',
        requestStream: true,
        responseStream: true,
        requestSerialize: pass,
        requestDeserialize: pass,
        responseSerialize: pass,
        responseDeserialize: pass,
      },
    },
    { StreamLoadStats: (call: Call) => serve(call, store, options) },
  );
}

function serve(call: Call, store: Map<string, LoadRow>, options: Parameters<typeof addLoadReporting>[2]): void {
  let nodeId = '';
  let ended = false;
  const fail = (code: status, details: string): void => {
    if (ended) return;
    ended = true;
    call.emit('error', { code, details });
  };
  const begin = async (id: string, sendAll: boolean): Promise<void> => {
    const refusal = await options.mayReport(call, id);
    if (refusal !== undefined) return fail(status.PERMISSION_DENIED, refusal);
    if (ended) return;
    const response = create(LoadStatsResponseSchema, {
      ...(sendAll ? { sendAllClusters: true } : { clusters: [...options.clustersOf(id)] }),
      loadReportingInterval: { seconds: BigInt(options.intervalSeconds) },
    });
    call.write(Buffer.from(toBinary(LoadStatsResponseSchema, response)));
  };
  call.on('data', (bytes: Buffer) => {
    if (ended) return;
    let request;
    try {
      request = fromBinary(LoadStatsRequestSchema, bytes);
    } catch (error) {
      return fail(status.INVALID_ARGUMENT, `not a load report: ${String(error)}`);
    }
    if (nodeId === '') {
      if (request.node === undefined || request.node.id === '') return fail(status.INVALID_ARGUMENT, 'the first report of a stream must name its node');
      nodeId = request.node.id;
      begin(nodeId, request.node.clientFeatures.includes(SEND_ALL)).catch((error: unknown) => fail(status.INTERNAL, String(error)));
    }
    for (const cluster of request.clusterStats)
      for (const [i, stats] of cluster.upstreamLocalityStats.entries())
        // Dropped requests are the cluster's, not a locality's: they are counted in its first row.
        take(store, { nodeId, cluster: cluster.clusterName, stats, dropped: i === 0 ? Number(cluster.totalDroppedRequests) : 0, now: options.clock() });
  });
  call.on('end', () => {
    ended = true;
    call.end();
  });
  const stop = (): void => {
    ended = true;
  };
  call.on('cancelled', stop);
  call.on('error', stop);
}

function take(
  store: Map<string, LoadRow>,
  { nodeId, cluster, stats, dropped, now }: { nodeId: string; cluster: string; stats: UpstreamLocalityStats; dropped: number; now: number },
): void {
  const { region = '', zone = '', subZone = '' } = stats.locality ?? {};
  const locality = [region, zone, subZone].filter((part) => part !== '').join('/');
  const key = `${nodeId}|${cluster}|${locality}`;
  let row = store.get(key);
  if (row === undefined) {
    if (store.size >= MAX_ROWS) return;
    row = { proxyId: nodeId, cluster, locality, issued: 0, succeeded: 0, failed: 0, inProgress: 0, dropped: 0, reportedAt: now };
    store.set(key, row);
  }
  row.issued += Number(stats.totalIssuedRequests);
  row.succeeded += Number(stats.totalSuccessfulRequests);
  row.failed += Number(stats.totalErrorRequests);
  row.inProgress = Number(stats.totalRequestsInProgress);
  row.dropped += dropped;
  row.reportedAt = now;
}
