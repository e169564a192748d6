// What peers of a proxy see, read leniently: proxies are judged by what they send, not by whether a strict reader takes it.

export interface Message {
  start: string;
  /** Names in lower case, in the order of arrival. */
  headers: [name: string, value: string][];
  body: string;
  trailers: [name: string, value: string][];
  /** It has come to its end; for one that only the close ends that is the close. */
  complete: boolean;
}

const lines = (text: string): [string, string][] =>
  text
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });

/** Messages at the beginning of what one side of an HTTP/1 connection has sent, and what is no message (a tunnel). `methods`: of responses, what was asked. */
export function readMessages(text: string, closed: boolean, methods?: readonly string[]): { messages: Message[]; rest: string } {
  const messages: Message[] = [];
  let at = 0;
  let finals = 0;
  while (at < text.length) {
    const headEnd = text.indexOf('\r\n\r\n', at);
    if (headEnd < 0) break;
    const lineEnd = text.indexOf('\r\n', at);
    const message: Message = { start: text.slice(at, lineEnd), headers: lines(text.slice(lineEnd, headEnd)), body: '', trailers: [], complete: false };
    messages.push(message);
    at = headEnd + 4;
    const field = (name: string): string => message.headers.findLast((header) => header[0] === name)?.[1] ?? '';
    const status = methods === undefined ? 0 : Number(/^HTTP\/1\.\d (\d+)/.exec(message.start)?.[1]);
    if (status === 101 || message.start.startsWith('CONNECT ')) {
      message.complete = true;
      break;
    }
    const bodyless = methods !== undefined && (status < 200 || status === 204 || status === 304 || methods[finals] === 'HEAD');
    if (status >= 200) finals++;
    if (bodyless) message.complete = true;
    else if (/chunked/i.test(field('transfer-encoding'))) at = readChunks(text, at, message);
    else if (field('content-length') !== '') {
      const length = Number(field('content-length'));
      message.body = text.slice(at, at + length);
      message.complete = message.body.length === length;
      at += message.body.length;
    } else if (methods === undefined) message.complete = true;
    else {
      message.body = text.slice(at);
      message.complete = closed;
      at = text.length;
    }
    if (!message.complete) break;
  }
  return { messages, rest: text.slice(at) };
}

function readChunks(text: string, from: number, message: Message): number {
  let at = from;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return text.length;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    at = lineEnd + 2;
    if (size === 0) {
      // Empty at once, or behind the trailers.
      const end = text.startsWith('\r\n', at) ? at : text.indexOf('\r\n\r\n', at) + 2;
      if (end < at) return text.length;
      message.trailers = lines(text.slice(at, end));
      message.complete = true;
      return end + 2;
    }
    message.body += text.slice(at, at + size);
    if (Number.isNaN(size) || at + size + 2 > text.length) return text.length;
    at += size + 2;
  }
}
