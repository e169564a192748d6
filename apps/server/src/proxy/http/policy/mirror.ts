// Copies of a request for other clusters (request_mirror_policies): sent beside the primary, answered to nobody, given up when they
// cannot keep up.

import { happens } from '@weft/mesh-core/traffic';
import type { Mirror } from '../../config/model.ts';
import { WheelTimer, type TimerTarget } from '../../transport/timer-wheel.ts';
import type { ClusterRuntime } from '../../upstream/cluster.ts';
import type { ConnectFailure, UpstreamRequest, UpstreamStream } from '../../upstream/stream.ts';
import { Attempt, type AttemptOwner } from '../attempt.ts';
import type { ConnectionContext } from '../downstream.ts';
import type { BodyTap } from '../filters/chain.ts';

/** Body bytes held for a mirror that is slow to connect or to read. */
const heldLimit = 64 * 1024;

export interface MirroredRequest extends UpstreamRequest {
  /** What of the body has arrived, latin1. */
  received: string;
  /** Undefined = more is to come. */
  trailers: string | undefined;
  /** Route timeout, 0 = none. */
  timeoutMs: number;
  http2: boolean;
}

/** Starts the mirrors a request draws; the tap takes the rest of its body. */
export function startMirrors(
  mirrors: readonly Mirror[],
  request: MirroredRequest,
  context: ConnectionContext,
  header: (name: string) => string | undefined,
): BodyTap | undefined {
  const started: MirrorTry[] = [];
  for (const mirror of mirrors) {
    if (!happens(mirror.fraction, context.deps.random)) continue;
    const name = mirror.clusterHeader === undefined ? mirror.cluster : header(mirror.clusterHeader);
    const cluster = name === undefined ? undefined : context.clusters.get(name);
    if (cluster === undefined) continue;
    const authority = mirror.shadowSuffix ? shadowHost(request.authority) : request.authority;
    const lines = mirror.traceSampled ? request.lines : unsampled(request.lines);
    const copy = new MirrorTry({ ...request, authority, lines }, context, cluster);
    if (copy.start()) started.push(copy);
  }
  if (started.length === 0 || request.trailers !== undefined) return undefined;
  return {
    data: (bytes, start, end) => started.forEach((mirror) => mirror.data(bytes, start, end)),
    end: (trailers) => started.forEach((mirror) => mirror.end(trailers)),
    abort: () => started.forEach((mirror) => mirror.abandon()),
  };
}

/** The sampling decision of W3C and B3 headers taken back. */
function unsampled(lines: string): string {
  return lines
    .replaceAll(/^(traceparent:.*-)[0-9a-f]{2}$/gim, (_, start: string) => `${start}00`)
    .replaceAll(/^(x-b3-sampled: *|b3: *[0-9a-f]+-[0-9a-f]+-)[1d](?=-|$)/gim, (_, start: string) => `${start}0`);
}

/** `host-shadow`, before a port. */
function shadowHost(authority: string): string {
  const port = /:\d+$/.exec(authority);
  return port === null ? `${authority}-shadow` : `${authority.slice(0, port.index)}-shadow${port[0]}`;
}

class MirrorTry implements AttemptOwner, TimerTarget {
  private readonly request: MirroredRequest;
  private readonly context: ConnectionContext;
  private readonly cluster: ClusterRuntime;
  private readonly attempt: Attempt;
  private readonly timer = new WheelTimer(this);
  private held: string;
  private trailers: string | undefined;
  private done = false;

  constructor(request: MirroredRequest, context: ConnectionContext, cluster: ClusterRuntime) {
    this.request = request;
    this.context = context;
    this.cluster = cluster;
    this.attempt = new Attempt(this, context.wheel);
    this.held = request.received;
    this.trailers = request.trailers;
  }

  /** False = the cluster has no room or nobody to ask. */
  start(): boolean {
    const { cluster, context, request } = this;
    cluster.totalRequests++;
    const endpoint = cluster.pick([], 0, undefined, request.authority);
    if (endpoint === undefined) return false;
    if (request.timeoutMs > 0) context.wheel.set(this.timer, request.timeoutMs);
    if (!this.attempt.start(endpoint, context.deps.clock(), request.http2, false)) this.overflow();
    return !this.done;
  }

  data(bytes: Buffer, start: number, end: number): void {
    const { stream } = this.attempt;
    if (this.done) return;
    if (stream === undefined) {
      if (this.held.length + end - start > heldLimit) return this.abandon();
      this.held += bytes.toString('latin1', start, end);
      return;
    }
    // The primary's buffers are reused: what is not written at once must be a copy.
    stream.data(Buffer.from(bytes.subarray(start, end)), 0, end - start, false);
    if (!stream.flush()) this.abandon();
  }

  end(trailers: string): void {
    this.trailers = trailers;
    this.attempt.stream?.end(trailers);
    this.attempt.stream?.flush();
  }

  abandon(): void {
    if (this.done) return;
    this.finish();
  }

  onTimer(): void {
    const { cluster, attempt } = this;
    cluster.timeouts++;
    if (attempt.endpoint !== undefined) cluster.report(attempt.endpoint, 'timeout');
    this.abandon();
  }

  private overflow(): void {
    this.cluster.overflow++;
    this.finish();
  }

  onAttemptStream(attempt: Attempt, stream: UpstreamStream): void {
    if (attempt.endpoint !== undefined) this.cluster.report(attempt.endpoint, 'connected');
    stream.start(this.request, attempt);
    stream.text(this.held);
    this.held = '';
    if (this.trailers !== undefined) stream.end(this.trailers);
    stream.flush();
  }

  onAttemptHead(attempt: Attempt, head: { status: number }): void {
    if (attempt.endpoint !== undefined) this.cluster.report(attempt.endpoint, head.status);
  }

  onAttemptEnd(): void {
    this.finish();
  }

  onAttemptUnconnected(attempt: Attempt, reason: ConnectFailure): void {
    if (reason === 'overflow') this.overflow();
    else this.fail(attempt);
  }

  onAttemptFailed(attempt: Attempt): void {
    this.fail(attempt);
  }

  private fail(attempt: Attempt): void {
    if (attempt.endpoint !== undefined) this.cluster.report(attempt.endpoint, 'connect-failure');
    this.finish();
  }

  private finish(): void {
    if (this.done) return;
    this.done = true;
    this.context.wheel.clear(this.timer);
    this.attempt.leave();
  }

  onAttemptInterim(): void {}
  onAttemptData(): void {}
  onAttemptFlush(): void {}
  onAttemptDrain(): void {}
  onAttemptTunnelEnd(): void {}
  onAttemptTimeout(): void {}
}
