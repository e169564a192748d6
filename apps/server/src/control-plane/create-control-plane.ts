// The control plane: config store in, xDS out, facts about both for the console.

import { refKey, refOf } from '@weft/mesh-core/model';
import type { MeshObject, MeshSettings } from '@weft/mesh-core/model';
import { buildMesh, prepare, proxyClass, proxyFacts, translate as translateMesh } from '@weft/mesh-core/translate';
import type { Mesh } from '@weft/mesh-core/translate';
import type { CertificateAuthority } from '../certificates/ca.ts';
import type { SecretProvider } from '../certificates/secret-provider.ts';
import type { ConfigStore, Commit } from '../config-store/config-store.ts';
import type { AdsHooks } from './discovery-service.ts';
import { createAdmission } from './admission.ts';
import { createChangeFeed } from './change-feed.ts';
import { dumpResources } from './config-dump.ts';
import type { ControlPlane } from './control-plane.ts';
import { watchCrowd } from './crowd.ts';
import { createKeySets } from './key-sets.ts';
import { LOAD_REPORT_SECONDS } from './load-reports.ts';
import type { LoadRow } from './load-reports.ts';
import { createPilotMetrics } from './metrics.ts';
import { PropagationLog } from './propagation-log.ts';
import { ProxyConnection } from './proxy-connection.ts';
import { createPushQueue } from './push-queue.ts';
import { ProxyRegistry } from './proxy-registry.ts';
import { keepServerCertificate } from './server-certificate.ts';
import { createSnapshots } from './snapshots.ts';
import type { Translator } from './snapshots.ts';
import { createPreparation } from './preparation.ts';
import { followStore } from './store-follower.ts';
import type { StoreFollower } from './store-follower.ts';
import { startServers } from './xds-servers.ts';

type ControlPlaneLog = (event: { level: 'info' | 'warn' | 'error'; message: string; fields: Record<string, unknown> }) => void;

export interface ControlPlaneOptions<M> {
  store: ConfigStore;
  settings: MeshSettings;
  /** mesh-core/translate by default; tests give small ones. */
  translate?: Translator<M>;
  ca: CertificateAuthority;
  secrets: SecretProvider;
  /** Unix ms. */
  clock?: () => number;
  /** 0 = any free port. `host` is loopback in every set-up: the plaintext port trusts its callers. */
  ports: { plain: number; tls: number; host: string };
  /** Connections end after this long, ±10 %, and come back. Absent = never. */
  maxConnectionAgeMs?: number;
  /** How often clients that report their load are asked to; 10 s unless told. */
  loadReportSeconds?: number;
  /** Many proxies are coming (a time of much garbage), or no more are: what that left behind may be given back. */
  onCrowd?: (coming: boolean) => void;
  /** An edit has been answered by all it reached, and no other is on its way. */
  onSettled?: () => void;
  log?: ControlPlaneLog;
}

/** From so many changes at once on proxies are told when what is made of them has been worked out in turns. */
const MANY_CHANGES = 200;

/** Builds a control plane; it serves from `start()` on. Ports are known after `start()`. */
export function createControlPlane<M = Mesh>(options: ControlPlaneOptions<M>): ControlPlane & { ports(): { plain: number; tls: number } } {
  const { store, settings, ca, secrets, clock = Date.now, log = () => undefined } = options;
  const translator = (options.translate ?? { buildMesh, translate: translateMesh, prepare, proxyClass, proxyFacts }) as Translator<M>;
  const snapshots = createSnapshots(translator, settings);
  const registry = new ProxyRegistry(clock);
  const preparation = createPreparation(snapshots.prepare, snapshots.mesh);
  /** Commits whose push is being prepared. */
  let held: Commit[] = [];
  const propagation = new PropagationLog(clock);
  const feed = createChangeFeed();
  const metrics = createPilotMetrics(() => {
    const kinds = { Service: 0, VirtualService: 0 };
    for (const { kind } of follower?.objects().values() ?? []) if (kind === 'Service' || kind === 'VirtualService') kinds[kind] += 1;
    const proxies = new Map<string, number>();
    for (const { node } of registry.live()) proxies.set(node.version, (proxies.get(node.version) ?? 0) + 1);
    return { proxies, services: kinds.Service, virtualServices: kinds.VirtualService };
  });
  let follower: StoreFollower | undefined;
  let servers: Awaited<ReturnType<typeof startServers>> | undefined;
  const crowd = watchCrowd((coming) => options.onCrowd?.(coming));
  const loads = new Map<string, LoadRow>();
  let stopCertificate: () => void = () => undefined;

  const settled = (): boolean => propagation.settled && pushes.size === 0 && held.length === 0;

  /** `untold`: what it will never be told of. */
  const moved = (connection: ProxyConnection, untold: readonly Commit[] = []): void => {
    const revisions = [...propagation.refresh(connection), ...untold.map(({ revision }) => revision)];
    feed.report(connection.node.id, revisions);
    // Later, when those who listen to the feed have been told.
    if (revisions.length > 0 && settled()) setImmediate(() => settled() && options.onSettled?.());
  };

  const push = (connection: ProxyConnection, commits: readonly Commit[]): void => {
    const started = performance.now();
    try {
      const changed = connection.update(snapshots.of(connection.node));
      propagation.record(commits, connection, changed);
      moved(connection);
      if (changed.size === 0 || commits.length === 0) return;
      metrics.pushed(changed.keys(), performance.now() - started);
      metrics.converged(clock() - Math.min(...commits.map((c) => c.at)));
    } catch (error) {
      log({
        level: 'error',
        message: 'the configuration could not be translated for a proxy; it keeps what it has',
        fields: { proxy: connection.node.id, error: String(error) },
      });
    }
  };
  const pushes = createPushQueue<ProxyConnection, Commit>({ push, congested: (connection) => connection.congested, waited: metrics.queued });

  const apply = (commits: readonly Commit[], waitedMs: number): void => {
    const started = performance.now();
    try {
      const objects = follower?.objects() ?? new Map<string, MeshObject>();
      keySets.follow(objects.values());
      snapshots.rebuild([...objects.values(), ...keySets.objects()]);
      metrics.triggered(commits.length, waitedMs, performance.now() - started);
    } catch (error) {
      // Proxies keep what they have; the next commit is tried again.
      log({
        level: 'error',
        message: 'the configuration could not be translated; proxies keep what they have',
        fields: { revisions: commits.map((c) => c.revision), error: String(error) },
      });
      return;
    }
    const changes = commits.reduce((sum, commit) => sum + commit.changes.length, 0);
    if (changes < MANY_CHANGES && held.length === 0) return pushes.add(registry.live(), commits);
    held.push(...commits);
    if (changes < MANY_CHANGES) return;
    preparation.reset();
    void Promise.all(registry.live().map(({ node }) => preparation.of(node))).then(() => {
      pushes.add(registry.live(), held);
      held = [];
    });
  };

  const keySets = createKeySets({ onChange: () => apply([], 0), log });

  const hooks: AdsHooks = {
    trustDomain: settings.trustDomain,
    connect: async ({ node, dialect, scope, peerAddress, peer, send, congested, end }) => {
      let connection: ProxyConnection | undefined;
      // Only what a certificate has proved may have a key.
      const lease = peer === undefined ? undefined : await secrets.acquire(peer.identity, () => connection?.renewSecrets());
      try {
        await preparation.of(node);
        follower?.flush();
        connection = new ProxyConnection(
          {
            node,
            dialect,
            peerAddress,
            ...(peer === undefined ? {} : { peerCertificate: { serial: peer.serial, notAfter: peer.notAfter } }),
            ...(lease === undefined ? {} : { secrets: lease }),
            aggregated: scope === 'ads',
            resources: snapshots.of(node),
            clock,
            send,
            congested,
          },
          registry.get(node.id),
        );
      } catch (error) {
        lease?.release();
        throw error;
      }
      registry.add(connection, scope, end);
      crowd.arrived();
      log({ level: 'info', message: 'proxy connected', fields: { proxy: node.id, dialect, dataPlane: node.dataPlane, mtls: peer !== undefined } });
      moved(connection);
      return connection;
    },
    request: (connection, request) => {
      const fact = connection.receive(request);
      metrics.answered(request.typeUrl, fact);
      if (fact.kind === 'nack')
        log({ level: 'warn', message: 'proxy refused configuration', fields: { proxy: connection.node.id, type: request.typeUrl, reason: fact.message } });
      moved(connection);
    },
    sent: metrics.sent,
    drained: (connection) => pushes.drained(connection),
    disconnect: (connection) => {
      if (connection.disconnectedAt !== undefined) return;
      const untold = pushes.remove(connection);
      connection.release();
      registry.lost(connection);
      log({ level: 'info', message: 'proxy disconnected', fields: { proxy: connection.node.id } });
      moved(connection, untold);
    },
  };

  return {
    ports: () => servers?.ports ?? { plain: 0, tls: 0 },
    proxies: () => registry.connections().map((connection) => ({ ...connection.status(), ...snapshots.factsOf(connection.node) })),
    propagation: (revision) => {
      const waits = (commit: Commit): boolean => commit.revision === revision;
      if (held.some(waits)) return { revision, proxies: [] };
      return propagation.get(revision, pushes.holds(waits));
    },
    connections: () => registry.live().map((c) => ({ status: c.status(), peerAddress: c.peerAddress, nonces: c.nonces() })),
    loads: () => [...loads.values()],
    waiting: () => pushes.size + (held.length === 0 ? 0 : registry.live().length),
    metrics: metrics.text,
    onChange: feed.listen,
    configDump: (proxyId) => {
      const connection = registry.get(proxyId);
      return connection === undefined ? undefined : dumpResources(connection.sent());
    },
    preview: (changes) => {
      const objects = new Map<string, MeshObject>(follower?.objects());
      for (const { object, deleted } of changes) {
        if (deleted) objects.delete(refKey(refOf(object)));
        else objects.set(refKey(refOf(object)), object);
      }
      const resourcesOf = snapshots.trial([...objects.values(), ...keySets.objects()]);
      return registry.live().flatMap((connection) => {
        const types = connection.impactOf(resourcesOf(connection.node));
        return types.length === 0 ? [] : [{ proxyId: connection.node.id, workload: connection.node.workload, namespace: connection.node.namespace, types }];
      });
    },
    start: async () => {
      follower = followStore(store, apply);
      apply([], 0);
      const certificate = await keepServerCertificate({
        ca,
        clock,
        rootNamespace: settings.rootNamespace,
        onError: (error) => log({ level: 'error', message: 'the control plane could not renew its certificate', fields: { error: String(error) } }),
      });
      stopCertificate = certificate.stop;
      servers = await startServers({
        hooks,
        admission: createAdmission({ busy: () => pushes.busy }),
        ca,
        certificate,
        ports: options.ports,
        ...(options.maxConnectionAgeMs === undefined ? {} : { maxConnectionAgeMs: options.maxConnectionAgeMs }),
        connections: () => registry.live(),
        loads,
        loadReportSeconds: options.loadReportSeconds ?? LOAD_REPORT_SECONDS,
        clock,
        log: {
          issued: (identity, serial) => log({ level: 'info', message: 'certificate issued', fields: { identity, serial } }),
          refused: (reason, peer) => log({ level: 'warn', message: 'certificate refused', fields: { reason, peer } }),
        },
      });
    },
    stop: async () => {
      follower?.stop();
      keySets.stop();
      stopCertificate();
      crowd.stop();
      registry.endAll();
      servers?.stop();
      servers = undefined;
      secrets.close();
      feed.close();
    },
  };
}
