// Namespaces: they exist as soon as an object is in one. Making one is answered as kubectl wants it; deleting one deletes what is in it.

import { refOf } from '@weft/mesh-core/model';
import type { FastifyInstance } from 'fastify';
import { RefusedError } from '../errors.ts';
import type { Queries } from '../queries.ts';
import { actorOf } from '../security.ts';
import type { ReadyServices } from '../services.ts';

export function namespaceRoutes(app: FastifyInstance, { store }: ReadyServices, queries: Queries): void {
  const hidden = { schema: { hide: true } };
  const nameOf = (params: unknown): string => (params as { name: string }).name;
  const shown = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name }, spec: {}, status: { phase: 'Active' } });
  app.get('/api/v1/namespaces', hidden, async () => ({ apiVersion: 'v1', kind: 'NamespaceList', metadata: {}, items: queries.namespaces().map(shown) }));
  // Any name is found: kubectl label asks for what kubectl create has just made.
  app.get('/api/v1/namespaces/:name', hidden, async ({ params }) => shown(nameOf(params)));
  app.patch('/api/v1/namespaces/:name', hidden, async ({ params }) => shown(nameOf(params)));
  app.post('/api/v1/namespaces', hidden, async ({ body }, reply) => {
    const name = (body as { metadata?: { name?: unknown } } | null)?.metadata?.name;
    if (typeof name !== 'string' || !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))
      throw new RefusedError(422, 'WEFT_INVALID', `metadata.name: ${JSON.stringify(name)} must be a DNS label: lower-case letters, digits and -`);
    if (queries.namespaces().includes(name)) throw new RefusedError(409, 'WEFT_EXISTS', `namespaces "${name}" already exists`);
    return reply.code(201).send(shown(name));
  });
  app.delete('/api/v1/namespaces/:name', hidden, async ({ params, headers, query }) => {
    const name = nameOf(params);
    if (!queries.namespaces().includes(name)) throw new RefusedError(404, 'WEFT_NOT_FOUND', `namespaces "${name}" not found`);
    await store.write(
      store.list({ namespace: name }).items.map((object) => ({ op: 'delete', ref: refOf(object) })),
      { actor: actorOf(headers), dryRun: (query as { dryRun?: string }).dryRun === 'All', reason: `delete namespace ${name}` },
    );
    // kubectl waits until the name is gone or has another uid than this.
    return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name, kind: 'namespaces', uid: `deleted-${name}` } };
  });
}
