// The control plane: config store in, xDS out, facts about both for the console.

import { Server, ServerCredentials } from '@grpc/grpc-js';
import { refKey, refOf } from '@weft/mesh-core/model';
import type { MeshObject, MeshSettings } from '@weft/mesh-core/model';
import { buildMesh, proxyClass, translate as translateMesh } from '@weft/mesh-core/translate';
import type { Mesh } from '@weft/mesh-core/translate';
import type { CertificateAuthority } from '../certificates/ca.ts';
import type { SecretProvider } from '../certificates/secret-provider.ts';
import type { ConfigStore, Commit } from '../config-store/config-store.ts';
import { addDiscoveryServices } from './discovery-service.ts';
import type { AdsHooks } from './discovery-service.ts';
import { createAdmission } from './admission.ts';
import { addCertificateService } from './certificate-service.ts';
import { createChangeFeed } from './change-feed.ts';
import { dumpResources } from './config-dump.ts';
import type { ControlPlane } from './control-plane.ts';
import { ControlPlaneError } from './errors.ts';
import { PropagationLog } from './propagation-log.ts';
import { ProxyConnection } from './proxy-connection.ts';
import { createPushQueue } from './push-queue.ts';
import { ProxyRegistry } from './proxy-registry.ts';
import { keepServerCertificate } from './server-certificate.ts';
import { createSnapshots } from './snapshots.ts';
import type { Translator } from './snapshots.ts';
import { followStore } from './store-follower.ts';
import type { StoreFollower } from './store-follower.ts';

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
  log?: ControlPlaneLog;
}

const GRPC_OPTIONS = {
  'grpc.max_concurrent_streams': 1_000,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
};

/** Builds a control plane; it serves from `start()` on. Ports are known after `start()`. */
export function createControlPlane<M = Mesh>(options: ControlPlaneOptions<M>): ControlPlane & { ports(): { plain: number; tls: number } } {
  const { store, settings, ca, secrets, clock = Date.now, log = () => undefined } = options;
  const translator = (options.translate ?? { buildMesh, translate: translateMesh, proxyClass }) as Translator<M>;
  const snapshots = createSnapshots(translator, settings);
  const registry = new ProxyRegistry(clock);
  const propagation = new PropagationLog(clock);
  const feed = createChangeFeed();
  const bound = { plain: 0, tls: 0 };
  let follower: StoreFollower | undefined;
  let servers: Server[] = [];
  let stopCertificate: () => void = () => undefined;

  const moved = (connection: ProxyConnection): void => feed.report(connection.node.id, propagation.refresh(connection));

  const push = (connection: ProxyConnection, commits: readonly Commit[]): void => {
    try {
      propagation.record(commits, connection, connection.update(snapshots.of(connection.node)));
      moved(connection);
    } catch (error) {
      log({
        level: 'error',
        message: 'the configuration could not be translated for a proxy; it keeps what it has',
        fields: { proxy: connection.node.id, error: String(error) },
      });
    }
  };
  const pushes = createPushQueue<ProxyConnection, Commit>({ push, congested: (connection) => connection.congested, waited: () => undefined });

  const apply = (commits: readonly Commit[]): void => {
    try {
      snapshots.rebuild(follower?.objects().values() ?? []);
    } catch (error) {
      // Proxies keep what they have; the next commit is tried again.
      log({
        level: 'error',
        message: 'the configuration could not be translated; proxies keep what they have',
        fields: { revisions: commits.map((c) => c.revision), error: String(error) },
      });
      return;
    }
    pushes.add(registry.live(), commits);
  };

  const hooks: AdsHooks = {
    trustDomain: settings.trustDomain,
    admission: createAdmission(),
    connect: async ({ node, dialect, scope, peerAddress, peer, send, congested, admitted, end }) => {
      let connection: ProxyConnection | undefined;
      // Only what a certificate has proved may have a key.
      const lease = peer === undefined ? undefined : await secrets.acquire(peer.identity, () => connection?.renewSecrets());
      follower?.flush();
      try {
        connection = new ProxyConnection({
          node,
          dialect,
          peerAddress,
          ...(peer === undefined ? {} : { peerCertificate: { serial: peer.serial, notAfter: peer.notAfter } }),
          ...(lease === undefined ? {} : { secrets: lease }),
          resources: snapshots.of(node),
          clock,
          send,
          congested,
          admitted,
        });
      } catch (error) {
        lease?.release();
        throw error;
      }
      registry.add(connection, scope, end);
      log({ level: 'info', message: 'proxy connected', fields: { proxy: node.id, dialect, dataPlane: node.dataPlane, mtls: peer !== undefined } });
      moved(connection);
      return connection;
    },
    request: (connection, request) => {
      const { refused } = connection.receive(request);
      if (refused !== undefined)
        log({ level: 'warn', message: 'proxy refused configuration', fields: { proxy: connection.node.id, type: request.typeUrl, reason: refused } });
      moved(connection);
    },
    drained: (connection) => pushes.drained(connection),
    disconnect: (connection) => {
      if (connection.disconnectedAt !== undefined) return;
      pushes.remove(connection);
      connection.release();
      registry.lost(connection);
      log({ level: 'info', message: 'proxy disconnected', fields: { proxy: connection.node.id } });
      moved(connection);
    },
  };

  return {
    ports: () => ({ ...bound }),
    proxies: () => registry.statuses(),
    propagation: (revision) => propagation.get(revision),
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
      const resourcesOf = snapshots.trial(objects.values());
      return registry.live().flatMap((connection) => {
        const types = connection.impactOf(resourcesOf(connection.node));
        return types.length === 0 ? [] : [{ proxyId: connection.node.id, workload: connection.node.workload, namespace: connection.node.namespace, types }];
      });
    },
    start: async () => {
      follower = followStore(store, apply);
      apply([]);
      const certificate = await keepServerCertificate({
        ca,
        clock,
        rootNamespace: settings.rootNamespace,
        onError: (error) => log({ level: 'error', message: 'the control plane could not renew its certificate', fields: { error: String(error) } }),
      });
      stopCertificate = certificate.stop;
      const plain = new Server(GRPC_OPTIONS);
      addDiscoveryServices(plain, hooks);
      const tls = new Server(GRPC_OPTIONS);
      addDiscoveryServices(tls, { ...hooks, verifyPeer: ca.verifyPeer });
      addCertificateService(tls, ca, {
        issued: (identity, serial) => log({ level: 'info', message: 'certificate issued', fields: { identity, serial } }),
        refused: (reason, peer) => log({ level: 'warn', message: 'certificate refused', fields: { reason, peer } }),
      });
      servers = [plain, tls];
      bound.plain = await bind(plain, options.ports.host, options.ports.plain, ServerCredentials.createInsecure());
      bound.tls = await bind(tls, options.ports.host, options.ports.tls, certificate.credentials);
    },
    stop: async () => {
      follower?.stop();
      stopCertificate();
      registry.endAll();
      for (const server of servers) server.forceShutdown();
      servers = [];
      secrets.close();
      feed.close();
    },
  };
}

function bind(server: Server, host: string, port: number, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else
        reject(
          new ControlPlaneError(
            'WEFT_XDS_PORT',
            `xDS cannot listen on ${host}:${port}: ${error.message}; end the other process or choose another port (--xds-port, --xds-tls-port)`,
            { cause: error },
          ),
        );
    });
  });
}
