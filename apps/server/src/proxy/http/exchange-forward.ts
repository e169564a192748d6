// What of a request goes on to an upstream: where to, its lines, and copies for mirrors.

import { type HashSource, wholeNumber } from '@weft/mesh-core/traffic';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import type { RequestHead } from '../../http-wire/codec-h1/request-head.ts';
import type { ForwardAction, Mirror } from '../config/model.ts';
import { valuesIn, without } from '../transport/field-lines.ts';
import type { ClusterRuntime } from '../upstream/cluster.ts';
import { union } from './exchange-state.ts';
import { ExchangeTries } from './exchange-tries.ts';
import { requestLines } from './heads.ts';
import { ownAddress } from './own-address.ts';
import { startMirrors } from './policy/mirror.ts';
import type { CompiledForward, Target } from './route-table.ts';

export abstract class ExchangeForward extends ExchangeTries {
  protected forward(forward: CompiledForward): void {
    const { action } = forward;
    const { target, cluster } = this;
    if (target === undefined || cluster === undefined) return this.answer(action.clusterNotFoundStatus, '', 'NC', 'cluster_not_found');
    cluster.totalRequests++;
    this.planTries(forward);
    // Values of headers speak of the first try already.
    this.record.attempts = 1;
    const rewritten = forward.rewritePath?.(this.path);
    this.lines = this.upstreamLines(target, action, rewritten !== undefined);
    this.record.attempts = 0;
    this.upstreamPath = rewritten ?? this.path;
    if (this.requestDone) this.armRouteTimer();
    if (action.mirrors.length > 0 && this.upgrade === '') this.mirror(action.mirrors);
    this.startTry();
  }

  protected hashFor(cluster: ClusterRuntime): bigint | undefined {
    const hash = this.route?.forward?.hash;
    return hash !== undefined && cluster.usesHash ? hash(this.sent()) : undefined;
  }

  /** As it goes on: with what operations and rewrites have made of it. */
  private sent(): HashSource {
    const { lines, upstreamPath: path, sourceIp, connectionKey } = this;
    return { path, sourceIp, connectionKey, all: (name) => valuesIn(lines, name), addSetCookie: (value) => (this.cookieLines += `set-cookie: ${value}\r\n`) };
  }

  private mirror(mirrors: readonly Mirror[]): void {
    const { context, method, scheme, body } = this;
    const { contentLength } = (this.head as RequestHead).framing;
    const clients = [...valuesIn(this.lines, 'x-forwarded-for').filter((value) => value !== ''), ownAddress()].join(',');
    const lines = `${without(this.lines, ['x-forwarded-for'])}${this.tryLines(1)}x-envoy-internal: true\r\nx-forwarded-for: ${clients}\r\n`;
    const request = {
      ...{ method, scheme, body, lines, upgrade: '', path: this.upstreamPath },
      authority: typeof this.upstreamHost === 'string' ? this.upstreamHost : this.authority,
      length: body === Body.length ? contentLength : contentLength === 0 ? 0 : -1,
      received: this.kept.toString(),
      trailers: this.requestDone ? this.trailers : undefined,
      timeoutMs: this.timeouts.globalMs,
      http2: this.protocol === 'HTTP/2',
    };
    this.tap = startMirrors(mirrors, request, context, (name) => this.get(name));
  }

  /** With the route, before its filters: what they answer is told as the cluster's. */
  protected chooseTarget({ action, targets }: CompiledForward): void {
    const { clusters, deps } = this.context;
    const chosen = action.weightHeader === undefined ? undefined : wholeNumber(this.get(action.weightHeader));
    this.target = chosen === undefined ? targets.pick(deps.random()) : targets.at(chosen);
    const name = action.clusterHeader === undefined ? this.target?.cluster : this.get(action.clusterHeader);
    this.cluster = name === undefined ? undefined : clusters.get(name);
    this.record.cluster = this.cluster?.config;
  }

  private upstreamLines(target: Target, action: ForwardAction, tellsPath: boolean): string {
    const { context, record } = this;
    const head = this.head as RequestHead;
    if (tellsPath) record.path = this.path;
    // Their values speak of what is rewritten only afterwards.
    let lines = target.requestHeaders.lines(this) + this.requestLinesAdded;
    if (target.requestHeaders.names.has('user-agent')) record.userAgent = valuesIn(lines, 'user-agent')[0] ?? '';
    const rewritten = target.host?.(this);
    this.upstreamHost = rewritten ?? this.authority;
    // What the request said is in x-envoy-original-host; log and span tell what it became.
    if (typeof rewritten === 'string') record.authority = rewritten;
    const tellsHost = rewritten !== undefined && target.tellsHost && this.authority !== '';
    if (tellsHost) {
      lines += `x-envoy-original-host: ${this.authority}\r\n`;
      if (action.appendForwardedHost) lines += `x-forwarded-host: ${this.authority}\r\n`;
    }
    // Also where the rewrite changed nothing.
    if (tellsPath) lines += `x-envoy-original-path: ${this.path}\r\n`;
    if (this.redirects > 0) lines += `x-envoy-original-url: ${this.originalUrl}\r\n`;
    const operation = this.operationTold;
    if (operation !== '') lines += `x-envoy-decorator-operation: ${operation}\r\n`;
    return requestLines(head, context, {
      requestId: this.requestId,
      keepRequestId: this.keepRequestId,
      traceparent: record.trace?.traceparent,
      tracestate: record.trace?.tracestate,
      b3: record.trace?.b3,
      drop: union(target.requestHeaders.drop, this.requestDrop),
      internal: this.internal,
      tellsHost,
      tellsPath,
      grpcTimeout: this.ownsGrpcTimeout,
      attemptCount: this.route?.host.attemptCount === true,
      lines,
      peerHeader: this.policy.peerHeader,
      peerLine: this.peerLine,
      sourceIp: this.sourceIp,
    });
  }

  /** From the end of the request on. */
  protected armRouteTimer(): void {
    const { globalMs } = this.timeouts;
    this.requestDoneAt = this.context.wheel.recent;
    if (globalMs > 0 && this.upgrade === '') this.context.wheel.set(this.routeTimer, globalMs);
  }
}
