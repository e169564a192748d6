// What two outcomes of one case have to have in common.

import type { Message } from './messages.ts';
import type { Case, Outcome } from './case.ts';

/** Of which only the presence can be the same. */
const OWN_VALUES = new Set(['x-envoy-upstream-service-time', 'traceparent', 'b3']);

/** Order counts among fields of one name only (RFC 9110 §5.3). */
function shown({ start, headers, body, trailers, complete }: Message, withTrailers: boolean, dropped = ''): object {
  const text = start.includes(' reset ') || !complete ? '' : body.length > 200 ? `${body.length} bytes` : body;
  // To a client of HTTP/2 that is the end, if nothing may follow.
  const told = start.replace(/^([23]04) reset \d+$/, '$1');
  return { start: told, headers: shownFields(headers, dropped), body: text, complete, trailers: withTrailers ? shownFields(trailers, '') : [] };
}

function shownFields(fields: Message['headers'], dropped: string): string[] {
  const joined = new Map<string, string>();
  let cookies = 0;
  // A list in one line or in several is the same, but of cookies.
  for (const [name, value] of fields) {
    if (name === dropped) continue;
    const key = name === 'set-cookie' ? `${name} ${cookies++}` : name;
    joined.set(key, [joined.get(key), value].filter(Boolean).join(','));
  }
  return [...joined]
    .filter(([name, value]) => name !== 'tracestate' || value !== '')
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => {
      if (name === 'connection' && /upgrade/i.test(value)) return 'connection: upgrade';
      // An upgrade takes its own along as it is.
      if (name === 'te') return `te: ${value.split(',')[0]}`;
      if (name === 'upgrade') return `${name}: ${value.toLowerCase()}`;
      if (OWN_VALUES.has(name)) return `${name}: …`;
      if (name === 'date' && value.endsWith(' GMT') && !value.includes('1970')) return 'date: …';
      if (name === 'x-request-id' && /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(value) && !value.startsWith('aaaa'))
        return 'x-request-id: …';
      return `${name}: ${value}`;
    });
}

const without = (message: Message, gone: string): Message => ({ ...message, headers: message.headers.filter(([name]) => name !== gone) });

/** What the codec of HTTP/2 says of what it does not like are words of its own. */
const codecWords = (line: string): string => line.replace(/ DPE (?:http2\.|codec_error:)\S+$/, ' DPE codec');

/** Over two sidecars (docs/data-planes.md): what makes an answer another one, or the number of tries. */
function differsBetween({ listener, writes, http2, answers }: Case): boolean {
  if (listener !== 'mesh') return false;
  const asked = writes.map(({ bytes }) => bytes).join('') + JSON.stringify(http2?.streams ?? []);
  const bytes = answers.flatMap(({ parts }) => parts).join('');
  const said = bytes.replaceAll(/[^ -~]/g, (byte) => `<${byte.charCodeAt(0)}>`);
  // Envoy takes what answers a WebSocket's handshake with success for its other end.
  if (/upgrade: websocket/i.test(asked) && !said.startsWith('HTTP/1.1 101')) return true;
  // A body where there is none breaks the stream behind the answer's end.
  if (/:status<3>[23]04.*<0>(?!<0><0>)(?:<\d+>|[^<]){2}<0>(?:<\d+>|[^<])<0><0><0><1>/.test(said)) return true;
  // Those the first sidecar adds make too many fields for the second: 431, or a reset.
  if (/(?:x: 1\r\n){80}/.test(asked)) return true;
  // Interim answers, which Envoy's second sidecar drops, have begun what is not tried again.
  return asked.includes('application/grpc') && /(?:HTTP\/1\.1 |:status<3>)1(?!01)\d\d/.test(said);
}

export function comparable(outcome: Outcome, it: Case): Record<string, unknown> {
  if (differsBetween(it)) return {};
  if (it.uncertain) return { lines: outcome.log.length, ...(it.leaves === undefined ? {} : { last: outcome.answers.at(-1)?.body }) };
  const { answers: given, http2: client, opening, leaves } = it;
  const { rest, requests, tunnel } = outcome;
  const log = outcome.log.map(codecWords);
  const behind = outcome.behind.map(codecWords);
  // While it looks for TLS, Envoy may lose what comes together with an end.
  if (it.listener === 'inbound' && leaves?.once === 'written' && leaves.how === 'end' && log.length > 1) log.shift();
  // Malformed HTTP/2 ends the stream in the embedded proxy, and the connection in Envoy: of what comes then nothing is the same.
  const malformed = client === undefined ? -1 : log.findIndex((line) => line.endsWith(' DPE codec'));
  const answers = malformed < 0 ? outcome.answers : leaves === undefined ? outcome.answers.slice(0, malformed) : outcome.answers.slice(-1);
  const end = malformed < 0 ? outcome.end : '';
  // Of HTTP/1 Envoy drops trailers.
  const http2 = requests.every(({ start }) => start.endsWith(' HTTP/2')) && answers.every(({ start }) => !start.startsWith('HTTP/1'));
  const left = leaves !== undefined && leaves.once !== 'written';
  const early = given.some(({ when }) => when === 'head');
  return {
    // 100 to HTTP/1.0, and other interim answers, come from one of the two only.
    answers: answers
      .filter(({ start }) => !/^HTTP\/1.(0 100|1 1(?!0[01])\d\d)/.test(start))
      // Envoy leaves it to clients of handshakes that were not taken.
      .map((answer, i) => (log[i]?.includes('websocket_handshake') === true ? without(answer, 'keep-alive') : answer))
      // Before its request is complete, the time an answer took is told by chance.
      .map((answer) => shown(answer, http2, early ? 'x-envoy-upstream-service-time' : '')),
    rest,
    end: leaves === undefined ? end : end.replace(/ goaway \d+$/, ''),
    // How much of a broken one arrived is a matter of time, unless that is what was waited for.
    requests: (malformed < 0 || left ? requests : []).filter(({ complete }) => complete || left).map((request) => shown(request, http2)),
    tunnel,
    // The same holds for answers; and only the embedded proxy says goodbye, and why.
    connections:
      malformed >= 0 || (opening === undefined && leaves === undefined) || [...log, ...behind].some((line) => line.includes(' UPE '))
        ? []
        : outcome.connections.map((told) => told.replaceAll(/, goaway \d+/g, '').replaceAll(/reset \d+/g, 'reset')),
    log: malformed < 0 ? log : log.slice(0, malformed + 1),
    behind: malformed < 0 ? behind : [],
  };
}

/** Where two values differ, a line each: path, first, second. */
export function differences(a: unknown, b: unknown, path = ''): string[] {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return a === b ? [] : [`${path}: ${JSON.stringify(a)?.slice(0, 300)} | ${JSON.stringify(b)?.slice(0, 300)}`];
  if (path.endsWith('.headers') || path.endsWith('.trailers')) {
    const [left, right] = [a as string[], b as string[]];
    const less = (from: string[], than: string[]): string[] => {
      const rest = [...than];
      return from.filter((line) => {
        const at = rest.indexOf(line);
        if (at >= 0) rest.splice(at, 1);
        return at < 0;
      });
    };
    const [onlyLeft, onlyRight] = [less(left, right), less(right, left)];
    if (onlyLeft.length + onlyRight.length > 0) return [`${path}: ${JSON.stringify(onlyLeft).slice(0, 300)} | ${JSON.stringify(onlyRight).slice(0, 300)}`];
    return JSON.stringify(left) === JSON.stringify(right) ? [] : [`${path}: order`];
  }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((key) => differences(left[key], right[key], `${path}.${key}`));
}
