// The state of a request and what only reads or resets it; exchange.ts holds what happens.

import { randomUUID } from 'node:crypto';
import type { RequestView } from '@weft/mesh-core/traffic';
import { Field } from '../codec-h1/field-kinds.ts';
import { Body } from '../codec-h1/framing.ts';
import type { RequestHead } from '../codec-h1/request-head.ts';
import type { ClusterRuntime } from '../upstream/cluster.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { UpstreamStream } from '../upstream/stream.ts';
import { WheelTimer, type TimerTarget } from '../transport/timer-wheel.ts';
import type { ConnectionContext, DownstreamStream } from './downstream.ts';
import { peerHeaderOf } from './heads.ts';
import type { HeaderValueSource } from './header-ops.ts';
import type { HeadersView, RequestRecord } from './hooks.ts';
import { newRecord } from './record.ts';
import type { CompiledRoute, Target } from './route-table.ts';

export const noEndpoints: readonly EndpointState[] = [];

export abstract class ExchangeState implements TimerTarget, RequestView, HeadersView, HeaderValueSource {
  method = '';
  path = '';
  authority = '';
  scheme: 'http' | 'https' = 'http';
  protocol = 'HTTP/1.1';
  downstreamAddress = '';
  routeName = '';
  requestId = '';
  active = false;
  /** Set while the connection hands over a read: output is flushed once at its end. */
  reading = false;
  readonly record: RequestRecord;
  protected readonly context: ConnectionContext;
  protected readonly down: DownstreamStream;
  protected readonly routeTimer = new WheelTimer(this);
  protected readonly tryTimer = new WheelTimer(this);
  protected readonly backoffTimer = new WheelTimer(this);
  protected readonly idleTimer = new WheelTimer(this);
  protected head: RequestHead | undefined;
  protected route: CompiledRoute | undefined;
  protected target: Target | undefined;
  protected cluster: ClusterRuntime | undefined;
  protected endpoint: EndpointState | undefined;
  protected tried: readonly EndpointState[] = noEndpoints;
  protected stream: UpstreamStream | undefined;
  protected waiting = false;
  protected counted = false;
  protected retrying = false;
  protected lines = '';
  protected upstreamPath = '';
  protected upstreamHost = '';
  protected body: number = Body.none;
  protected upgrade = '';
  protected requestDone = false;
  protected trailers = '';
  protected buffered = '';
  protected replayable = false;
  protected keepCopy = false;
  protected retriesLeft = 0;
  protected retriesMade = 0;
  protected staleRetry = false;
  protected headSent = false;
  protected chunkedOut = false;
  protected closeAfter = false;
  protected tryStartedAt = 0;
  protected sentBefore = 0;
  protected flags = '';

  constructor(context: ConnectionContext, down: DownstreamStream) {
    this.context = context;
    this.down = down;
    this.downstreamAddress = `${context.remoteAddress}:${context.remotePort}`;
    this.scheme = context.tls && context.manager.useRemoteAddress ? 'https' : 'http';
    this.record = newRecord(context, this.downstreamAddress);
  }

  get(name: string): string | undefined {
    return this.head?.fields.get(name);
  }

  request(name: string): string | undefined {
    return this.get(name);
  }

  abstract onTimer(timer: WheelTimer): void;

  /** Takes a new request over; true when it brought an id that is kept. */
  protected reset(head: RequestHead, body: number): boolean {
    const { context, record } = this;
    this.active = true;
    this.head = head;
    this.method = head.method;
    this.path = head.path;
    this.authority = head.authority;
    this.protocol = head.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0';
    this.body = body;
    this.upgrade = this.wantedUpgrade(head);
    this.requestDone = this.waiting = this.counted = this.retrying = this.headSent = this.chunkedOut = this.staleRetry = false;
    this.trailers = this.buffered = this.flags = '';
    this.tried = noEndpoints;
    this.retriesMade = 0;
    this.stream = this.endpoint = this.route = this.target = this.cluster = undefined;
    this.closeAfter = head.minor === 0 || head.framing.close;
    this.sentBefore = this.down.bytesSent;

    record.startedAt = context.deps.clock();
    record.requestHeaderBytes = head.bytes;
    record.requestBodyBytes = record.responseHeaderBytes = record.responseBodyBytes = record.status = record.attempts = 0;
    record.route = record.cluster = record.endpoint = record.trace = undefined;
    record.virtualHost = record.routeConfig = record.upstreamAddress = record.grpcStatus = record.details = '';
    record.method = head.method;
    record.path = head.path;
    record.authority = head.authority;
    record.protocol = head.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0';
    record.userAgent = head.fields.known(Field.userAgent) ?? '';
    record.contentType = head.fields.known(Field.contentType) ?? '';
    const peerHeader = peerHeaderOf(context);
    record.peer.header = peerHeader !== '' && context.principal !== undefined ? head.fields.get(peerHeader) : undefined;
    const given = context.manager.useRemoteAddress ? undefined : head.fields.known(Field.requestId);
    this.requestId = record.requestId = given ?? randomUUID();
    if (context.manager.tracing !== undefined && context.deps.tracer !== undefined)
      record.trace = context.deps.tracer.onRequest(this, context.listener, context.manager);
    if (context.manager.streamIdleTimeoutMs > 0) context.wheel.set(this.idleTimer, context.manager.streamIdleTimeoutMs);
    return given !== undefined;
  }

  protected wantedUpgrade(head: RequestHead): string {
    const { upgrade, upgradeListed } = head.framing;
    if (upgrade === '' || !upgradeListed || head.minor === 0 || this.body !== Body.none) return '';
    return this.context.manager.upgradeTypes.some((type) => type.toLowerCase() === upgrade) ? upgrade : '';
  }

  protected armTimers(): void {
    const ms = this.route?.forward?.action.retry?.perTryTimeoutMs ?? 0;
    if (ms > 0 && !this.headSent && this.upgrade === '') this.context.wheel.set(this.tryTimer, ms);
  }

  protected touch(): void {
    if (this.idleTimer.active) this.context.wheel.set(this.idleTimer, this.context.manager.streamIdleTimeoutMs);
  }

  protected canReplay(): boolean {
    return this.body === Body.none || (this.keepCopy && this.replayable) || (this.replayable && this.buffered === '' && this.record.requestBodyBytes === 0);
  }

  protected flag(flag: string): void {
    if (flag !== '') this.flags = this.flags === '' ? flag : `${this.flags},${flag}`;
  }
}
