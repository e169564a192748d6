// Commands of access log formats that say something only when the request is over, or that only logs have a use for.

import { GRPC_STATUS } from '@weft/mesh-core/model';
import type { HeaderValueSource, ReportedRecord } from '../http/header-values.ts';

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
  UPSTREAM_LOCAL_ADDRESS: ofRecord((record) => record.upstreamLocalAddress),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: ofRecord((record) => record.upstreamLocalAddress.replace(/:\d+$/, '')),
  UPSTREAM_LOCAL_PORT: ofRecord((record) => /:(\d+)$/.exec(record.upstreamLocalAddress)?.[1]),
  REQUESTED_SERVER_NAME: ofRecord((record) => record.serverName),
  GRPC_STATUS_NUMBER: ofRecord((record) => record.grpcStatus),
  SPAN_ID: ofRecord((record) => record.trace?.spanId),
  ACCESS_LOG_TYPE: ofRecord((record) => (record.protocol === '' ? 'TcpConnectionEnd' : 'DownstreamEnd')),
};

/** Envoy writes one of them with one L. */
const STATUSES = GRPC_STATUS.map((name) => (name === 'CANCELLED' ? 'CANCELED' : name));
const camel = (name: string): string => (name === 'OK' ? name : name.toLowerCase().replaceAll(/(?:^|_)(.)/g, (_, first: string) => first.toUpperCase()));

function grpcStatus(form: string): Read | undefined {
  if (!['CAMEL_STRING', 'SNAKE_STRING', 'NUMBER'].includes(form)) return undefined;
  return ({ record: { grpcStatus: status } }) => {
    const name = STATUSES[Number(status)];
    if (form === 'NUMBER' || status === '' || name === undefined) return status;
    return form === 'SNAKE_STRING' ? name : camel(name);
  };
}

const two = (value: number): string => String(value).padStart(2, '0');
/** Of strftime, in UTC, and Envoy's own: seconds since 1970, and digits of the second. */
const TIMES: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getUTCFullYear()),
  m: (date) => two(date.getUTCMonth() + 1),
  d: (date) => two(date.getUTCDate()),
  H: (date) => two(date.getUTCHours()),
  M: (date) => two(date.getUTCMinutes()),
  S: (date) => two(date.getUTCSeconds()),
  F: (date) => date.toISOString().slice(0, 10),
  T: (date) => date.toISOString().slice(11, 19),
  a: (date) => date.toUTCString().slice(0, 3),
  b: (date) => date.toUTCString().slice(8, 11),
  e: (date) => String(date.getUTCDate()).padStart(2, ' '),
  y: (date) => two(date.getUTCFullYear() % 100),
  z: () => '+0000',
  Z: () => 'UTC',
  s: (date) => String(Math.floor(date.getTime() / 1000)),
  '%': () => '%',
};

function timeFormat(format: string): ((ms: number) => string) | undefined {
  // Every other part is what stood behind a percent sign.
  const parts = format.split(/%(\d?f|.)/).map((part, i) => {
    if (i % 2 === 0) return () => part;
    if (!part.endsWith('f')) return TIMES[part];
    const digits = part === 'f' ? 9 : Number(part[0]);
    return (_: Date, ms: number) =>
      String(Math.floor((ms % 1000) * 1_000_000))
        .padStart(9, '0')
        .slice(0, digits);
  });
  if (!parts.every((part) => part !== undefined)) return undefined;
  return (ms) => {
    const date = new Date(ms);
    return parts.map((part) => part(date, ms)).join('');
  };
}

/** Undefined = not known here. */
export function logCommand(command: string, argument: string | undefined): Read | undefined {
  if (command === 'GRPC_STATUS') return grpcStatus(argument ?? 'CAMEL_STRING');
  if (command === 'ENVIRONMENT' && argument !== undefined) return () => process.env[argument];
  if (command === 'START_TIME' && argument !== undefined) {
    const told = timeFormat(argument);
    return told && (({ record }) => told(performance.timeOrigin + record.startedAt));
  }
  return argument === undefined ? COMMANDS[command] : undefined;
}
