// An authorization service over HTTP: the request again, without its body unless that is asked about; 200 lets it pass, a 5xx says that
// nobody knows, and everything else is what the client gets.

import { compileStringMatch, type StringPredicate } from '@weft/mesh-core/traffic';
import type { HttpAuthorizationService } from '../../config/ext-authz-model.ts';
import type { StringMatch } from '../../config/model.ts';
import { compileHeaderValue, type HeaderValueSource } from '../header-values.ts';
import { type Asking, askCluster, type OwnAnswer } from '../own-request.ts';
import { joined } from './check-request.ts';
import { callerLines, type Caller, type Heard } from './grpc-service.ts';
import { failed, type HeaderPair, type ResponseChange, type Verdict } from './verdict.ts';

/** What the service is told whatever it may see. */
export const alwaysTold: readonly string[] = ['authorization', ':method', ':path', ':authority'];
const headersToRemove = 'x-envoy-auth-headers-to-remove';
/** Of a refusal the client gets these, whatever is listed. */
const alwaysForClients: readonly string[] = ['www-authenticate', 'location'];
/** Written anew. */
const notCopied: ReadonlySet<string> = new Set(['content-length', 'x-envoy-internal', 'x-envoy-expected-rq-timeout-ms']);
const ofTraces: ReadonlySet<string> = new Set(['traceparent', 'tracestate']);

export interface HttpCheck {
  /** Those the service may see. */
  headers: readonly HeaderPair[];
  method: string;
  path: string;
  authority: string;
  body: string;
  http2: boolean;
  source: HeaderValueSource;
}

export type HttpService = (check: HttpCheck, caller: Caller, heard: Heard) => Asking;

/** @throws RegexError */
export function compileHttpService(service: HttpAuthorizationService): HttpService {
  const { cluster, timeoutMs, pathPrefix } = service;
  const added = service.headersToAdd.map(({ name, value }) => ({ name, value: compileHeaderValue(value) }));
  const verdictOf = compileAnswer(service);
  return (check, { world, traceLines }, heard) => {
    const headers = joined(check.headers.filter(([name]) => !name.startsWith(':') && !notCopied.has(name) && (traceLines === '' || !ofTraces.has(name))));
    for (const { name, value } of added) headers.set(name, typeof value === 'string' ? value : value(check.source));
    let lines = '';
    for (const [name, value] of headers) lines += `${name}: ${value}\r\n`;
    lines += callerLines(traceLines, timeoutMs);
    const { method, authority, body, http2 } = check;
    const request = { cluster, method, path: pathPrefix + check.path, authority, lines, body, tellsLength: true, http2, timeoutMs };
    return askCluster(request, world, (answer) => heard(verdictOf(answer), answer));
  };
}

function compileAnswer(service: HttpAuthorizationService): (answer: OwnAnswer) => Verdict {
  const upstream = anyOf(service.upstreamHeaders);
  const upstreamAppend = anyOf(service.upstreamHeadersToAppend);
  const clientOnSuccess = anyOf(service.clientHeadersOnSuccess);
  const listed = anyOf(service.clientHeaders);
  const client: StringPredicate = service.clientHeaders.length === 0 ? (name) => name !== 'host' : (name) => alwaysForClients.includes(name) || listed(name);
  const toMetadata = anyOf(service.metadataHeaders);
  return ({ status, fields: all, body, serviceMs }) => {
    if (status >= 500) return failed;
    const fields: HeaderPair[] = [...all.filter(([name]) => name !== headersToRemove), ['x-envoy-upstream-service-time', String(serviceMs)]];
    const told = fields.filter(([name]) => toMetadata(name));
    const metadata = told.length === 0 ? undefined : Object.fromEntries(told);
    if (status !== 200) return { kind: 'denied', status, headers: fields.filter(([name]) => client(name)), body: body.toString('latin1'), metadata };
    const removed = all.flatMap(([name, value]) => (name === headersToRemove ? value.split(',') : []));
    return {
      kind: 'ok',
      set: fields.filter(([name]) => upstream(name)),
      add: fields.filter(([name]) => upstreamAppend(name)),
      append: [],
      remove: removed.map((name) => name.trim().toLowerCase()).filter((name) => name !== ''),
      response: fields.filter(([name]) => clientOnSuccess(name)).map(([name, value]): ResponseChange => ({ name, value, action: 'add' })),
      setParameters: [],
      removeParameters: [],
      metadata,
    };
  };
}

/** @throws RegexError */
export function anyOf(matches: readonly StringMatch[]): StringPredicate {
  const tests = matches.map(compileStringMatch);
  return (name) => tests.some((test) => test(name));
}
