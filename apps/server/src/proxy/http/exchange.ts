// One request from its head to its end: route, choose, try, try again, answer, report. Reused for the next request of the
// connection; every callback is a method, nothing is allocated per request but the strings it sends.

import { STATUS_CODES } from 'node:http';
import { retryBackoffMs, type TryOutcome } from '@weft/mesh-core/traffic';
import { Field } from '../codec-h1/field-kinds.ts';
import { Body } from '../codec-h1/framing.ts';
import type { RequestHead } from '../codec-h1/request-head.ts';
import type { ResponseHead } from '../codec-h1/response-head.ts';
import type { RedirectAction } from '../config/model.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { StreamWaiter, UpstreamEvents, UpstreamStream } from '../upstream/stream.ts';
import type { WheelTimer } from '../transport/timer-wheel.ts';
import { ExchangeState, noEndpoints } from './exchange-state.ts';
import { noBodyStatus, requestLines, responseLines } from './heads.ts';
import { redirectLocation } from './redirect.ts';
import { findRoute } from './route-table.ts';

const replayLimit = 64 * 1024;
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

export class Exchange extends ExchangeState implements UpstreamEvents, StreamWaiter {
  /** A complete head; `body` is `Body.*`. */
  begin(head: RequestHead, body: number): void {
    this.resolve(this.reset(head, body));
  }

  private resolve(keepRequestId: boolean): void {
    const { context, record } = this;
    const table = context.routes.table;
    const host = table?.hosts.find(this.authority);
    const route = host === undefined ? undefined : findRoute(host, this);
    record.routeConfig = table?.name ?? '';
    record.virtualHost = host?.name ?? '';
    if (route === undefined) return this.answer(404, '', 'NR', 'route_not_found');
    this.route = route;
    this.routeName = route.config.name;
    record.route = route.config;
    const { action } = route.config;
    if (action.kind === 'redirect') return this.redirect(action);
    if (action.kind === 'direct-response') return this.answer(action.status, Buffer.from(action.body).toString('latin1'), '', 'direct_response');
    const forward = route.forward;
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
    this.replayable = true;
    this.upstreamPath = forward.rewritePath(this.path);
    this.upstreamHost = target.hostRewrite ?? this.authority;
    const head = this.head as RequestHead;
    let lines = target.requestHeaders.lines(this);
    if (this.upstreamPath !== this.path) lines += `x-envoy-original-path: ${this.path}\r\n`;
    this.lines = requestLines(head, context, {
      requestId: this.requestId,
      keepRequestId,
      traceparent: record.trace?.traceparent,
      tracestate: record.trace?.tracestate,
      drop: target.requestHeaders.drop,
      lines,
    });
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
    const { cluster, record } = this;
    if (cluster === undefined) return;
    const retry = this.route?.forward?.action.retry;
    const endpoint = cluster.pick(retry?.avoidPreviousHosts === true ? this.tried : noEndpoints, retry?.hostSelectionAttempts ?? 0);
    if (endpoint === undefined) return this.answer(503, 'no healthy upstream', 'UH', 'no_healthy_upstream');
    this.endpoint = endpoint;
    endpoint.active++;
    endpoint.total++;
    record.attempts++;
    record.endpoint = endpoint.config;
    record.upstreamAddress = endpoint.address;
    this.tryStartedAt = this.context.deps.clock();
    if (this.requestDone) this.armTimers();
    this.waiting = true;
    if (!endpoint.acquire(this)) {
      this.waiting = false;
      this.overflow();
    }
  }

  onStream(stream: UpstreamStream): void {
    this.waiting = false;
    this.stream = stream;
    if (this.endpoint !== undefined) this.cluster?.report(this.endpoint, 'connected');
    const head = this.head as RequestHead;
    const length = this.body === Body.length ? head.framing.contentLength : head.framing.contentLength === 0 ? 0 : -1;
    const { method, upstreamPath: path, body, upgrade } = this;
    const authority = this.upstreamHost === '' ? (this.endpoint?.address ?? '') : this.upstreamHost;
    const lines = `${this.lines}x-envoy-attempt-count: ${this.record.attempts}\r\n`;
    stream.start({ method, path, authority, lines, body, length, upgrade }, this);
    stream.text(this.buffered);
    if (!this.keepCopy && this.buffered !== '') {
      this.buffered = '';
      this.replayable = false;
    }
    if (this.requestDone) stream.end(this.trailers);
    if (this.reading) return;
    if (stream.flush()) this.down.resume();
  }

  onConnectFailed(_: EndpointState, reason: 'connection' | 'timeout' | 'tls'): void {
    this.waiting = false;
    this.failTry(
      { kind: 'connect-failure' },
      503,
      'UF',
      `upstream_reset_before_response_started{${reason === 'timeout' ? 'connection_timeout' : 'connection_failure'}}`,
    );
  }

  /** Request body, decoded. */
  onRequestData(bytes: Buffer, start: number, end: number): void {
    this.record.requestBodyBytes += end - start;
    if (!this.active) return;
    const keep = this.keepCopy && this.replayable;
    if (keep || this.stream === undefined) {
      if (this.buffered.length + end - start > replayLimit && this.stream !== undefined) {
        this.replayable = this.keepCopy = false;
        this.buffered = '';
      } else this.buffered += bytes.toString('latin1', start, end);
      // No stream yet: hold what came, stop reading more.
      if (this.stream === undefined && this.buffered.length >= replayLimit) {
        this.keepCopy = false;
        this.down.pause();
      }
    } else this.replayable = false;
    this.stream?.data(bytes, start, end, false);
  }

  onRequestEnd(trailers: string): void {
    this.requestDone = true;
    this.trailers = trailers;
    if (!this.active) return;
    this.stream?.end(trailers);
    this.armTimers();
    const ms = this.route?.forward?.action.timeoutMs ?? 0;
    if (ms > 0 && this.upgrade === '') this.context.wheel.set(this.routeTimer, ms);
  }

  /** The connection has handed over all of a read. */
  onRequestFlush(): void {
    this.touch();
    if (this.stream !== undefined && !this.stream.flush()) this.down.pause();
  }

  onUpstreamDrain(): void {
    this.down.resume();
  }

  onDownstreamDrain(): void {
    this.stream?.resume();
  }

  onUpstreamInterim(head: ResponseHead): void {
    if (this.headSent || this.head?.minor !== 1 || (head.status === 100 && !this.head.expectContinue)) return;
    this.down.add(`HTTP/1.1 ${head.status} ${head.reason}\r\n${responseLines(head.fields, '', undefined)}\r\n`);
  }

  onUpstreamHead(head: ResponseHead): void {
    const { cluster, endpoint, record } = this;
    if (cluster === undefined || endpoint === undefined) return;
    if (head.status === 101) {
      if (this.upgrade === '' || head.framing.upgrade === '') return;
      this.sendHead(head, `connection: upgrade\r\nupgrade: ${head.framing.upgrade}\r\n`);
      this.stream?.tunnel();
      this.down.tunnel();
      this.context.wheel.clear(this.tryTimer);
      this.context.wheel.clear(this.routeTimer);
      this.down.flush();
      return;
    }
    const rateLimited = head.fields.indexOf(Field.rateLimited) >= 0;
    cluster.report(endpoint, head.status, this.context.deps.clock() - this.tryStartedAt);
    if (this.mayRetry({ kind: 'response', status: head.status, rateLimited })) {
      this.stream?.discard();
      return this.retry();
    }
    if (
      this.retriesMade > 0 &&
      this.retriesLeft === 0 &&
      this.route?.forward?.retry?.shouldRetry({ kind: 'response', status: head.status, rateLimited }) === true
    )
      this.flag('URX');
    record.details = 'via_upstream';
    record.grpcStatus = head.fields.known(Field.grpcStatus) ?? '';
    const http1 = this.head?.minor === 1;
    const chunk = http1 && (head.body === Body.chunked || head.body === Body.untilClose);
    if (!http1 && head.body !== Body.none && head.framing.contentLength < 0) this.closeAfter = true;
    const { contentLength, chunked } = head.framing;
    let framing = '';
    if (chunk) framing = 'transfer-encoding: chunked\r\n';
    else if (contentLength >= 0 && head.status !== 204) framing = `content-length: ${contentLength}\r\n`;
    else if (chunked && this.method === 'HEAD' && http1) framing = 'transfer-encoding: chunked\r\n';
    this.sendHead(head, framing);
    this.chunkedOut = chunk;
  }

  private sendHead(head: ResponseHead, framing: string): void {
    const { manager, deps } = this.context;
    this.context.wheel.clear(this.tryTimer);
    const ops = this.target?.responseHeaders;
    const name = manager.serverName;
    let lines = responseLines(head.fields, name, ops?.drop) + (ops?.lines(this) ?? '');
    if (name !== '') lines += `server: ${name}\r\n`;
    if (head.fields.indexOf(Field.date) < 0) lines += `date: ${new Date().toUTCString()}\r\n`;
    lines += `x-envoy-upstream-service-time: ${Math.round(deps.clock() - this.tryStartedAt)}\r\n`;
    this.writeHead(head.status, head.reason, lines + framing, head.status === 101);
    this.record.responseHeaderBytes = this.down.bytesSent - this.sentBefore;
  }

  private writeHead(status: number, reason: string, lines: string, upgraded: boolean): void {
    this.headSent = true;
    this.record.status = status;
    // An answer before the request is complete ends the connection: the rest of the request is not read.
    if (this.down.closing || (!this.requestDone && this.body !== Body.none && !upgraded)) this.closeAfter = true;
    const connection = upgraded ? '' : this.closeAfter ? 'connection: close\r\n' : '';
    this.down.add(`HTTP/1.1 ${status} ${reason}\r\n${lines}${connection}\r\n`);
  }

  onUpstreamData(bytes: Buffer, start: number, end: number, shared: boolean): void {
    this.record.responseBodyBytes += end - start;
    if (!this.chunkedOut) return this.down.data(bytes, start, end, shared);
    if (end === start) return;
    this.down.add(`${(end - start).toString(16)}\r\n`);
    this.down.data(bytes, start, end, shared);
    this.down.add('\r\n');
  }

  onUpstreamFlush(): void {
    this.touch();
    if (!this.down.flush()) this.stream?.pause();
  }

  onUpstreamEnd(trailers: string): void {
    this.stream = undefined;
    if (trailers !== '') this.record.grpcStatus = /^grpc-status:[ \t]*(\d+)/im.exec(trailers)?.[1] ?? this.record.grpcStatus;
    if (this.chunkedOut) this.down.add(`0\r\n${trailers}\r\n`);
    this.finish(this.closeAfter || !this.requestDone);
  }

  onUpstreamFailed(kind: 'reset' | 'protocol'): void {
    const { stream } = this;
    this.stream = undefined;
    if (kind === 'protocol') return this.failTry({ kind: 'reset', sent: true }, 502, 'UPE', 'upstream_reset_before_response_started{protocol_error}');
    // A pooled connection may have been closed by the peer just as the request left: not the request's fault, once.
    if (stream?.reused === true && !this.headSent && !this.staleRetry && idempotent.has(this.method) && this.canReplay()) {
      this.staleRetry = true;
      return this.again(0);
    }
    this.failTry({ kind: 'reset', sent: true }, 503, 'UC', 'upstream_reset_before_response_started{connection_termination}');
  }

  private failTry(outcome: TryOutcome, status: number, flag: string, details: string): void {
    if (this.endpoint !== undefined) this.cluster?.report(this.endpoint, 'connect-failure');
    if (this.mayRetry(outcome)) return this.retry();
    if (this.retriesMade > 0 && this.retriesLeft === 0 && this.route?.forward?.retry?.shouldRetry(outcome) === true) this.flag('URX');
    const text =
      flag === 'UPE'
        ? 'upstream protocol error'
        : `upstream connect error or disconnect/reset before headers. reset reason: ${flag === 'UF' ? 'connection failure' : 'connection termination'}`;
    this.answer(status, text, flag, details);
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
    if (this.endpoint !== undefined) this.tried = [...this.tried, this.endpoint];
    this.leaveTry();
    this.context.wheel.set(this.backoffTimer, ms);
  }

  /** Ends the current try without an answer. */
  private leaveTry(): void {
    const { endpoint } = this;
    this.context.wheel.clear(this.tryTimer);
    this.stream = undefined;
    this.endpoint = undefined;
    if (endpoint === undefined) return;
    endpoint.active--;
    if (this.waiting) endpoint.cancel(this);
    this.waiting = false;
  }

  onTimer(timer: WheelTimer): void {
    if (!this.active) return;
    if (timer === this.backoffTimer) return this.startTry();
    const { endpoint, cluster } = this;
    if (timer === this.idleTimer) return this.timeout(this.headSent ? 504 : 408, 'SI', 'stream_idle_timeout', 'stream timeout');
    if (cluster !== undefined) cluster.timeouts++;
    if (endpoint !== undefined && !this.headSent) cluster?.report(endpoint, 'timeout');
    if (timer === this.tryTimer && this.mayRetry({ kind: 'per-try-timeout' })) {
      this.stream?.abort();
      return this.retry();
    }
    if (timer === this.tryTimer && this.retriesMade > 0 && this.retriesLeft === 0) this.flag('URX');
    this.timeout(504, 'UT', timer === this.tryTimer ? 'upstream_per_try_timeout' : 'response_timeout', 'upstream request timeout');
  }

  private timeout(status: number, flag: string, details: string, text: string): void {
    this.stream?.abort();
    this.answer(status, text, flag, details);
  }

  /** A response of our own; after the upstream's head has gone out the only way to say so is to break off. */
  private answer(status: number, body: string, flag: string, details: string, extra = ''): void {
    this.flag(flag);
    this.record.details = details;
    if (this.headSent) {
      this.end();
      return this.down.destroy();
    }
    const { serverName } = this.context.manager;
    const server = serverName === '' ? '' : `server: ${serverName}\r\n`;
    const type = body === '' ? '' : 'content-type: text/plain\r\n';
    const length = noBodyStatus(status) ? '' : `content-length: ${body.length}\r\n`;
    const ops = this.route?.responseHeaders;
    this.writeHead(
      status,
      STATUS_CODES[status] ?? '',
      `${extra}${ops?.lines(this) ?? ''}${length}${type}date: ${new Date().toUTCString()}\r\n${server}`,
      false,
    );
    this.record.responseHeaderBytes = this.down.bytesSent - this.sentBefore;
    if (this.method !== 'HEAD' && !noBodyStatus(status)) {
      this.down.add(body);
      this.record.responseBodyBytes = body.length;
    }
    this.finish(this.closeAfter);
  }

  private finish(close: boolean): void {
    this.down.flush();
    this.end();
    this.down.finished(close);
  }

  onTunnelData(bytes: Buffer): void {
    this.record.requestBodyBytes += bytes.length;
    this.stream?.data(bytes, 0, bytes.length, false);
    this.onRequestFlush();
  }

  onTunnelEnd(): void {
    this.down.flush();
    this.down.tunnelEnd();
    this.stream?.tunnelEnd();
    this.stream = undefined;
    this.end();
  }

  /** The client closed. */
  onDownstreamClosed(tunnel: boolean): void {
    if (!this.active) return;
    if (tunnel) this.stream?.tunnelEnd();
    else {
      this.stream?.abort();
      this.flag('DC');
      this.record.details = 'downstream_remote_disconnect';
    }
    this.end();
  }

  private end(): void {
    if (!this.active) return;
    this.active = false;
    const { context, record, cluster } = this;
    context.wheel.clear(this.routeTimer);
    context.wheel.clear(this.backoffTimer);
    context.wheel.clear(this.idleTimer);
    this.leaveTry();
    if (cluster !== undefined && this.counted) {
      cluster.breaker.requests--;
      if (this.retrying) cluster.breaker.retries--;
    }
    this.buffered = '';
    record.durationMs = context.deps.clock() - record.startedAt;
    record.responseFlags = this.flags === '' ? '-' : this.flags;
    context.deps.onRequestEnd(record);
  }
}
