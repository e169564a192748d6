// Lines the proxy writes itself. Those that are the same from message to message are made once: what a head costs to write grows with
// the number of its parts.

import { nodeHttp } from '../transport/node-http.ts';

/** In one piece. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

const mostKept = 1_000;

/** Makes lines `name: number`, and keeps the first thousand. */
export function numberLines(name: string): (value: number) => string {
  const lines = new Map<number, string>();
  return (value) => {
    let line = lines.get(value);
    if (line === undefined) {
      line = flat(`${name}: ${value}\r\n`);
      if (lines.size < mostKept) lines.set(value, line);
    }
    return line;
  };
}

export const attemptLine: (value: number) => string = numberLines('x-envoy-attempt-count');
export const contentLengthLine: (value: number) => string = numberLines('content-length');

/** What the proxy calls itself; '' = nothing. */
export function serverLine(serverName: string): string {
  return serverName === '' ? '' : `server: ${serverName}\r\n`;
}

export function dateLine(): string {
  return `date: ${new Date().toUTCString()}\r\n`;
}

/** Where Envoy has other words than Node. */
const envoyPhrases: Readonly<Record<number, string>> = { 418: 'Unknown', 451: 'Unknown', 509: 'Unknown', 599: 'Last Unassigned Server Error Code' };

/** The words for a status: as in Envoy always the same, whatever an upstream says. */
export function reasonPhrase(status: number): string {
  return envoyPhrases[status] ?? nodeHttp().STATUS_CODES[status] ?? 'Unknown';
}

/** Of the response before: most are like it. */
const last = { minor: -1, status: 0, line: '' };

export function statusLine(minor: number, status: number): string {
  if (last.status !== status || last.minor !== minor) {
    last.minor = minor;
    last.status = status;
    last.line = flat(`HTTP/1.${minor} ${status} ${reasonPhrase(status)}\r\n`);
  }
  return last.line;
}
