// The control plane's state for debugging, on istiod's paths and in the shapes its tools read where these are JSON. Loopback only.

import { buildMesh, isBehind, workloadsOf } from '@weft/mesh-core/translate';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { RefusedError } from './errors.ts';
import { isLoopback } from './security.ts';
import type { ReadyServices } from './services.ts';

/** Query of the pages about one proxy, as istioctl writes it. */
const proxyQuery = z.object({ proxyID: z.string().optional() });
/** Short type names in the order of syncz. */
const TYPES = ['cluster', 'listener', 'route', 'endpoint', 'secret'] as const;

const PAGES: Readonly<Record<string, string>> = {
  '/debug/syncz': 'per proxy and type: the nonce sent and the one acknowledged',
  '/debug/adsz': 'connected proxies and what they watch',
  '/debug/connections': 'connected proxies',
  '/debug/config_dump?proxyID=': 'all that one proxy was sent',
  '/debug/edsz?proxyID=': 'the endpoints one proxy was sent',
  '/debug/clusterz?proxyID=': 'the clusters one proxy was sent',
  '/debug/endpointz': 'endpoints by service and port',
  '/debug/registryz': 'services as the translator sees them',
  '/debug/configz': 'every configuration object',
  '/debug/sidecarz': 'Sidecar objects',
  '/debug/authorizationz': 'AuthorizationPolicy, PeerAuthentication and RequestAuthentication objects',
  '/debug/telemetryz': 'Telemetry objects',
  '/debug/push_status': 'what refused configuration, and who is still to be told',
  '/debug/loadz': 'requests as clients reported them (LRS)',
  '/debug/mesh': 'mesh settings',
};

export function debugRoutes({ controlPlane, store, settings }: ReadyServices): FastifyPluginAsyncZod {
  const dumpOf = (proxyId: string | undefined): Record<string, unknown[]> => {
    if (proxyId === undefined) throw new RefusedError(400, 'WEFT_PROXY_ID', 'which proxy? name it as ?proxyID=<workload>.<namespace>, or by its node id');
    // istioctl names proxies <pod>.<namespace>; the node id is taken as well.
    const known = controlPlane.proxies().find(({ id, workload, namespace }) => id === proxyId || `${workload}.${namespace}` === proxyId);
    const dump = known === undefined ? undefined : controlPlane.configDump(known.id);
    if (dump === undefined) throw new RefusedError(404, 'WEFT_NOT_FOUND', `no proxy ${proxyId} is connected`);
    return dump;
  };
  const objects = (...kinds: string[]) => store.list().items.filter((o) => kinds.includes(o.kind));
  const services = () => {
    const mesh = buildMesh(store.list().items, settings);
    return [...mesh.services.values()].flat().map((service) => ({ service, workloads: workloadsOf(mesh, service) }));
  };

  return async (app) => {
    app.addHook('onRequest', async ({ ip }) => {
      if (!isLoopback(ip.replace(/^::ffff:/, ''))) throw new RefusedError(403, 'WEFT_LOOPBACK_ONLY', 'debug pages are for this machine only');
    });
    const page = (path: string, answer: () => unknown): unknown => app.get(path, { schema: { hide: true } }, async () => answer());
    const proxyPage = (path: string, answer: (dump: Record<string, unknown[]>) => unknown): unknown =>
      app.get(path, { schema: { hide: true, querystring: proxyQuery } }, async ({ query }) => answer(dumpOf(query.proxyID)));

    page('/debug', () => PAGES);
    page('/debug/syncz', () =>
      controlPlane.connections().map(({ status, nonces }) => ({
        cluster_id: settings.clusterId,
        proxy: `${status.workload}.${status.namespace}`,
        proxy_id: status.id,
        proxy_type: status.role,
        proxy_version: status.version,
        ...Object.fromEntries(
          TYPES.flatMap((type) => [
            [`${type}_sent`, nonces[type]?.sent ?? ''],
            [`${type}_acked`, nonces[type]?.acked ?? ''],
          ]),
        ),
      })),
    );
    page('/debug/adsz', () => {
      const clients = controlPlane.connections().map(({ status, peerAddress, nonces }) => ({
        connectionId: status.id,
        connectedAt: new Date(status.connectedAt ?? status.lastSeenAt).toISOString(),
        address: peerAddress,
        protocol: status.protocol,
        state: status.state,
        watches: Object.fromEntries(
          status.types.map((t) => [
            t.type,
            { resources: t.resources, versionSent: t.sentVersion, versionAcked: t.ackedVersion, nonceSent: nonces[t.type]?.sent, nack: t.nack },
          ]),
        ),
      }));
      return { totalClients: clients.length, clients };
    });
    page('/debug/connections', () => {
      const clients = controlPlane
        .connections()
        .map(({ status, peerAddress }) => ({ connectionId: status.id, connectedAt: status.connectedAt, address: peerAddress }));
      return { totalClients: clients.length, clients };
    });
    proxyPage('/debug/config_dump', (dump) => dump);
    proxyPage('/debug/edsz', (dump) => dump['endpoint'] ?? []);
    proxyPage('/debug/clusterz', (dump) => dump['cluster'] ?? []);
    page('/debug/registryz', () =>
      services().map(({ service: { key: _, ...service }, workloads }) => ({ ...service, workloads: workloads.map((w) => `${w.name}.${w.namespace}`) })),
    );
    page('/debug/endpointz', () =>
      services().flatMap(({ service, workloads }) =>
        service.ports.map((port) => ({
          svc: `${service.host}:${port.name}`,
          ep: workloads.filter((w) => isBehind(w, port)).map((w) => ({ service: service.host, servicePort: port, workload: w })),
        })),
      ),
    );
    page('/debug/configz', () => store.list().items);
    page('/debug/sidecarz', () => objects('Sidecar'));
    page('/debug/authorizationz', () => objects('AuthorizationPolicy', 'PeerAuthentication', 'RequestAuthentication'));
    page('/debug/telemetryz', () => objects('Telemetry'));
    page('/debug/push_status', () => ({
      waiting: controlPlane.waiting(),
      rejected: controlPlane
        .proxies()
        .flatMap(({ id, types }) =>
          types.flatMap((t) =>
            t.nack === undefined ? [] : [{ proxy: id, type: t.type, version: t.sentVersion, at: new Date(t.nack.at).toISOString(), message: t.nack.message }],
          ),
        ),
    }));
    page('/debug/loadz', () => controlPlane.loads());
    page('/debug/mesh', () => settings);
  };
}
