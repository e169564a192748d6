// HTTP/1 heads and bodies against llhttp: what is taken here is taken there, as the same message with the same end.

import assert from 'node:assert/strict';
import { createServer, request as sendRequest, type IncomingMessage } from 'node:http';
import { BodyReader } from '../../src/http-wire/codec-h1/body-reader.ts';
import { Body } from '../../src/http-wire/codec-h1/framing.ts';
import { parseRequestHead, RequestHead } from '../../src/http-wire/codec-h1/request-head.ts';
import { parseResponseHead, ResponseHead } from '../../src/http-wire/codec-h1/response-head.ts';
import { Pipe } from './pipe.ts';
import type { Random } from './random.ts';
import { settle, type Target } from './target.ts';

const pieces = ['\r', '\n', '\r\n', ' ', '\t', ':', ',', ';', '0', '5', 'a', 'F', '\0', '\x0b', '\x7f', '\x80', '%', '/', '?', '#', '@', '0\r\n\r\n'].concat(
  ['content-length: 5\r\n', 'content-length: 0\r\n', 'transfer-encoding: chunked\r\n', 'Transfer-Encoding: gzip, chunked\r\n', 'host: b\r\n', 'x: y\r\n'],
  ['connection: close\r\n', 'connection: x, content-length\r\n', 'expect: 100-continue\r\n', 'upgrade: h2c\r\n', 'HTTP/1.0', 'http://c:1', '*', 'HEAD'],
);
const headLimit = 128 * 1024;

const requests = [
  'GET /x?y HTTP/1.1\r\nhost: a\r\nx: y\r\n\r\n',
  'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello',
  'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0A\r\n0123456789\r\n0\r\nt: 1\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n',
  'PUT http://b:8/z HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\nconnection: keep-alive, x\r\nx: 1\r\n\r\n!',
];

interface Message {
  start: string;
  body: string;
}

/** Reads a body in two pieces; undefined = broken or incomplete. */
function readBody(bytes: Buffer, start: number, mode: number, length: number): { body: string; end: number } | undefined {
  const reader = new BodyReader();
  let body = '';
  const sink = { onBodyData: (source: Buffer, from: number, to: number): void => void (body += source.toString('latin1', from, to)) };
  reader.start(mode, length);
  const cut = start + Math.floor((bytes.length - start) / 2);
  let end = reader.feed(bytes, start, cut, sink);
  if (!reader.failed && !reader.done) end = reader.feed(bytes, end, bytes.length, sink);
  if (mode === Body.untilClose) reader.finish();
  return reader.failed || !reader.done ? undefined : { body, end };
}

export function requestTarget(): Target {
  const next = 'GET /next HTTP/1.1\r\nhost: n\r\n\r\n';
  let seen: Message[] = [];
  let refused = false;
  const server = createServer({ maxHeaderSize: headLimit, keepAliveTimeout: 0, requireHostHeader: false }, (incoming, response) => {
    const message = { start: `${incoming.method} ${incoming.url}`, body: '' };
    incoming.setEncoding('latin1').on('data', (part: string) => (message.body += part));
    incoming.on('end', () => {
      seen.push(message);
      response.end();
    });
  });
  server.on('checkExpectation', (incoming, response) => server.emit('request', incoming, response));
  server.on('clientError', (_, socket) => {
    refused = true;
    socket.destroy();
  });
  return {
    name: 'http1-request',
    make: (random: Random) => random.mutate(random.pick(requests), pieces),
    async check(input) {
      const bytes = Buffer.from(input, 'latin1');
      const head = new RequestHead();
      const headEnd = parseRequestHead(bytes, 0, bytes.length, head);
      if (headEnd <= 0) return false;
      const mode = head.framing.chunked ? Body.chunked : head.framing.contentLength > 0 ? Body.length : Body.none;
      const ours = readBody(bytes, headEnd, mode, head.framing.contentLength);
      if (ours === undefined) return false;
      const last = head.minor === 0 || head.framing.close;
      seen = [];
      refused = false;
      const pipe = new Pipe();
      server.emit('connection', pipe);
      // A message that ends elsewhere swallows the next one or leaves a rest in front of it.
      pipe.feed(input.slice(0, ours.end) + (last ? '' : next));
      await settle(() => refused || seen.length === (last ? 1 : 2));
      const theirs = [...seen];
      pipe.destroy();
      assert.equal(refused, false, 'refused by llhttp');
      assert.equal(theirs[0]?.body, ours.body);
      if (!last) assert.equal(theirs[1]?.start, 'GET /next');
      return true;
    },
    close: () => void server.close(),
  };
}

const responses = [
  'HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0A\r\n0123456789\r\n0\r\nt: 1\r\n\r\n',
  'HTTP/1.1 204 No Content\r\nx: y\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n',
  'HTTP/1.0 200 OK\r\nx: y\r\n\r\nuntil the end',
];

export function responseTarget(): Target {
  return {
    name: 'http1-response',
    make: (random) => random.pick(['GET ', 'HEAD ']) + random.mutate(random.pick(responses), pieces),
    async check(input) {
      const [method = ''] = input.split(' ', 1);
      const wire = input.slice(method.length + 1);
      const bytes = Buffer.from(wire, 'latin1');
      const head = new ResponseHead();
      const headEnd = parseResponseHead(bytes, 0, bytes.length, head, method === 'HEAD');
      if (headEnd <= 0 || head.status < 200) return false;
      const ours = readBody(bytes, headEnd, head.body, head.framing.contentLength);
      if (ours === undefined) return false;
      const pipe = new Pipe();
      let failure = '';
      let body = '';
      let ended = false;
      let answer: IncomingMessage | undefined;
      sendRequest({ method, createConnection: () => pipe, maxHeaderSize: headLimit })
        .on('error', (error) => (failure = error.message))
        .on('response', (incoming) => {
          answer = incoming.setEncoding('latin1').on('data', (part: string) => (body += part));
          incoming.on('error', (error) => (failure = error.message)).on('end', () => (ended = true));
        })
        .end();
      await settle(() => pipe.received !== '');
      // Were the end elsewhere, bytes would be missing from the body or too many.
      pipe.feed(wire.slice(0, ours.end));
      if (head.body === Body.untilClose) pipe.push(null);
      await settle(() => ended || failure !== '');
      pipe.destroy();
      assert.equal(failure, '', 'refused by llhttp');
      assert.deepEqual({ ended, status: answer?.statusCode, body }, { ended: true, status: head.status, body: ours.body });
      return true;
    },
  };
}
