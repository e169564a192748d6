// One health check of one host: HTTP, TCP or gRPC, each on a connection of its own.

import type { IncomingMessage } from 'node:http';
import { type Socket, connect as connectPlain } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { HealthCheckResult } from '@weft/mesh-core/traffic';
import type { HealthProbe } from '../../config/model.ts';
import { socketTarget } from '../host-and-port.ts';
import { nodeHttp } from '../../transport/node-http.ts';
import { verification } from '../tls-plan.ts';
import { checkGrpc, checkHttp2 } from './http2-probes.ts';
import { type ProbeTarget, judge } from './probe-target.ts';

/** Starts the check; `done` is called once. Returns what breaks it off, after which `done` is not called. */
export function startProbe(probe: HealthProbe, target: ProbeTarget, done: (result: HealthCheckResult) => void): () => void {
  const http2 = probe.kind === 'grpc' || (probe.kind === 'http' && probe.http2);
  const socket = open(target, http2 ? ['h2'] : ['http/1.1']);
  let over = false;
  const finish = (result: HealthCheckResult): void => {
    if (over) return;
    over = true;
    socket.destroy();
    done(result);
  };
  socket.on('error', () => finish('network'));
  socket.on('close', () => finish('network'));
  switch (probe.kind) {
    case 'tcp':
      checkTcp(probe, target, socket, finish);
      break;
    case 'grpc':
      checkGrpc(probe, target, socket, finish);
      break;
    case 'http':
      if (http2) checkHttp2(probe, target, socket, finish);
      else checkHttp(probe, target, socket, finish);
  }
  return () => {
    over = true;
    socket.destroy();
  };
}

function open({ host, port, tls }: ProbeTarget, alpn: string[]): Socket {
  const to = socketTarget({ address: host, port });
  if (tls === undefined) return connectPlain({ ...to, noDelay: true });
  return connectTls({ ...to, ...verification(tls), ALPNProtocols: alpn });
}

/** Connected is enough when nothing is sent; else every piece must come, in order. */
function checkTcp(probe: Extract<HealthProbe, { kind: 'tcp' }>, target: ProbeTarget, socket: Socket, finish: (result: HealthCheckResult) => void): void {
  let received = Buffer.alloc(0);
  const matches = (): boolean => {
    let at = 0;
    for (const piece of probe.receive) {
      const found = received.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return true;
  };
  socket.once(target.tls === undefined ? 'connect' : 'secureConnect', () => {
    if (probe.send.length > 0) socket.write(probe.send);
    if (probe.receive.length === 0) finish('healthy');
  });
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (matches()) finish('healthy');
    else if (received.length > 64 * 1024) finish('network');
  });
}

function checkHttp(probe: Extract<HealthProbe, { kind: 'http' }>, target: ProbeTarget, socket: Socket, finish: (result: HealthCheckResult) => void): void {
  const headers = Object.fromEntries([
    ['host', probe.host || target.authority],
    ['user-agent', 'Envoy/HC'],
    ...probe.headers.map(({ name, value }) => [name, value]),
  ]);
  const request = nodeHttp().request({ createConnection: () => socket, method: probe.method, path: probe.path, headers, setHost: false });
  request.on('response', (response: IncomingMessage) => {
    response.resume();
    const { statusCode = 0 } = response;
    // The body must come whole, as it would for a request.
    response.on('end', () => finish(judge(probe, statusCode, response.headers['x-envoy-degraded'] !== undefined)));
    response.on('error', () => finish('network'));
  });
  request.on('error', () => finish('network'));
  request.end();
}
