// Random exchanges through the proxy, with Node's http2 as client and as server: both must see what the other sent.

import fc from 'fast-check';
import * as http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cluster, startRig, type Rig } from '../listener/testing/rig.ts';

interface Message {
  fields: readonly (readonly [string, string])[];
  body: Uint8Array;
  trailers: readonly (readonly [string, string])[];
}

const fieldName = fc.stringMatching(/^x-[a-z0-9-]{1,12}$/);
const fieldValue = fc.stringMatching(/^[!-~]([ -~]{0,40}[!-~])?$/);
const fields = fc.uniqueArray(fc.tuple(fieldName, fieldValue), { maxLength: 12, selector: ([name]) => name });
const message: fc.Arbitrary<Message> = fc.record({
  fields,
  body: fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.tuple(fc.integer({ min: 1, max: 400_000 }), fc.integer({ min: 0, max: 255 })).map(([length, fill]) => new Uint8Array(length).fill(fill)),
  ),
  trailers: fc.oneof(fc.constant([]), fields),
});

let server: http2.Http2Server;
let rig: Rig;
let client: http2.ClientHttp2Session;
let answer: Message;
let seen: Message;

beforeAll(async () => {
  server = http2.createServer();
  server.on('stream', (stream, headers) => {
    const parts: Buffer[] = [];
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on('trailers', (received) => (trailers = received));
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('error', () => undefined);
    stream.on('end', () => {
      seen = { fields: own(headers), body: Buffer.concat(parts), trailers: own(trailers) };
      const withTrailers = answer.trailers.length > 0;
      stream.respond({ ':status': 200, ...Object.fromEntries(answer.fields) }, { waitForTrailers: withTrailers });
      stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(answer.trailers)));
      stream.end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const upstream = cluster([(server.address() as AddressInfo).port]);
  rig = await startRig({ clusters: [{ ...upstream, http: { ...upstream.http, protocol: 'http2' } }] });
  client = http2.connect(`http://127.0.0.1:${rig.port}`);
});

afterAll(async () => {
  client.destroy();
  await rig.close();
  server.close();
});

/** Fields of the test's own making. */
function own(headers: http2.IncomingHttpHeaders): [string, string][] {
  return Object.entries(headers)
    .filter(([name]) => name.startsWith('x-') && !/^x-(request-id|forwarded-|envoy-)/.test(name))
    .map(([name, value]) => [name, String(value)]);
}

function exchange(request: Message): Promise<Message> {
  return new Promise((resolve, reject) => {
    const withTrailers = request.trailers.length > 0;
    const stream = client.request({ ':method': 'POST', ':path': '/', ...Object.fromEntries(request.fields) }, { waitForTrailers: withTrailers });
    let head: http2.IncomingHttpHeaders = {};
    let trailers: http2.IncomingHttpHeaders = {};
    const parts: Buffer[] = [];
    stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(request.trailers)));
    stream.on('response', (received) => (head = received));
    stream.on('trailers', (received) => (trailers = received));
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('error', reject);
    stream.on('close', () => resolve({ fields: own(head), body: Buffer.concat(parts), trailers: own(trailers) }));
    stream.end(request.body);
  });
}

const lines = (list: Message['fields']): string[] => list.map(([name, value]) => `${name}: ${value}`).sort();
const plain = ({ fields: list, body, trailers }: Message): unknown => [lines(list), Buffer.from(body).toString('base64'), lines(trailers)];

test('request and response arrive as they were sent', async () => {
  await fc.assert(
    fc.asyncProperty(message, message, async (request, response) => {
      answer = response;
      const received = await exchange(request);
      expect(plain(seen)).toEqual(plain(request));
      expect(plain(received)).toEqual(plain(response));
    }),
    { numRuns: 150 },
  );
});

test('many at a time over one connection on each side', async () => {
  answer = { fields: [['x-a', 'b']], body: new Uint8Array(200_000).fill(7), trailers: [] };
  const requests = Array.from({ length: 60 }, (_, i) => ({ fields: [], body: new Uint8Array(i * 5000).fill(i), trailers: [] }));
  for (const received of await Promise.all(requests.map(exchange))) expect(plain(received)).toEqual(plain(answer));
  expect(rig.runtime.stats().clusters[0]?.totalConnections).toBe(1);
});
