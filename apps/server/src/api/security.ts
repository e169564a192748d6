// Who may talk to the API: loopback names against DNS rebinding, own origin against other sites, strict headers.

import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { RefusedError } from './errors.ts';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|::1)$/;
const CSP =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** Why a request is refused, or undefined. `boundTo` = the address the server listens on; `write` also wants the Origin to be ours. */
export function refusalOf(headers: IncomingHttpHeaders, boundTo: string, write: boolean): string | undefined {
  const host = headers.host ?? '';
  const name = host.replace(/:\d+$/, '').toLowerCase();
  if (isLoopback(boundTo) && !isLoopback(name)) return `the Host header is ${host || 'missing'}; this server answers on loopback names only`;
  const { origin } = headers;
  if (!write || origin === undefined) return undefined;
  try {
    if (new URL(origin).host === host.toLowerCase()) return undefined;
  } catch {
    // `null` and other non-URLs are foreign.
  }
  return `the Origin ${origin} is not ${host}`;
}

/** Checks every request and sets the security headers on every answer. */
export function registerSecurity(app: FastifyInstance, boundTo: string): void {
  app.addHook('onRequest', async (request) => {
    const refusal = refusalOf(request.headers, boundTo, !['GET', 'HEAD', 'OPTIONS'].includes(request.method));
    if (refusal !== undefined) throw new RefusedError(403, 'WEFT_FORBIDDEN_ORIGIN', refusal);
  });
  app.addHook('onSend', async (_request, reply) => {
    reply.headers({
      'content-security-policy': CSP,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    });
  });
}

/** Name of the writer for the journal. */
export function actorOf(headers: IncomingHttpHeaders): string {
  const actor = headers['x-weft-actor'];
  if (typeof actor === 'string' && actor !== '') return actor.slice(0, 100);
  return (headers['user-agent'] ?? '').startsWith('kubectl') ? 'kubectl' : 'console';
}
