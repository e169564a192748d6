// How a request ends: heads for the client, answers of our own, and the report.

import { Field } from '../../http-wire/codec-h1/field-kinds.ts';
import type { ResponseHead } from '../../http-wire/codec-h1/response-head.ts';
import type { Attempt } from './attempt.ts';
import type { RequestCompanion } from './filters/chain.ts';
import { ExchangeState, union } from './exchange-state.ts';
import { grpcAnswerLines, grpcStatusOf } from './grpc.ts';
import { noBodyStatus, responseLines } from './heads.ts';
import { attemptLine, numberLines } from './kept-lines.ts';

const serviceTimeLine = numberLines('x-envoy-upstream-service-time');

export abstract class ExchangeAnswer extends ExchangeState {
  /** Lets go of every try. */
  protected abstract leaveTries(): void;

  /** Lines of an upstream's response for the client. */
  protected responseHead(attempt: Attempt, head: ResponseHead): string {
    attempt.stopTimers();
    this.responseTo = head;
    this.record.status = head.status;
    if (this.route?.host.attemptCountInResponse === true && head.fields.indexOf(Field.attemptCount) >= 0) this.removeResponseHeader('x-envoy-attempt-count');
    this.filterResponse(head.status, head);
    const ops = this.target?.responseHeaders;
    const { manager } = this.context;
    const name = manager.keepServerHeader && head.fields.indexOf(Field.server) >= 0 ? '' : manager.serverName;
    let lines =
      responseLines(head.fields, name, union(ops?.drop, this.responseDrop)) + (ops?.lines(this) ?? '') + this.attemptCount() + this.responseLinesAdded;
    if (name !== '') lines += `server: ${name}\r\n`;
    lines += this.traceLines();
    if (head.fields.indexOf(Field.date) < 0) lines += `date: ${new Date().toUTCString()}\r\n`;
    this.record.upstreamServiceMs = Math.round(this.context.wheel.recent - attempt.startedAt);
    // It runs from the end of the request, which one that upgrades does not have.
    return this.requestDone && this.upgrade === '' ? lines + serviceTimeLine(this.record.upstreamServiceMs) : lines;
  }

  /** The id where it is asked for. What the operation is called, to a client that has not named it: from inbound, as in Envoy. */
  private traceLines(): string {
    const { record, requestId } = this;
    const id = this.context.manager.requestId.inResponse && requestId !== '' ? `x-request-id: ${requestId}\r\n` : '';
    const operation = record.direction === 'inbound' && record.trace !== undefined ? (record.route?.operation ?? '') : '';
    return operation === '' || this.head?.fields.known(Field.decorator) ? id : `${id}x-envoy-decorator-operation: ${operation}\r\n`;
  }

  /** Tells the client how many tries there were, where the host says so. */
  private attemptCount(): string {
    return this.record.attempts > 0 && this.route?.host.attemptCountInResponse === true ? attemptLine(this.record.attempts) : '';
  }

  protected filterResponse(status: number, head: ResponseHead | undefined): void {
    if (this.companions !== undefined) for (const companion of this.companions) companion.onResponse(head);
    const steps = this.route?.filters?.response;
    if (steps !== undefined) for (const step of steps) step.onResponse?.(this, status, head);
  }

  protected writeHead(status: number, lines: string, length: number, hasBody: boolean): void {
    this.headSent = true;
    this.record.status = status;
    this.down.head(status, lines, length, hasBody);
    this.record.responseHeaderBytes = this.down.bytesSent - this.sentBefore;
  }

  protected get answersInGrpc(): boolean {
    return this.grpc;
  }

  /** A response of our own; after the upstream's head has gone out the only way to say so is to break off. */
  answer(status: number, body: string, flag: string, details: string, extra = '', grpcStatus = grpcStatusOf(status), bodyType = ''): void {
    this.flag(flag);
    this.record.details = details;
    if (this.headSent) {
      this.end();
      return this.down.reset();
    }
    this.badRequest = status === 400;
    this.filterResponse(status, undefined);
    const { serverName } = this.context.manager;
    const server = `${this.traceLines()}${serverName === '' ? '' : `server: ${serverName}\r\n`}`;
    // What a filter or the connection answers has not been routed: the route's operations are not for it.
    const ops = this.started ? (this.target ?? this.route)?.responseHeaders : undefined;
    const added = `${extra}${ops?.lines(this) ?? ''}${this.attemptCount()}${this.responseLinesAdded}`;
    const rest = `date: ${new Date().toUTCString()}\r\n${server}`;
    // A redirect is for whoever understands it.
    if (this.answersInGrpc && (status < 300 || status >= 400)) {
      this.record.grpcStatus = String(grpcStatus);
      this.writeHead(200, `${added}${grpcAnswerLines(grpcStatus, this.method === 'HEAD' ? '' : body)}${rest}`, -1, false);
      return this.finish('');
    }
    const type = body === '' ? '' : `content-type: ${bodyType === '' ? 'text/plain' : bodyType}\r\n`;
    const bodyless = this.method === 'HEAD' || noBodyStatus(status);
    this.writeHead(status, `${added}${type}${rest}`, body === '' ? -1 : body.length, !bodyless && body !== '');
    if (!bodyless && body !== '') {
      this.down.text(body);
      this.record.responseBodyBytes = body.length;
    }
    this.finish('');
  }

  protected finish(trailers: string): void {
    this.down.end(trailers);
    this.down.flush();
    this.end();
    this.down.finished();
  }

  protected end(): void {
    if (!this.active) return;
    this.active = false;
    const { context, record, cluster } = this;
    context.wheel.clear(this.routeTimer);
    context.wheel.clear(this.pauseTimer);
    context.wheel.clear(this.idleTimer);
    this.limits?.clear();
    if (this.admitted) context.deps.overload?.release();
    this.admitted = false;
    this.leaveTries();
    if (cluster !== undefined && this.retrying) cluster.breaker.retries--;
    if (this.tap !== undefined && !this.requestDone) this.tap.abort();
    if (this.companions !== undefined) this.dismiss(this.companions);
    const steps = this.route?.filters?.end;
    if (steps !== undefined) for (const step of steps) step.onEnd?.(this);
    this.buffered = '';
    this.redirects = 0;
    record.durationMs = context.wheel.now() - record.startedAt;
    if (this.grpc) {
      record.requestMessages = this.requestMessages.count;
      record.responseMessages = this.responseMessages.count;
    }
    context.deps.onRequestEnd(record, this);
  }

  private dismiss(companions: readonly RequestCompanion[]): void {
    this.companions = undefined;
    this.holdBody(0);
    for (const companion of companions) companion.onEnd();
  }
}
