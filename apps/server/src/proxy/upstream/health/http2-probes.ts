// Health checks over HTTP/2: plain requests and grpc.health.v1.

import type { Socket } from 'node:net';
import type { HealthCheckResult } from '@weft/mesh-core/traffic';
import type { HealthProbe } from '../../config/model.ts';
import { type ExchangeListener, SingleExchange } from '../../transport/single-exchange.ts';
import { type ProbeTarget, judge } from './probe-target.ts';

type Finish = (result: HealthCheckResult) => void;

export function checkHttp2(probe: Extract<HealthProbe, { kind: 'http' }>, target: ProbeTarget, socket: Socket, finish: Finish): void {
  let result: HealthCheckResult = 'network';
  const fields: [string, string][] = [
    [':method', probe.method],
    [':path', probe.path],
    [':authority', probe.host || target.authority],
    ['user-agent', 'Envoy/HC'],
    ...probe.headers.map(({ name, value }): [string, string] => [name.toLowerCase(), value]),
  ];
  start(target, socket, fields, {
    head: ({ status, fields: head }) => {
      result = judge(probe, status, head.get('x-envoy-degraded') !== undefined);
    },
    data: () => undefined,
    end: () => finish(result),
    failed: () => finish('network'),
  }).finish();
}

/** SERVING is 1 in HealthCheckResponse.status, field 1. */
const serving = [0x08, 0x01];
const mostAnswerBytes = 1024;

export function checkGrpc(probe: Extract<HealthProbe, { kind: 'grpc' }>, target: ProbeTarget, socket: Socket, finish: Finish): void {
  let answered = false;
  let ok = false;
  let body = Buffer.alloc(0);
  const fields: [string, string][] = [
    [':method', 'POST'],
    [':path', '/grpc.health.v1.Health/Check'],
    [':authority', probe.authority || target.authority],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ['user-agent', 'Envoy/HC'],
  ];
  const done = (): void => {
    const message = body.subarray(5);
    finish(!answered ? 'network' : ok && message[0] === serving[0] && message[1] === serving[1] ? 'healthy' : 'unhealthy');
  };
  const exchange = start(target, socket, fields, {
    head: ({ status, fields: head }) => {
      answered = status === 200;
      ok = head.get('grpc-status') === '0';
    },
    data: (bytes) => {
      body = Buffer.concat([body, bytes]);
      if (body.length > mostAnswerBytes) finish('unhealthy');
    },
    end: (trailers) => {
      ok ||= trailers.includes('grpc-status: 0\r\n');
      done();
    },
    failed: done,
  });
  const service = Buffer.from(probe.service);
  const message = service.length === 0 ? service : Buffer.concat([Buffer.from([0x0a, service.length]), service]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  exchange.write(Buffer.concat([prefix, message]));
  exchange.finish();
}

function start(target: ProbeTarget, socket: Socket, fields: readonly (readonly [string, string])[], listener: ExchangeListener): SingleExchange {
  return new SingleExchange(socket, [[':scheme', target.tls === undefined ? 'http' : 'https'], ...fields], listener);
}
