// The Kubernetes-style door: kubectl and istio tools read and write the same objects as the console.

import { ingressStatus, presented } from '@weft/mesh-core/config';
import { CLUSTER_NAMESPACE, type MeshObject, KINDS, type Kind, type ObjectRef, manifestKind, refOf } from '@weft/mesh-core/model';
import { gatewayApiStatus, gatewayWorld } from '@weft/mesh-core/translate';
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { parse } from 'yaml';
import type { StoredObject } from '../../config-store/config-store.ts';
import { ConflictError, NotFoundError } from '../../config-store/errors.ts';
import { RefusedError, toAnswer } from '../errors.ts';
import { validated } from '../config-routes.ts';
import type { Queries } from '../queries.ts';
import { actorOf } from '../security.ts';
import type { ReadyServices } from '../services.ts';
import { gatewayProxies } from '../delivery-problems.ts';
import { GROUP_VERSIONS, apiGroup, apiGroups, basePath, groupVersion, openApiIndex, openApiOf, resourceList } from './discovery.ts';
import { withNamespaces } from './namespaces.ts';
import { jsonPatch } from './json-patch.ts';
import { mergePatch, strategicPatch } from './patch.ts';
import { fromKubeProtobuf } from './protobuf.ts';
import { selectorOf } from './selectors.ts';
import { statusOf } from './status.ts';
import { tableOf } from './table.ts';
import { deletedWith, warningOf, warningsOf } from './warnings.ts';
import { streamWatch } from './watch.ts';

interface Query {
  watch?: string;
  dryRun?: string;
  resourceVersion?: string;
  timeoutSeconds?: string;
  fieldSelector?: string;
  labelSelector?: string;
}
type Request = FastifyRequest<{ Params: { namespace?: string; name?: string }; Querystring: Query }>;

/** Its objects have a status, and so have Ingresses. */
const GATEWAY_API = 'gateway.networking.k8s.io';
const OPENAPI_V2 = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
const PATCH_TYPES: Readonly<Record<string, (target: unknown, patch: unknown) => unknown>> = {
  'application/merge-patch+json': mergePatch,
  'application/strategic-merge-patch+json': strategicPatch,
  'application/json-patch+json': jsonPatch,
  'application/apply-patch+yaml': mergePatch,
};

export function kubeRoutes(services: ReadyServices, queries: Queries): FastifyPluginAsync {
  return async (app) => {
    app.addContentTypeParser([...Object.keys(PATCH_TYPES), 'application/yaml'], { parseAs: 'string' }, async (_request: FastifyRequest, body: string) => {
      try {
        return parse(body) as unknown;
      } catch (error) {
        throw new RefusedError(400, 'WEFT_BAD_REQUEST', `the body is neither JSON nor YAML: ${(error as Error).message}`);
      }
    });
    app.addContentTypeParser('application/vnd.kubernetes.protobuf', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) =>
      fromKubeProtobuf(body),
    );
    app.setErrorHandler((error, request, reply) => {
      const { status, body } = toAnswer(error instanceof SyntaxError ? new RefusedError(400, 'WEFT_BAD_REQUEST', error.message) : error, () => undefined);
      if (status >= 500) services.log(`${request.method} ${request.url} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      const details = error instanceof RefusedError && error.problems !== undefined ? { problems: error.problems } : {};
      const ref = error instanceof NotFoundError || error instanceof ConflictError ? { name: error.ref.name, kind: error.ref.kind } : {};
      // Kubernetes has two reasons for 409; kubectl create prints this one.
      const reason = error instanceof RefusedError && error.code === 'WEFT_EXISTS' ? { reason: 'AlreadyExists' } : {};
      return reply.code(status).send(statusOf(status, body.error.message, { ...details, ...ref, ...reason }));
    });

    const hidden = { schema: { hide: true } };
    app.get('/version', hidden, async () => ({
      major: '1',
      minor: '32',
      gitVersion: `v1.32.0+weft-${services.version}`,
      platform: `${process.platform}/${process.arch}`,
    }));
    app.get('/api', hidden, async () => ({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }));
    app.get('/apis', hidden, async () => apiGroups());
    // kubectl asks for it about kinds that are not here. Without any schema it goes on to say that there is no such kind.
    app.get('/openapi/v2', hidden, async (_request, reply) => reply.type(OPENAPI_V2).send(Buffer.alloc(0)));
    app.get('/openapi/v3', hidden, async () => openApiIndex());
    for (const group of new Set(KINDS.map((k) => k.group).filter((g) => g !== ''))) app.get(`/apis/${group}`, hidden, async () => apiGroup(group));
    for (const { group, version, kinds } of GROUP_VERSIONS) {
      app.get(basePath(group, version), hidden, async () => resourceList(group, version, kinds));
      app.get(`/openapi/v3${basePath(group, version)}`, hidden, async () => openApiOf(group, version, kinds));
      for (const kind of kinds) resourceRoutes(app, services, queries, { kind, group, version });
    }
  };
}

function resourceRoutes(
  app: FastifyInstance,
  services: ReadyServices,
  queries: Queries,
  { kind, group, version }: { kind: Kind; group: string; version: string },
): void {
  const store = kind.kind === 'Namespace' ? withNamespaces(services.store) : services.store;
  const base = basePath(group, version);
  const apiVersion = groupVersion(group, version);
  const hidden = { schema: { hide: true } };
  const statusReader = (): ((object: MeshObject) => object | undefined) => {
    if (group !== GATEWAY_API && kind.kind !== 'Ingress') return () => undefined;
    const { items } = store.list();
    const routers = gatewayProxies(services.controlPlane.proxies());
    if (kind.kind === 'Ingress') return ingressStatus(items, services.settings, routers);
    const world = gatewayWorld(items, services.settings.domainSuffix);
    return (object) => gatewayApiStatus(object, world, routers);
  };
  /** For one answer: status is worked out from everything that is there. */
  const shownNow = (): ((object: MeshObject) => MeshObject) => {
    const statusOfObject = statusReader();
    return (object) => {
      const status = statusOfObject(object);
      return presented({ ...object, apiVersion, ...(status === undefined ? {} : { status }) });
    };
  };
  const shown = (object: MeshObject): MeshObject => shownNow()(object);
  const home = kind.clusterScoped === true ? CLUSTER_NAMESPACE : undefined;
  const refIn = ({ params }: Request): ObjectRef => ({ kind: kind.kind, namespace: home ?? params.namespace ?? '', name: params.name ?? '' });
  const existing = (request: Request): StoredObject => {
    const object = store.get(refIn(request));
    if (object === undefined)
      throw new RefusedError(404, 'WEFT_NOT_FOUND', `${kind.plural}${group === '' ? '' : `.${group}`} "${request.params.name}" not found`);
    return object;
  };
  const asTable = (request: Request): boolean => (request.headers.accept ?? '').includes('as=Table');
  const context = (request: Request) => ({ actor: actorOf(request.headers), dryRun: isDryRun(request) });

  const put = async (request: Request, reply: FastifyReply, input: unknown, resourceVersion: string | undefined): Promise<MeshObject> => {
    const object = validated(inNamespace(input, apiVersion, manifestKind(kind), request));
    const commit = await store.write([{ op: 'put', object, ...(resourceVersion === undefined ? {} : { resourceVersion }) }], context(request));
    // Programs that write much do not read it, and it takes looking at everything.
    if (context(request).actor === 'kubectl' && !context(request).dryRun) reply.header('warning', warningsOf(await queries.problems(), refOf(object)));
    return shown(commit.changes[0]?.after ?? store.get({ kind: kind.kind, namespace: object.metadata.namespace, name: object.metadata.name }) ?? object);
  };

  const list = async (request: Request, reply: FastifyReply): Promise<unknown> => {
    const { namespace } = request.params;
    const selector = selectorOf(request.query);
    const matches = (o: MeshObject): boolean => (namespace === undefined || o.metadata.namespace === namespace) && selector(o);
    const table = asTable(request);
    if (request.query.watch === 'true' || request.query.watch === '1') {
      streamWatch(request, reply, {
        store,
        kind: kind.kind,
        matches,
        show: (object, revision) => (table ? tableOf(kind.kind, [shown(object)], revision, services.now()) : shown(object)),
        ...(group === GATEWAY_API
          ? {
              status: {
                now: () => {
                  const now = shownNow();
                  return (object: MeshObject) => now(object).status;
                },
                onChange: (listener: () => void) => services.controlPlane.onChange(listener),
              },
            }
          : {}),
        from: request.query.resourceVersion ?? '',
        timeoutMs: Math.min(Number(request.query.timeoutSeconds ?? 1_800), 1_800) * 1_000,
      });
      return reply;
    }
    const { items, revision } = store.list({ kind: kind.kind });
    const found = items.filter(matches).map(shownNow());
    return table
      ? tableOf(kind.kind, found, revision, services.now())
      : { apiVersion, kind: `${manifestKind(kind)}List`, metadata: { resourceVersion: revision }, items: found };
  };

  const everything = `${base}/${kind.plural}`;
  const collection = home === undefined ? `${base}/namespaces/:namespace/${kind.plural}` : everything;
  if (collection !== everything) app.get(everything, hidden, async (request, reply) => list(request as Request, reply));
  app.get(collection, hidden, async (request, reply) => list(request as Request, reply));
  app.post(collection, hidden, async (raw, reply) => {
    const request = raw as Request;
    const name = (request.body as { metadata?: { name?: string } } | null)?.metadata?.name;
    if (typeof name === 'string' && store.get({ ...refIn(request), name }) !== undefined)
      throw new RefusedError(409, 'WEFT_EXISTS', `${kind.plural}${group === '' ? '' : `.${group}`} "${name}" already exists`);
    return reply.code(201).send(await put(request, reply, request.body, ''));
  });
  app.delete(collection, hidden, async (raw) => {
    const request = raw as Request;
    if (kind.kind === 'Namespace') throw new RefusedError(405, 'WEFT_METHOD_NOT_ALLOWED', 'namespaces are deleted one by one, with what is in each');
    const selector = selectorOf(request.query);
    const found = store
      .list({ kind: kind.kind, ...(request.params.namespace === undefined ? {} : { namespace: request.params.namespace }) })
      .items.filter(selector);
    const commit = await store.write(
      found.map((o) => ({ op: 'delete', ref: { ...refIn(request), name: o.metadata.name } })),
      context(request),
    );
    return { apiVersion, kind: `${manifestKind(kind)}List`, metadata: { resourceVersion: commit.revision }, items: found.map(shownNow()) };
  });

  const one = `${collection}/:name`;
  app.get(one, hidden, async (raw) => {
    const request = raw as Request;
    const object = shown(existing(request));
    return asTable(request) ? tableOf(kind.kind, [object], store.list().revision, services.now()) : object;
  });
  app.put(one, hidden, async (raw, reply) => {
    const request = raw as Request;
    const before = store.get(refIn(request));
    const version = (request.body as { metadata?: { resourceVersion?: string } } | null)?.metadata?.resourceVersion;
    return reply
      .code(before === undefined ? 201 : 200)
      .send(await put(request, reply, request.body, version === undefined || version === '' ? undefined : version));
  });
  app.patch(one, hidden, async (raw, reply) => {
    const request = raw as Request;
    const type = (request.headers['content-type'] ?? '').split(';')[0] ?? '';
    const patched = PATCH_TYPES[type];
    if (patched === undefined)
      throw new RefusedError(415, 'WEFT_PATCH_TYPE', `the patch type ${type} is not taken; use ${Object.keys(PATCH_TYPES).join(', ')}`);
    const before = store.get(refIn(request));
    if (before === undefined && type === 'application/apply-patch+yaml') return reply.code(201).send(await put(request, reply, request.body, ''));
    const current = shown(existing(request));
    const next = patched(current, request.body) as { metadata?: { resourceVersion?: string } };
    // The patch was made against `current`: whoever writes in between wins, and this one is told.
    const wanted = next.metadata?.resourceVersion ?? current.metadata.resourceVersion;
    return put(request, reply, next, wanted);
  });
  app.delete(one, hidden, async (raw, reply) => {
    const request = raw as Request;
    const object = existing(request);
    const wanted = (request.body as { preconditions?: { resourceVersion?: string } } | null | undefined)?.preconditions?.resourceVersion;
    const asked = context(request);
    const commit = await store.write([{ op: 'delete', ref: refIn(request), ...(wanted === undefined ? {} : { resourceVersion: wanted }) }], {
      ...asked,
      ...(kind.kind === 'Namespace' ? { reason: `delete namespace ${object.metadata.name}` } : {}),
    });
    const message = deletedWith(commit, refIn(request), asked.dryRun);
    if (message !== undefined) reply.header('warning', warningOf(message));
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      ...(message === undefined ? {} : { message }),
      // kubectl waits until the name is gone or has another uid than this: a namespace without an object has none.
      details: { name: object.metadata.name, group, kind: kind.plural, uid: object.metadata.uid || `deleted-${object.metadata.name}` },
    };
  });
}

/** Deletions say it in their body (DeleteOptions). */
function isDryRun({ query, method, body }: Request): boolean {
  const options = method === 'DELETE' ? (body as { dryRun?: readonly string[] } | null | undefined)?.dryRun : undefined;
  return query.dryRun === 'All' || (Array.isArray(options) && options.includes('All'));
}

/** The body with kind and namespace of the path; a body that says otherwise is refused. */
function inNamespace(input: unknown, apiVersion: string, kind: string, request: Request): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) throw new RefusedError(400, 'WEFT_BAD_REQUEST', 'the body must be an object');
  const record = input as Record<string, unknown> & { metadata?: { namespace?: string; name?: string } };
  const { namespace, name } = request.params;
  if (record['kind'] !== undefined && record['kind'] !== kind)
    throw new RefusedError(400, 'WEFT_BAD_REQUEST', `the body is a ${String(record['kind'])}, the path names ${kind}`);
  if (record.metadata?.namespace !== undefined && namespace !== undefined && record.metadata.namespace !== namespace)
    throw new RefusedError(400, 'WEFT_BAD_REQUEST', `the namespace of the body (${record.metadata.namespace}) is not that of the path (${namespace})`);
  if (name !== undefined && record.metadata?.name !== undefined && record.metadata.name !== name)
    throw new RefusedError(400, 'WEFT_BAD_REQUEST', `the name of the body (${record.metadata.name}) is not that of the path (${name})`);
  return {
    ...record,
    apiVersion: record['apiVersion'] ?? apiVersion,
    kind,
    metadata: { ...record.metadata, ...(namespace === undefined ? {} : { namespace }), ...(name === undefined ? {} : { name }) },
  };
}
