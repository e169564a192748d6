// A request of this proxy's own to a cluster, and its answer as a whole: like any other it is balanced, and goes over the cluster's
// connections.

import { Body } from '../../http-wire/codec-h1/framing.ts';
import type { ResponseHead } from '../../http-wire/codec-h1/response-head.ts';
import { type TimerTarget, type TimerWheel, WheelTimer } from '../transport/timer-wheel.ts';
import type { ClusterRuntime } from '../upstream/cluster.ts';
import type { ConnectFailure, StreamFailure, UpstreamStream } from '../upstream/stream.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import { noEndpoints } from './exchange-state.ts';
import { failures } from './failures.ts';
import { passedFields } from './heads.ts';

/** Most of an answer that is read. */
const answerLimit = 1024 * 1024;

export interface OwnRequest {
  cluster: string;
  method: string;
  path: string;
  authority: string;
  /** Without Host and framing. */
  lines: string;
  /** As latin1. */
  body: string;
  /** Told before it is sent; else only HTTP/2 can say where it ends. */
  tellsLength: boolean;
  /** Where the cluster speaks what its clients do. */
  http2: boolean;
  /** 0 = none. */
  timeoutMs: number;
}

/** Of the upstream, or where there is none what Envoy's router says in its place. */
export interface OwnAnswer {
  status: number;
  /** As of a request's record. */
  flags: string;
  /** `ip:port` of who was asked, '' = nobody. */
  address: string;
  /** Names in lower case, as they came and without those of the hop. */
  fields: readonly (readonly [name: string, value: string])[];
  body: Buffer;
  trailers: string;
  /** From the try to its head. */
  serviceMs: number;
}

/** What a request of one's own needs of the proxy. */
export interface OwnWorld {
  clusters: ReadonlyMap<string, ClusterRuntime>;
  wheel: TimerWheel;
}

export interface Asking {
  /** Nothing more is heard. */
  cancel(): void;
}

/** `done` hears of an answer once, perhaps before this returns. */
export function askCluster(request: OwnRequest, world: OwnWorld, done: (answer: OwnAnswer) => void): Asking {
  const asking = new OwnTry(request, world, done);
  asking.start();
  return asking;
}

class OwnTry implements AttemptOwner, TimerTarget, Asking {
  private readonly request: OwnRequest;
  private readonly world: OwnWorld;
  private readonly done: (answer: OwnAnswer) => void;
  private readonly cluster: ClusterRuntime | undefined;
  private readonly attempt: Attempt;
  private readonly timer = new WheelTimer(this);
  private head: Pick<OwnAnswer, 'status' | 'fields' | 'serviceMs'> | undefined;
  private readonly parts: Buffer[] = [];
  private length = 0;
  private address = '';
  private triedAgain = false;
  private over = false;

  constructor(request: OwnRequest, world: OwnWorld, done: (answer: OwnAnswer) => void) {
    this.request = request;
    this.world = world;
    this.done = done;
    this.cluster = world.clusters.get(request.cluster);
    this.attempt = new Attempt(this, world.wheel);
  }

  start(): void {
    const { cluster, request, world } = this;
    if (cluster === undefined) return this.fail('NC');
    if (!this.triedAgain) {
      cluster.totalRequests++;
      if (request.timeoutMs > 0) world.wheel.set(this.timer, request.timeoutMs);
    }
    const endpoint = cluster.pick(noEndpoints, 0, undefined, request.authority);
    if (endpoint === undefined) return this.fail('UH');
    this.address = endpoint.address;
    if (this.attempt.start(endpoint, world.wheel.now(), request.http2, false)) return;
    cluster.overflow++;
    this.fail('UO');
  }

  cancel(): void {
    this.over = true;
    this.leave();
  }

  onTimer(): void {
    const { cluster, attempt } = this;
    if (cluster !== undefined) {
      cluster.timeouts++;
      if (attempt.endpoint !== undefined) cluster.report(attempt.endpoint, 'timeout');
    }
    this.fail('UT', 504);
  }

  onAttemptStream(attempt: Attempt, stream: UpstreamStream): void {
    const { body, tellsLength, method, path, authority, lines } = this.request;
    const framing = { body: body === '' ? Body.none : tellsLength ? Body.length : Body.chunked, length: tellsLength ? body.length : -1 };
    if (attempt.endpoint !== undefined) this.cluster?.report(attempt.endpoint, 'connected');
    stream.start({ method, path, authority, scheme: 'http', lines, ...framing, upgrade: '' }, attempt);
    stream.text(body);
    stream.end('');
    stream.flush();
  }

  onAttemptHead(attempt: Attempt, { status, fields }: ResponseHead): void {
    const serviceMs = this.world.wheel.now() - attempt.startedAt;
    if (attempt.endpoint !== undefined) this.cluster?.report(attempt.endpoint, status, serviceMs);
    // The head is the connection's.
    this.head = { status, fields: passedFields(fields), serviceMs: Math.round(serviceMs) };
  }

  onAttemptData(bytes: Buffer, start: number, end: number): void {
    this.length += end - start;
    if (this.length > answerLimit) return this.fail('UR');
    this.parts.push(Buffer.from(bytes.subarray(start, end)));
  }

  onAttemptEnd(_: Attempt, trailers: string): void {
    const { head } = this;
    if (head === undefined) return this.fail('UC');
    this.finish({ ...head, flags: '-', address: this.address, body: Buffer.concat(this.parts), trailers });
  }

  onAttemptUnconnected(attempt: Attempt, reason: ConnectFailure): void {
    if (reason === 'overflow' && this.cluster !== undefined) this.cluster.overflow++;
    else if (attempt.endpoint !== undefined) this.cluster?.report(attempt.endpoint, 'connect-failure');
    this.fail(reason === 'overflow' ? 'UO' : 'UF');
  }

  onAttemptFailed(attempt: Attempt, kind: StreamFailure): void {
    // The peer says it has not looked at the request.
    if (kind === 'refused' && !this.triedAgain) {
      this.triedAgain = true;
      attempt.leave();
      return this.start();
    }
    if (attempt.endpoint !== undefined) this.cluster?.report(attempt.endpoint, 'connect-failure');
    this.fail(failures[kind][1]);
  }

  private fail(flags: string, status: 503 | 504 = 503): void {
    this.finish({ status, flags, address: this.address, fields: [], body: Buffer.alloc(0), trailers: '', serviceMs: -1 });
  }

  private finish(answer: OwnAnswer): void {
    if (this.over) return;
    this.over = true;
    this.leave();
    this.done(answer);
  }

  private leave(): void {
    this.world.wheel.clear(this.timer);
    this.attempt.leave();
  }

  onAttemptInterim(): void {}
  onAttemptFlush(): void {}
  onAttemptDrain(): void {}
  onAttemptTunnelEnd(): void {}
  onAttemptTimeout(): void {}
}
