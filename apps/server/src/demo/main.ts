// The demo process: Bookinfo's services, one port each, and the load generator with its control port.
// Usage: node main.js <spec.json>; prints one JSON line when everything listens; ends when its supervisor is gone.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { createHandler } from './bookinfo.ts';
import type { DemoSpec } from './demo-spec.ts';
import { type LoadGenerator, startLoad } from './load-generator.ts';

const specPath = process.argv[2];
if (specPath === undefined) throw new Error('usage: node demo/main.js <spec.json>');
const spec = JSON.parse(readFileSync(specPath, 'utf8')) as DemoSpec;

const servers: Server[] = [];
/** Requests each service has received, health checks left out: what the split really is, counted where it arrives. */
const received: Record<string, number> = {};
for (const service of spec.services) {
  const handler = createHandler(service);
  const name = `${service.name}-${service.version}`;
  received[name] = 0;
  const server = createServer((request, response) => {
    if (request.url !== '/health') received[name] = (received[name] ?? 0) + 1;
    Promise.resolve(handler(request, response)).catch((error: unknown) => {
      process.stderr.write(`${service.name} ${service.version}: ${String(error)}\n`);
      response.destroy();
    });
  });
  servers.push(await listen(server, service.port));
}
const load = startLoad(spec.load.target, spec.load.rps);
servers.push(await listen(createServer(controlHandler(load)), spec.load.controlPort));
process.stdout.write(`${JSON.stringify({ ready: spec.services.map((s) => `${s.name}-${s.version}`) })}\n`);

function stop(): void {
  load.stop();
  for (const server of servers) server.close();
  for (const server of servers) server.closeIdleConnections();
  setTimeout(() => process.exit(0), 500);
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
process.once('disconnect', stop);

async function listen(server: Server, port: number): Promise<Server> {
  server.keepAliveTimeout = 0;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** For the process that comes after a crash: it is to send what this one sends. */
function remember(rps: number): void {
  spec.load.rps = rps;
  writeFileSync(`${specPath}.new`, JSON.stringify(spec, null, 2), { mode: 0o600 });
  renameSync(`${specPath}.new`, String(specPath));
}

/** GET / answers the status, GET /received the requests per service, PUT `{"rps": n}` changes the rate. */
function controlHandler(generator: LoadGenerator): Parameters<typeof createServer>[1] {
  return (request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (request.method === 'GET') return answer(200, request.url === '/received' ? received : generator.status());
    if (request.method !== 'PUT') return answer(405, { error: 'use GET or PUT' });
    let text = '';
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      if (text.length > 1_000) request.destroy();
    });
    request.on('end', () => {
      try {
        const { rps } = JSON.parse(text) as { rps?: unknown };
        if (typeof rps !== 'number' || !(rps >= 0 && rps <= 2_000)) return answer(422, { error: `rps is ${String(rps)}; it must be a number from 0 to 2000` });
        generator.setRps(rps);
        remember(rps);
        return answer(200, generator.status());
      } catch {
        return answer(400, { error: 'the body is not JSON' });
      }
    });
  };
}
