// Heads as they leave: lines are passed on as slices of the head they came in, minus those of this hop, plus ours.

import { Field } from '../../http-wire/codec-h1/field-kinds.ts';
import { tokens } from '../../http-wire/codec-h1/framing.ts';
import type { HeaderBlock } from '../../http-wire/codec-h1/header-block.ts';
import type { RequestHead } from '../../http-wire/codec-h1/request-head.ts';
import type { ConnectionContext } from './downstream.ts';
import { clientAddress } from './own-address.ts';
import { isOneOf, unwantedHeaders } from './policy/external-headers.ts';

/** Kinds that are never passed on as they came: hop-by-hop, framing, or written anew. */
const requestHop = kinds(
  Field.connection,
  Field.keepAlive,
  Field.proxyConnection,
  Field.te,
  Field.transferEncoding,
  Field.upgrade,
  Field.contentLength,
  Field.host,
  Field.decorator,
  Field.stripped,
);
const responseHop = kinds(
  Field.connection,
  Field.keepAlive,
  Field.proxyConnection,
  Field.transferEncoding,
  Field.upgrade,
  Field.contentLength,
  Field.serviceTime,
  Field.decorator,
  Field.stripped,
);

function kinds(...list: readonly number[]): Uint8Array {
  const table = new Uint8Array(32);
  for (const kind of list) table[kind] = 1;
  return table;
}

/** Lines of `fields` that pass, joined into as few slices as possible. */
function passedLines(fields: HeaderBlock, hop: Uint8Array, drop: ReadonlySet<string> | undefined, alsoDrop: (kind: number, index: number) => boolean): string {
  let text = '';
  let from = -1;
  for (let i = 0; i < fields.count; i++) {
    const kind = fields.kinds[i] ?? 0;
    const goes = hop[kind] === 0 && !alsoDrop(kind, i) && (drop === undefined || !drop.has(fields.lowerName(i)));
    if (goes && from < 0) from = fields.lineStart(i);
    else if (!goes && from >= 0) {
      text += fields.text.slice(from, fields.lineStart(i));
      from = -1;
    }
  }
  return from < 0 ? text : text + fields.text.slice(from, fields.end);
}

export interface RequestAdditions {
  requestId: string;
  /** The request's own id is kept. */
  keepRequestId: boolean;
  traceparent: string | undefined;
  tracestate: string | undefined;
  b3: string | undefined;
  drop: ReadonlySet<string> | undefined;
  /** The request comes from inside. */
  internal: boolean;
  /** What the request was before it was rewritten is told here, whatever the client says of it. */
  tellsHost: boolean;
  tellsPath: boolean;
  /** `grpc-timeout` is written anew for each try. */
  grpcTimeout: boolean;
  /** Ours replaces the request's. */
  attemptCount: boolean;
  /** Lines of header operations. */
  lines: string;
  /** The header that carries this proxy's identity to its peer, '' = none; and its line. */
  peerHeader: string;
  peerLine: string;
  /** Whom the request is from, as far as that is trusted. */
  sourceIp: string;
}

/** Field lines of the request for the next hop, without Host, framing and attempt count. */
export function requestLines(head: RequestHead, context: ConnectionContext, extra: RequestAdditions): string {
  const { manager } = context;
  const edge = manager.useRemoteAddress;
  const { peerHeader } = extra;
  const traced = extra.traceparent !== undefined;
  const unwanted = unwantedHeaders(extra.internal, edge);
  const text = passedLines(head.fields, requestHop, extra.drop, (kind, index) => {
    switch (kind) {
      case Field.other:
        if (peerHeader !== '' && head.fields.isNamed(index, peerHeader)) return true;
        if (extra.tellsHost && head.fields.isNamed(index, 'x-envoy-original-host')) return true;
        if (extra.tellsPath && head.fields.isNamed(index, 'x-envoy-original-path')) return true;
        if (extra.grpcTimeout && head.fields.isNamed(index, 'grpc-timeout')) return true;
        return isOneOf(unwanted, head.fields, index);
      case Field.expect:
        return head.expectContinue;
      case Field.b3:
        return extra.b3 !== undefined;
      case Field.attemptCount:
        return extra.attemptCount;
      case Field.clientCert:
        return true;
      case Field.requestId:
        return !extra.keepRequestId;
      case Field.forwardedFor:
        return edge;
      case Field.forwardedProto:
        return edge && manager.trustedHops === undefined;
      case Field.traceparent:
        return traced;
      case Field.tracestate:
        return traced && extra.tracestate !== undefined;
      default:
        return false;
    }
  });
  let added = extra.keepRequestId || extra.requestId === '' ? '' : `x-request-id: ${extra.requestId}\r\n`;
  // All that is passed on of it; gRPC servers look for it.
  if (takesTrailers(head.fields)) added += 'te: trailers\r\n';
  if (edge) added += `x-forwarded-for: ${clientsAtEdge(head.fields, context)}\r\n`;
  if ((edge && manager.trustedHops === undefined) || head.fields.indexOf(Field.forwardedProto) < 0)
    added += context.tls ? 'x-forwarded-proto: https\r\n' : 'x-forwarded-proto: http\r\n';
  if (extra.internal) added += 'x-envoy-internal: true\r\n';
  else if (edge) added += `x-envoy-external-address: ${extra.sourceIp}\r\n`;
  if (extra.traceparent !== undefined) added += `traceparent: ${extra.traceparent}\r\n`;
  if (extra.tracestate !== undefined && extra.tracestate !== '') added += `tracestate: ${extra.tracestate}\r\n`;
  if (extra.b3 !== undefined) added += extra.b3;
  if (extra.drop?.has(peerHeader) !== true) added += extra.peerLine;
  const certificate = clientCertificateHeader(head.fields.known(Field.clientCert) ?? '', context);
  if (certificate !== '') added += `x-forwarded-client-cert: ${certificate}\r\n`;
  return text + added + extra.lines;
}

/** `x-forwarded-for` behind an edge. */
export function clientsAtEdge(fields: HeaderBlock, { remoteAddress }: ConnectionContext): string {
  const before = clientsBefore(fields);
  return `${before === '' ? '' : `${before},`}${clientAddress(remoteAddress)}`;
}

/** What a request says of whom it is from, in one line or several; '' = nothing. */
export function clientsBefore(fields: HeaderBlock): string {
  let clients = '';
  for (let i = fields.indexOf(Field.forwardedFor); i >= 0 && i < fields.count; i++)
    if (fields.kinds[i] === Field.forwardedFor && fields.value(i) !== '') clients += clients === '' ? fields.value(i) : `,${fields.value(i)}`;
  return clients;
}

export function takesTrailers(fields: HeaderBlock): boolean {
  const index = fields.indexOf(Field.te);
  return index >= 0 && (fields.hasValue(index, 'trailers') || tokens(fields.value(index)).includes('trailers'));
}

/** What the next hop is told in x-forwarded-client-cert, '' = nothing; `before` is what the client says. */
export function clientCertificateHeader(before: string, context: ConnectionContext): string {
  const mode = context.manager.forwardClientCert;
  const forwards = mode === 'always_forward_only' || (mode === 'forward_only' && context.certificateHash !== '');
  if (forwards) return before;
  if ((mode !== 'append_forward' && mode !== 'sanitize_set') || context.certificateHash === '') return '';
  const own = ownElement(context);
  return mode === 'append_forward' && before !== '' ? `${before},${own}` : own;
}

/** Of the connection the last request came by: it is the same for all of them. */
const lastElement: { context: ConnectionContext | undefined; text: string } = { context: undefined, text: '' };

/** What this proxy says of the client's certificate. */
function ownElement(context: ConnectionContext): string {
  if (lastElement.context === context) return lastElement.text;
  const { subject, uri, dns } = context.manager.clientCertDetails;
  let own = context.ownNames.map((name) => `By=${name};`).join('');
  own += `Hash=${context.certificateHash}`;
  // RFC 2253 has escaped its quotes.
  if (subject) own += `;Subject="${context.subject}"`;
  if (uri) own += context.uriNames.length === 0 ? ';URI=' : context.uriNames.map((name) => `;URI=${name}`).join('');
  if (dns) for (const name of context.dnsNames) own += `;DNS=${name}`;
  lastElement.context = context;
  return (lastElement.text = own);
}

/** Field lines of an upstream's response for the client, without framing. */
export function responseLines(fields: HeaderBlock, serverName: string, drop: ReadonlySet<string> | undefined): string {
  return passedLines(fields, responseHop, drop, (kind) => kind === Field.server && serverName !== '');
}

/** Fields of a response, names in lower case, without those of this hop. */
export function passedFields(fields: HeaderBlock): [name: string, value: string][] {
  const list: [string, string][] = [];
  for (let i = 0; i < fields.count; i++) if (responseHop[fields.kinds[i] ?? 0] === 0) list.push([fields.lowerName(i), fields.value(i)]);
  return list;
}

/** Of an answer that ends a request. */
export function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 599;
}

export function noBodyStatus(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}
