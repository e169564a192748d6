// An application that decides about the requests of others: over HTTP by the header `x-authz` of what is asked about (`{status, headers,
// body, delayMs}`), over gRPC by the same header (a CheckResponse in JSON, or `{delayMs}`), about connections by who connects. What may
// pass is told what was asked, as the header `x-checked`.

import { createServer as createHttp, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http';
import { createServer as createHttp2, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { fromBinary, fromJson, type JsonObject, toBinary, toJson } from '@bufbuild/protobuf';
import { CheckRequestSchema, CheckResponseSchema } from '@weft/mesh-core/gen/envoy/service/auth/v3/external_auth_pb';
import { frame } from './app-grpc.ts';

interface Said {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  delayMs?: number;
}

export function startAuthz(): { one: HttpServer; two: Http2Server } {
  const one = createHttp({ keepAliveTimeout: 0 }, (request, response) => void decideHttp(request, response));
  const two = createHttp2().on('stream', (stream: ServerHttp2Stream) => void decideGrpc(stream));
  two.on('sessionError', () => undefined);
  return { one, two };
}

const pause = (ms = 0): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function decideHttp(request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.on('error', () => undefined);
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  const { status = 200, headers = {}, body = '', delayMs } = JSON.parse(String(request.headers['x-authz'] ?? '{}')) as Said;
  await pause(delayMs);
  const checked = { method: request.method, path: request.url, headers: told(request.headers), body: Buffer.concat(parts).toString() };
  response.writeHead(status, { ...headers, 'x-checked': JSON.stringify(checked), 'content-length': Buffer.byteLength(body) }).end(body);
}

interface Check {
  attributes: {
    source?: { principal?: string };
    destination?: { principal?: string; service?: string };
    request?: { http?: { method: string; path: string; host: string; protocol: string; body?: string; headers: Record<string, string> } };
  };
}

async function decideGrpc(stream: ServerHttp2Stream): Promise<void> {
  stream.on('error', () => undefined);
  const parts: Buffer[] = [];
  try {
    for await (const part of stream as AsyncIterable<Buffer>) parts.push(part);
  } catch {
    return;
  }
  const { attributes } = toJson(CheckRequestSchema, fromBinary(CheckRequestSchema, Buffer.concat(parts).subarray(5))) as unknown as Check;
  const { source = {}, destination = {}, request } = attributes;
  const { delayMs, ...said } = JSON.parse(request?.http?.headers['x-authz'] ?? '{}') as JsonObject & Said;
  await pause(delayMs);
  if (stream.destroyed) return;
  const own = { caller: source.principal ?? '', callee: destination.principal ?? '' };
  const { method, path, protocol, body = '', headers = {} } = request?.http ?? { method: '', path: '', protocol: '' };
  const checked = { ...own, method, path, protocol, body, headers: told(headers) };
  const allowed: JsonObject = { status: {}, okResponse: { headers: [{ header: { key: 'x-checked', value: JSON.stringify(checked) } }] } };
  const ofConnection: JsonObject = { status: { code: own.caller.endsWith('/sa/other') ? 7 : 0 } };
  const answer = request === undefined ? ofConnection : Object.keys(said).length > 0 ? (said as JsonObject) : allowed;
  const message = toBinary(CheckResponseSchema, fromJson(CheckResponseSchema, answer));
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(frame(message));
}

/** Those cases are about. */
function told(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const named = Object.entries(headers).filter(([name]) => /^(x-test|x-envoy-auth|authorization|cookie|content-length|:)/.test(name));
  return Object.fromEntries(named.filter(([name]) => name !== ':authority').toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
