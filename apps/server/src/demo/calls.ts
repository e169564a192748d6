// Calls from one demo service to another: forwards the trace headers of the request it serves and knows nothing else of the mesh.

import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';

/** Headers an application in a mesh must copy from the request it serves to the requests it makes (istio.io, distributed tracing). */
const TRACE_HEADERS = ['x-request-id', 'traceparent', 'tracestate', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'x-b3-flags', 'b3'];

const agent = new Agent({ keepAlive: true, maxSockets: 256 });

export type CallResult = { ok: true; body: unknown } | { ok: false; status: number; reason: string };

/** GETs JSON; never throws: a failed call is a value, because a page shows what it has. `end-user` is an application header of Bookinfo. */
export function getJson(url: string, incoming: IncomingHttpHeaders, timeoutMs: number): Promise<CallResult> {
  const headers: Record<string, string> = { accept: 'application/json' };
  for (const name of [...TRACE_HEADERS, 'end-user', 'user-agent']) {
    const value = incoming[name];
    if (typeof value === 'string') headers[name] = value;
  }
  return new Promise((resolve) => {
    const request = httpRequest(url, { agent, headers, timeout: timeoutMs }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', (error) => resolve({ ok: false, status: 0, reason: error.message }));
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        const text = Buffer.concat(chunks).toString('utf8');
        if (status !== 200) return resolve({ ok: false, status, reason: text.slice(0, 200) });
        try {
          return resolve({ ok: true, body: JSON.parse(text) });
        } catch {
          return resolve({ ok: false, status, reason: 'the answer is not JSON' });
        }
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs / 1_000} s`)));
    request.on('error', (error) => resolve({ ok: false, status: 0, reason: error.message }));
    request.end();
  });
}
