// The state of a request, what only reads or resets it, and what filters may change of it; exchange.ts holds what happens.

import { isIP } from 'node:net';
import { isGrpcContentType } from '@weft/mesh-core/model';
import { markTraced } from '@weft/mesh-core/telemetry';
import type { DynamicMetadata, RetryRules, StringPredicate, Timeouts } from '@weft/mesh-core/traffic';
import { Field } from '../../http-wire/codec-h1/field-kinds.ts';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import type { HeaderBlock } from '../../http-wire/codec-h1/header-block.ts';
import type { RequestHead } from '../../http-wire/codec-h1/request-head.ts';
import type { ResponseHead } from '../../http-wire/codec-h1/response-head.ts';
import { WireMeter } from '../../http-wire/socket/wire-meter.ts';
import type { ClusterRuntime } from '../upstream/cluster.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import { WheelTimer, type TimerTarget } from '../transport/timer-wheel.ts';
import type { ConnectionContext, DownstreamStream } from './downstream.ts';
import type { BodyTap, FilteredRequest, RequestCompanion } from './filters/chain.ts';
import { KeptBody } from './kept-body.ts';
import { MessageCounter, grpcTimeoutText } from './grpc.ts';
import { clientsAtEdge } from './heads.ts';
import type { RequestRecord, TraceDecision, Tracer } from './hooks.ts';
import { newRequestId } from './random-ids.ts';
import { newRecord } from './record.ts';
import { isUnwanted } from './policy/external-headers.ts';
import { managerPolicy, type ManagerPolicy } from './policy/manager-policy.ts';
import type { RequestLimits } from './policy/request-limits.ts';
import type { CompiledRoute, endpointHost, Target } from './route-table.ts';
import { valuesIn } from '../transport/field-lines.ts';

export const noEndpoints: readonly EndpointState[] = [];
/** How much of a body is held while there is nobody to send it to. */
const holdLimit = 64 * 1024;
/** Written anew for each try. */
const TRIED: ReadonlySet<string> = new Set(['grpc-timeout', 'x-envoy-attempt-count', 'x-envoy-expected-rq-timeout-ms', 'x-envoy-is-timeout-retry']);
const noTimeouts: Timeouts = { globalMs: 0, perTryMs: 0, expectedMs: 0 };

export abstract class ExchangeState implements TimerTarget, FilteredRequest {
  method = '';
  path = '';
  authority = '';
  protocol: RequestRecord['protocol'] = 'HTTP/1.1';
  private trustedAddress = '';
  requestId = '';
  active = false;
  /** Set while the connection hands over a read: output is flushed once at its end. */
  reading = false;
  tap: BodyTap | undefined;
  metadata: DynamicMetadata | undefined;
  /** The request may steer this proxy by its headers. */
  internal = false;
  requestLinesAdded = '';
  requestDrop: Set<string> | undefined;
  readonly record: RequestRecord;
  readonly context: ConnectionContext;
  readonly upstreamWire: WireMeter = new WireMeter();
  protected readonly policy: ManagerPolicy;
  /** Tells peers who this proxy is, '' = nothing. */
  protected readonly peerLine: string;
  protected readonly down: DownstreamStream;
  protected readonly routeTimer = new WheelTimer(this);
  /** Between tries, and before the first where a filter asked for a pause. */
  protected readonly pauseTimer = new WheelTimer(this);
  protected readonly idleTimer = new WheelTimer(this);
  /** Made when a configuration first asks for it. */
  protected limits: RequestLimits | undefined;
  protected head: RequestHead | undefined;
  protected route: CompiledRoute | undefined;
  protected target: Target | undefined;
  protected cluster: ClusterRuntime | undefined;
  protected tried: readonly EndpointState[] = noEndpoints;
  protected nextStep = 0;
  protected started = false;
  /** Counted among the requests of the process. */
  protected admitted = false;
  protected retrying = false;
  protected lines = '';
  protected upstreamPath = '';
  protected upstreamHost: string | typeof endpointHost = '';
  protected idleMs = 0;
  /** `grpc-timeout` to the upstream says what is left, in place of the request's own. */
  protected ownsGrpcTimeout = false;
  /** What the last try had beside `lines`. */
  protected triedLines = '';
  /** Life of a gRPC request by its own word, -1 = it has none, or the route does not count it so. */
  protected grpcDurationMs = -1;
  protected timeouts: Timeouts = noTimeouts;
  protected retryRules: RetryRules | undefined;
  /** The response being written, for header values; undefined for answers of our own. */
  protected responseTo: ResponseHead | undefined;
  protected body: number = Body.none;
  protected upgrade = '';
  protected upgradeRefused = false;
  /** Followed so far, see `redirected`. */
  protected redirects = 0;
  protected originalUrl = '';
  /** Requests this exchange has had. */
  protected generation = 0;
  protected grpc = false;
  protected readonly requestMessages: MessageCounter = new MessageCounter();
  protected readonly responseMessages: MessageCounter = new MessageCounter();
  protected keepRequestId = false;
  protected requestDone = false;
  /** `deps.clock()` when all of the request was here and could go on. */
  protected requestDoneAt = 0;
  protected trailers = '';
  protected responseTrailers = '';
  protected readonly kept: KeptBody = new KeptBody();
  /** Nothing of the body is gone: it has not been sent, or is kept. */
  protected replayable = false;
  protected keepCopy = false;
  protected retriesMade = 0;
  protected headSent = false;
  /** Answered 400 here: as in Envoy nothing more is read of such a client. */
  badRequest = false;
  /** The last try's stream was ended by its peer, not with the connection. */
  streamReset = false;
  protected sentBefore = 0;
  protected responseLinesAdded = '';
  /** Of cookies that tie the client to an endpoint: they go with what an endpoint answers. */
  protected cookieLines = '';
  /** Of this request; undefined in all that no filter has handed to others. Gone with its end. */
  protected companions: RequestCompanion[] | undefined;
  protected holdLimit: number = holdLimit;
  protected responseDrop: Set<string> | undefined;
  /** Of an answer of the route's own, before operations. */
  protected ownLines = '';
  /** Status of what is being sent, 0 = nothing yet. */
  protected answering = 0;
  /** The head that was sent, of which logs tell: its lines, and the length of its body or -1. */
  protected answerLines = '';
  protected answerLength = -1;

  constructor(context: ConnectionContext, down: DownstreamStream) {
    this.context = context;
    this.policy = managerPolicy(context.manager);
    this.down = down;
    const { peerHeader } = this.policy;
    const { peerIdentity = '' } = context.deps;
    const told = peerHeader !== '' && peerIdentity !== '' && context.listener.direction !== 'inbound';
    this.peerLine = told ? `${peerHeader}: ${peerIdentity}\r\n` : '';
    this.record = newRecord(context);
    this.record.downstreamWire = down.meter;
    this.record.upstreamWire = this.upstreamWire;
  }

  get(name: string): string | undefined {
    return this.head?.fields.get(name);
  }

  get fields(): HeaderBlock {
    return (this.head as RequestHead).fields;
  }

  get heldBody(): string {
    return this.kept.toString();
  }

  get heldBytes(): number {
    return this.kept.length;
  }

  get bodiless(): boolean {
    return this.body === Body.none;
  }

  get complete(): boolean {
    return this.requestDone || this.body === Body.none;
  }

  holdBody(bytes: number): void {
    this.holdLimit = Math.max(bytes, holdLimit);
  }

  accompany(companion: RequestCompanion): void {
    (this.companions ??= []).push(companion);
  }

  get traced(): boolean {
    const fields = this.head?.fields;
    return fields !== undefined && (fields.indexOf(Field.traceparent) >= 0 || fields.indexOf(Field.b3) >= 0 || fields.indexOf(Field.clientTraceId) >= 0);
  }

  some(name: string, test: StringPredicate): boolean | undefined {
    return this.head?.fields.some(name, test);
  }

  /** An upgrade was asked for, and taken or refused. */
  get upgrading(): boolean {
    return this.upgrade !== '' || this.upgradeRefused;
  }

  get clientCertificate(): boolean {
    return this.context.certificateHash !== '';
  }

  /** Address of the client, which proxies in front may have told. */
  get sourceIp(): string {
    return this.trustedAddress === '' ? this.context.remoteAddress : this.trustedAddress;
  }

  /** What the request says of itself, but at the edge. */
  private get toldProtocol(): string | undefined {
    const { manager } = this.context;
    return manager.useRemoteAddress && manager.trustedHops === undefined ? undefined : this.head?.fields.known(Field.forwardedProto);
  }

  /** How the client came, in its own words where they count. */
  get forwardedProto(): string {
    return this.toldProtocol ?? (this.context.tls ? 'https' : 'http');
  }

  /** '' = it says so of itself. */
  protected get clientProtocol(): string {
    return this.forwardedProto.toLowerCase();
  }

  /** The name of the peer's span, '' = it is not told. */
  protected get operationTold(): string {
    const { direction, route, trace } = this.record;
    return trace !== undefined && direction === 'outbound' ? (route?.operation ?? '') : '';
  }

  /** Of its target, else as the client came. */
  get scheme(): 'http' | 'https' {
    const { tls } = this.context;
    const told = this.head?.scheme || this.clientProtocol;
    return told === 'https' || (told !== 'http' && tls) ? 'https' : 'http';
  }

  protected get connectionKey(): string {
    const { address, port } = this.context.listener;
    return `${this.context.downstreamAddress}${address}:${port}`;
  }

  /** What has become of it by now. */
  request(name: string): string | undefined {
    const { upstreamPath, target, context, record } = this;
    if (name === ':path') return upstreamPath === '' ? this.path : upstreamPath;
    if (name === ':scheme') return this.scheme;
    // A redirect that rewrites has no lines.
    if (name === 'x-envoy-original-path' && upstreamPath !== '') {
      const own = this.route?.forward === undefined ? this.path : valuesIn(this.lines, name)[0];
      if (own !== undefined) return own;
    }
    if (target !== undefined && this.lines !== '' && target.requestHeaders.names.has(name)) return valuesIn(this.lines, name)[0];
    if (this.triedLines !== '' && TRIED.has(name)) {
      const own = valuesIn(this.triedLines, name)[0];
      if (own !== undefined) return own;
    }
    if (name === 'grpc-timeout' && this.grpcDurationMs >= 0) return grpcTimeoutText(this.grpcDurationMs);
    if (name === 'x-forwarded-proto') return this.forwardedProto;
    // What the client called it goes no further than here.
    if (name === 'x-envoy-decorator-operation' && record.trace !== undefined && (record.direction === 'inbound' || this.operationTold !== ''))
      return this.operationTold || undefined;
    if (name === 'x-forwarded-for' && context.manager.useRemoteAddress && this.head !== undefined) return clientsAtEdge(this.head.fields, context);
    if (name.startsWith('x-envoy-')) {
      if (this.lines !== '') return valuesIn(this.lines, name)[0];
      if (isUnwanted(name, this.internal, context.manager.useRemoteAddress)) return undefined;
    }
    return this.get(name) ?? (this.lines === '' ? undefined : valuesIn(this.lines, name)[0]);
  }

  response(name: string): string | undefined {
    if (name === ':status') return this.answering === 0 ? undefined : String(this.answering);
    if (!this.headSent) return this.responseTo?.fields.get(name);
    if (name === 'content-length') return this.answerLength < 0 ? undefined : String(this.answerLength);
    return valuesIn(this.answerLines, name)[0];
  }

  trailer(name: string): string | undefined {
    return valuesIn(this.responseTrailers, name)[0];
  }

  values(side: 'request' | 'response', name: string): string[] {
    if (side === 'response' && this.responseTo === undefined) return valuesIn(this.ownLines, name);
    const fields = side === 'request' ? this.head?.fields : this.responseTo?.fields;
    const all: string[] = [];
    fields?.some(name, (value) => all.push(value) === 0);
    // Cookies that hashing has made are the response's own, too.
    return side === 'response' && name === 'set-cookie' ? [...all, ...valuesIn(this.cookieLines, name)] : all;
  }

  abstract answer(status: number, body: string, flag: string, details: string, extraLines?: string, grpcStatus?: number, type?: string): void;
  abstract continueRequest(): void;
  abstract onTimer(timer: WheelTimer): void;

  continueAfter(ms: number): void {
    this.context.wheel.set(this.pauseTimer, ms);
  }

  setRequestHeader(name: string, value: string): void {
    this.removeRequestHeader(name);
    this.requestLinesAdded += `${name}: ${value}\r\n`;
  }

  removeRequestHeader(name: string): void {
    (this.requestDrop ??= new Set()).add(name);
  }

  hideRequestHeaders(names: ReadonlySet<string>): void {
    this.head?.fields.hide(names);
  }

  appendRequestHeader(name: string, value: string): boolean {
    return /^[\t\x20-\x7e\x80-\xff]*$/.test(value) && this.head?.fields.append(name, value) === true;
  }

  setPath(path: string): void {
    // Unless the record tells what the caller was asked for.
    if (this.record.path === this.path) this.record.path = path;
    this.path = path;
  }

  setAuthority(authority: string): void {
    this.authority = this.record.authority = authority;
  }

  abstract chooseRouteAgain(): void;

  setResponseHeader(name: string, value: string): void {
    this.removeResponseHeader(name);
    this.responseLinesAdded += `${name}: ${value}\r\n`;
  }

  addResponseHeader(name: string, value: string): void {
    this.responseLinesAdded += `${name}: ${value}\r\n`;
  }

  removeResponseHeader(name: string): void {
    (this.responseDrop ??= new Set()).add(name);
  }

  flag(flag: string): void {
    const { record } = this;
    if (record.responseFlags === '-') record.responseFlags = flag || '-';
    else if (flag !== '' && !record.responseFlags.split(',').includes(flag)) record.responseFlags += `,${flag}`;
  }

  /** Takes a new request over. */
  protected reset(head: RequestHead, body: number): void {
    const { context, record } = this;
    this.active = true;
    this.generation++;
    this.head = head;
    const { useRemoteAddress, trustedHops } = context.manager;
    if (!useRemoteAddress || trustedHops !== undefined) this.believe((trustedHops ?? 0) + (useRemoteAddress ? 0 : 1));
    this.internal = this.policy.isInternal(this.sourceIp, head.fields.known(Field.forwardedFor));
    // Before anything is read of them: no route is found by what does not count.
    const ofInside = context.routes.table?.internalOnlyHeaders;
    if (ofInside !== undefined && !this.internal && this.redirects === 0) head.fields.hide(ofInside);
    this.method = head.method;
    this.path = head.path;
    this.authority = this.policy.hostOf(head.authority, context.listener.port);
    this.protocol = head.protocol;
    this.body = body;
    this.upgradeRefused = false;
    this.upgrade = '';
    if (head.framing.upgrade !== '') this.decideUpgrade(head, undefined);
    this.started = this.requestDone = this.retrying = this.headSent = this.badRequest = this.streamReset = this.keepCopy = false;
    this.replayable = true;
    this.trailers = this.upstreamPath = this.lines = this.triedLines = this.answerLines = '';
    this.kept.clear();
    this.tried = noEndpoints;
    this.nextStep = this.retriesMade = this.answering = 0;
    this.grpcDurationMs = -1;
    this.route = this.target = this.cluster = this.tap = this.metadata = this.requestDrop = this.responseDrop = this.retryRules = this.responseTo = undefined;
    this.timeouts = noTimeouts;
    this.requestLinesAdded = this.responseLinesAdded = this.cookieLines = this.ownLines = '';
    this.sentBefore = this.down.bytesSent;

    record.startedAt = context.wheel.now();
    record.requestHeaderBytes = head.bytes;
    record.requestBodyBytes = record.responseHeaderBytes = record.responseBodyBytes = record.status = record.attempts = 0;
    record.route = record.cluster = record.endpoint = record.trace = undefined;
    record.virtualHost = record.routeConfig = record.upstreamAddress = record.grpcStatus = record.details = '';
    record.upstreamLocalAddress = this.responseTrailers = '';
    record.upstreamSocket = undefined;
    this.upstreamWire.clear();
    record.tryMs = record.upstreamServiceMs = record.responseMs = -1;
    record.requestMs = head.framing.contentLength > 0 || head.framing.chunked ? -1 : 0;
    record.responseFlags = '-';
    record.method = head.method;
    record.path = head.path;
    record.authority = this.authority;
    record.protocol = head.protocol;
    record.userAgent = head.fields.known(Field.userAgent) ?? '';
    record.contentType = head.fields.known(Field.contentType) ?? '';
    // As in Envoy, which reads two types as one nobody knows.
    this.grpc = isGrpcContentType(record.contentType) && !head.fields.repeats(Field.contentType);
    record.requestMessages = record.responseMessages = 0;
    this.requestMessages.reset();
    this.responseMessages.reset();
    const { peerHeader } = this.policy;
    record.peer.header = peerHeader !== '' && context.principal !== undefined ? head.fields.get(peerHeader) : undefined;
    const { requestId: ids } = context.manager;
    const given = context.manager.useRemoteAddress && !ids.keepExternal && this.redirects === 0 ? undefined : head.fields.known(Field.requestId);
    this.requestId = record.requestId = given || (ids.generate ? newRequestId() : '');
    this.keepRequestId = this.requestId === given;
    if (context.manager.tracing !== undefined && context.deps.tracer !== undefined) record.trace = this.decideTrace(context.deps.tracer);
    // Log and span tell the path the caller was asked for, not what its proxy made of it.
    if (!context.manager.useRemoteAddress && (record.trace?.sampled === true || context.manager.accessLog.length > 0))
      record.path = head.fields.get('x-envoy-original-path') ?? record.path;
    record.callerOperation = record.trace?.sampled === true && record.direction === 'inbound' ? (head.fields.known(Field.decorator) ?? '') : '';
    this.setIdle(context.manager.streamIdleTimeoutMs);
  }

  /** Whom the last of the trusted proxies had as its client, of which inside the mesh the peer is one; who writes no address is not believed. */
  private believe(hops: number): void {
    this.trustedAddress = '';
    this.record.downstreamAddress = this.context.downstreamAddress;
    if (this.fields.indexOf(Field.forwardedFor) < 0) return;
    const address = this.values('request', 'x-forwarded-for').join(',').split(',').at(-hops)?.trim() ?? '';
    if (isIP(address) === 0) return;
    this.trustedAddress = address;
    this.record.downstreamAddress = `${address}:0`;
  }

  /** The decision travels in the request id too. */
  private decideTrace(tracer: Tracer): TraceDecision {
    const { requestId } = this;
    const decision = tracer.onRequest(this, requestId, this.context.manager);
    if (decision.mark !== '') this.requestId = this.record.requestId = markTraced(requestId, decision.mark);
    if (this.requestId !== requestId) this.keepRequestId = false;
    return decision;
  }

  /** 0 = none. */
  protected setIdle(ms: number): void {
    this.idleMs = ms;
    this.context.wheel.setUnlessZero(this.idleTimer, ms);
  }

  /** Where the route has a word about this type it beats the connection manager's. */
  protected decideUpgrade({ framing, protocol }: RequestHead, route: ReadonlyMap<string, boolean> | undefined): void {
    const { upgrade, upgradeListed } = framing;
    if (!upgradeListed) return;
    const taken = route?.get(upgrade) ?? this.context.manager.upgrades.get(upgrade) ?? false;
    // With a body it is a request like others: where that ends the next hop would have to guess.
    this.upgrade = taken && this.body === Body.none && protocol !== 'HTTP/1.0' ? upgrade : '';
    // Going on in HTTP/1.1 is what a client that offers h2c expects of those who do not take it.
    this.upgradeRefused = !taken && upgrade !== 'h2c';
  }

  protected touch(): void {
    if (this.idleTimer.active) this.context.wheel.set(this.idleTimer, this.idleMs);
  }

  protected canReplay(): boolean {
    return this.body === Body.none || this.replayable;
  }
}

/** Either set, or what is in any of them. */
export function union(a: ReadonlySet<string> | undefined, b: ReadonlySet<string> | undefined): ReadonlySet<string> | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return new Set([...a, ...b]);
}
