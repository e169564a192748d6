// A multiplexed connection to an endpoint: many requests at a time, each on its stream.

import type { Socket } from 'node:net';
import type { ClusterConfig } from '../config/model.ts';
import { ErrorCode, goawayFrame } from '../../http-wire/codec-h2/frames.ts';
import { Http2ClientSession } from '../../http-wire/codec-h2/client-session.ts';
import { WheelTimer, type TimerTarget, type TimerWheel } from '../transport/timer-wheel.ts';
import type { Reader } from './dial.ts';
import { Http2ClientStream } from './http2-stream.ts';

/** More than this many streams share one connection badly: another is opened. */
const streamsPerConnection = 100;
/** For the peer to take the last words. */
const lingerMs = 1000;
/** Stream ids are 31 bits and never used twice. */
const lastUsableId = 2 ** 31 - 3;

export interface Http2ClientOwner {
  /** There is room for a request again. */
  onRoom(session: Http2ClientConnection): void;
  onGone(session: Http2ClientConnection): void;
}

export class Http2ClientConnection extends Http2ClientSession implements Reader, TimerTarget {
  /** Set while bytes of a buffer that is used again are handed over. */
  shared = false;
  served = 0;
  readonly timer: WheelTimer = new WheelTimer(this);
  private readonly owner: Http2ClientOwner;
  readonly wheel: TimerWheel;
  private readonly http: ClusterConfig['http'];
  private readonly lifeTimer: WheelTimer = new WheelTimer(this);
  private readonly pingTimer: WheelTimer = new WheelTimer(this);
  private pinging = false;
  private readonly free: Http2ClientStream[] = [];
  private draining = false;
  private gone = false;

  constructor(socket: Socket, owner: Http2ClientOwner, options: { clock: () => number; wheel: TimerWheel; http: ClusterConfig['http'] }) {
    super({ socket, clock: options.clock });
    this.owner = owner;
    this.wheel = options.wheel;
    const { http } = options;
    this.http = http;
    socket.on('end', () => this.leave());
    socket.on('close', () => this.onClose());
    this.waitIdle();
    if (http.maxConnectionDurationMs > 0) this.wheel.set(this.lifeTimer, http.maxConnectionDurationMs);
    if (http.keepalive !== undefined && http.keepalive.intervalMs > 0) this.wheel.set(this.pingTimer, http.keepalive.intervalMs);
  }

  private waitIdle(): void {
    this.wheel.setUnlessZero(this.timer, this.http.idleTimeoutMs);
  }

  get active(): number {
    return this.streams.size;
  }

  get hasRoom(): boolean {
    if (this.draining || this.stopped || this.socket.destroyed) return false;
    return this.active < Math.min(this.peerMaxStreams, this.http.maxConcurrentStreams || streamsPerConnection);
  }

  /** Whether the peer takes extended CONNECT (RFC 8441); undefined = its settings are not here yet. */
  get takesTunnels(): boolean | undefined {
    return this.settingsSeen ? this.peerEnablesConnect : undefined;
  }

  /** A stream to start a request on, at once. */
  take(): Http2ClientStream {
    const stream = this.free.pop() ?? new Http2ClientStream(this);
    stream.reserve();
    this.served++;
    if (this.timer.active) this.wheel.clear(this.timer);
    if ((this.http.maxRequestsPerConnection > 0 && this.served >= this.http.maxRequestsPerConnection) || this.lastId >= lastUsableId) this.draining = true;
    return stream;
  }

  release(stream: Http2ClientStream): void {
    if (this.free.length < streamsPerConnection) this.free.push(stream);
  }

  /** No new requests; closes when those running have ended. */
  leave(): void {
    this.draining = true;
    if (this.active === 0) this.close();
  }

  close(): void {
    if (this.gone) return;
    if (!this.stopped) this.out.add(goawayFrame(0, ErrorCode.none));
    this.out.flushNow();
    this.stopped = true;
    this.onBroken();
  }

  onTimer(timer: WheelTimer): void {
    if (this.stopped) this.socket.destroy();
    else if (timer === this.timer) this.close();
    else if (timer === this.lifeTimer) this.leave();
    else this.ping();
  }

  /** Asks whether the peer is still there; one that does not answer in time is not. */
  private ping(): void {
    const { keepalive } = this.http;
    if (keepalive === undefined) return;
    if (this.pinging) return void this.socket.destroy();
    this.pinging = true;
    this.sendPing();
    this.wheel.set(this.pingTimer, keepalive.timeoutMs || 20_000);
  }

  override read(bytes: Buffer, start: number, end: number, shared = false): void {
    if (this.stopped) return;
    this.shared = shared;
    super.read(bytes, start, end);
  }

  protected onGoaway(lastId: number): void {
    this.draining = true;
    this.failAll('refused', lastId);
    if (this.active === 0) this.close();
    else this.owner.onRoom(this);
  }

  protected onSettings(): void {
    if (this.peerMaxStreams === 0 && this.active === 0) return this.leave();
    this.owner.onRoom(this);
  }

  protected onPingAck(): void {
    if (!this.pinging) return;
    this.pinging = false;
    this.wheel.set(this.pingTimer, this.http.keepalive?.intervalMs ?? 0);
  }

  protected onStreamGone(): void {
    if (this.stopped) return;
    if (this.active === 0) {
      if (this.draining || this.peerMaxStreams === 0) return this.close();
      this.waitIdle();
    }
    this.owner.onRoom(this);
  }

  /** A peer that takes no more would keep what is on its way for ever. */
  protected onBroken(): void {
    this.socket.destroySoon();
    this.wheel.set(this.timer, lingerMs);
  }

  private onClose(): void {
    if (this.gone) return;
    this.gone = this.stopped = true;
    for (const timer of [this.timer, this.lifeTimer, this.pingTimer]) this.wheel.clear(timer);
    this.failAll('connection');
    this.owner.onGone(this);
  }
}
