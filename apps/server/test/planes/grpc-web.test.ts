// gRPC-Web of a port that says so, on both data planes: what browsers send becomes gRPC, trailers the last frame of the body.

import { type IncomingHttpHeaders, createServer } from 'node:http2';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { frame } from '../behaviour/harness/app-grpc.ts';
import { PLANES, object, startPlane } from './planes.ts';

const host = 'app.test';
const WEB = 'application/grpc-web+proto';
const TEXT = 'application/grpc-web-text+proto';

interface Answer {
  status: number | undefined;
  type: string | undefined;
  grpc: unknown;
  message: unknown;
  body: Buffer;
}

interface World {
  ask(type: string, body: Buffer | string, headers?: Record<string, string>): Promise<Answer>;
  /** Head and body of the last request that reached the application. */
  seen: { headers: IncomingHttpHeaders; body: string };
}

/** An application that says each byte of the message in a message of its own; `x-case` names another kind of answer. */
async function start(plane: (typeof PLANES)[number]): Promise<World> {
  const seen: World['seen'] = { headers: {}, body: '' };
  const app = createServer();
  app.on('stream', (stream, headers) => {
    let body = Buffer.alloc(0);
    stream.on('data', (part: Buffer) => (body = Buffer.concat([body, part])));
    stream.on('error', () => undefined);
    stream.on('end', () => {
      if (stream.destroyed) return;
      Object.assign(seen, { headers, body: body.toString('latin1') });
      switch (headers['x-case']) {
        case 'trailers-only':
          return void stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5', 'grpc-message': 'gone' }, { endStream: true });
        case 'html':
          stream.respond({ ':status': 503, 'content-type': 'text/html' });
          return void stream.end('<b>no</b>');
        case 'empty':
          return void stream.respond({ ':status': 404 }, { endStream: true });
        default:
          stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
          stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'X-More': 'a b' }));
          // Cut where no frame ends.
          const frames = Buffer.concat(Array.from(body.subarray(5).toString(), (letter) => frame(letter)));
          stream.write(frames.subarray(0, 7));
          setImmediate(() => stream.end(frames.subarray(7)));
      }
    });
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void app.close());
  const entry = object('ServiceEntry', 'app', {
    ...{ hosts: [host], resolution: 'STATIC', ports: [{ number: 80, name: 'web', protocol: 'GRPC-WEB' }] },
    endpoints: [{ address: '127.0.0.1', ports: { web: (app.address() as AddressInfo).port } }],
  });
  const port = await startPlane(plane, [entry], { node: { upstreams: [{ host, port: 80, listenPort: 1 }] } });
  const ask: World['ask'] = (type, body, headers = {}) =>
    new Promise((resolve, reject) => {
      const options = { port: port(`${host}_80`), host: '127.0.0.1', agent: false, method: 'POST', path: '/echo.Echo/Say' };
      const sent = request({ ...options, headers: { host, 'content-type': type, ...headers } }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part)).on('error', reject);
        response.on('end', () => {
          const { 'content-type': answered, 'grpc-status': grpc, 'grpc-message': message } = response.headers;
          resolve({ status: response.statusCode, type: answered, grpc, message, body: Buffer.concat(parts) });
        });
      });
      sent.on('error', reject).end(body);
    });
  return { ask, seen };
}

const trailers = Buffer.concat([Buffer.from([0x80, 0, 0, 0, 29]), Buffer.from('grpc-status:0\r\nx-more:a b\r\n', 'latin1')]);
trailers.writeUInt32BE(trailers.length - 5, 1);
const answer = { status: 200, type: WEB, grpc: undefined, message: undefined };

describe.each(PLANES)('%s', (plane) => {
  test('binary: gRPC to the application, its trailers at the end of the body', async () => {
    const { ask, seen } = await start(plane);
    expect(await ask('application/grpc-web', frame('hi'))).toEqual({ ...answer, body: Buffer.concat([frame('h'), frame('i'), trailers]) });
    expect(seen.body).toBe(frame('hi').toString('latin1'));
    expect(seen.headers).toMatchObject({ 'content-type': 'application/grpc', te: 'trailers', 'grpc-accept-encoding': 'identity' });
    expect(seen.headers).not.toHaveProperty('content-length');
    expect(await ask(WEB, frame('a'), { te: 'trailers', accept: WEB })).toEqual({ ...answer, body: Buffer.concat([frame('a'), trailers]) });
  });

  test('text: base64 of each frame by itself, where the client accepts it; the request’s as it says', async () => {
    const { ask, seen } = await start(plane);
    const encoded = [frame('h'), frame('i'), trailers].map((f) => f.toString('base64')).join('');
    const asked = await ask(TEXT, frame('hi').toString('base64'), { accept: TEXT });
    expect({ ...asked, body: asked.body.toString() }).toEqual({ ...answer, type: TEXT, body: encoded });
    expect(seen.body).toBe(frame('hi').toString('latin1'));
    expect(await ask('application/grpc-web-text', frame('hi').toString('base64'))).toMatchObject({ type: WEB });
    expect(await ask(WEB, frame('hi'), { accept: 'application/grpc-web-text' })).toMatchObject({ type: TEXT });
    expect(seen.body).toBe(frame('hi').toString('latin1'));
  });

  test('no base64: INTERNAL', async () => {
    const { ask } = await start(plane);
    const refused = { status: 400, type: WEB, grpc: '13', body: Buffer.alloc(0), message: 'Bad gRPC-web request, invalid base64 data.' };
    expect(await ask(TEXT, '!!!!')).toEqual(refused);
    expect(await ask(TEXT, 'AAAAA')).toEqual(refused);
  });

  test('a status in the head stays there; what is no gRPC becomes a status, unless it is a head alone', async () => {
    const { ask } = await start(plane);
    const none = { ...answer, body: Buffer.alloc(0) };
    expect(await ask(WEB, frame('a'), { 'x-case': 'trailers-only' })).toEqual({ ...none, grpc: '5', message: 'gone' });
    expect(await ask(WEB, frame('a'), { 'x-case': 'html' })).toEqual({ ...none, status: 503, grpc: '14', message: '<b>no</b>' });
    expect(await ask(WEB, frame('a'), { 'x-case': 'empty' })).toEqual({ ...none, status: 404 });
  });

  test('everything else is nobody’s business', async () => {
    const { ask, seen } = await start(plane);
    expect(await ask('application/json', '{}', { 'x-case': 'html' })).toMatchObject({ status: 503, type: 'text/html', grpc: undefined });
    expect(seen).toMatchObject({ body: '{}', headers: { 'content-type': 'application/json' } });
    expect(await ask('application/grpc-web+json', '{}')).toMatchObject({ type: 'application/grpc+proto' });
  });
});
