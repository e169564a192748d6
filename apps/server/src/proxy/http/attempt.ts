// One try of a request at one endpoint: waits for a stream, passes on what it says, gives back what it counted. Reused for the
// next try.

import type { WireMeter } from '../../http-wire/socket/wire-meter.ts';
import type { CircuitBreaker } from '@weft/mesh-core/traffic';
import type { ResponseHead } from '../../http-wire/codec-h1/response-head.ts';
import type { TimerTarget, TimerWheel } from '../transport/timer-wheel.ts';
import { WheelTimer } from '../transport/timer-wheel.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { ConnectFailure, StreamFailure, StreamWaiter, UpstreamEvents, UpstreamStream } from '../upstream/stream.ts';

/** Which time was over: of the try, between bytes, or of the cluster's streams. */
export type AttemptTimeout = 'total' | 'idle' | 'duration';

/** What the request is told about its tries. */
export interface AttemptOwner {
  /** Where the bytes of all its tries are counted. */
  readonly upstreamWire?: WireMeter;
  onAttemptStream(attempt: Attempt, stream: UpstreamStream): void;
  /** `why`: as in access logs, '' = there is nothing more to say. */
  onAttemptUnconnected(attempt: Attempt, reason: ConnectFailure, why: string): void;
  onAttemptInterim(attempt: Attempt, head: ResponseHead): void;
  onAttemptHead(attempt: Attempt, head: ResponseHead): void;
  onAttemptData(bytes: Buffer, start: number, end: number, shared: boolean): void;
  onAttemptFlush(attempt: Attempt): void;
  onAttemptEnd(attempt: Attempt, trailers: string): void;
  onAttemptFailed(attempt: Attempt, kind: StreamFailure): void;
  onAttemptDrain(attempt: Attempt): void;
  onAttemptTunnelEnd(): void;
  onAttemptTimeout(attempt: Attempt, kind: AttemptTimeout): void;
}

export class Attempt implements UpstreamEvents, StreamWaiter, TimerTarget {
  endpoint: EndpointState | undefined;
  stream: UpstreamStream | undefined;
  tunnel = false;
  readonly meter: WireMeter | undefined;
  startedAt = 0;
  private readonly owner: AttemptOwner;
  private readonly wheel: TimerWheel;
  /** A further try was made beside this one. */
  hedged = false;
  /** One of its times was over, and told of its endpoint. */
  late = false;
  private readonly timer = new WheelTimer(this);
  private readonly idleTimer = new WheelTimer(this);
  private idleMs = 0;
  /** Made when a cluster first asks for it. */
  private durationTimer: WheelTimer | undefined;
  private waiting = false;
  /** Where this request is counted, while it has a stream. */
  private countedBy: CircuitBreaker | undefined;

  constructor(owner: AttemptOwner, wheel: TimerWheel) {
    this.owner = owner;
    this.meter = owner.upstreamWire;
    this.wheel = wheel;
  }

  /** False = the endpoint's queue is full; the attempt still holds the endpoint. */
  start(endpoint: EndpointState, now: number, http2Downstream: boolean, upgrade: boolean): boolean {
    this.endpoint = endpoint;
    this.tunnel = upgrade;
    this.startedAt = now;
    endpoint.load.active++;
    this.waiting = true;
    if (endpoint.acquire(this, http2Downstream)) return true;
    this.waiting = false;
    return false;
  }

  /** Run from now until `stopTimers` or `leave`; the second begins anew with every byte of the response. 0 = none. */
  startTimers(ms: number, idleMs: number): void {
    if (ms > 0) this.wheel.set(this.timer, ms);
    this.idleMs = idleMs;
    if (idleMs > 0) this.wheel.set(this.idleTimer, idleMs);
  }

  /** The life of this stream, response included; 0 = no limit. */
  limitDuration(ms: number): void {
    if (ms > 0) this.wheel.set((this.durationTimer ??= new WheelTimer(this)), ms);
  }

  /** The response has begun: only its pauses count from now on. */
  stopTimers(): void {
    this.wheel.clear(this.timer);
    this.touch();
  }

  private touch(): void {
    if (this.idleTimer.active) this.wheel.set(this.idleTimer, this.idleMs);
  }

  /** Of what the stream still has to say nothing gets here: the next stream may be another request's. */
  abort(): void {
    const { stream } = this;
    this.stream = undefined;
    stream?.abort();
  }

  /** As `abort`, but the connection stays of use. */
  discard(): void {
    const { stream } = this;
    this.stream = undefined;
    stream?.discard();
  }

  /** Lets go of stream and endpoint. */
  leave(): void {
    const { endpoint } = this;
    this.abort();
    this.wheel.clear(this.timer);
    this.wheel.clear(this.idleTimer);
    if (this.durationTimer !== undefined) this.wheel.clear(this.durationTimer);
    this.hedged = this.late = false;
    this.endpoint = undefined;
    if (this.countedBy !== undefined) this.countedBy.requests--;
    this.countedBy = undefined;
    if (endpoint === undefined) return;
    endpoint.load.active--;
    if (this.waiting) endpoint.cancel(this);
    this.waiting = false;
  }

  onTimer(timer: WheelTimer): void {
    this.owner.onAttemptTimeout(this, timer === this.timer ? 'total' : timer === this.idleTimer ? 'idle' : 'duration');
  }

  onStream(stream: UpstreamStream): void {
    this.waiting = false;
    this.stream = stream;
    const { endpoint } = this;
    if (endpoint !== undefined) {
      endpoint.load.total++;
      this.countedBy = endpoint.cluster.breaker;
      this.countedBy.begin();
    }
    this.owner.onAttemptStream(this, stream);
  }

  onConnectFailed(reason: ConnectFailure, why = ''): void {
    this.waiting = false;
    this.owner.onAttemptUnconnected(this, reason, why);
  }

  onUpstreamInterim(head: ResponseHead): void {
    this.owner.onAttemptInterim(this, head);
  }

  onUpstreamHead(head: ResponseHead): void {
    this.owner.onAttemptHead(this, head);
  }

  onUpstreamData(bytes: Buffer, start: number, end: number, shared: boolean): void {
    this.touch();
    this.owner.onAttemptData(bytes, start, end, shared);
  }

  onUpstreamFlush(): void {
    this.owner.onAttemptFlush(this);
  }

  onUpstreamEnd(trailers: string): void {
    this.stream = undefined;
    this.owner.onAttemptEnd(this, trailers);
  }

  onUpstreamFailed(kind: StreamFailure): void {
    this.stream = undefined;
    this.owner.onAttemptFailed(this, kind);
  }

  onUpstreamDrain(): void {
    this.owner.onAttemptDrain(this);
  }

  onTunnelEnd(): void {
    const { stream } = this;
    this.stream = undefined;
    stream?.tunnelEnd();
    this.owner.onAttemptTunnelEnd();
  }
}
