// An authorization service over gRPC: one call of envoy.service.auth.v3.Authorization a check.

import { grpcStatusOf } from '@weft/mesh-core/model';
import { GrpcMessages } from '@weft/mesh-core/wire';
import { grpcFrame } from '../../transport/grpc-frame.ts';
import type { GrpcAuthorizationService } from '../../config/ext-authz-model.ts';
import { grpcStatusIn, grpcTimeoutText } from '../grpc.ts';
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
  /** Field lines that say which trace the call belongs to. */
  traceLines: string;
}

/** What the service says, and in which answer. */
export type Heard = (verdict: Verdict, answer: OwnAnswer) => void;

export function askGrpc(service: GrpcAuthorizationService, check: Uint8Array, { world, address, traceLines }: Caller, heard: Heard): Asking {
  const { cluster, authority, timeoutMs } = service;
  const timeout = timeoutMs > 0 ? `grpc-timeout: ${grpcTimeoutText(timeoutMs)}\r\n` : '';
  const metadata = service.metadata.map(({ name, value }) => `${name}: ${value}\r\n`).join('');
  const lines = `te: trailers\r\n${timeout}content-type: application/grpc\r\n${metadata}${callerLines(traceLines, timeoutMs)}x-forwarded-for: ${address}\r\n`;
  const body = grpcFrame(check).toString('latin1');
  const request = { cluster, authority, path, lines, timeoutMs, method: 'POST', body, tellsLength: false, http2: true };
  return askCluster(request, world, (answer) => heard(verdictOf(answer), answer));
}

/** What every service is told of its caller. */
export function callerLines(traceLines: string, timeoutMs: number): string {
  return `${traceLines}x-envoy-internal: true\r\n${timeoutMs > 0 ? `x-envoy-expected-rq-timeout-ms: ${Math.round(timeoutMs)}\r\n` : ''}`;
}

/** Of the call. What is no answer of gRPC has the status its HTTP status stands for. */
export function grpcStatusOfAnswer({ status, fields, trailers }: OwnAnswer): string {
  const told = grpcStatusIn(trailers) ?? fields.find(([name]) => name === 'grpc-status')?.[1];
  return status === 200 ? (told ?? '2') : String(grpcStatusOf(status));
}

function verdictOf(answer: OwnAnswer): Verdict {
  if (grpcStatusOfAnswer(answer) !== '0') return failed;
  const messages = new GrpcMessages(maxMessageBytes, refusals);
  messages.push(answer.body);
  try {
    const message = messages.next();
    return message === undefined ? failed : readVerdict(message);
  } catch {
    return failed;
  }
}
