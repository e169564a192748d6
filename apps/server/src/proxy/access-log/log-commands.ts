// Commands of access log formats that say something only when the request is over, or that only logs have a use for.

import { randomUUID } from 'node:crypto';
import { GRPC_STATUS, isGrpcContentType, toldGrpcStatus } from '@weft/mesh-core/model';
import type { HeaderValueSource, ReportedRecord } from '../http/header-values.ts';
import { compileTime } from '../http/time-format.ts';
import { compileLogValue } from './cel-attributes.ts';

type Read = (source: HeaderValueSource) => string | undefined;

const ofRecord =
  (read: (record: ReportedRecord) => string | undefined): Read =>
  ({ record }) =>
    read(record);
const whole = (ms: number): string => String(Math.round(ms));

const LONG_FLAGS: Readonly<Record<string, string>> = {
  DC: 'DownstreamConnectionTermination',
  DF: 'DnsResolutionFailed',
  DI: 'DelayInjected',
  DPE: 'DownstreamProtocolError',
  DR: 'DownstreamRemoteReset',
  DT: 'DurationTimeout',
  FI: 'FaultInjected',
  IH: 'InvalidEnvoyRequestHeaders',
  NC: 'NoClusterFound',
  NR: 'NoRouteFound',
  RL: 'RateLimited',
  SI: 'StreamIdleTimeout',
  UAEX: 'UnauthorizedExternalService',
  UC: 'UpstreamConnectionTermination',
  UF: 'UpstreamConnectionFailure',
  UH: 'NoHealthyUpstream',
  UMSDR: 'UpstreamMaxStreamDurationReached',
  UO: 'UpstreamOverflow',
  UPE: 'UpstreamProtocolError',
  UR: 'UpstreamRemoteReset',
  URX: 'UpstreamRetryLimitExceeded',
  UT: 'UpstreamRequestTimeout',
};

const COMMANDS: Readonly<Record<string, Read>> = {
  BYTES_RECEIVED: ofRecord((record) => String(record.requestBodyBytes)),
  BYTES_SENT: ofRecord((record) => String(record.responseBodyBytes)),
  DURATION: ofRecord((record) => whole(record.durationMs)),
  REQUEST_DURATION: ofRecord((record) => (record.requestMs < 0 ? undefined : whole(record.requestMs))),
  RESPONSE_DURATION: ofRecord((record) => (record.responseMs < 0 ? undefined : whole(record.responseMs))),
  RESPONSE_TX_DURATION: ofRecord((record) => (record.responseMs < 0 ? undefined : whole(record.durationMs - record.responseMs))),
  RESPONSE_FLAGS_LONG: ofRecord((record) => record.responseFlags.replaceAll(/[A-Z]+/g, (flag) => LONG_FLAGS[flag] ?? flag)),
  // What ends a connection before its request has no record here.
  CONNECTION_TERMINATION_DETAILS: ofRecord((record) => record.terminationDetails),
  // Details of a failed try end in it: `upstream_reset_before_response_started{remote_connection_failure|...}`.
  UPSTREAM_TRANSPORT_FAILURE_REASON: ofRecord((record) => record.transportFailure ?? /\|([^}]+)\}$/.exec(record.details)?.[1]),
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: ofRecord((record) => record.downstreamFailure),
  GRPC_STATUS_NUMBER: ofRecord(grpcStatusOfCall),
  UNIQUE_ID: () => randomUUID(),
  ACCESS_LOG_TYPE: ofRecord((record) => (record.protocol === '' ? 'TcpConnectionEnd' : 'DownstreamEnd')),
};

/** Envoy writes one of them with one L. */
const STATUSES = GRPC_STATUS.map((name) => (name === 'CANCELLED' ? 'CANCELED' : name));
const camel = (name: string): string => (name === 'OK' ? name : name.toLowerCase().replaceAll(/(?:^|_)(.)/g, (_, first: string) => first.toUpperCase()));

/** Of calls of gRPC only. */
function grpcStatusOfCall({ contentType, grpcStatus: said, status }: ReportedRecord): string {
  return isGrpcContentType(contentType) ? toldGrpcStatus(said, status) : '';
}

function grpcStatus(form: string): Read | undefined {
  if (!['CAMEL_STRING', 'SNAKE_STRING', 'NUMBER'].includes(form)) return undefined;
  return ({ record }) => {
    const status = grpcStatusOfCall(record);
    const name = STATUSES[Number(status)];
    if (form === 'NUMBER' || status === '' || name === undefined) return status;
    return form === 'SNAKE_STRING' ? name : camel(name);
  };
}

function textOf(read: (source: HeaderValueSource) => unknown): Read {
  return (source) => {
    const value = read(source) ?? undefined;
    return value === undefined || typeof value === 'string' ? value : JSON.stringify(value);
  };
}

function trailer(names: string): Read {
  const [first = '', second] = names.toLowerCase().split('?');
  return (source) => source.trailer?.(first) ?? (second === undefined ? undefined : source.trailer?.(second));
}

/** What has no value in Envoy either, as nothing here asks it to look, or this is not QUIC. */
const NEVER: ReadonlySet<string> = new Set(['VIRTUAL_CLUSTER_NAME', 'TLS_JA3_FINGERPRINT', 'TLS_JA4_FINGERPRINT', 'ROUNDTRIP_DURATION']);
/** What is the same of all requests. */
const ALWAYS: Readonly<Record<string, string>> = { BYTES_RETRANSMITTED: '0', PACKETS_RETRANSMITTED: '0', CUSTOM_FLAGS: '', LOCAL_REPLY_BODY: '' };

/** Of both connections, `WIRE` with all framing; undefined = not known here. */
function wireBytes(command: string): Read | undefined {
  const [, side, kind, way] = /^(DOWNSTREAM|UPSTREAM)_(WIRE|HEADER)_BYTES_(SENT|RECEIVED)$/.exec(command) ?? [];
  if (side === undefined) return undefined;
  const name = kind === 'WIRE' ? (way === 'SENT' ? 'sent' : 'received') : way === 'SENT' ? 'headersSent' : 'headersReceived';
  return ({ record }) => String((side === 'UPSTREAM' ? record.upstreamWire : record.downstreamWire)[name]);
}

/** Undefined = not known here. */
export function logCommand(command: string, argument: string | undefined): Read | undefined {
  if (command === 'GRPC_STATUS') return grpcStatus(argument ?? 'CAMEL_STRING');
  if (command === 'ENVIRONMENT' && argument !== undefined) return () => process.env[argument] ?? '-';
  if ((command === 'CEL' || command === 'TYPED_CEL') && argument !== undefined) return textOf(compileLogValue(argument));
  if (command === 'RESPONSE_CODE_DETAILS' && argument === 'ALLOW_WHITESPACES') return ofRecord((record) => record.details);
  if (command === 'EMIT_TIME' || command === 'EMIT_TIME_LOCAL') {
    const told = compileTime(argument, command === 'EMIT_TIME_LOCAL');
    return told && (() => told(Date.now()));
  }
  if (argument === undefined && NEVER.has(command)) return () => undefined;
  const always = argument === undefined && Object.hasOwn(ALWAYS, command) ? ALWAYS[command] : undefined;
  if (always !== undefined) return () => always;
  if (command === 'TRAILER' && argument !== undefined) return trailer(argument);
  // Nobody here sets any; those of Envoy's own filters are not known.
  if ((command === 'FILTER_STATE' || command === 'UPSTREAM_FILTER_STATE') && argument !== undefined)
    return argument.startsWith('envoy.') ? undefined : () => undefined;
  return argument === undefined ? (COMMANDS[command] ?? wireBytes(command)) : undefined;
}
