// How a failed try looks from outside, in Envoy's words.

import type { StreamFailure } from '../upstream/stream.ts';

export type TryFailure = StreamFailure | 'connect' | 'connect-timeout';

/** Reset reason, response flag, status and body text of a failed try. */
export const failures: Readonly<Record<TryFailure, readonly [reason: string, flag: string, status: number, text: string]>> = {
  connection: ['connection_termination', 'UC', 503, 'connection termination'],
  'remote-reset': ['remote_reset', 'UR', 503, 'remote reset'],
  'connect-error': ['remote_error_with_CONNECT_request', 'UR', 503, 'remote error with CONNECT request'],
  refused: ['remote_refused_stream_reset', 'UR', 503, 'remote refused stream reset'],
  protocol: ['protocol_error', 'UPE', 502, 'protocol error'],
  connect: ['remote_connection_failure', 'UF', 503, 'remote connection failure'],
  'connect-timeout': ['connection_timeout', 'UF', 503, 'connection timeout'],
};
