// Load reports (LRS): clients of our clusters tell how many requests they sent where. Kept as totals per proxy, cluster and locality.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { UpstreamLocalityStats } from '@weft/mesh-core/gen/envoy/config/endpoint/v3/load_report_pb';
import type { LoadStatsRequest } from '@weft/mesh-core/gen/envoy/service/load_stats/v3/lrs_pb';
import { LoadStatsRequestSchema, LoadStatsResponseSchema } from '@weft/mesh-core/gen/envoy/service/load_stats/v3/lrs_pb';
import { CODE, GrpcError, messageOf } from './grpc/codes.ts';
import type { CallHandler, GrpcCall, GrpcMethod } from './grpc/grpc-call.ts';

/** The interval other control planes ask for. */
export const LOAD_REPORT_SECONDS = 10;
const SEND_ALL = 'envoy.lrs.supports_send_all_clusters';
/** Rows kept: those reported last. */
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

export interface LoadReportOptions {
  clock: () => number;
  intervalSeconds: number;
  /** Why a client may not speak for a node; undefined = it may. */
  mayReport: (call: GrpcCall, nodeId: string) => Promise<string | undefined>;
  /** The clusters a node holds. */
  clustersOf: (nodeId: string) => readonly string[];
}

/** LoadReportingService; what is reported is counted in `store`. */
export function loadReportMethods(store: Map<string, LoadRow>, options: LoadReportOptions): [string, GrpcMethod][] {
  return [['/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats', (call) => serve(call, store, options)]];
}

function serve(call: GrpcCall, store: Map<string, LoadRow>, options: LoadReportOptions): CallHandler {
  let nodeId = '';
  const begin = async (id: string, sendAll: boolean): Promise<void> => {
    const refusal = await options.mayReport(call, id);
    if (refusal !== undefined) throw new GrpcError(CODE.permissionDenied, refusal);
    const response = create(LoadStatsResponseSchema, {
      ...(sendAll ? { sendAllClusters: true } : { clusters: [...options.clustersOf(id)] }),
      loadReportingInterval: { seconds: BigInt(options.intervalSeconds) },
    });
    call.write([toBinary(LoadStatsResponseSchema, response)]);
  };
  const count = (request: LoadStatsRequest): void => {
    for (const cluster of request.clusterStats)
      for (const [i, stats] of cluster.upstreamLocalityStats.entries())
        // Dropped requests are the cluster's, not a locality's: they are counted in its first row.
        take(store, { nodeId, cluster: cluster.clusterName, stats, dropped: i === 0 ? Number(cluster.totalDroppedRequests) : 0, now: options.clock() });
  };
  return {
    message: (bytes) => {
      const request = decoded(bytes);
      if (nodeId !== '') return count(request);
      if (request.node === undefined || request.node.id === '') throw new GrpcError(CODE.invalidArgument, 'the first report of a stream must name its node');
      nodeId = request.node.id;
      // Nothing counts before the client has proved who it is.
      call.pause();
      begin(nodeId, request.node.clientFeatures.includes(SEND_ALL)).then(
        () => {
          count(request);
          call.resume();
        },
        (error: unknown) => call.fail(error),
      );
    },
    ended: () => call.end(),
  };
}

function decoded(bytes: Uint8Array): LoadStatsRequest {
  try {
    return fromBinary(LoadStatsRequestSchema, bytes);
  } catch (error) {
    throw new GrpcError(CODE.invalidArgument, `not a load report: ${messageOf(error)}`);
  }
}

function take(
  store: Map<string, LoadRow>,
  { nodeId, cluster, stats, dropped, now }: { nodeId: string; cluster: string; stats: UpstreamLocalityStats; dropped: number; now: number },
): void {
  const { region = '', zone = '', subZone = '' } = stats.locality ?? {};
  const locality = [region, zone, subZone].filter((part) => part !== '').join('/');
  const key = `${nodeId}|${cluster}|${locality}`;
  const row = store.get(key) ?? { proxyId: nodeId, cluster, locality, issued: 0, succeeded: 0, failed: 0, inProgress: 0, dropped: 0, reportedAt: now };
  // In order of their last report.
  store.delete(key);
  if (store.size >= MAX_ROWS) store.delete(store.keys().next().value ?? '');
  store.set(key, row);
  row.issued += Number(stats.totalIssuedRequests);
  row.succeeded += Number(stats.totalSuccessfulRequests);
  row.failed += Number(stats.totalErrorRequests);
  row.inProgress = Number(stats.totalRequestsInProgress);
  row.dropped += dropped;
  row.reportedAt = now;
}
