import { expect, test, vi } from 'vitest';
import { readClientHello } from './client-hello.ts';
import { inspectHttp } from './http-inspector.ts';
import { readProxyHeader } from './proxy-protocol.ts';

test.each([
  ['GET / HTTP/1.1\r\nhost: a\r\n', 'http/1.1'],
  ['POST http://a/ HTTP/1.0\n', 'http/1.0'],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'h2c'],
  ['PRI * HTTP/2.0\r\n\r\nS', 'incomplete'],
  ['PROPFIND / HTT', 'incomplete'],
  ['G', 'incomplete'],
  ['GETX / HTTP/1.1\r\n', ''],
  ['GET / HTTP/1.2\r\n', ''],
  ['GET / SPDY\r\n', ''],
  ['\u0000\u0001binary', ''],
  [`GET /${'a'.repeat(65_536)}`, ''],
])('the first bytes %j look like %j', (text, expected) => expect(inspectHttp(Buffer.from(text, 'latin1'))).toBe(expected));

/** A minimal ClientHello with one name, as one handshake message. */
function helloFor(name: string): Buffer {
  const sni = Buffer.concat([Buffer.from([0, 0, 0, name.length + 5, 0, name.length + 3, 0, 0, name.length]), Buffer.from(name)]);
  const body = Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(32), Buffer.from([0, 0, 2, 0x13, 1, 1, 0, 0, sni.length]), sni]);
  return Buffer.concat([Buffer.from([1, 0, 0, body.length]), body]);
}
const record = (part: Buffer): Buffer => Buffer.concat([Buffer.from([0x16, 3, 1, part.length >> 8, part.length & 255]), part]);

test('a ClientHello is read, whole or cut over records; every shorter piece asks for more', () => {
  const hello = helloFor('www.example.com');
  const cut = Buffer.concat([record(hello.subarray(0, 3)), record(hello.subarray(3, 60)), record(hello.subarray(60))]);
  for (const bytes of [record(hello), cut]) {
    expect(readClientHello(bytes)).toEqual({ serverName: 'www.example.com', alpn: [] });
    for (let n = 0; n < bytes.length; n++) expect(readClientHello(bytes.subarray(0, n))).toBe('incomplete');
  }
});

test('what is not TLS is told at its first bytes, so is what is no hello; one without end is refused', () => {
  expect(readClientHello(Buffer.from('GET'))).toBe('absent');
  expect(readClientHello(Buffer.from([0x16, 0x47]))).toBe('absent');
  expect(readClientHello(record(Buffer.from([1, 0xff, 0xff, 0xff])))).toBe('absent');
  expect(readClientHello(record(Buffer.from([2, 0, 0, 1, 0])))).toBe('absent');
  expect(readClientHello(record(Buffer.from([1, 0, 0, 1, 3])))).toBe('absent');
  expect(readClientHello(Buffer.from([0x16, 3, 1, 0xff, 0xff]))).toBe('absent');
  expect(readClientHello(Buffer.from([0x16, 3, 1, 0, 0]))).toBe('incomplete');
  expect(readClientHello(Buffer.from([0x16, 3, 1, 0, 9, 2, 0xff, 0xff, 0xff]))).toBe('incomplete');
  expect(readClientHello(Buffer.concat(Array.from({ length: 3_000 }, () => record(Buffer.from([1])))))).toBe('absent');
  expect(readClientHello(Buffer.concat([record(Buffer.from([1, 0, 0x3f, 0])), ...Array.from({ length: 3_000 }, () => record(Buffer.from([1])))]))).toBe(
    'endless',
  );
});

test('a hello with a record for each byte is put together once', () => {
  const bytes = Buffer.concat([...helloFor('a'.repeat(200))].map((byte) => record(Buffer.from([byte]))));
  const concat = vi.spyOn(Buffer, 'concat');
  const read = readClientHello(bytes);
  const { length } = concat.mock.calls;
  concat.mockRestore();
  expect(read).toEqual({ serverName: 'a'.repeat(200), alpn: [] });
  expect(length).toBe(2);
});

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const v2 = (hex: string): Buffer => Buffer.concat([signature, Buffer.from(hex, 'hex')]);

test.each<[string, Buffer, ReturnType<typeof readProxyHeader>]>([
  [
    'v1 over IPv4',
    Buffer.from('PROXY TCP4 10.1.2.3 10.0.0.1 4711 443\r\nGET'),
    { version: 1, length: 39, addresses: { source: '10.1.2.3', destination: '10.0.0.1', sourcePort: 4711, destinationPort: 443 } },
  ],
  [
    'v1 over IPv6',
    Buffer.from('PROXY TCP6 2001:db8::1 ::1 1 2\r\n'),
    { version: 1, length: 32, addresses: { source: '2001:db8::1', destination: '::1', sourcePort: 1, destinationPort: 2 } },
  ],
  ['v1 of an unknown client', Buffer.from('PROXY UNKNOWN ffff\r\n'), { version: 1, length: 20 }],
  ['v1 with a leading zero', Buffer.from('PROXY TCP4 10.1.2.3 10.0.0.1 04711 443\r\n'), 'invalid'],
  ['v1 with a wrong family', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n'), 'invalid'],
  ['v1 with a port too high', Buffer.from('PROXY TCP4 10.1.2.3 10.0.0.1 65536 443\r\n'), 'invalid'],
  ['v1 without end', Buffer.from(`PROXY TCP4 ${'1'.repeat(100)}`), 'invalid'],
  ['half a line', Buffer.from('PROXY TCP4 10.1.2.3 10.0'), 'incomplete'],
  [
    'v2 over IPv4 with a TLV',
    v2('21110010' + '0a010203' + '0a000001' + '1267' + '01bb' + '04000100'),
    { version: 2, length: 32, addresses: { source: '10.1.2.3', destination: '10.0.0.1', sourcePort: 4711, destinationPort: 443 } },
  ],
  [
    'v2 over IPv6',
    v2('21210024' + '20010db8000000000000000000000001' + '00000000000000000000000000000001' + '0001' + '0002'),
    { version: 2, length: 52, addresses: { source: '2001:db8::1', destination: '::1', sourcePort: 1, destinationPort: 2 } },
  ],
  ['v2 LOCAL', v2('20000000'), { version: 2, length: 16 }],
  ['v2 for a unix socket', v2('213100d8'), 'invalid'],
  ['v2 too short for its family', v2('2111000b'), 'invalid'],
  ['v2 with a wrong version', v2('11110010'), 'invalid'],
  ['half a v2', v2('2111000c0a01'), 'incomplete'],
  ['another protocol', Buffer.from('GET / HTTP/1.1\r\n'), 'absent'],
  ['nothing yet', Buffer.from('P'), 'incomplete'],
])('PROXY header: %s', (_, bytes, expected) => expect(readProxyHeader(bytes)).toEqual(expected));
