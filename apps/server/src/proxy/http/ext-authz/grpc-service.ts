// An authorization service over gRPC: one call of envoy.service.auth.v3.Authorization a check.

import { GrpcMessages } from '@weft/mesh-core/wire';
import type { GrpcAuthorizationService } from '../../config/ext-authz-model.ts';
import { grpcTimeoutText } from '../grpc.ts';
import type { TraceDecision } from '../hooks.ts';
import { type Asking, askCluster, type OwnAnswer, type OwnWorld } from '../own-request.ts';
import { readVerdict } from './check-response.ts';
import { failed, type Verdict } from './verdict.ts';

const path = '/envoy.service.auth.v3.Authorization/Check';
const maxMessageBytes = 1024 * 1024;
const refusals = { compressed: () => new Error('a compressed message'), tooLarge: () => new Error('a message that is too large') };

export interface Caller {
  world: OwnWorld;
  /** Own address. */
  address: string;
  trace: TraceDecision | undefined;
}

export function askGrpc(service: GrpcAuthorizationService, check: Uint8Array, { world, address, trace }: Caller, done: (verdict: Verdict) => void): Asking {
  const { cluster, authority, timeoutMs } = service;
  const frame = Buffer.alloc(5 + check.length);
  frame.writeUInt32BE(check.length, 1);
  frame.set(check, 5);
  const timeout = timeoutMs > 0 ? `grpc-timeout: ${grpcTimeoutText(timeoutMs)}\r\n` : '';
  const metadata = service.metadata.map(({ name, value }) => `${name}: ${value}\r\n`).join('');
  const lines = `te: trailers\r\n${timeout}content-type: application/grpc\r\n${metadata}${callerLines(trace, timeoutMs)}x-forwarded-for: ${address}\r\n`;
  const request = { cluster, authority, path, lines, timeoutMs, method: 'POST', body: frame.toString('latin1'), tellsLength: false, http2: true };
  return askCluster(request, world, (answer) => done(answer === undefined ? failed : verdictOf(answer)));
}

/** What every service is told of its caller. */
export function callerLines(trace: TraceDecision | undefined, timeoutMs: number): string {
  const { traceparent, tracestate = '' } = trace ?? {};
  const traced = traceparent === undefined ? '' : `traceparent: ${traceparent}\r\n${tracestate === '' ? '' : `tracestate: ${tracestate}\r\n`}`;
  return `${traced}x-envoy-internal: true\r\n${timeoutMs > 0 ? `x-envoy-expected-rq-timeout-ms: ${Math.round(timeoutMs)}\r\n` : ''}`;
}

function verdictOf({ status, fields, body, trailers }: OwnAnswer): Verdict {
  const grpcStatus = /^grpc-status:[ \t]*(\d+)/im.exec(trailers)?.[1] ?? fields.find(([name]) => name === 'grpc-status')?.[1];
  if (status !== 200 || grpcStatus !== '0') return failed;
  const messages = new GrpcMessages(maxMessageBytes, refusals);
  messages.push(body);
  try {
    const message = messages.next();
    return message === undefined ? failed : readVerdict(message);
  } catch {
    return failed;
  }
}
