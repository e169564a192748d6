// A control plane on free ports over a journal store, with a translator small enough to read:
// every VirtualService is a cluster, an endpoint set and a route config of its name, versioned by its spec.

import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_MESH_SETTINGS } from '@weft/mesh-core/model';
import type { MeshObject, MeshSettings } from '@weft/mesh-core/model';
import { TYPE_URL, shortTypeName } from '@weft/mesh-core/xds';
import type { Resource, ResourceSet, TypeUrl } from '@weft/mesh-core/xds';
import { createCertificateAuthority, createSecretProvider } from '../../certificates/ca.ts';
import { openJournalStore } from '../../config-store/journal-store.ts';
import { createControlPlane } from '../create-control-plane.ts';
import type { Translator } from '../snapshots.ts';

/** A message of whose fields there is only the first, a name. */
const named = (name: string): Uint8Array => new TextEncoder().encode(`\n${String.fromCharCode(name.length)}${name}`);

export const fakeTranslator: Translator<readonly MeshObject[]> = {
  buildMesh: (objects) => objects,
  proxyClass: (node) => node.workload,
  translate: (objects, node): ResourceSet => {
    const names = objects.filter((o) => o.kind === 'VirtualService').filter((o) => ((o.spec as { only?: string }).only ?? node.workload) === node.workload);
    const resources = (typeUrl: TypeUrl): Map<string, Resource> =>
      new Map(
        names.map((o) => {
          const version = createHash('sha256')
            .update(JSON.stringify((o.spec as Record<string, unknown>)[typeUrl === TYPE_URL.route ? 'weight' : 'cluster'] ?? 0))
            .digest('hex')
            .slice(0, 8);
          return [o.metadata.name, { typeUrl, name: o.metadata.name, version, body: named(version) }];
        }),
      );
    return {
      [TYPE_URL.cluster]: resources(TYPE_URL.cluster),
      [TYPE_URL.endpoint]: resources(TYPE_URL.endpoint),
      [TYPE_URL.listener]: new Map(),
      [TYPE_URL.route]: resources(TYPE_URL.route),
      [TYPE_URL.secret]: new Map(),
    };
  },
};

/** Every VirtualService is one resource of each type its spec names, in the version given there. */
export const perTypeTranslator: Translator<readonly MeshObject[]> = {
  buildMesh: (objects) => objects,
  proxyClass: () => '',
  translate: (objects) => {
    const of = (typeUrl: TypeUrl): Map<string, Resource> =>
      new Map(
        objects.flatMap(({ metadata: { name }, spec }) => {
          const version = (spec as Record<string, string>)[shortTypeName(typeUrl)];
          return version === undefined ? [] : [[name, { typeUrl, name, version, body: new Uint8Array() }] as const];
        }),
      );
    return {
      [TYPE_URL.cluster]: of(TYPE_URL.cluster),
      [TYPE_URL.endpoint]: of(TYPE_URL.endpoint),
      [TYPE_URL.listener]: of(TYPE_URL.listener),
      [TYPE_URL.route]: of(TYPE_URL.route),
      [TYPE_URL.secret]: of(TYPE_URL.secret),
    };
  },
};

/** Ends with `close()`. */
export async function startHarness<M = readonly MeshObject[]>(
  options: {
    realTranslator?: boolean;
    translate?: Translator<M>;
    settings?: Partial<MeshSettings>;
    secretTtlMs?: number;
    maxConnectionAgeMs?: number;
    onSettled?: () => void;
  } = {},
) {
  const stateDir = await mkdtemp(join(tmpdir(), 'weft-cp-'));
  const store = await openJournalStore({ dir: join(stateDir, 'config'), now: Date.now, log: () => undefined });
  const ca = await createCertificateAuthority({ stateDir, trustDomain: 'cluster.local' });
  const base = {
    store,
    settings: { ...DEFAULT_MESH_SETTINGS, ...options.settings },
    ca,
    ports: { plain: 0, tls: 0, host: '127.0.0.1' },
    loadReportSeconds: 1,
    ...(options.maxConnectionAgeMs === undefined ? {} : { maxConnectionAgeMs: options.maxConnectionAgeMs }),
    ...(options.onSettled === undefined ? {} : { onSettled: options.onSettled }),
  };
  const start = async () => {
    const secrets = createSecretProvider({ ca, ...(options.secretTtlMs === undefined ? {} : { ttlMs: options.secretTtlMs }) });
    const created =
      options.realTranslator === true
        ? createControlPlane({ ...base, secrets })
        : createControlPlane<M>({ ...base, secrets, translate: options.translate ?? (fakeTranslator as unknown as Translator<M>) });
    await created.start();
    return created;
  };
  let plane = await start();
  return {
    store,
    ca,
    get plane() {
      return plane;
    },
    /** Another control plane of this store and authority, on other ports; the one before has been stopped. */
    startAgain: async () => void (plane = await start()),
    put: (...objects: MeshObject[]) =>
      store.write(
        objects.map((object) => ({ op: 'put' as const, object })),
        { actor: 'test' },
      ),
    remove: (name: string) => store.write([{ op: 'delete', ref: { kind: 'VirtualService', namespace: 'a', name } }], { actor: 'test' }),
    close: async () => {
      await plane.stop();
      await store.close();
      await rm(stateDir, { recursive: true });
    },
  };
}

/** An object of the fake translator. */
export function virtualService(name: string, spec: Record<string, unknown>): MeshObject {
  return { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name, namespace: 'a' }, spec };
}

/** The xDS node of a sidecar. */
export function nodeOf(workload: string, namespace = 'a', serviceAccount = workload) {
  return {
    id: `sidecar~127.0.0.1~${workload}.${namespace}~${namespace}.svc.cluster.local`,
    metadata: { NAMESPACE: namespace, WORKLOAD_NAME: workload, SERVICE_ACCOUNT: serviceAccount, WEFT_DATA_PLANE: 'embedded' },
  };
}

/** Polls until `check` gives something; rejects after 5 s. */
export async function until<T>(check: () => T | undefined | false): Promise<T> {
  const end = performance.now() + 5_000;
  for (;;) {
    const value = check();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`not within 5 s: ${check.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
