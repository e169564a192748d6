// What a proxy's response flags and codes mean, in words a person can act on.

import type { Span } from '@weft/mesh-core/api';
import { GRPC_STATUS } from '@weft/mesh-core/model';

const FLAGS: Readonly<Record<string, string>> = {
  UF: 'upstream connect failure',
  UH: 'no healthy upstream',
  UO: 'circuit breaker is open',
  UC: 'upstream closed the connection',
  UR: 'upstream reset the request',
  LR: 'reset by the proxy',
  UT: 'upstream timeout',
  UPE: 'upstream broke the protocol',
  URX: 'all retries used',
  NR: 'no route matched',
  NC: 'the route names a cluster that does not exist',
  DC: 'the client went away',
  DPE: 'the client broke the protocol',
  DI: 'delay injected',
  FI: 'fault injected',
  RL: 'rate limited',
  SI: 'stream idle timeout',
  UAEX: 'denied by external authorization',
  OM: 'shed, the proxy is overloaded',
  DT: 'request took longer than its limit',
  UMSDR: 'upstream stream lasted too long',
};

/** `UF,URX` as words; '' for none. */
export function flagWords(flags: unknown): string {
  if (typeof flags !== 'string' || flags === '-' || flags === '') return '';
  return flags
    .split(',')
    .map((flag) => FLAGS[flag] ?? flag)
    .join(', ');
}

/** Why a span counts as failed: `503, upstream connect failure`. */
export function failureOf(span: Span): string {
  const code = span.attributes['http.status_code'];
  const grpc = span.attributes['grpc.status_code'];
  const words = flagWords(span.attributes['response_flags']);
  const head = code !== undefined ? String(code) : grpc !== undefined ? `gRPC status ${grpc}` : 'failed';
  return words === '' ? head : `${head}, ${words}`;
}

/** A gRPC status by its name. */
export function grpcWord(status: string): string {
  return GRPC_STATUS[Number(status)] ?? `gRPC ${status}`;
}
