// One request before an authorization service: what is asked about is gathered, the answer carried out.

import { formatTraceparent } from '@weft/mesh-core/telemetry';
import { withMetadata } from '@weft/mesh-core/traffic';
import type { JsonObject } from '@weft/mesh-core/wire';
import type { CheckedBody, ExtAuthz, RouteExtAuthz } from '../../config/ext-authz-model.ts';
import type { ResponseHead } from '../../../http-wire/codec-h1/response-head.ts';
import type { Counter } from '../counters.ts';
import type { FilteredRequest, RequestCompanion } from '../filters/chain.ts';
import type { Asking, OwnAnswer } from '../own-request.ts';
import { newSpanId } from '../random-ids.ts';
import { SeenRequest } from '../policy/seen-headers.ts';
import { changeRequest, changeResponse, changesRequest, refusalLines } from './apply-verdict.ts';
import { type CheckedConnection, requestCheck } from './check-request.ts';
import { checkSpan } from './check-span.ts';
import { askGrpc, type Heard } from './grpc-service.ts';
import type { HttpService } from './http-service.ts';
import type { HeaderPair, ResponseChange, Verdict } from './verdict.ts';

const namespace = 'envoy.filters.http.ext_authz';
const partialBody = 'x-envoy-auth-partial-body';

export type CheckOutcome = 'ok' | 'denied' | 'error' | 'failure_mode_allowed';
export type CheckCounters = Readonly<Record<CheckOutcome, Counter>>;

export interface CompiledCheck {
  config: ExtAuthz;
  /** Undefined = gRPC. */
  http: HttpService | undefined;
  /** Whether the service is told of a header. */
  tells(name: string): boolean;
  counters: CheckCounters;
  /** Of the cluster the request would go to. */
  ofCluster(cluster: string, outcome: CheckOutcome): Counter;
}

const seen = new SeenRequest();

export class RequestCheck implements RequestCompanion {
  private readonly compiled: CompiledCheck;
  private readonly request: FilteredRequest;
  private readonly route: RouteExtAuthz | undefined;
  private readonly body: CheckedBody | undefined;
  private asking: Asking | undefined;
  private askedAt = 0;
  private spanId = '';
  private passed = false;
  private over = false;
  private changes: readonly ResponseChange[] = [];

  constructor(compiled: CompiledCheck, request: FilteredRequest, route: RouteExtAuthz | undefined) {
    this.compiled = compiled;
    this.request = request;
    this.route = route;
    const body = route?.body ?? compiled.config.body;
    this.body = body === 'off' ? undefined : body;
  }

  /** The request goes on by itself, if it may; that may be at once. */
  begin(): void {
    const { body, request } = this;
    request.accompany(this);
    if (body === undefined || request.complete) return this.ask();
    // The byte beyond tells that there is more.
    request.holdBody(body.maxBytes + 1);
    request.tap = { data: () => this.onData(), end: () => this.ask(), abort: () => undefined };
    if (request.heldBytes > 0) this.onData();
  }

  /** More of the body is there. */
  private onData(): void {
    const { maxBytes, allowPartial } = this.body as CheckedBody;
    const { heldBytes } = this.request;
    if (allowPartial ? heldBytes < maxBytes : heldBytes <= maxBytes) return;
    if (allowPartial) return this.ask();
    this.request.tap = undefined;
    this.request.answer(413, 'Payload Too Large', '', 'request_payload_too_large');
  }

  private ask(): void {
    const { compiled, request } = this;
    const { context } = request;
    request.tap = undefined;
    this.askedAt = context.deps.clock();
    const caller = { world: context, address: context.listener.address, traceLines: this.traceLines() };
    const heard: Heard = (verdict, answer) => this.onVerdict(verdict, answer);
    const asking =
      compiled.http === undefined
        ? askGrpc(compiled.config.service as Parameters<typeof askGrpc>[0], this.message(), caller, heard)
        : compiled.http(this.httpCheck(), caller, heard);
    // Who has answered by now has nothing left to cancel.
    this.asking = this.over || this.passed ? undefined : asking;
  }

  /** What of the body is told, and whether that is all of it; undefined = nothing is asked of bodies, or there is none. */
  private checkedBody(): { text: string; partial: boolean } | undefined {
    const { body, request } = this;
    const { heldBody } = request;
    if (body === undefined || request.bodiless) return undefined;
    return { text: heldBody.slice(0, body.maxBytes), partial: heldBody.length > body.maxBytes };
  }

  private headers(): HeaderPair[] {
    const { tells } = this.compiled;
    const list: HeaderPair[] = seen
      .of(this.request)
      .list()
      .filter(([name]) => name !== partialBody && tells(name));
    const body = this.checkedBody();
    if (body !== undefined) list.push([partialBody, String(body.partial)]);
    return list;
  }

  private httpCheck(): Parameters<HttpService>[0] {
    const { method, path, authority, record } = this.request;
    const body = this.checkedBody()?.text ?? '';
    return { method, path, authority, body, headers: this.headers(), http2: record.protocol === 'HTTP/2', source: this.request };
  }

  private message(): Uint8Array {
    const { request, route, body } = this;
    const { context, record } = request;
    const { check } = this.compiled.config;
    const { deps, access } = context;
    if (access === undefined) throw new Error('the filter chain asks about requests but its connections are not described');
    const connection: CheckedConnection = { access, sourcePort: context.remotePort, ownIdentity: context.ownNames[0] ?? '' };
    const pick = (from: Readonly<Record<string, unknown>> | undefined, names: readonly string[]): JsonObject =>
      Object.fromEntries(names.flatMap((name) => (from?.[name] === undefined ? [] : [[name, from[name]]]))) as JsonObject;
    const details = {
      time: (deps.timeOfDay?.() ?? Date.now()) - (deps.clock() - record.startedAt),
      id: String(Math.floor(deps.random() * Number.MAX_SAFE_INTEGER)),
      headers: this.headers(),
      rawHeaders: check.rawHeaders,
      ...{ method: request.method, path: request.path, host: request.authority, scheme: request.scheme },
      size: record.requestBodyBytes,
      protocol: record.protocol,
      body: this.checkedBody()?.text ?? '',
      bodyAsBytes: body?.asBytes === true,
      callerService: seen.of(request).get('x-envoy-downstream-service-cluster') ?? '',
      contextExtensions: route?.contextExtensions ?? {},
      metadata: pick(request.metadata, check.metadataNamespaces),
      routeMetadata: pick(record.route?.metadata, check.routeMetadataNamespaces),
    };
    return requestCheck(connection, details, check.tlsSession);
  }

  /** A span of its own, where the request's is recorded. */
  private traceLines(): string {
    const { request } = this;
    const { trace, manager } = request.record;
    if (trace === undefined) return '';
    if (trace.sampled) this.spanId = newSpanId();
    if (manager.tracing?.silent === true) return '';
    const told = trace.traceparent ?? request.get('traceparent');
    const own = this.spanId === '' ? told : formatTraceparent({ traceId: trace.traceId, spanId: this.spanId, sampled: true });
    const state = trace.tracestate ?? request.get('tracestate') ?? '';
    return own === undefined ? '' : `traceparent: ${own}\r\n${state === '' ? '' : `tracestate: ${state}\r\n`}`;
  }

  private report(verdict: Verdict, answer: OwnAnswer): void {
    const { context, record } = this.request;
    const { deps } = context;
    if (this.spanId === '' || record.trace === undefined || deps.onCall === undefined) return;
    const { traceId, spanId: parentSpanId } = record.trace;
    const times = { startedAt: this.askedAt, durationMs: deps.clock() - this.askedAt };
    deps.onCall({ traceId, spanId: this.spanId, parentSpanId, ...times, ...checkSpan(this.compiled.config.service, answer, verdict) });
  }

  private onVerdict(verdict: Verdict, answer: OwnAnswer): void {
    if (this.over) return;
    this.asking = undefined;
    this.report(verdict, answer);
    if (verdict.kind !== 'error') this.remember(verdict);
    if (verdict.kind === 'ok') this.allow(verdict);
    else if (verdict.kind === 'denied') this.refuse(verdict);
    else this.fail();
  }

  private count(outcome: CheckOutcome): void {
    const { counters, ofCluster } = this.compiled;
    counters[outcome].value++;
    const { cluster } = this.request.record;
    if (cluster !== undefined) ofCluster(cluster.name, outcome).value++;
  }

  private remember({ kind, metadata }: Extract<Verdict, { metadata: unknown }>): void {
    const { request } = this;
    if (metadata === undefined || Object.keys(metadata).length === 0 || !this.compiled.config.takesMetadata) return;
    const took = kind === 'ok' ? { ext_authz_duration: Math.floor(request.context.deps.clock() - this.askedAt) } : {};
    request.metadata = withMetadata(request.metadata, namespace, { ...metadata, ...took });
  }

  private allow(verdict: Extract<Verdict, { kind: 'ok' }>): void {
    const { request } = this;
    this.count('ok');
    const bad = changeRequest(request, verdict);
    if (bad !== '') {
      const text = `invalid header value for: ${bad}`;
      return request.answer(503, text, 'DPE', `filter_removed_required_request_headers{${text.replaceAll(' ', '_')}}`);
    }
    this.changes = verdict.response;
    if (this.compiled.config.clearRouteCache && changesRequest(verdict)) request.chooseRouteAgain();
    this.pass();
  }

  private refuse({ status, headers, body }: Extract<Verdict, { kind: 'denied' }>): void {
    this.count('denied');
    const { lines, type } = refusalLines(headers);
    this.request.answer(status, body, 'UAEX', 'ext_authz_denied', lines, undefined, type);
  }

  private fail(): void {
    const { request, compiled } = this;
    const { failureModeAllow, tellsFailureMode, statusOnError } = compiled.config;
    this.count('error');
    if (!failureModeAllow) return request.answer(statusOnError, '', 'UAEX', 'ext_authz_error');
    this.count('failure_mode_allowed');
    if (tellsFailureMode) request.appendRequestHeader('x-envoy-auth-failure-mode-allowed', 'true');
    this.pass();
  }

  private pass(): void {
    this.passed = true;
    this.request.holdBody(0);
    this.request.continueRequest();
  }

  onResponse(head: ResponseHead | undefined): void {
    if (this.changes.length > 0) changeResponse(this.request, this.changes, head);
  }

  onEnd(): void {
    this.over = true;
    this.asking?.cancel();
  }
}
