// How a request ends: heads for the client, answers of our own, and the report.

import { grpcStatusOf } from '@weft/mesh-core/model';
import { Field } from '../../http-wire/codec-h1/field-kinds.ts';
import type { ResponseHead } from '../../http-wire/codec-h1/response-head.ts';
import type { Attempt } from './attempt.ts';
import type { RequestCompanion } from './filters/chain.ts';
import { corsDetails } from './filters/cors.ts';
import { ExchangeState, union } from './exchange-state.ts';
import { grpcAnswerLines } from './grpc.ts';
import { noBodyStatus, responseLines } from './heads.ts';
import { attemptLine, dateLine, numberLines, serverLine } from './kept-lines.ts';
import { hasLine, without } from '../transport/field-lines.ts';

/** Whether the client is told such a field. */
function goesOut({ fields }: ResponseHead, kind: number, name: string, drop: ReadonlySet<string> | undefined, added: string): boolean {
  return (fields.indexOf(kind) >= 0 && drop?.has(name) !== true) || hasLine(added, name);
}

/** Operations do not change what the proxy calls itself. */
function serverLines(lines: string, serverName: string): string {
  return `${hasLine(lines, 'server') ? without(lines, ['server']) : lines}${serverLine(serverName)}`;
}

const serviceTimeLine = numberLines('x-envoy-upstream-service-time');

export abstract class ExchangeAnswer extends ExchangeState {
  /** Lets go of every try. */
  protected abstract leaveTries(): void;

  /** Lines of an upstream's response for the client. */
  protected responseHead(attempt: Attempt, head: ResponseHead): string {
    attempt.stopTimers();
    this.responseTo = head;
    this.record.status = this.answering = head.status;
    if (this.route?.host.attemptCountInResponse === true && head.fields.indexOf(Field.attemptCount) >= 0) this.removeResponseHeader('x-envoy-attempt-count');
    this.filterResponse(head.status, head);
    const ops = this.target?.responseHeaders;
    const drop = union(ops?.drop, this.responseDrop);
    const cookies = ops?.drop?.has('set-cookie') === true ? '' : this.cookieLines;
    const added = this.filtered(cookies + (ops?.lines(this) ?? '') + this.attemptCount());
    const { manager } = this.context;
    const name = manager.keepServerHeader && goesOut(head, Field.server, 'server', drop, added) ? '' : manager.serverName;
    let lines = responseLines(head.fields, name, drop) + (name === '' ? added : serverLines(added, name)) + this.traceLines();
    if (!goesOut(head, Field.date, 'date', drop, added)) lines += dateLine();
    const { record } = this;
    const now = this.context.wheel.recent;
    record.tryMs = Math.round(now - attempt.startedAt);
    record.responseMs = now - record.startedAt;
    // One that upgrades has no end.
    if (!this.requestDone || this.upgrade !== '') return lines;
    record.upstreamServiceMs = Math.round(now - this.requestDoneAt);
    return lines + serviceTimeLine(record.upstreamServiceMs);
  }

  /** The id where it is asked for. What the operation is called, to a client that has not named it: from inbound, as in Envoy. */
  private traceLines(): string {
    const { record, requestId } = this;
    const id = this.context.manager.requestId.inResponse && requestId !== '' ? `x-request-id: ${requestId}\r\n` : '';
    const operation = record.direction === 'inbound' && record.trace !== undefined ? (record.route?.operation ?? '') : '';
    // What the client has named the application may name.
    const told = operation === '' || this.head?.fields.known(Field.decorator) ? this.toldOperation() : operation;
    return told === '' ? id : `${id}x-envoy-decorator-operation: ${told}\r\n`;
  }

  private toldOperation(): string {
    if (this.record.direction !== 'inbound' || this.responseTo?.fields.known(Field.decorator) === undefined) return '';
    return this.values('response', 'x-envoy-decorator-operation').join(',');
  }

  /** Tells the client how many tries there were, where the host says so. */
  private attemptCount(): string {
    return this.record.attempts > 0 && this.route?.host.attemptCountInResponse === true ? attemptLine(this.record.attempts) : '';
  }

  /** Filters come after the route's operations. */
  private filtered(lines: string): string {
    return (this.responseDrop === undefined ? lines : without(lines, [...this.responseDrop])) + this.responseLinesAdded;
  }

  protected filterResponse(status: number, head: ResponseHead | undefined): void {
    if (this.companions !== undefined) for (const companion of this.companions) companion.onResponse(head);
    const steps = this.route?.filters?.response;
    if (steps !== undefined) for (const step of steps) step.onResponse?.(this, status, head);
  }

  /** The head of the answer goes out now. */
  protected beginAnswer(status: number, lines: string, length: number): void {
    this.headSent = true;
    this.record.status = status;
    this.answerLines = lines;
    this.answerLength = length;
    if (this.started) this.cluster?.answered(status);
  }

  protected writeHead(status: number, lines: string, length: number, hasBody: boolean): void {
    this.answering = status;
    this.beginAnswer(status, lines, length);
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
    this.answering = status;
    const { serverName, keepServerHeader } = this.context.manager;
    // Routes that answer themselves are asked last: what a filter or the connection answers in their place has not been routed. Nor
    // is the answer to a preflight that of a route.
    const routed = this.started || (this.route?.forward !== undefined && details !== corsDetails);
    const ops = routed ? (this.target ?? this.route)?.responseHeaders : undefined;
    // What a route tells itself its operations change too; what others tell comes after them.
    const itself = this.started && this.route?.forward === undefined;
    this.ownLines = itself ? extra : '';
    const changed = itself && ops?.drop !== undefined ? without(extra, [...ops.drop]) : this.ownLines;
    let added = this.filtered(`${changed}${ops?.lines(this) ?? ''}${itself ? '' : extra}${this.attemptCount()}`);
    if (serverName !== '' && !(keepServerHeader && hasLine(added, 'server'))) added = serverLines(added, serverName);
    const rest = `${hasLine(added, 'date') ? '' : dateLine()}${this.traceLines()}`;
    if (this.answersInGrpc) {
      this.record.grpcStatus = String(grpcStatus);
      this.writeHead(200, `${without(added, ['content-type'])}${grpcAnswerLines(grpcStatus, this.method === 'HEAD' ? '' : body)}${rest}`, -1, false);
      return this.finish('');
    }
    if (body === '') added = without(added, ['content-type']);
    else if (!hasLine(added, 'content-type')) added += `content-type: ${bodyType === '' ? 'text/plain' : bodyType}\r\n`;
    const bodyless = this.method === 'HEAD' || noBodyStatus(status);
    this.writeHead(status, added + rest, body === '' ? -1 : body.length, !bodyless && body !== '');
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
    this.down.meter.sent = this.down.bytesSent - this.sentBefore;
    this.leaveTries();
    if (cluster !== undefined && this.retrying) cluster.breaker.retries--;
    if (this.tap !== undefined && !this.requestDone) this.tap.abort();
    if (this.companions !== undefined) this.dismiss(this.companions);
    const steps = this.route?.filters?.end;
    if (steps !== undefined) for (const step of steps) step.onEnd?.(this);
    this.kept.clear();
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
