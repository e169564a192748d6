// Health of a node or edge by Kiali's default rules: each class of answers against the total, the worst rule wins.

import { HEALTH, type Health } from '../api/graph.ts';

/** Answers by class. `noResponse` = code 0 (the client went away) and failures only the caller saw. */
export interface Answers {
  requests: number;
  status4xx: number;
  status5xx: number;
  noResponse: number;
  grpcErrors: number;
}

export const noAnswers = (): Answers => ({ requests: 0, status4xx: 0, status5xx: 0, noResponse: 0, grpcErrors: 0 });

/** Share below which server errors do not colour the graph: one failure in a thousand is not a degraded service. */
const WARN_SHARE = 0.001;

/** Sorts one row's answers into its class. HTTP 4xx and 5xx count before the gRPC status, as in Kiali. */
export function addAnswers(into: Answers, labels: Readonly<Record<string, string>>, requests: number, extraErrors: number): void {
  into.requests += requests;
  into.noResponse += extraErrors;
  const code = labels['response_code'] ?? '';
  const grpc = labels['grpc_response_status'] ?? '';
  if (code.startsWith('5')) into.status5xx += requests;
  else if (code.startsWith('4')) into.status4xx += requests;
  else if (code === '0' || code === '-') into.noResponse += requests;
  else if (labels['request_protocol'] === 'grpc' && grpc !== '' && grpc !== '0') into.grpcErrors += requests;
}

export function sumAnswers(into: Answers, other: Answers): void {
  into.requests += other.requests;
  into.status4xx += other.status4xx;
  into.status5xx += other.status5xx;
  into.noResponse += other.noResponse;
  into.grpcErrors += other.grpcErrors;
}

/** Share of failed requests, 0-1: 4xx, 5xx, no response and gRPC failures. */
export function errorShare(a: Answers): number {
  if (a.requests === 0) return a.noResponse > 0 ? 1 : 0;
  return Math.min(1, (a.status4xx + a.status5xx + a.noResponse + a.grpcErrors) / a.requests);
}

/** 5xx, no response and gRPC errors: degraded from 0.1 %, failing from 10 %; 4xx: degraded from 10 %, failing from 20 %. */
export function healthOf(a: Answers): Health {
  const total = Math.max(a.requests, a.noResponse);
  if (total === 0) return 'idle';
  let worst: Health = 'healthy';
  for (const count of [a.status5xx, a.noResponse, a.grpcErrors])
    worst = worse(worst, count / total >= 0.1 ? 'failing' : count / total >= WARN_SHARE ? 'degraded' : 'healthy');
  return worse(worst, a.status4xx / total >= 0.2 ? 'failing' : a.status4xx / total >= 0.1 ? 'degraded' : 'healthy');
}

export function worse(a: Health, b: Health): Health {
  return HEALTH.indexOf(a) >= HEALTH.indexOf(b) ? a : b;
}
