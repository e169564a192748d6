// The console's configuration paths: list, read, check, apply, revisions, undo, traffic split.

import {
  configApplyRequestSchema,
  configApplySchema,
  configCheckRequestSchema,
  configCheckSchema,
  configListSchema,
  configObjectSchema,
  revisionListSchema,
  revisionPropagationSchema,
  revisionSchema,
  trafficSplitChangeSchema,
  trafficSplitSchema,
} from '@weft/mesh-core/api';
import { MAX_YAML_BYTES, toYaml } from '@weft/mesh-core/config';
import { type MeshObject, type Problem, type ObjectRef, findKind, namespaceOf, push, refKey, refOf, refusesWrite } from '@weft/mesh-core/model';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Commit, WriteOp } from '../config-store/config-store.ts';
import { ConflictError, NotFoundError } from '../config-store/errors.ts';
import { checkObject, checkText, crossProblems, opsOf, readText, readTextInTurns, verbOf } from './config-text.ts';
import { RefusedError, invalid } from './errors.ts';
import type { Queries } from './queries.ts';
import { actorOf } from './security.ts';
import type { ReadyServices } from './services.ts';
import { splitRuleOf, withWeights } from './split.ts';

/** Of a body that carries a text as JSON, where every line end and quote takes two bytes. */
const TEXT_LIMIT = 2 * MAX_YAML_BYTES + 65_536;

const refParams = z.object({ kind: z.string(), namespace: z.string(), name: z.string() });
const revisionParams = z.object({ revision: z.string() });
const serviceParams = z.object({ namespace: z.string(), service: z.string() });

export function configRoutes(services: ReadyServices, queries: Queries): FastifyPluginAsyncZod {
  const { store } = services;
  const existing = (ref: ObjectRef) => {
    const kind = findKind(ref.kind);
    const object = kind === undefined ? undefined : store.get({ ...ref, kind: kind.kind });
    if (object === undefined) throw new NotFoundError(ref);
    return object;
  };
  /** By refKey. */
  const problemsByObject = async (): Promise<Map<string, Problem[]>> => {
    const found = new Map<string, Problem[]>();
    for (const problem of await queries.problems()) {
      if (problem.ref !== undefined) push(found, refKey(problem.ref), problem);
    }
    return found;
  };
  const appliedOf = (commit: Commit, ops: readonly WriteOp[], problems: Problem[] = []) => {
    const changes = new Map(commit.changes.map((c) => [refKey(c.ref), c]));
    return {
      revision: commit.revision,
      problems,
      applied: ops.map((op) => {
        const ref = op.op === 'put' ? refOf(op.object) : op.ref;
        const change = changes.get(refKey(ref));
        return {
          ref,
          verb: change === undefined ? ('unchanged' as const) : change.verb === 'create' ? ('create' as const) : ('update' as const),
          resourceVersion: change?.after?.metadata.resourceVersion ?? store.get(ref)?.metadata.resourceVersion ?? '',
        };
      }),
    };
  };

  return async (app) => {
    app.get(
      '/config',
      { schema: { querystring: z.object({ kind: z.string().optional(), namespace: z.string().optional() }), response: { 200: configListSchema } } },
      async ({ query }) => {
        const kind = query.kind === undefined ? undefined : (findKind(query.kind)?.kind ?? query.kind);
        const { items, revision } = store.list({
          ...(kind === undefined ? {} : { kind }),
          ...(query.namespace === undefined ? {} : { namespace: query.namespace }),
        });
        const problems = await problemsByObject();
        return {
          revision,
          items: items.map((o) => {
            const found = problems.get(refKey(refOf(o))) ?? [];
            return {
              ref: refOf(o),
              apiVersion: o.apiVersion,
              resourceVersion: o.metadata.resourceVersion,
              creationTimestamp: o.metadata.creationTimestamp,
              errors: found.filter((p) => p.severity === 'error').length,
              warnings: found.filter((p) => p.severity === 'warning').length,
            };
          }),
        };
      },
    );

    app.get('/config/:kind/:namespace/:name', { schema: { params: refParams, response: { 200: configObjectSchema } } }, async ({ params }) => {
      const object = existing(params);
      const yaml = store.sourceYaml(refOf(object)) ?? toYaml(object);
      const read = readText(yaml);
      return {
        ref: refOf(object),
        resourceVersion: object.metadata.resourceVersion,
        yaml,
        problems:
          read.objects.length === 1
            ? [...read.problems, ...(await crossProblems(services, read))]
            : ((await problemsByObject()).get(refKey(refOf(object))) ?? []),
      };
    });

    app.post('/config/check', { bodyLimit: TEXT_LIMIT, schema: { body: configCheckRequestSchema, response: { 200: configCheckSchema } } }, async ({ body }) =>
      checkText(services, body.yaml, services.now),
    );

    app.post(
      '/config/apply',
      {
        bodyLimit: TEXT_LIMIT,
        schema: {
          body: configApplyRequestSchema,
          querystring: z.object({ force: z.enum(['true', 'false']).optional(), dryRun: z.literal('All').optional() }),
          response: { 200: configApplySchema },
        },
      },
      async ({ body, query, headers }) => {
        const read = await readTextInTurns(body.yaml, store);
        if (read.problems.some((p) => p.severity === 'error')) throw invalid(read.problems);
        const cross = await crossProblems(services, read);
        // What was wrong before and is not touched by this text must not block it.
        const touched = new Set(
          read.objects.filter(({ object }) => verbOf(store.get(refOf(object)), object) !== 'unchanged').map(({ object }) => refKey(refOf(object))),
        );
        const refusing = cross.filter((p) => refusesWrite(p) && p.ref !== undefined && touched.has(refKey(p.ref)));
        if (query.force !== 'true' && refusing.length > 0) throw invalid(refusing);
        const ops = opsOf(read, body.resourceVersions);
        const commit = await store.write(ops, {
          actor: actorOf(headers),
          dryRun: query.dryRun === 'All',
          ...(body.reason === undefined ? {} : { reason: body.reason }),
        });
        return appliedOf(commit, ops, [...read.problems, ...cross]);
      },
    );

    app.get(
      '/revisions',
      {
        schema: {
          querystring: z.object({
            limit: z.coerce.number().int().min(1).max(500).default(50),
            namespace: z.string().optional(),
            before: z.string().optional(),
          }),
          response: { 200: revisionListSchema },
        },
      },
      async ({ query }) => {
        const commits = await store.history({
          limit: query.namespace === undefined ? query.limit : 1_000,
          ...(query.before === undefined ? {} : { before: query.before }),
        });
        const wanted = commits.filter((c) => query.namespace === undefined || c.changes.some((change) => namespaceOf(change.ref) === query.namespace));
        return { items: wanted.slice(0, query.limit).map((c) => queries.revision(c)) };
      },
    );

    const commitOf = async (revision: string): Promise<Commit> => {
      const commit = (await store.history({ limit: 2_000 })).find((c) => c.revision === revision);
      if (commit === undefined) throw new RefusedError(404, 'WEFT_NOT_FOUND', `revision ${revision} does not exist or is older than the last 1000`);
      return commit;
    };
    app.get('/revisions/:revision', { schema: { params: revisionParams, response: { 200: revisionSchema } } }, async ({ params }) =>
      queries.revision(await commitOf(params.revision), true),
    );

    app.get(
      '/revisions/:revision/propagation',
      { schema: { params: revisionParams, response: { 200: revisionPropagationSchema } } },
      async ({ params: { revision } }) => {
        const propagation = services.controlPlane.propagation(revision);
        return propagation === undefined ? {} : { propagation };
      },
    );

    app.post('/revisions/:revision/undo', { schema: { params: revisionParams, response: { 200: configApplySchema } } }, async ({ params, headers }) => {
      const commit = await commitOf(params.revision);
      const ops = commit.changes.map(({ ref, before, after }): WriteOp => {
        // Only what this revision made may be undone: a later edit of the same object is not thrown away.
        const resourceVersion = after?.metadata.resourceVersion ?? '';
        if (before === undefined) return { op: 'delete', ref, resourceVersion };
        const sourceYaml = store.sourceAt?.(ref, before.metadata.resourceVersion);
        return { op: 'put', object: before, resourceVersion, ...(sourceYaml === undefined ? {} : { sourceYaml }) };
      });
      return appliedOf(await store.write(ops, { actor: actorOf(headers), reason: `undo revision ${params.revision}` }), ops);
    });

    app.get('/traffic-split/:namespace/:service', { schema: { params: serviceParams, response: { 200: trafficSplitSchema } } }, async ({ params }) =>
      queries.split(params.namespace, params.service),
    );

    app.put(
      '/traffic-split/:namespace/:service',
      { schema: { params: serviceParams, body: trafficSplitChangeSchema, response: { 200: trafficSplitSchema } } },
      async ({ params, body, headers }) => {
        const { namespace, service } = params;
        const now = await queries.split(namespace, service);
        const rule = splitRuleOf(store.list().items, namespace, service, services.settings.domainSuffix);
        const ref = rule.virtualService === undefined ? { kind: 'VirtualService', namespace, name: service } : refOf(rule.virtualService);
        if (now.blocked !== undefined) throw new RefusedError(422, 'WEFT_SPLIT_BLOCKED', now.blocked);
        const unknown = Object.keys(body.weights).filter((s) => !rule.destinations.some((d) => d.subset === s));
        if (unknown.length > 0)
          throw new RefusedError(
            422,
            'WEFT_UNKNOWN_SUBSET',
            `${service} has no subset ${unknown.join(', ')}; it has ${rule.destinations.map((d) => d.subset).join(', ')}`,
          );
        const sum = Object.values(body.weights).reduce((a, b) => a + b, 0);
        if (sum !== 100) throw new RefusedError(422, 'WEFT_WEIGHTS_SUM', `the weights add up to ${sum}; they must add up to 100`);
        if (body.resourceVersion !== now.resourceVersion) throw new ConflictError(ref, body.resourceVersion, store.get(ref));
        const yaml = withWeights(rule, store.sourceYaml(ref), namespace, service, body.weights);
        const read = readText(yaml);
        if (read.problems.some((p) => p.severity === 'error')) throw invalid(read.problems);
        await store.write(opsOf(read, { [refKey(ref)]: body.resourceVersion }), { actor: actorOf(headers), reason: `split of ${service}` });
        return queries.split(namespace, service);
      },
    );
  };
}

/** The object of untrusted `input`, or a 422. */
export function validated(input: unknown): MeshObject {
  const { object, problems } = checkObject(input);
  if (object === undefined || problems.some((p) => p.severity === 'error')) throw invalid(problems);
  return object;
}
