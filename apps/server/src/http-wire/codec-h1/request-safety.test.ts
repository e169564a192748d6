import { expect, test } from 'vitest';
import { createServer, maxHeaderSize } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { BodyReader } from './body-reader.ts';
import { Body } from './framing.ts';
import { parseRequestHead, RequestHead } from './request-head.ts';

/** Status of the refusal, or what was understood. */
function read(text: string): number | { path: string; authority: string; body: string; trailers: string; consumed: number } | 'incomplete' {
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead();
  const end = parseRequestHead(bytes, 0, bytes.length, head);
  if (end < 0) return -end;
  if (end === 0) return 'incomplete';
  // The exchange refuses these, and is asked for them over HTTP/2 too.
  if (head.hostMissing || head.path.includes('#')) return 400;
  const body = new BodyReader();
  let data = '';
  body.start(head.framing.chunked ? Body.chunked : Body.length, head.framing.contentLength);
  const consumed = body.feed(bytes, end, bytes.length, { onBodyData: (source, start, stop) => (data += source.toString('latin1', start, stop)) });
  if (body.failed) return 400;
  return body.done ? { path: head.path, authority: head.authority, body: data, trailers: body.trailers, consumed } : 'incomplete';
}

const get = (lines: string): string => `GET / HTTP/1.1\r\nhost: a\r\n${lines}\r\n`;
const post = (lines: string, body = ''): string => `POST / HTTP/1.1\r\nhost: a\r\n${lines}\r\n${body}`;
const chunks = (body: string): string => post('transfer-encoding: chunked\r\n', body);

const refused: [string, string, number][] = [
  ['CL + TE', post('content-length: 5\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n'), 400],
  ['TE + CL', post('transfer-encoding: chunked\r\ncontent-length: 5\r\n', '0\r\n\r\n'), 400],
  ['duplicate CL, same', post('content-length: 1\r\ncontent-length: 1\r\n', 'a'), 400],
  ['duplicate CL, different', post('content-length: 1\r\ncontent-length: 2\r\n', 'ab'), 400],
  ['CL list', post('content-length: 5, 5\r\n', 'hello'), 400],
  ['CL +5', post('content-length: +5\r\n'), 400],
  ['CL 0x5', post('content-length: 0x5\r\n'), 400],
  ['CL -5', post('content-length: -5\r\n'), 400],
  ['CL "5 5"', post('content-length: 5 5\r\n'), 400],
  ['CL 5, then a tab', post('content-length: 5 \t\r\n', 'hello'), 400],
  ['TE chunked, then a tab', post('transfer-encoding: chunked\t\r\n', '0\r\n\r\n'), 400],
  ['CL empty', post('content-length: \r\n'), 400],
  ['CL 25 digits', post(`content-length: ${'9'.repeat(25)}\r\n`), 400],
  ['space before the colon', post('content-length : 5\r\n'), 400],
  ['space before the first field', 'GET / HTTP/1.1\r\n host: a\r\n\r\n', 400],
  ['TE xchunked', post('transfer-encoding: xchunked\r\n'), 501],
  ['TE identity', post('transfer-encoding: identity\r\n'), 501],
  ['TE twice', post('transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n'), 501],
  ['CL + an unknown TE', post('content-length: 5\r\ntransfer-encoding: gzip\r\n', 'hello'), 400],
  ['TE chunked, chunked', post('transfer-encoding: chunked, chunked\r\n'), 501],
  ['TE VT prefix', post('transfer-encoding: \x0bchunked\r\n'), 400],
  ['TE gzip, chunked', post('transfer-encoding: gzip, chunked\r\n'), 501],
  ['TE on 1.0', 'POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 400],
  ['folding', get('x: a\r\n b\r\n'), 400],
  ['bare LF', 'GET / HTTP/1.1\nhost: a\n\n', 400],
  ['bare LF in a field line', 'GET / HTTP/1.1\r\nhost: a\n\r\n', 400],
  ['bare CR in a value', get('x: a\rb\r\n'), 400],
  ['NUL in a value', get('x: a\0b\r\n'), 400],
  ['control in a value', get('x: a\x01b\r\n'), 400],
  ['DEL in a value', get('x: a\x7fb\r\n'), 400],
  ['( in a name', get('x(: a\r\n'), 400],
  ['0x80 in a name', get('x\x80: a\r\n'), 400],
  ['no colon', get('abc\r\n'), 400],
  ['empty name', get(': a\r\n'), 400],
  ['chunk size of 17 digits', chunks(`${'1'.repeat(17)}\r\n`), 400],
  ['chunk size 0x', chunks('0x1\r\na\r\n0\r\n\r\n'), 400],
  ['chunk size +1', chunks('+1\r\na\r\n0\r\n\r\n'), 400],
  ['chunk size leading space', chunks(' 1\r\na\r\n0\r\n\r\n'), 400],
  ['chunk size trailing space', chunks('1 \r\na\r\n0\r\n\r\n'), 400],
  ['chunk line ended by LF', chunks('1\na\r\n0\r\n\r\n'), 400],
  ['chunk data ended by LF', chunks('1\r\na\n0\r\n\r\n'), 400],
  ['chunk data without an end', chunks('1\r\nabc0\r\n\r\n'), 400],
  ['a long chunk extension', chunks(`1;${'x'.repeat(300)}\r\na\r\n0\r\n\r\n`), 400],
  ['a chunk extension that is no name', chunks('1;/=y\r\na\r\n0\r\n\r\n'), 400],
  ['a chunk extension with an odd value', chunks('1;x=y?\r\na\r\n0\r\n\r\n'), 400],
  ['a chunk extension that is empty', chunks('1;\r\na\r\n0\r\n\r\n'), 400],
  ['a quoted extension that does not end', chunks('1;x="y\r\na\r\n0\r\n\r\n'), 400],
  ['Content-Length as a trailer', chunks('0\r\ncontent-length: 1\r\n\r\n'), 400],
  ['Host missing', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['Host missing on 1.0', 'GET / HTTP/1.0\r\n\r\n', 400],
  ['Host named by Connection', get('connection: host\r\n'), 400],
  ['X-Forwarded-For named by Connection', get('connection: x-forwarded-for\r\n'), 400],
  ['ten names in Connection', get('connection: a,b,c,d,e,f,g,h,i,j\r\n'), 400],
  ['Host twice', get('host: b\r\n'), 400],
  ['Host "a b"', 'GET / HTTP/1.1\r\nhost: a b\r\n\r\n', 400],
  ['Host "a/x@b"', 'GET / HTTP/1.1\r\nhost: a/x@b\r\n\r\n', 400],
  ['Host with a bad port', 'GET / HTTP/1.1\r\nhost: a:8x\r\n\r\n', 400],
  ['user info in the target', 'GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n', 400],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nhost: a\r\n\r\n', 505],
  ['HTTP/1', 'GET / HTTP/1\r\nhost: a\r\n\r\n', 400],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nhost: a\r\n\r\n', 505],
  ['two spaces', 'GET  / HTTP/1.1\r\nhost: a\r\n\r\n', 400],
  ['lower-case method', 'get / HTTP/1.1\r\nhost: a\r\n\r\n', 400],
  ['unknown method', 'FOO / HTTP/1.1\r\nhost: a\r\n\r\n', 400],
  ['target without a slash', 'GET x HTTP/1.1\r\nhost: a\r\n\r\n', 400],
  ['* for GET', 'GET * HTTP/1.1\r\nhost: a\r\n\r\n', 400],
  ['a fragment', 'GET /#x HTTP/1.1\r\nhost: a\r\n\r\n', 400],
  ['CONNECT to no host', 'CONNECT / HTTP/1.1\r\nhost: a:1\r\n\r\n', 400],
  ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n', 404],
  ['101 fields', get('x: a\r\n'.repeat(100)), 431],
  ['a head above 60 KiB', get(`x: ${'a'.repeat(61 * 1024)}\r\n`), 431],
  ['a URI above 60 KiB', `GET /${'a'.repeat(61 * 1024)} HTTP/1.1\r\nhost: a\r\n\r\n`, 431],
];

test.each(refused)('refuses %s', (_, text, status) => {
  expect(read(text)).toBe(status);
});

test.each(refused.filter(([name]) => !/KiB|101 fields/.test(name)))('refuses %s also when it comes byte by byte', (_, text, status) => {
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead();
  for (let length = 1; length <= bytes.length; length++) {
    const end = parseRequestHead(bytes, 0, length, head);
    if (end < 0) return expect(-end).toBe(status);
    if (end > 0) return expect(read(text)).toBe(status);
  }
  throw new Error('neither complete nor refused');
});

test('the authority of an absolute target beats Host', () => {
  expect(read('GET http://b:81/x?y HTTP/1.1\r\nhost: a\r\n\r\n')).toMatchObject({ authority: 'b:81', path: '/x?y' });
  expect(read('GET http://b?y HTTP/1.1\r\nhost: a\r\n\r\n')).toMatchObject({ authority: 'b', path: '?y' });
});

test('drops chunk extensions, keeps trailers, stops at the end of the message', () => {
  const text = chunks('3;a=b;c;d="e;f"\r\nabc\r\nA\r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\n');
  expect(read(`${text}GET`)).toMatchObject({ body: 'abc0123456789', trailers: 'x-sum: 1\r\n', consumed: text.length });
});

test('a body in any pieces is the same body', () => {
  const wire = Buffer.from('3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0\r\nx-sum: 1\r\ny: 2\r\n\r\nrest');
  for (let cut = 1; cut < wire.length; cut++) {
    const body = new BodyReader();
    let data = '';
    const sink = { onBodyData: (source: Buffer, start: number, end: number): void => void (data += source.toString('latin1', start, end)) };
    body.start(Body.chunked, 0);
    let end = body.feed(wire, 0, cut, sink);
    if (!body.done) end = body.feed(wire, end, wire.length, sink);
    expect({ data, end, trailers: body.trailers, failed: body.failed, done: body.done }).toEqual({
      data: 'abc0123456789',
      end: wire.length - 4,
      trailers: 'x-sum: 1\r\ny: 2\r\n',
      failed: false,
      done: true,
    });
  }
});

test('what is accepted, Node accepts with the same body (mutants of valid requests)', async () => {
  const seen: string[] = [];
  const server = createServer({ maxHeaderSize: Math.max(maxHeaderSize, 65536) }, (incoming, response) => {
    let body = '';
    incoming.setEncoding('latin1').on('data', (part: string) => (body += part));
    incoming.on('end', () => {
      seen.push(body);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const seeds = [get('x: y\r\n'), post('content-length: 5\r\n', 'hello'), chunks('5\r\nhello\r\n0\r\nt: 1\r\n\r\n')];
  let state = 12345;
  const random = (below: number): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % below;
  const alphabet = ['\r', '\n', ' ', ':', ',', ';', '0', '5', 'a', 'T', '\t', '\0', '\x7f', '\x80', '%', '/'];
  let accepted = 0;
  for (let round = 0; round < 600; round++) {
    const seed = seeds[random(seeds.length)] ?? '';
    const at = random(seed.length);
    const text = seed.slice(0, at) + (alphabet[random(alphabet.length)] ?? '') + seed.slice(at + random(2));
    const ours = read(text);
    if (typeof ours !== 'object' || ours.consumed !== text.length) continue;
    accepted++;
    const before = seen.length;
    const answer = await new Promise<string>((resolve) => {
      let received = '';
      const socket = connect(port, '127.0.0.1', () => socket.end(text, 'latin1'));
      socket
        .on('data', (chunk) => (received += chunk.toString('latin1')))
        .on('error', () => undefined)
        .on('close', () => resolve(received));
    });
    expect(answer, JSON.stringify(text)).toMatch(/^HTTP\/1\.1 200/);
    expect(seen.slice(before), JSON.stringify(text)).toEqual([ours.body]);
  }
  server.close();
  expect(accepted).toBeGreaterThan(50);
});

test('on one connection each Host is looked at anew, however like the one before', () => {
  const head = new RequestHead();
  const hostOf = (host: string): string | number => {
    const bytes = Buffer.from(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`, 'latin1');
    const end = parseRequestHead(bytes, 0, bytes.length, head);
    return end < 0 ? end : head.authority;
  };
  const hosts = ['shop.example', 'shop.example', 'shop.exampla', 'Shop.exampla', 'shop exampla', 'shop.exampla', 'shop.example:1', 'shop.example'];
  expect(hosts.map(hostOf)).toEqual(hosts.map((host) => (host.includes(' ') ? -400 : host)));
});
