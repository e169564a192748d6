// Istio's default text format:
// [start] "method path protocol" status flags details failure "tls failure" received sent duration upstream-time "xff" "agent" "id" "authority" "upstream" cluster local ...

import type { RequestRecord, TcpRecord } from '../http/hooks.ts';

/** One line with its newline. `epochOffsetMs` turns monotonic time into Unix ms. */
export function accessLogLine(record: RequestRecord, epochOffsetMs: number): string {
  const or = (value: string): string => (value === '' ? '-' : clean(value));
  const start = new Date(record.startedAt + epochOffsetMs).toISOString();
  const upstreamTime = record.upstreamAddress === '' ? '-' : String(Math.round(record.durationMs));
  return (
    `[${start}] "${clean(record.method)} ${clean(record.path)} ${record.protocol}" ${record.status} ${record.responseFlags} ${or(record.details)} - "-" ` +
    `${record.requestBodyBytes} ${record.responseBodyBytes} ${Math.round(record.durationMs)} ${upstreamTime} "-" "${or(record.userAgent)}" "${or(record.requestId)}" ` +
    `"${or(record.authority)}" "${or(record.upstreamAddress)}" ${record.cluster?.name ?? '-'} - - ${or(record.downstreamAddress)} - ${or(record.route?.name ?? '')}\n`
  );
}

/** The same for a TCP connection that is over. */
export function tcpAccessLogLine(record: TcpRecord, epochOffsetMs: number): string {
  const or = (value: string): string => (value === '' ? '-' : clean(value));
  const start = new Date(record.startedAt + epochOffsetMs).toISOString();
  return (
    `[${start}] "- - -" 0 ${record.responseFlags} - - "${or(record.transportFailure)}" ${record.receivedBytes} ${record.sentBytes} ` +
    `${Math.round(record.durationMs)} - "-" "-" "-" "-" "${or(record.upstreamAddress)}" ${record.cluster?.name ?? '-'} - - ` +
    `${record.downstreamAddress} ${or(record.serverName)} -\n`
  );
}

/** What a client sends must not be able to forge a line or end a quoted field. */
function clean(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f"\\\u007f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
