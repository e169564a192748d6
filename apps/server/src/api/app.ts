// The HTTP side of the server: console API, Kubernetes-style API, live channel, metrics, the console itself.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import fastifySwagger from '@fastify/swagger';
import fastify, { type FastifyInstance } from 'fastify';
import { jsonSchemaTransform, validatorCompiler } from 'fastify-type-provider-zod';
import { Counter, Registry, collectDefaultMetrics } from 'prom-client';
import { createAnalysis } from '@weft/mesh-core/config';
import { refOf } from '@weft/mesh-core/model';
import { configRoutes } from './config-routes.ts';
import { debugRoutes } from './debug-routes.ts';
import { RefusedError, toAnswer } from './errors.ts';
import { kubeRoutes } from './kube/routes.ts';
import { statusOf } from './kube/status.ts';
import { attachLive } from './live.ts';
import { meshRoutes } from './mesh-routes.ts';
import { createQueries } from './queries.ts';
import { inTurns } from '../in-turns.ts';
import { withoutSecretValues } from './redacted-store.ts';
import { registerSecurity } from './security.ts';
import type { ApiServices, ReadyServices } from './services.ts';

const BODY_LIMIT = 262_144;

/** Builds the app; the caller listens and closes. `app.close()` ends the live channel too. */
export async function createApp(given: ApiServices): Promise<FastifyInstance> {
  const analysis = createAnalysis();
  const services: ReadyServices = {
    host: '127.0.0.1',
    log: (message) => void process.stderr.write(`${message}\n`),
    ...given,
    store: withoutSecretValues(given.store),
    analyze: (objects, proxies) => inTurns(analysis(objects, proxies)),
  };
  const app = fastify({ bodyLimit: BODY_LIMIT, forceCloseConnections: true, routerOptions: { maxParamLength: 600 } });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  // JSON is the only body a page of another site cannot send without asking.
  app.removeContentTypeParser('text/plain');
  registerSecurity(app, services.host);

  app.setErrorHandler((error, request, reply) => {
    const answer = toAnswer(error, (object) => services.store.sourceYaml(refOf(object)));
    if (answer.status >= 500)
      services.log(`${request.method} ${request.url} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    const { error: body } = answer.body;
    return reply.code(answer.status).send(isKubePath(request.url) ? statusOf(answer.status, body.message) : answer.body);
  });

  await app.register(fastifySwagger, { openapi: { info: { title: 'Weft', version: services.version } }, transform: jsonSchemaTransform });
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: 'weft_api_requests_total',
    help: 'Requests the API answered',
    labelNames: ['method', 'route', 'code'],
    registers: [registry],
  });
  app.addHook('onResponse', async (request, reply) => {
    requests.inc({ method: request.method, route: request.routeOptions.url ?? 'none', code: String(reply.statusCode) });
  });

  const queries = createQueries(services);
  await app.register(meshRoutes(services, queries), { prefix: '/api/v1' });
  await app.register(configRoutes(services, queries), { prefix: '/api/v1' });
  await app.register(kubeRoutes(services, queries));
  await app.register(debugRoutes(services));

  app.get('/metrics', { schema: { hide: true } }, async (_request, reply) =>
    reply.type(registry.contentType).send(`${await registry.metrics()}\n${await services.controlPlane.metrics()}`),
  );
  for (const path of ['/healthz', '/livez']) app.get(path, { schema: { hide: true } }, async () => ({ ok: true }));
  app.get('/readyz', { schema: { hide: true } }, async () => ({ ok: true, revision: services.store.list().revision }));
  app.get('/api/openapi.json', { schema: { hide: true } }, async () => app.swagger());

  await serveConsole(app, services.consoleDir);
  const live = attachLive(app.server, services, queries);
  app.addHook('preClose', async () => live.close());
  await app.ready();
  return app;
}

/** Files of the built console as they are on disk now, for it may be built anew meanwhile; and its page for every path the router of the page knows. */
async function serveConsole(app: FastifyInstance, dir: string | undefined): Promise<void> {
  if (dir !== undefined)
    await app.register(fastifyStatic, {
      root: dir,
      index: ['index.html'],
      setHeaders: (response, path) => void response.header('cache-control', path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'),
    });
  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    if (isKubePath(path)) return reply.code(404).send(statusOf(404, `the server could not find the requested resource ${path}`));
    const isPage = request.method === 'GET' && !/^\/(api|debug|assets)(\/|$)/.test(path);
    if (isPage && dir !== undefined && existsSync(join(dir, 'index.html'))) return reply.header('cache-control', 'no-cache').sendFile('index.html');
    throw new RefusedError(404, 'WEFT_NOT_FOUND', isPage ? 'the console is not built: run "npm run build"' : `${request.method} ${path} does not exist`);
  });
}

function isKubePath(url: string): boolean {
  return /^\/(apis|openapi)(\/|\?|$)|^\/api\/v1\/(namespaces|services)(\/|\?|$)/.test(url);
}
