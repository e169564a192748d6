// One request from its head to its end: route, filter, choose, pass on, answer, report. Reused for the next request of the
// connection; every callback is a method, nothing is allocated per request but the strings it sends.

import { Field } from '../../http-wire/codec-h1/field-kinds.ts';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import type { RequestHead } from '../../http-wire/codec-h1/request-head.ts';
import type { ResponseHead } from '../../http-wire/codec-h1/response-head.ts';
import type { DirectResponseAction, InternalRedirect, RedirectAction } from '../config/model.ts';
import { without } from '../transport/field-lines.ts';
import type { WheelTimer } from '../transport/timer-wheel.ts';
import type { Attempt } from './attempt.ts';
import { ExchangeForward } from './exchange-forward.ts';
import type { BodyTap, RouteFilter } from './filters/chain.ts';
import { grpcStatusIn, grpcTimeoutMs } from './grpc.ts';
import { clientsBefore, responseLines } from './heads.ts';
import { redirectedHead, redirectTarget, type RedirectTarget } from './policy/internal-redirect.ts';
import { RequestLimits } from './policy/request-limits.ts';
import { findRoute, type CompiledRoute } from './route-table.ts';

/** How much of a body is kept for further tries (Envoy's buffer limit). */
const replayLimit = 1024 * 1024;
/** gRPC's DEADLINE_EXCEEDED. */
const deadlineExceeded = 4;
const noFilters: readonly RouteFilter[] = [];
/** Of a handshake that failed: the answer has its own type, and one date. */
const notOfHandshake: ReadonlySet<string> = new Set(['date', 'content-type']);

export class Exchange extends ExchangeForward {
  /** A complete head; `body` is `Body.*`. */
  begin(head: RequestHead, body: number): void {
    this.reset(head, body);
    const { context } = this;
    const { manager } = context;
    if (context.deps.overload !== undefined && !this.admit(context.deps.overload)) return;
    // Answered here, for the client's sake, and not passed on.
    if (head.expectContinue) this.down.interim(100, '');
    if (head.hostMissing) return this.turnAway(400, 'missing_host_header');
    if (this.path.charCodeAt(0) !== 0x2f) return this.turnAway(404, 'absolute_path_rejected');
    if (this.path.includes('#')) return this.refuseFragment();
    if (this.policy.normalizePath !== undefined && !this.normalize(this.policy.normalizePath)) return;
    if (manager.requestTimeoutMs > 0 && body !== Body.none) this.requestLimits().setArrival(manager.requestTimeoutMs);
    this.chooseRoute();
    if (this.upgradeRefused) return this.refuseUpgrade();
    // Filters of the manager come first: whom they refuse learns nothing of routes.
    if (context.filters.length > 0 || this.route?.filters !== undefined) this.continueRequest();
    else this.execute();
  }

  private chooseRoute(): void {
    const { record } = this;
    const { routes, deps } = this.context;
    const { table } = routes;
    // As Envoy: what comes by no protocol goes nowhere.
    const { clientProtocol } = this;
    const host = clientProtocol === '' ? undefined : table?.hosts.find(this.authority);
    const route = host === undefined ? undefined : findRoute(host, this, deps.random, clientProtocol);
    record.routeConfig = table?.name ?? '';
    record.virtualHost = host?.name ?? '';
    if (route !== undefined) this.take(route);
  }

  chooseRouteAgain(): void {
    this.route = this.target = this.cluster = undefined;
    this.record.route = this.record.cluster = undefined;
    this.limits?.setDuration(0);
    this.setIdle(this.context.manager.streamIdleTimeoutMs);
    this.chooseRoute();
  }

  private take(route: CompiledRoute): void {
    this.route = route;
    this.record.route = route.config;
    this.setTimes(route);
    if (route.forward === undefined) return;
    this.chooseTarget(route.forward);
    const { upgrades } = route.forward.action;
    if (upgrades !== undefined && this.head !== undefined && this.head.framing.upgrade !== '') this.decideUpgrade(this.head, upgrades);
  }

  /** False = answered: the process has enough to do. */
  private admit(overload: { admit(): boolean }): boolean {
    this.admitted = overload.admit();
    if (!this.admitted) {
      const told = this.context.manager.appendLocalOverload ? 'x-envoy-local-overloaded: true\r\n' : '';
      this.turnAway(503, 'overload', told, 'envoy overloaded');
    }
    return this.admitted;
  }

  /** Before anything is known of the request but what it says: as in Envoy it has a route only if it says how it came. */
  private refuseFragment(): void {
    if (this.head?.fields.known(Field.forwardedProto)) this.chooseRoute();
    this.turnAway(400, 'path_normalization_failed');
  }

  /** Before anybody has looked at who asks: without a trace, an id of ours, or a client behind the one that connected. */
  private turnAway(status: number, details: string, lines = '', body = ''): void {
    const { record } = this;
    record.trace = undefined;
    record.requestId = this.requestId = this.head?.fields.known(Field.requestId) ?? '';
    record.downstreamAddress = this.context.downstreamAddress;
    this.answer(status, body, '', details, lines);
  }

  /** Before anybody traces it. */
  private refuseUpgrade(): void {
    this.record.trace = undefined;
    this.answer(403, '', '', 'upgrade_failed');
  }

  /** False = answered. */
  private normalize(rules: NonNullable<typeof this.policy.normalizePath>): boolean {
    const { path, redirect } = rules(this.path);
    if (path === undefined) this.turnAway(400, 'path_normalization_failed');
    else if (redirect) this.turnAway(307, 'path_normalization_failed', `location: ${path}\r\n`);
    else {
      // Unless the record tells what the caller was asked for.
      if (this.record.path === this.path) this.record.path = path;
      this.path = path;
    }
    return this.active;
  }

  private requestLimits(): RequestLimits {
    return (this.limits ??= new RequestLimits(this.context.wheel, (kind) => {
      if (kind === 'arrival') this.timeout(408, '', 'request_overall_timeout', 'request timeout');
      else this.timeout(this.requestDone ? 504 : 408, '', 'max_duration_timeout', 'downstream duration timeout', deadlineExceeded);
    }));
  }

  /** Limits a route may set for itself. */
  private setTimes({ config: { action } }: CompiledRoute): void {
    const { maxStreamDurationMs } = this.context.manager;
    this.grpcDurationMs = -1;
    if (action.kind !== 'forward') return;
    if (action.idleTimeoutMs !== undefined) this.setIdle(action.idleTimeoutMs);
    let ms = action.maxStreamDurationMs ?? maxStreamDurationMs;
    const { grpcStreamDuration } = action;
    const asked = grpcStreamDuration === undefined ? undefined : grpcTimeoutMs(this.get('grpc-timeout'));
    if (grpcStreamDuration !== undefined && asked !== undefined) {
      const { maxMs, offsetMs } = grpcStreamDuration;
      ms = maxMs > 0 ? Math.min(asked, maxMs) : asked;
      if (offsetMs < ms) ms -= offsetMs;
      if (this.grpc) this.grpcDurationMs = ms;
      ms = Math.max(ms, 1);
    }
    if (ms > 0) this.requestLimits().setDuration(ms);
  }

  /** The steps of the manager and of the route that are left, then its action. */
  continueRequest(): void {
    const { filters } = this.context;
    while (this.nextStep < filters.length) if (filters[this.nextStep++]?.onRequest?.(this) === 'stop') return;
    // Which of the manager's may have changed.
    const steps = this.route?.filters?.request ?? noFilters;
    while (this.nextStep < filters.length + steps.length) if (steps[this.nextStep++ - filters.length]?.onRequest?.(this) === 'stop') return;
    this.execute();
  }

  private execute(): void {
    const { route } = this;
    if (!this.active) return;
    if (route === undefined) return this.answer(404, '', 'NR', 'route_not_found');
    this.started = true;
    const { action } = route.config;
    if (action.kind !== 'forward') return this.answerItself(route, action);
    if (route.forward !== undefined) this.forward(route.forward);
  }

  private answerItself(route: CompiledRoute, action: RedirectAction | DirectResponseAction): void {
    const location = route.redirect?.(this);
    if (action.kind === 'redirect' && location !== undefined && (action.prefixRewrite ?? action.regexRewrite) !== undefined) {
      this.record.path = this.path;
      this.upstreamPath = location.replace(/^\w+:\/\/[^/]*/, '');
    }
    this.answer(action.status, route.body, '', 'direct_response', location === undefined ? '' : `location: ${location}\r\n`);
  }

  protected redirected(attempt: Attempt, response: ResponseHead, policy: InternalRedirect): boolean {
    const { context, record, redirects, trailers, scheme, upstreamHost } = this;
    if (!this.requestDone || !this.canReplay() || this.upgrading || redirects >= policy.max) return false;
    const target = redirectTarget(response.fields.get('location'), scheme, policy.crossScheme);
    const route = target === undefined ? undefined : this.routeTo(target);
    if (target === undefined || route === undefined) return false;
    const stale = ['x-envoy-original-host', 'x-envoy-original-url'];
    if (route.forward?.rewritePath !== undefined) stale.push('x-envoy-original-path');
    // Written anew from what the client had said.
    const clients = context.manager.useRemoteAddress ? clientsBefore(this.fields) : '';
    if (context.manager.useRemoteAddress) stale.push('x-forwarded-for');
    let lines = without(this.lines, stale);
    if (clients !== '') lines += `x-forwarded-for: ${clients}\r\n`;
    if (record.peer.header !== undefined) lines += `${this.policy.peerHeader}: ${record.peer.header}\r\n`;
    const head = redirectedHead(this.head as RequestHead, response.status, target, lines);
    if (head === undefined) return false;
    const body = head.method === this.method ? this.body : Body.none;
    this.originalUrl = `${scheme}://${typeof upstreamHost === 'string' ? upstreamHost : this.authority}${this.upstreamPath}`;
    attempt.discard();
    record.status = response.status;
    record.details = 'internal_redirect';
    // As Envoy, which has written over them by now.
    record.path = target.path;
    record.authority = target.host;
    const content = body === Body.none ? '' : this.kept.toString();
    this.end();
    this.redirects = redirects + 1;
    this.replay(head, body, content, trailers);
    return true;
  }

  /** A request that is here as a whole. An answer of our own may have ended it, and begun the next of the connection. */
  private replay(head: RequestHead, body: number, content: string, trailers: string): void {
    const generation = this.generation + 1;
    const runs = (): boolean => this.active && this.generation === generation;
    this.begin(head, body);
    const bytes = Buffer.from(content, 'latin1');
    if (runs() && bytes.length > 0) this.onRequestData(bytes, 0, bytes.length);
    if (runs()) this.onRequestEnd(trailers);
    if (runs()) this.onRequestFlush();
  }

  private routeTo({ host, path }: RedirectTarget): CompiledRoute | undefined {
    const { path: oldPath, authority, context } = this;
    this.path = path;
    this.authority = this.policy.hostOf(host, context.listener.port);
    const found = context.routes.table?.hosts.find(this.authority);
    const route = found === undefined ? undefined : findRoute(found, this, context.deps.random, this.clientProtocol);
    this.path = oldPath;
    this.authority = authority;
    return route;
  }

  /** Request body, decoded; the bytes are valid during the call only. */
  onRequestData(bytes: Buffer, start: number, end: number): void {
    this.record.requestBodyBytes += end - start;
    if (!this.active) return;
    if (this.grpc) this.requestMessages.feed(bytes, start, end);
    const { stream } = this.attempt;
    if (stream === undefined || (this.keepCopy && this.replayable)) {
      if (stream === undefined || this.kept.length + end - start <= replayLimit) this.kept.add(bytes, start, end);
      else {
        this.replayable = this.keepCopy = false;
        this.kept.clear();
      }
      // No stream yet: hold what came, read no more.
      if (stream === undefined && this.kept.length >= this.holdLimit) this.down.pause();
    } else this.replayable = false;
    this.tap?.data(bytes, start, end);
    stream?.data(bytes, start, end, true);
  }

  onRequestEnd(trailers: string): void {
    this.requestDone = true;
    this.record.requestMs = this.context.wheel.recent - this.record.startedAt;
    this.trailers = trailers;
    if (!this.active) return;
    const { stream } = this.attempt;
    if (this.tap !== undefined && !this.tellEnd(this.tap, trailers)) return;
    stream?.end(trailers);
    this.limits?.arrived();
    if (!this.started) return;
    this.armRouteTimer();
    if (this.attempt.stream !== undefined) this.startTryTimers(this.attempt);
  }

  /** False = that was the end of the request too. */
  private tellEnd(tap: BodyTap, trailers: string): boolean {
    const { generation } = this;
    tap.end(trailers);
    return this.active && this.generation === generation;
  }

  /** The connection has handed over all of a read. */
  onRequestFlush(): void {
    // A request without a body has begun in this very read.
    if (this.body !== Body.none || this.upgrade !== '') this.touch();
    if (this.attempt.stream?.flush() === false) this.down.pause();
  }

  onAttemptDrain(): void {
    this.down.resume();
  }

  onDownstreamDrain(): void {
    this.attempt.stream?.resume();
  }

  onAttemptInterim(_: Attempt, head: ResponseHead): void {
    // As in Envoy, what has begun to answer is not left for another try.
    this.begun = true;
    this.retryRules = undefined;
    // 100 has been said by this proxy where it was asked for.
    if (this.headSent || head.status === 100) return;
    this.down.interim(head.status, responseLines(head.fields, '', undefined));
  }

  protected respond(attempt: Attempt, head: ResponseHead): void {
    // As Envoy: what answers a WebSocket's handshake so has not understood it, and what it says is not for its client.
    if (this.upgrade === 'websocket' && head.status < 400) return this.failHandshake(head);
    this.record.details = 'via_upstream';
    this.writeHead(head.status, this.responseHead(attempt, head), head.framing.contentLength, head.body !== Body.none);
  }

  private failHandshake({ fields, status }: ResponseHead): void {
    const date = fields.get('date');
    const lines = responseLines(fields, this.context.manager.serverName, notOfHandshake) + (date === undefined ? '' : `date: ${date}\r\n`);
    this.answer(status, '', '', 'websocket_handshake_unsuccessful', lines);
  }

  protected upgraded(attempt: Attempt, head: ResponseHead): void {
    if (this.upgrade === '' || head.framing.upgrade === '') return;
    const lines = this.responseHead(attempt, head);
    this.beginAnswer(101, lines, -1);
    this.record.details = 'via_upstream';
    this.context.wheel.clear(this.routeTimer);
    attempt.stream?.tunnel();
    this.down.tunnel(lines, head.framing.upgrade);
    this.record.responseHeaderBytes = this.down.bytesSent - this.sentBefore;
    this.down.flush();
  }

  onAttemptData(bytes: Buffer, start: number, end: number, shared: boolean): void {
    this.record.responseBodyBytes += end - start;
    if (this.grpc) this.responseMessages.feed(bytes, start, end);
    this.down.data(bytes, start, end, shared);
  }

  onAttemptFlush(attempt: Attempt): void {
    this.touch();
    if (!this.down.flush()) attempt.stream?.pause();
  }

  onAttemptEnd(_: Attempt, trailers: string): void {
    this.responseTrailers = trailers;
    if (trailers !== '') this.record.grpcStatus = grpcStatusIn(trailers) ?? this.record.grpcStatus;
    this.finish(trailers);
  }

  onTimer(timer: WheelTimer): void {
    if (!this.active) return;
    if (timer === this.pauseTimer) return this.started ? this.startTry() : this.continueRequest();
    if (timer === this.idleTimer) return this.timeout(this.requestDone ? 504 : 408, 'SI', 'stream_idle_timeout', 'stream timeout');
    this.timeoutTries();
    this.timeout(this.timeoutStatus, 'UT', 'response_timeout', 'upstream request timeout');
  }

  onTunnelData(bytes: Buffer, start: number, end: number): void {
    this.record.requestBodyBytes += end - start;
    this.attempt.stream?.data(bytes, start, end, true);
    if (!this.reading) this.onRequestFlush();
  }

  /** The client of a tunnel sends no more, but still listens. */
  onTunnelEnd(): void {
    this.attempt.stream?.tunnelEnd();
  }

  onAttemptTunnelEnd(): void {
    this.down.flush();
    this.end();
    this.down.tunnelEnd();
  }

  /** What the client sends can no longer be read as HTTP. */
  onDownstreamBroken(): void {
    this.attempt.abort();
    this.answer(400, 'Bad Request', 'DPE', 'http1.codec_error');
  }

  /** The client closed, or reset its stream. */
  onDownstreamClosed(flag = 'DC', details = 'downstream_remote_disconnect'): void {
    if (!this.active) return;
    this.attempt.abort();
    this.flag(flag);
    if (details !== '') this.record.details = details;
    this.end();
  }
}
