import { noWire } from '../../http-wire/socket/wire-meter.ts';
import type { HeaderBlock } from '../../http-wire/codec-h1/header-block.ts';
import type { RequestHead } from '../../http-wire/codec-h1/request-head.ts';
import type { ConnectionContext } from './downstream.ts';
import type { RequestRecord } from './hooks.ts';
import { newRequestId } from './random-ids.ts';

/** What never became a request is reported all the same, with the fields it had where they could be read. */
export function tellRefused(context: ConnectionContext, refused: Partial<RequestRecord>, fields?: HeaderBlock): void {
  const record = { ...newRecord(context), startedAt: context.deps.clock(), ...refused };
  context.deps.onRequestEnd(record, { record, request: (name) => fields?.get(name), response: () => undefined });
}

/** A CONNECT where there are no tunnels. */
export function tellUnrouted(context: ConnectionContext, { method, authority, fields }: RequestHead, protocol: RequestRecord['protocol']): void {
  tellRefused(context, { status: 404, responseFlags: 'NR', details: 'route_not_found', method, authority, protocol, requestId: newRequestId() }, fields);
}

/** The record of a connection's requests, with what all of them share filled in. */
export function newRecord(context: ConnectionContext): RequestRecord {
  return {
    direction: context.listener.direction,
    listener: context.listener,
    manager: context.manager,
    startedAt: 0,
    durationMs: 0,
    requestHeaderBytes: 0,
    requestBodyBytes: 0,
    responseHeaderBytes: 0,
    responseBodyBytes: 0,
    downstreamWire: noWire,
    upstreamWire: noWire,
    requestMessages: 0,
    responseMessages: 0,
    status: 0,
    responseFlags: '-',
    route: undefined,
    virtualHost: '',
    routeConfig: '',
    cluster: undefined,
    endpoint: undefined,
    method: '',
    path: '',
    authority: '',
    protocol: 'HTTP/1.1',
    peer: { principal: context.principal, header: undefined },
    tls: context.tls,
    attempts: 0,
    requestId: '',
    callerOperation: '',
    trace: undefined,
    upstreamAddress: '',
    upstreamLocalAddress: '',
    downstreamSocket: context.socket,
    upstreamSocket: undefined,
    tryMs: -1,
    upstreamServiceMs: -1,
    requestMs: -1,
    responseMs: -1,
    downstreamAddress: context.downstreamAddress,
    directAddress: context.directAddress,
    localAddress: context.localAddress,
    directLocalAddress: context.directLocalAddress,
    serverName: context.serverName,
    userAgent: '',
    contentType: '',
    grpcStatus: '',
    details: '',
  };
}
