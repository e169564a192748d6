// Health checks over HTTP/2: plain requests and grpc.health.v1.

import type { Socket } from 'node:net';
import type { HealthCheckResult } from '@weft/mesh-core/traffic';
import { WireType, WireWriter } from '@weft/mesh-core/wire';
import { fieldOf } from '../../transport/field-lines.ts';
import { grpcFrame } from '../../transport/grpc-frame.ts';
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
      ok ||= fieldOf(trailers, 'grpc-status') === '0';
      done();
    },
    failed: done,
  });
  const message = new WireWriter();
  if (probe.service !== '') message.tag(1, WireType.bytes).string(probe.service);
  exchange.write(grpcFrame(message.finish()));
  exchange.finish();
}

function start(target: ProbeTarget, socket: Socket, fields: readonly (readonly [string, string])[], listener: ExchangeListener): SingleExchange {
  return new SingleExchange(socket, [[':scheme', target.tls === undefined ? 'http' : 'https'], ...fields], listener);
}
