// The tries of one request: which endpoint, how long, whether again, which of several answers counts.

import {
  overrideRetry,
  rateLimitedBackoffMs,
  requestTimeouts,
  retryBackoffMs,
  shouldRetry,
  type PriorityLoads,
  type TryOutcome,
} from '@weft/mesh-core/traffic';
import { Field } from '../../http-wire/codec-h1/field-kinds.ts';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import type { ClusterRuntime } from '../upstream/cluster.ts';
import type { RequestHead } from '../../http-wire/codec-h1/request-head.ts';
import type { ResponseHead } from '../../http-wire/codec-h1/response-head.ts';
import { tlsFacts } from '../transport/tls-facts.ts';
import type { ClientAddresses } from '../upstream/announced.ts';
import type { ConnectFailure, StreamFailure, UpstreamStream } from '../upstream/stream.ts';
import type { InternalRedirect } from '../config/model.ts';
import { Attempt, type AttemptOwner, type AttemptTimeout } from './attempt.ts';
import type { ConnectionContext, DownstreamStream } from './downstream.ts';
import { ExchangeAnswer } from './exchange-answer.ts';
import { noEndpoints } from './exchange-state.ts';
import { failures, type TryFailure } from './failures.ts';
import { grpcTimeoutMs, grpcTimeoutText, httpStatusOfGrpc } from './grpc.ts';
import { attemptLine, numberLines } from './kept-lines.ts';
import type { CompiledForward } from './route-table.ts';

const expectedLine = numberLines('x-envoy-expected-rq-timeout-ms');

export abstract class ExchangeTries extends ExchangeAnswer implements AttemptOwner {
  /** The latest try; of several under way the one that answered. */
  protected attempt: Attempt;
  /** Tries that were hedged and still run; undefined in all but a few requests. */
  private others: Attempt[] | undefined;
  /** Filled for each response that may be tried again. */
  private readonly outcome: Extract<TryOutcome, { kind: 'response' }> = { kind: 'response', status: 0, rateLimited: false, grpcStatus: undefined };
  /** Loads of the cluster's priorities without those tried before. */
  private retryLoads: PriorityLoads | undefined;
  /** The upstream has said something, if only in an interim answer. */
  protected begun = false;
  /** The last try ended for its time: the next says so where the host wants it. */
  private afterTimeout = false;

  constructor(context: ConnectionContext, down: DownstreamStream) {
    super(context, down);
    this.attempt = new Attempt(this, context.wheel);
  }

  /** Of what the request is like where the cluster's balancer wants it. */
  protected abstract hashFor(cluster: ClusterRuntime): bigint | undefined;
  abstract onAttemptInterim(attempt: Attempt, head: ResponseHead): void;
  abstract onAttemptData(bytes: Buffer, start: number, end: number, shared: boolean): void;
  abstract onAttemptFlush(attempt: Attempt): void;
  abstract onAttemptEnd(attempt: Attempt, trailers: string): void;
  abstract onAttemptDrain(attempt: Attempt): void;
  abstract onAttemptTunnelEnd(): void;
  /** The response that goes to the client. */
  protected abstract respond(attempt: Attempt, head: ResponseHead): void;
  protected abstract upgraded(attempt: Attempt, head: ResponseHead): void;
  /** True = followed here. */
  protected abstract redirected(attempt: Attempt, head: ResponseHead, policy: InternalRedirect): boolean;

  /** What route and headers say of time and repetition; before the first try. */
  protected planTries(forward: CompiledForward): void {
    const { action } = forward;
    this.afterTimeout = false;
    this.retryLoads = undefined;
    const rules = this.internal ? overrideRetry(forward.retry, this) : forward.retry;
    this.retryRules = rules?.conditions === 0 || forward.retriable?.(this) === false ? undefined : rules;
    const grpc = this.grpc && action.maxGrpcTimeoutMs !== undefined;
    this.timeouts =
      this.internal || grpc
        ? requestTimeouts(forward.timeoutSpec, this, this.internal, grpc ? (grpcTimeoutMs(this.get('grpc-timeout')) ?? 0) : undefined)
        : forward.timeouts;
    this.ownsGrpcTimeout = this.grpcDurationMs >= 0 || (grpc && this.timeouts.expectedMs > 0);
    this.keepCopy = (this.retryRules !== undefined && this.retryRules.retries > 0) || action.internalRedirect !== undefined;
  }

  protected startTry(): void {
    const { attempt, cluster, record } = this;
    if (cluster === undefined) return;
    const retry = this.route?.forward?.action.retry;
    const avoid = retry?.avoidPreviousHosts === true ? this.tried : noEndpoints;
    const host = typeof this.upstreamHost === 'string' ? this.upstreamHost : this.authority;
    // For each try, as in Envoy: a cookie that ties the client to an endpoint is said as often.
    const picked = cluster.pick(avoid, retry?.hostSelectionAttempts ?? 0, this.hashFor(cluster), host, this.retryLoads);
    const endpoint = cluster.config.proxyProtocol === undefined ? picked : picked?.behind(this.clientAddresses());
    if (endpoint === undefined) return this.answer(503, 'no healthy upstream', 'UH', 'no_healthy_upstream');
    record.attempts++;
    this.begun = false;
    record.endpoint = endpoint.config;
    record.upstreamAddress = endpoint.address;
    if (!attempt.start(endpoint, this.context.wheel.recent, this.protocol === 'HTTP/2', this.upgrade !== '')) this.overflow();
  }

  private clientAddresses(): ClientAddresses {
    return { source: this.context.downstreamAddress, destination: this.context.localAddress };
  }

  protected overflow(): void {
    if (this.cluster !== undefined) this.cluster.overflow++;
    this.answer(
      503,
      `upstream connect error or disconnect/reset before headers. ${this.retried()}reset reason: overflow`,
      'UO',
      'upstream_reset_before_response_started{overflow}',
      'x-envoy-overloaded: true\r\n',
    );
  }

  onAttemptStream(attempt: Attempt, stream: UpstreamStream): void {
    if (attempt.endpoint !== undefined) this.cluster?.report(attempt.endpoint, 'connected');
    const { socket } = stream;
    this.record.upstreamSocket = socket;
    if (this.context.manager.accessLog.length > 0) this.record.upstreamLocalAddress = `${socket.localAddress}:${socket.localPort}`;
    if (this.context.manager.readsTls === true) tlsFacts(socket);
    const head = this.head as RequestHead;
    const { contentLength } = head.framing;
    const length = this.body === Body.length ? contentLength : contentLength === 0 ? 0 : -1;
    const { method, scheme, upstreamPath: path, body, upgrade } = this;
    const authority = typeof this.upstreamHost === 'string' ? this.upstreamHost : attempt.endpoint?.config.hostname || (attempt.endpoint?.address ?? '');
    this.triedLines = this.tryLines(this.record.attempts);
    stream.start({ method, path, authority, scheme, lines: this.lines + this.triedLines, body, length, upgrade }, attempt);
    this.kept.sendTo(stream);
    if (!this.keepCopy && this.kept.length > 0) {
      this.kept.clear();
      this.replayable = false;
    }
    if (this.requestDone) {
      stream.end(this.trailers);
      this.startTryTimers(attempt);
    }
    attempt.limitDuration(this.cluster?.config.http.maxStreamDurationMs ?? 0);
    if (this.reading) return;
    if (stream.flush()) this.down.resume();
  }

  /** Lines that differ from try to try. */
  protected tryLines(attempts: number): string {
    const host = this.route?.host;
    let lines = '';
    let { expectedMs } = this.timeouts;
    if (expectedMs > 0) {
      // What earlier tries used up is gone.
      if (attempts > 1 && this.timeouts.globalMs > 0 && this.requestDone)
        expectedMs = Math.max(1, Math.min(expectedMs, Math.round(this.timeouts.globalMs - (this.context.deps.clock() - this.requestDoneAt))));
      lines = expectedLine(expectedMs);
    }
    if (this.ownsGrpcTimeout) lines += `grpc-timeout: ${grpcTimeoutText(this.grpcDurationMs >= 0 ? this.grpcDurationMs : expectedMs)}\r\n`;
    if (host?.attemptCount === true) lines += attemptLine(attempts);
    return host?.timeoutRetryHeader === true && attempts > 1 ? `${lines}x-envoy-is-timeout-retry: ${this.afterTimeout}\r\n` : lines;
  }

  /** Its time runs from when the whole request is on its way. */
  protected startTryTimers(attempt: Attempt): void {
    const idleMs = this.route?.forward?.action.retry?.perTryIdleTimeoutMs ?? 0;
    if ((this.timeouts.perTryMs > 0 || idleMs > 0) && !this.headSent && this.upgrade === '') attempt.startTimers(this.timeouts.perTryMs, idleMs);
  }

  onAttemptUnconnected(attempt: Attempt, reason: ConnectFailure, why: string): void {
    // Not the endpoint's fault, and never tried again.
    if (reason === 'overflow') return this.overflow();
    if (reason === 'unresolved' || reason === 'no-resolver') {
      this.record.upstreamAddress = '';
      const told = reason === 'unresolved' ? 'cares_norecords:Domain_name_not_found' : 'cares_failure:Could_not_contact_DNS_servers';
      return this.answer(503, 'DNS resolution failure', 'DF', `dns_resolution_failure{${told}}`);
    }
    this.failTry(attempt, { kind: 'connect-failure' }, reason === 'timeout' ? 'connect-timeout' : 'connect', why);
  }

  onAttemptHead(attempt: Attempt, head: ResponseHead): void {
    const { cluster } = this;
    const { endpoint } = attempt;
    if (cluster === undefined || endpoint === undefined) return;
    if (head.status === 101) return this.upgraded(attempt, head);
    const grpcStatus = head.fields.known(Field.grpcStatus);
    cluster.report(endpoint, this.grpc && grpcStatus !== undefined ? httpStatusOfGrpc(grpcStatus) : head.status, this.context.wheel.now() - attempt.startedAt);
    if (this.retryRules !== undefined) {
      const { outcome } = this;
      outcome.status = head.status;
      outcome.rateLimited = head.fields.indexOf(Field.rateLimited) >= 0;
      outcome.grpcStatus = grpcStatus === undefined ? undefined : Number(grpcStatus);
      outcome.fields = head.fields;
      if (!attempt.hedged && this.mayRetry(outcome)) {
        attempt.discard();
        return this.retry(head);
      }
      // A bad answer to one of several tries: the others may do better.
      if (this.others !== undefined && shouldRetry(this.retryRules, outcome) && this.dropOther(attempt)) return;
    }
    const redirect = this.route?.forward?.action.internalRedirect;
    if (redirect !== undefined && redirect.statuses.has(head.status) && this.redirected(attempt, head, redirect)) return;
    this.choose(attempt);
    this.record.grpcStatus = grpcStatus ?? '';
    this.respond(attempt, head);
  }

  /** This try answers the client; the others are given up. */
  private choose(attempt: Attempt): void {
    this.context.wheel.clear(this.pauseTimer);
    if (this.others === undefined) return;
    for (const other of [...this.others, this.attempt]) if (other !== attempt) other.leave();
    this.others = undefined;
    this.attempt = attempt;
  }

  onAttemptFailed(attempt: Attempt, kind: StreamFailure): void {
    this.streamReset = kind === 'remote-reset' || kind === 'connect-error' || kind === 'refused';
    if (kind === 'protocol') return this.failTry(attempt, { kind: 'reset', sent: true }, kind);
    this.failTry(attempt, kind === 'refused' ? { kind: 'refused' } : { kind: 'reset', sent: true }, kind);
  }

  private failTry(attempt: Attempt, outcome: TryOutcome, failure: TryFailure, why = ''): void {
    if (attempt.endpoint !== undefined) this.cluster?.report(attempt.endpoint, 'connect-failure');
    if (!attempt.hedged && this.mayRetry(outcome)) return this.retry();
    if (this.dropOther(attempt)) return;
    const [reason, flag, status, text] = failures[failure];
    const started = this.headSent || this.begun ? 'after' : 'before';
    this.answer(
      status,
      `upstream connect error or disconnect/reset before headers. ${this.retried()}reset reason: ${text}`,
      flag,
      `upstream_reset_${started}_response_started{${reason}${why === '' ? '' : `|${why}`}}`,
    );
  }

  private retried(): string {
    return this.record.attempts > 1 ? 'retried and the latest ' : '';
  }

  onAttemptTimeout(attempt: Attempt, kind: AttemptTimeout): void {
    const { cluster } = this;
    this.afterTimeout = kind !== 'duration';
    if (cluster !== undefined && attempt.endpoint !== undefined && kind !== 'duration' && !this.headSent) cluster.report(attempt.endpoint, 'timeout');
    attempt.late = true;
    if (kind !== 'duration' && this.hedges()) return this.hedge(attempt);
    if (cluster !== undefined && kind === 'total') cluster.tryTimeouts++;
    if (cluster !== undefined && kind === 'idle') cluster.tryIdleTimeouts++;
    if (!attempt.hedged && this.mayRetry({ kind: 'per-try-timeout' })) {
      attempt.abort();
      return this.retry();
    }
    if (this.dropOther(attempt)) return;
    if (kind === 'duration')
      return this.timeout(this.requestDone ? 504 : 408, 'UMSDR', 'upstream_max_stream_duration_reached', 'upstream max stream duration reached');
    this.timeout(this.timeoutStatus, 'UT', kind === 'total' ? 'upstream_per_try_timeout' : 'upstream_per_try_idle_timeout', 'upstream request timeout');
  }

  /** An internal caller may want its time-outs to look like an empty answer. */
  protected get timeoutStatus(): number {
    return this.internal && this.get('x-envoy-upstream-rq-timeout-alt-response') !== undefined ? 204 : 504;
  }

  private hedges(): boolean {
    const asked = this.internal ? this.get('x-envoy-hedge-on-per-try-timeout') : undefined;
    return asked === undefined ? this.route?.forward?.action.hedgeOnPerTryTimeout === true : asked === 'true';
  }

  /** The time of the route is over: for each try under way. */
  protected timeoutTries(): void {
    const { cluster } = this;
    if (cluster === undefined) return;
    for (const { endpoint, late } of [...(this.others ?? []), this.attempt]) {
      if (endpoint === undefined) continue;
      cluster.timeouts++;
      if (!late && !this.headSent) cluster.report(endpoint, 'timeout');
    }
  }

  /** A further try beside the one that takes long, whatever `retry_on` says if it says anything; without retries left, or once something has come, that one goes on alone. */
  private hedge(attempt: Attempt): void {
    if (attempt.hedged || this.headSent || !this.admitRetry()) return;
    attempt.hedged = true;
    this.noteTried(attempt);
    (this.others ??= []).push(attempt);
    this.attempt = new Attempt(this, this.context.wheel);
    this.context.wheel.set(this.pauseTimer, this.backoff());
  }

  /** Gives up one of several tries; false when it is the last one. */
  private dropOther(attempt: Attempt): boolean {
    const { others } = this;
    if (others === undefined) return false;
    attempt.leave();
    if (attempt === this.attempt) {
      // The latest failed, or has not begun: an older one takes its place unless a pause says there is one to come.
      const older = others.pop();
      if (older === undefined) return false;
      this.attempt = older;
    } else others.splice(others.indexOf(attempt), 1);
    if (others.length === 0) this.others = undefined;
    return true;
  }

  protected timeout(status: number, flag: string, details: string, text: string, grpcStatus?: number): void {
    this.attempt.abort();
    this.answer(status, text, flag, details, '', grpcStatus);
  }

  protected leaveTries(): void {
    if (this.others !== undefined) for (const other of this.others) other.leave();
    this.others = undefined;
    this.attempt.leave();
  }

  /** Whether the try that ended so is made again; tells by a flag when only the limits forbid it. */
  private mayRetry(outcome: TryOutcome): boolean {
    const rules = this.retryRules;
    return !this.headSent && rules !== undefined && shouldRetry(rules, outcome) && this.admitRetry();
  }

  private admitRetry(): boolean {
    const { cluster, retryRules } = this;
    if (cluster === undefined || retryRules === undefined) return false;
    if (this.retriesMade >= retryRules.retries) {
      this.flag('URX');
      return false;
    }
    if (!this.canReplay()) return false;
    // The place the last retry held is free again.
    if (this.retrying) cluster.breaker.retries--;
    this.retrying = false;
    if (!cluster.breaker.mayRetry()) {
      cluster.retryOverflow++;
      this.flag('UO');
      return false;
    }
    this.retrying = true;
    cluster.breaker.retries++;
    cluster.retries++;
    this.retriesMade++;
    return true;
  }

  private retry(head?: ResponseHead): void {
    const limited = this.route?.forward?.action.retry?.rateLimited;
    const asked =
      limited === undefined || head === undefined
        ? undefined
        : rateLimitedBackoffMs(limited, (name) => head.fields.get(name), Date.now(), this.context.deps.random());
    this.again(asked ?? this.backoff());
  }

  private noteTried({ endpoint }: Attempt): void {
    if (endpoint === undefined) return;
    this.tried = [...this.tried, endpoint.balanced];
    const every = this.route?.forward?.action.retry?.avoidPriorities;
    if (every !== undefined && this.tried.length % every === 0) this.retryLoads = this.cluster?.loadsWithout(this.tried);
  }

  private backoff(): number {
    const policy = this.route?.forward?.action.retry;
    const base = policy?.baseIntervalMs || 25;
    return retryBackoffMs(this.retriesMade, base, policy?.maxIntervalMs || base * 10, this.context.deps.random());
  }

  private again(ms: number): void {
    this.noteTried(this.attempt);
    this.attempt.leave();
    this.context.wheel.set(this.pauseTimer, ms);
  }
}
