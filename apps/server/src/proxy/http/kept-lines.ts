// Lines that are the same from message to message, made once: what a head costs to write grows with the number of its parts.

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

/** Of the response before: most are like it. */
const last = { minor: -1, status: 0, reason: '', line: '' };

export function statusLine(minor: number, status: number, reason: string): string {
  if (last.status !== status || last.minor !== minor || last.reason !== reason) {
    last.minor = minor;
    last.status = status;
    last.reason = reason;
    last.line = flat(`HTTP/1.${minor} ${status} ${reason}\r\n`);
  }
  return last.line;
}
