// What clients say first: TLS, HTTP, neither, or what is nearly one of them, in pieces of any size.

import { several } from '../behaviour/random/words.ts';
import type { Random } from '../fuzz/random.ts';
import type { Question } from './clients.ts';

/** Hosts rules speak of and clients ask for. */
export const NAMES = ['a.test', 'x.b.test', '*.b.test', 'c.test'];
const ASKED = ['a.test', 'x.b.test', 'A.TEST', 'y.x.b.test', 'b.test', 'c.test', 'orig.test', 'outbound_.9000_._.s0.shop.svc.cluster.local', ''];
const PROTOCOLS = [
  [],
  [],
  ['istio'],
  ['istio-peer-exchange', 'istio'],
  ['h2', 'http/1.1'],
  ['http/1.1'],
  ['h2'],
  ['istio-http/1.1', 'istio', 'http/1.1'],
  ['x'],
];

const request = 'GET /x HTTP/1.1\r\nHost: s0\r\n\r\n';
const PLAIN = [
  ...['hello', 'hello\r\n', '', 'x', '\0\0\0\0', 'SSH-2.0-me\r\n', 'hello'.repeat(5_000), '*1\r\n$4\r\nPING\r\n'],
  ...[request, request, 'GET / HTTP/1.0\r\n\r\n', 'POST /x HTTP/1.1\r\nHost: s0\r\nContent-Length: 2\r\n\r\nok', 'GET / HTTP/2.0\r\nHost: s0\r\n\r\n'],
  ...[
    'GET',
    'GE',
    'GET /x HTTP/1.1',
    'GET  / HTTP/1.1\r\n\r\n',
    'get / HTTP/1.1\r\n\r\n',
    'GETS / HTTP/1.1\r\n\r\n',
    'GET /\r\n',
    'BREW / HTTP/1.1\r\nHost: s0\r\n\r\n',
  ],
  ...['\r\nGET / HTTP/1.1\r\nHost: s0\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'PRI * HTTP/2.0\r\n', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'],
  ...[
    '\x16\x03\x01',
    '\x16',
    '\x16\x03\x01\x00\x00',
    '\x16\x04\x01\x00\x05hello',
    '\x16\x03\x01\x00\x05hello',
    '\x15\x03\x01\x00\x02\x02\x28',
    '\x16\x03\x01\xff\xff',
  ],
  ...['PROXY TCP4 10.1.2.3 10.1.2.4 5 6\r\nhello'],
];

/** Where the first line decides: what the planes take for HTTP differs where it is neither clearly that nor clearly not. */
const SNIFFED = [
  'hello\r\n',
  '*1\r\n$4\r\nPING\r\n',
  '\0\0\0\0\n',
  '',
  request,
  'POST /x HTTP/1.1\r\nHost: s0\r\nContent-Length: 2\r\n\r\nok',
  '\x16\x03\x01\x00\x05hello\n',
  '\x16\x04\0\0\0\n',
];

/** Cut at random places. */
function cut(random: Random, text: string): string[] {
  if (text.length < 2 || random.below(3) > 0) return text === '' ? [] : [text];
  const at = [...new Set(several(random, 3, () => 1 + random.below(text.length - 1)))].toSorted((a, b) => a - b);
  return [0, ...at].map((start, i) => text.slice(start, at[i]));
}

export function question(random: Random, listeners: readonly string[], sniffed: readonly string[]): Question {
  const to = random.pick(listeners);
  const any = (): string => {
    const said = random.pick(PLAIN);
    const changed = random.below(4) === 0 ? random.mutate(said, PLAIN) : said;
    // All of what its head says is a record of TLS Envoy awaits, of whatever kind.
    return changed.charCodeAt(1) === 3 && changed.charCodeAt(0) !== 0x16 ? said : changed;
  };
  const said = sniffed.includes(to) ? random.pick(SNIFFED) : any();
  const last = random.below(6) === 0 ? 'reset' : 'fin';
  // Fewer than five bytes Envoy does not look at.
  if (random.below(2) === 0) return { to, pieces: cut(random, said === '' ? '' : said.padEnd(5, '.')), last };
  const tls = {
    name: random.pick(ASKED),
    protocols: random.pick(PROTOCOLS),
    as: random.pick(['mesh', 'mesh', 'nobody', 'stranger'] as const),
    low: random.below(4) === 0,
  };
  // In one piece: Node's TLS has no half ends, so that the first answer is the last.
  return { to, pieces: [said], tls, last };
}
