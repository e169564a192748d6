// The gRPC side of an application: echoes each message, or does what `x-do` asks for.

import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { AppAction, AppName } from '../case.ts';

/** A gRPC message: flag, length, bytes. */
export function frame(message: string | Uint8Array): Buffer {
  const bytes = Buffer.from(message as string);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** Messages of a whole body. */
export function unframe(body: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at + 5 <= body.length;) {
    const length = body.readUInt32BE(at + 1);
    messages.push(body.subarray(at + 5, at + 5 + length).toString());
    at += 5 + length;
  }
  return messages;
}

/** The health protocol's answer: SERVING for what is named after the application, else NOT_SERVING. */
function health(app: AppName, request: string): string {
  return request.endsWith(`-of-${app}`) ? '\x08\x01' : '\x08\x02';
}

export async function answerGrpc(app: AppName, act: AppAction, request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
  const { stream } = response;
  stream.on('error', () => undefined);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch {
    return;
  }
  if (act.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, act.delayMs));
  if (stream.destroyed) return;
  if (act.reset === 'before-headers' || act.reset === 'refused') return stream.close(act.reset === 'refused' ? 7 : 2);
  const end = { 'grpc-status': String(act.grpcStatus ?? 0), ...(act.grpcMessage === undefined ? {} : { 'grpc-message': act.grpcMessage }), ...act.trailers };
  if (act.trailersOnly === true) return stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...end }, { endStream: true });
  response.writeHead(act.status ?? 200, { 'content-type': 'application/grpc', ...act.headers });
  response.addTrailers(end);
  const incoming = unframe(Buffer.concat(chunks));
  if (request.url === '/grpc.health.v1.Health/Check') return void response.end(frame(health(app, incoming[0] ?? '')));
  const outgoing = act.messages === undefined ? incoming : Array.from({ length: act.messages }, (_, i) => `${incoming[0] ?? ''}${i}`);
  const metadata = Object.fromEntries(
    Object.entries(request.headers)
      .filter(([name]) => name.startsWith('x-test') || name === 'grpc-timeout' || name === 'te')
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
  for (const message of outgoing) response.write(frame(JSON.stringify({ app, message, metadata })));
  response.end();
}
