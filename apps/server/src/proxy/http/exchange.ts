// One request from its head to its end: route, filter, choose, try, try again, answer, report. Reused for the next request of the
// connection; every callback is a method, nothing is allocated per request but the strings it sends.

import { retryBackoffMs, type TryOutcome } from '@weft/mesh-core/traffic';
import { Field } from '../codec-h1/field-kinds.ts';
import { Body } from '../codec-h1/framing.ts';
import type { RequestHead } from '../codec-h1/request-head.ts';
import type { ResponseHead } from '../codec-h1/response-head.ts';
import type { RedirectAction } from '../config/model.ts';
import type { ConnectFailure, StreamFailure, UpstreamStream } from '../upstream/stream.ts';
import type { WheelTimer } from '../transport/timer-wheel.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import type { ConnectionContext, DownstreamStream } from './downstream.ts';
import { ExchangeAnswer } from './exchange-answer.ts';
import { noEndpoints, union } from './exchange-state.ts';
import { failures, type TryFailure } from './failures.ts';
import { grpcTimeoutMs } from './grpc.ts';
import { requestLines, responseLines } from './heads.ts';
import { redirectLocation } from './redirect.ts';
import { findRoute } from './route-table.ts';

const replayLimit = 64 * 1024;
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

export class Exchange extends ExchangeAnswer implements AttemptOwner {
  protected readonly attempt: Attempt;

  constructor(context: ConnectionContext, down: DownstreamStream) {
    super(context, down);
    this.attempt = new Attempt(this, context.wheel);
  }

  /** A complete head; `body` is `Body.*`. */
  begin(head: RequestHead, body: number): void {
    this.reset(head, body);
    const { record } = this;
    const { table } = this.context.routes;
    const host = table?.hosts.find(this.authority);
    const route = host === undefined ? undefined : findRoute(host, this);
    record.routeConfig = table?.name ?? '';
    record.virtualHost = host?.name ?? '';
    if (route === undefined) return this.answer(404, '', 'NR', 'route_not_found');
    this.route = route;
    this.routeName = route.config.name;
    record.route = route.config;
    if (route.filters === undefined) this.execute();
    else this.continueRequest();
  }

  /** The steps of the route that are left, then its action. */
  continueRequest(): void {
    const steps = this.route?.filters?.request;
    while (steps !== undefined && this.nextStep < steps.length) if (steps[this.nextStep++]?.onRequest?.(this) === 'stop') return;
    this.execute();
  }

  private execute(): void {
    const { context, record, route } = this;
    if (route === undefined || !this.active) return;
    this.started = true;
    const { action } = route.config;
    if (action.kind === 'redirect') return this.redirect(action);
    if (action.kind === 'direct-response') return this.answer(action.status, Buffer.from(action.body).toString('latin1'), '', 'direct_response');
    const { forward } = route;
    const target = forward?.targets.pick(context.deps.random());
    const cluster = target === undefined ? undefined : context.clusters.get(target.cluster);
    if (forward === undefined || target === undefined || cluster === undefined) return this.answer(503, '', 'NC', 'cluster_not_found');
    this.target = target;
    this.cluster = cluster;
    record.cluster = cluster.config;
    cluster.totalRequests++;
    if (!cluster.breaker.mayRequest()) return this.overflow();
    cluster.breaker.requests++;
    this.counted = true;
    this.retriesLeft = forward.retry === undefined ? 0 : (action.retry?.retries ?? 0);
    this.keepCopy = this.retriesLeft > 0;
    this.upstreamPath = forward.rewritePath(this.path);
    this.upstreamHost = target.hostRewrite ?? this.authority;
    const head = this.head as RequestHead;
    let lines = target.requestHeaders.lines(this) + this.requestLinesAdded;
    if (this.upstreamPath !== this.path) lines += `x-envoy-original-path: ${this.path}\r\n`;
    this.lines = requestLines(head, context, {
      requestId: this.requestId,
      keepRequestId: this.keepRequestId,
      traceparent: record.trace?.traceparent,
      tracestate: record.trace?.tracestate,
      drop: union(target.requestHeaders.drop, this.requestDrop),
      lines,
    });
    if (this.requestDone) this.armRouteTimer();
    this.startTry();
  }

  private redirect(action: RedirectAction): void {
    const location = redirectLocation(action, this, this.route?.config.match.path.value ?? '');
    this.answer(action.status, '', '', 'direct_response', `location: ${location}\r\n`);
  }

  private overflow(): void {
    if (this.cluster !== undefined) this.cluster.overflow++;
    this.answer(
      503,
      'upstream connect error or disconnect/reset before headers. reset reason: overflow',
      'UO',
      'upstream_reset_before_response_started{overflow}',
      'x-envoy-overloaded: true\r\n',
    );
  }

  private startTry(): void {
    const { attempt, cluster, record } = this;
    if (cluster === undefined) return;
    const retry = this.route?.forward?.action.retry;
    const endpoint = cluster.pick(
      retry?.avoidPreviousHosts === true ? this.tried : noEndpoints,
      retry?.hostSelectionAttempts ?? 0,
      undefined,
      this.upstreamHost,
    );
    if (endpoint === undefined) return this.answer(503, 'no healthy upstream', 'UH', 'no_healthy_upstream');
    record.attempts++;
    record.endpoint = endpoint.config;
    record.upstreamAddress = endpoint.address;
    if (this.requestDone) this.armTryTimer();
    if (!attempt.start(endpoint, this.context.deps.clock(), this.protocol === 'HTTP/2', this.upgrade !== '')) this.overflow();
  }

  private armTryTimer(): void {
    const ms = this.route?.forward?.action.retry?.perTryTimeoutMs ?? 0;
    if (ms > 0 && !this.headSent && this.upgrade === '') this.attempt.startTimer(ms);
  }

  /** From the end of the request on. */
  private armRouteTimer(): void {
    const action = this.route?.forward?.action;
    if (action === undefined || this.upgrade !== '') return;
    let ms = action.timeoutMs;
    if (this.grpc && action.maxGrpcTimeoutMs !== undefined) {
      const max = action.maxGrpcTimeoutMs;
      ms = grpcTimeoutMs(this.get('grpc-timeout')) ?? 0;
      // 0 = no limit, on either side.
      if (max > 0 && (ms === 0 || ms > max)) ms = max;
    }
    if (ms > 0) this.context.wheel.set(this.routeTimer, ms);
  }

  onAttemptStream(attempt: Attempt, stream: UpstreamStream): void {
    if (attempt.endpoint !== undefined) this.cluster?.report(attempt.endpoint, 'connected');
    const head = this.head as RequestHead;
    const { contentLength } = head.framing;
    const length = this.body === Body.length ? contentLength : contentLength === 0 ? 0 : -1;
    const { method, scheme, upstreamPath: path, body, upgrade } = this;
    const authority = this.upstreamHost === '' ? (attempt.endpoint?.address ?? '') : this.upstreamHost;
    const lines = `${this.lines}x-envoy-attempt-count: ${this.record.attempts}\r\n`;
    stream.start({ method, path, authority, scheme, lines, body, length, upgrade }, attempt);
    stream.text(this.buffered);
    if (!this.keepCopy && this.buffered !== '') {
      this.buffered = '';
      this.replayable = false;
    }
    if (this.requestDone) stream.end(this.trailers);
    if (this.reading) return;
    if (stream.flush()) this.down.resume();
  }

  onAttemptUnconnected(_: Attempt, reason: ConnectFailure): void {
    this.failTry({ kind: 'connect-failure' }, reason === 'timeout' ? 'connect-timeout' : 'connect');
  }

  /** Request body, decoded. */
  onRequestData(bytes: Buffer, start: number, end: number): void {
    this.record.requestBodyBytes += end - start;
    if (!this.active) return;
    this.tap?.data(bytes, start, end);
    const { stream } = this.attempt;
    if ((this.keepCopy && this.replayable) || stream === undefined) {
      if (this.buffered.length + end - start > replayLimit && stream !== undefined) {
        this.replayable = this.keepCopy = false;
        this.buffered = '';
      } else this.buffered += bytes.toString('latin1', start, end);
      // No stream yet: hold what came, stop reading more.
      if (stream === undefined && this.buffered.length >= replayLimit) {
        this.keepCopy = false;
        this.down.pause();
      }
    } else this.replayable = false;
    stream?.data(bytes, start, end, false);
  }

  onRequestEnd(trailers: string): void {
    this.requestDone = true;
    this.trailers = trailers;
    if (!this.active) return;
    this.tap?.end(trailers);
    this.attempt.stream?.end(trailers);
    if (!this.started) return;
    this.armTryTimer();
    this.armRouteTimer();
  }

  /** The connection has handed over all of a read. */
  onRequestFlush(): void {
    this.touch();
    if (this.attempt.stream?.flush() === false) this.down.pause();
  }

  onAttemptDrain(): void {
    this.down.resume();
  }

  onDownstreamDrain(): void {
    this.attempt.stream?.resume();
  }

  onAttemptInterim(_: Attempt, head: ResponseHead): void {
    if (this.headSent || (head.status === 100 && this.head?.expectContinue !== true)) return;
    this.down.interim(head.status, head.reason, responseLines(head.fields, '', undefined));
  }

  onAttemptHead(attempt: Attempt, head: ResponseHead): void {
    const { cluster, record } = this;
    const { endpoint } = attempt;
    if (cluster === undefined || endpoint === undefined) return;
    if (head.status === 101) return this.upgraded(attempt, head);
    const grpcStatus = head.fields.known(Field.grpcStatus) ?? '';
    const outcome: TryOutcome = {
      kind: 'response',
      status: head.status,
      rateLimited: head.fields.indexOf(Field.rateLimited) >= 0,
      grpcStatus: grpcStatus === '' ? undefined : Number(grpcStatus),
    };
    cluster.report(endpoint, head.status, this.context.deps.clock() - attempt.startedAt);
    if (this.mayRetry(outcome)) {
      attempt.stream?.discard();
      return this.retry();
    }
    this.flagExhausted(outcome);
    record.details = 'via_upstream';
    record.grpcStatus = grpcStatus;
    this.sendHead(attempt, head, head.framing.contentLength, head.body !== Body.none);
  }

  private upgraded(attempt: Attempt, head: ResponseHead): void {
    if (this.upgrade === '' || head.framing.upgrade === '') return;
    this.headSent = true;
    this.record.status = 101;
    this.record.details = 'via_upstream';
    this.context.wheel.clear(this.routeTimer);
    attempt.stream?.tunnel();
    this.down.tunnel(head.reason, this.responseHead(attempt, head), head.framing.upgrade);
    this.record.responseHeaderBytes = this.down.bytesSent - this.sentBefore;
    this.down.flush();
  }

  private sendHead(attempt: Attempt, head: ResponseHead, length: number, hasBody: boolean): void {
    this.writeHead(head.status, head.reason, this.responseHead(attempt, head), length, hasBody);
  }

  onAttemptData(bytes: Buffer, start: number, end: number, shared: boolean): void {
    this.record.responseBodyBytes += end - start;
    this.down.data(bytes, start, end, shared);
  }

  onAttemptFlush(attempt: Attempt): void {
    this.touch();
    if (!this.down.flush()) attempt.stream?.pause();
  }

  onAttemptEnd(_: Attempt, trailers: string): void {
    if (trailers !== '') this.record.grpcStatus = /^grpc-status:[ \t]*(\d+)/im.exec(trailers)?.[1] ?? this.record.grpcStatus;
    this.finish(trailers);
  }

  onAttemptFailed(_: Attempt, kind: StreamFailure, reused: boolean): void {
    if (kind === 'protocol') return this.failTry({ kind: 'reset', sent: true }, kind);
    // A pooled connection may have been closed by the peer just as the request left, or the peer says it has not looked at it: not
    // the request's fault, once.
    const untouched = kind === 'refused' || (reused && kind === 'connection' && idempotent.has(this.method));
    if (untouched && !this.headSent && !this.staleRetry && this.canReplay()) {
      this.staleRetry = true;
      return this.again(0);
    }
    this.failTry(kind === 'refused' ? { kind: 'refused' } : { kind: 'reset', sent: true }, kind);
  }

  private failTry(outcome: TryOutcome, failure: TryFailure): void {
    const { endpoint } = this.attempt;
    if (endpoint !== undefined) this.cluster?.report(endpoint, 'connect-failure');
    if (this.mayRetry(outcome)) return this.retry();
    this.flagExhausted(outcome);
    const [reason, flag, status, text] = failures[failure];
    const started = this.headSent ? 'after' : 'before';
    this.answer(
      status,
      `upstream connect error or disconnect/reset before headers. reset reason: ${text}`,
      flag,
      `upstream_reset_${started}_response_started{${reason}}`,
    );
  }

  private flagExhausted(outcome: TryOutcome): void {
    if (this.retriesMade > 0 && this.retriesLeft === 0 && this.route?.forward?.retry?.shouldRetry(outcome) === true) this.flag('URX');
  }

  private mayRetry(outcome: TryOutcome): boolean {
    const { cluster, route } = this;
    if (this.headSent || this.retriesLeft === 0 || cluster === undefined || route?.forward?.retry?.shouldRetry(outcome) !== true || !this.canReplay())
      return false;
    if (cluster.breaker.mayRetry()) return true;
    cluster.retryOverflow++;
    return false;
  }

  private retry(): void {
    const { cluster } = this;
    const policy = this.route?.forward?.action.retry;
    if (cluster === undefined || policy === undefined) return;
    this.retriesLeft--;
    this.retriesMade++;
    cluster.retries++;
    if (!this.retrying) {
      this.retrying = true;
      cluster.breaker.retries++;
    }
    const base = policy.baseIntervalMs || 25;
    this.again(retryBackoffMs(this.retriesMade, base, policy.maxIntervalMs || base * 10, this.context.deps.random()));
  }

  private again(ms: number): void {
    const { endpoint } = this.attempt;
    if (endpoint !== undefined) this.tried = [...this.tried, endpoint];
    this.attempt.leave();
    this.context.wheel.set(this.pauseTimer, ms);
  }

  onTimer(timer: WheelTimer): void {
    if (!this.active) return;
    if (timer === this.pauseTimer) return this.started ? this.startTry() : this.continueRequest();
    if (timer === this.idleTimer) return this.timeout(this.headSent ? 504 : 408, 'SI', 'stream_idle_timeout', 'stream timeout');
    this.reportTimeout();
    this.timeout(504, 'UT', 'response_timeout', 'upstream request timeout');
  }

  onAttemptTimeout(attempt: Attempt): void {
    const outcome: TryOutcome = { kind: 'per-try-timeout' };
    this.reportTimeout();
    if (this.mayRetry(outcome)) {
      attempt.stream?.abort();
      return this.retry();
    }
    this.flagExhausted(outcome);
    this.timeout(504, 'UT', 'upstream_per_try_timeout', 'upstream request timeout');
  }

  private reportTimeout(): void {
    const { endpoint } = this.attempt;
    if (this.cluster === undefined) return;
    this.cluster.timeouts++;
    if (endpoint !== undefined && !this.headSent) this.cluster.report(endpoint, 'timeout');
  }

  private timeout(status: number, flag: string, details: string, text: string): void {
    this.attempt.stream?.abort();
    this.answer(status, text, flag, details);
  }

  onTunnelData(bytes: Buffer, start: number, end: number): void {
    this.record.requestBodyBytes += end - start;
    this.attempt.stream?.data(bytes, start, end, false);
    if (!this.reading) this.onRequestFlush();
  }

  onAttemptTunnelEnd(attempt: Attempt): void {
    this.down.flush();
    this.down.tunnelEnd();
    attempt.stream?.tunnelEnd();
    this.end();
  }

  /** The client closed or reset. */
  onDownstreamClosed(tunnel: boolean): void {
    if (!this.active) return;
    if (tunnel) this.attempt.stream?.tunnelEnd();
    else {
      this.attempt.stream?.abort();
      this.flag('DC');
      this.record.details = 'downstream_remote_disconnect';
    }
    this.end();
  }
}
