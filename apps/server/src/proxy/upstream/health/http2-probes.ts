// Health checks over HTTP/2: plain requests and grpc.health.v1.

import { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders, type OutgoingHttpHeaders, connect } from 'node:http2';
import type { Socket } from 'node:net';
import type { HealthCheckResult } from '@weft/mesh-core/traffic';
import type { HealthProbe } from '../../config/model.ts';
import { type ProbeTarget, judge } from './probe-target.ts';

type Finish = (result: HealthCheckResult) => void;

export function checkHttp2(probe: Extract<HealthProbe, { kind: 'http' }>, target: ProbeTarget, socket: Socket, finish: Finish): void {
  const headers = Object.fromEntries(probe.headers.map(({ name, value }) => [name, value]));
  const stream = send(target, socket, finish, {
    ':method': probe.method,
    ':path': probe.path,
    ':authority': probe.host || target.authority,
    'user-agent': 'Envoy/HC',
    ...headers,
  });
  let result: HealthCheckResult = 'network';
  stream.on('response', (response) => {
    result = judge(probe, Number(response[':status']), response['x-envoy-degraded'] !== undefined);
  });
  stream.on('end', () => finish(result));
  stream.resume();
  stream.end();
}

/** SERVING is 1 in HealthCheckResponse.status, field 1. */
const serving = [0x08, 0x01];

export function checkGrpc(probe: Extract<HealthProbe, { kind: 'grpc' }>, target: ProbeTarget, socket: Socket, finish: Finish): void {
  const stream = send(target, socket, finish, {
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    ':authority': probe.authority || target.authority,
    'content-type': 'application/grpc',
    te: 'trailers',
    'user-agent': 'Envoy/HC',
  });
  let answered = false;
  let grpcStatus: string | undefined;
  let body = Buffer.alloc(0);
  const note = (headers: IncomingHttpHeaders): void => {
    const status = headers['grpc-status'];
    if (typeof status === 'string') grpcStatus = status;
  };
  stream.on('response', (response) => {
    answered = response[':status'] === 200;
    note(response);
  });
  stream.on('trailers', note);
  stream.on('data', (chunk: Buffer) => {
    body = Buffer.concat([body, chunk]);
    if (body.length > 1024) finish('unhealthy');
  });
  stream.on('close', () => {
    if (!answered) return finish('network');
    const message = body.subarray(5);
    finish(grpcStatus === '0' && message[0] === serving[0] && message[1] === serving[1] ? 'healthy' : 'unhealthy');
  });
  const service = Buffer.from(probe.service);
  const message = service.length === 0 ? service : Buffer.concat([Buffer.from([0x0a, service.length]), service]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([prefix, message]));
}

function send(target: ProbeTarget, socket: Socket, finish: Finish, headers: OutgoingHttpHeaders): ClientHttp2Stream {
  const scheme = target.tls === undefined ? 'http' : 'https';
  const session: ClientHttp2Session = connect(`${scheme}://localhost`, { createConnection: () => socket });
  session.on('error', () => finish('network'));
  const stream = session.request({ ':scheme': scheme, ...headers });
  stream.on('error', () => finish('network'));
  return stream;
}
