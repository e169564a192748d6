import type { ConnectionContext } from './downstream.ts';
import type { RequestRecord } from './hooks.ts';

/** The record of a connection's requests, with what all of them share filled in. */
export function newRecord(context: ConnectionContext, downstreamAddress: string): RequestRecord {
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
    trace: undefined,
    upstreamAddress: '',
    downstreamAddress,
    userAgent: '',
    contentType: '',
    grpcStatus: '',
    details: '',
  };
}
