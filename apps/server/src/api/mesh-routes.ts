// The console's read paths: graph, services, status, traces, charts, proxies; the demo's load; join tokens.

import {
  graphSnapshotSchema,
  graphTypeSchema,
  loadChangeSchema,
  loadSchema,
  problemListSchema,
  recordedRequestListSchema,
  requestQuerySchema,
  proxyListSchema,
  securitySchema,
  seriesQuerySchema,
  seriesSchema,
  serviceDetailSchema,
  serviceListSchema,
  statusSchema,
  traceListSchema,
  traceQuerySchema,
  traceSchema,
  traceServicesSchema,
} from '@weft/mesh-core/api';
import { refKey } from '@weft/mesh-core/model';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { RefusedError } from './errors.ts';
import type { Queries } from './queries.ts';
import { requestsOf } from './requests-view.ts';
import { isLoopback } from './security.ts';
import { objectsOfService } from './service-objects.ts';
import { securityOf } from './security-view.ts';
import type { ReadyServices } from './services.ts';

const windowSec = z.coerce.number().int().min(2).max(86_400).default(30);
const graphQuery = z.object({
  /** Separated by commas; absent = all. */
  namespaces: z.string().default(''),
  windowSec,
  graphType: graphTypeSchema.default('versionedApp'),
  includeIdle: z.enum(['true', 'false']).default('true'),
});
const label = z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'must be a DNS name');

export function meshRoutes(services: ReadyServices, queries: Queries): FastifyPluginAsyncZod {
  const { telemetry, controlPlane } = services;
  return async (app) => {
    app.get('/graph', { schema: { querystring: graphQuery, response: { 200: graphSnapshotSchema } } }, async ({ query }) =>
      telemetry.graph({
        namespaces: query.namespaces.split(',').filter((n) => n !== ''),
        windowSec: query.windowSec,
        graphType: query.graphType,
        includeIdle: query.includeIdle === 'true',
      }),
    );
    app.get('/mesh/services', { schema: { querystring: z.object({ windowSec }), response: { 200: serviceListSchema } } }, async ({ query }) => ({
      items: queries.services(query.windowSec),
    }));
    app.get(
      '/mesh/services/:namespace/:name',
      {
        schema: { params: z.object({ namespace: z.string(), name: z.string() }), querystring: z.object({ windowSec }), response: { 200: serviceDetailSchema } },
      },
      async ({ params: { namespace, name }, query }) => {
        const service = queries.services(query.windowSec).find((s) => s.namespace === namespace && s.name === name);
        if (service === undefined) throw new RefusedError(404, 'WEFT_NOT_FOUND', `Service ${namespace}/${name} does not exist`);
        const problems = await queries.problems();
        const objects = objectsOfService(services.store.list().items, namespace, name, services.settings.domainSuffix).map((o) => {
          const own = problems.filter((p) => p.ref !== undefined && refKey(p.ref) === refKey(o.ref));
          return { ...o, errors: own.filter((p) => p.severity === 'error').length, warnings: own.filter((p) => p.severity === 'warning').length };
        });
        return { service, objects };
      },
    );
    app.get('/problems', { schema: { response: { 200: problemListSchema } } }, async () => ({ items: [...(await queries.problems())] }));
    app.get('/security', { schema: { response: { 200: securitySchema } } }, async () => ({
      items: securityOf(services.store.list().items, controlPlane.proxies()),
    }));
    app.get('/status', { schema: { response: { 200: statusSchema } } }, async () => queries.status());
    app.get('/series', { schema: { querystring: seriesQuerySchema, response: { 200: seriesSchema } } }, async ({ query }) => {
      if ((query.end - query.start) / query.stepMs > 2_000)
        throw new RefusedError(400, 'WEFT_TOO_MANY_STEPS', 'more than 2000 steps are asked for', { fix: 'make stepMs larger' });
      return telemetry.series(query);
    });
    app.get('/traces', { schema: { querystring: traceQuerySchema, response: { 200: traceListSchema } } }, async ({ query }) => telemetry.findTraces(query));
    app.get(
      '/traces/:id',
      { schema: { params: z.object({ id: z.string().regex(/^[0-9a-f]{16,32}$/) }), response: { 200: traceSchema } } },
      async ({ params }) => {
        const trace = telemetry.trace(params.id);
        if (trace === undefined) throw new RefusedError(404, 'WEFT_NOT_FOUND', `trace ${params.id} is not (or no longer) kept`);
        return trace;
      },
    );
    app.get('/requests', { schema: { querystring: requestQuerySchema, response: { 200: recordedRequestListSchema } } }, async ({ query }) => ({
      items: requestsOf(telemetry, query, services.now()),
    }));
    app.get('/trace-services', { schema: { response: { 200: traceServicesSchema } } }, async () => ({ services: telemetry.traceServices() }));
    app.get('/proxies', { schema: { response: { 200: proxyListSchema } } }, async () => ({ items: [...controlPlane.proxies()] }));
    app.get('/proxies/:id/config', { schema: { params: z.object({ id: z.string() }) } }, async ({ params }) => {
      const dump = controlPlane.configDump(params.id);
      if (dump === undefined) throw new RefusedError(404, 'WEFT_NOT_FOUND', `no proxy ${params.id} is connected`);
      return dump;
    });

    const load = () => {
      if (services.load === undefined) throw new RefusedError(404, 'WEFT_NO_DEMO', 'no demo runs here, so there is no load to steer');
      return services.load;
    };
    app.get('/load', { schema: { response: { 200: loadSchema } } }, async () => load().get());
    app.put('/load', { schema: { body: loadChangeSchema, response: { 200: loadSchema } } }, async ({ body }) => load().set(body.rps));

    app.post('/join-tokens', { schema: { body: z.strictObject({ namespace: label, workload: label, serviceAccount: label }) } }, async ({ body, ip }) => {
      // A token is an identity: it goes to programs of this machine only.
      if (!isLoopback(ip.replace(/^::ffff:/, ''))) throw new RefusedError(403, 'WEFT_LOOPBACK_ONLY', 'join tokens are given to programs on this machine only');
      if (services.joinGrant === undefined) throw new RefusedError(404, 'WEFT_NOT_FOUND', 'this server issues no join tokens');
      return services.joinGrant(body);
    });
  };
}
