// What the proxy has been told, by type and name, and how it reaches the runtime: a resource is decoded whole before it is applied,
// listeners only once what they refer to is here, clusters dropped only once no route names them.

import { TYPE_URL, type TypeUrl } from '@weft/mesh-core/xds-types';
import { DecodeError, decodeCluster, decodeEndpoints, decodeListener, decodeRouteConfig, decodeSecret } from '../config/decode.ts';
import type { ClusterConfig, ListenerConfig, LoadAssignment, RouteConfig, Secret } from '../config/model.ts';
import type { ProxyRuntime } from '../http/hooks.ts';
import { clustersOf, clustersOfListener, managersOf, routesNamedBy, secretsNamedBy, secretsOfCluster } from './references.ts';

export interface RawResource {
  name: string;
  version: string;
  body: Uint8Array;
}

export interface Configuration {
  /**
   * Applies what can be done, as Envoy does: one refused route must not keep the next ten from being served. Throws a
   * DecodeError that names the rest, which stays as it was.
   */
  apply(typeUrl: TypeUrl, resources: readonly RawResource[], removed: readonly string[]): Promise<void>;
  /** Secrets that do not come from the control plane; its own replace them. */
  applyLocalSecrets(secrets: readonly Secret[]): Promise<void>;
  /** Names of this type that listeners and clusters refer to. */
  references(typeUrl: TypeUrl): Set<string>;
  versions(typeUrl: TypeUrl): Record<string, string>;
  forget(typeUrl: TypeUrl, names: readonly string[]): void;
  /** The stream has ended: of an update what waits for its rest is forgotten, and comes again by the next. */
  disconnected(): void;
  /** Tries again to bind the listeners that could not be. */
  rebind(): Promise<void>;
  raw(typeUrl: TypeUrl): RawResource[];
  listeners(): readonly ListenerConfig[];
  clusters(): readonly ClusterConfig[];
}

export interface ConfigurationEvents {
  /** Something was applied. */
  changed(): void;
  /** The runtime was given other listeners; `error` when some could not be bound. */
  live(error: Error | undefined): void;
}

export function createConfiguration(runtime: ProxyRuntime, events: ConfigurationEvents): Configuration {
  const raw = new Map<TypeUrl, Map<string, RawResource>>(Object.values(TYPE_URL).map((t) => [t, new Map<string, RawResource>()]));
  // Names the control plane has said something about, if only that they do not exist.
  const answered = new Map<TypeUrl, Set<string>>(Object.values(TYPE_URL).map((t) => [t, new Set<string>()]));
  const listeners = new Map<string, ListenerConfig>();
  const clusters = new Map<string, ClusterConfig>();
  const routes = new Map<string, RouteConfig>();
  const condemned = new Set<string>();
  /**
   * Changed clusters that wait for the endpoints that go with them, as in Envoy: the control plane sends these again. What a cluster
   * asks of its endpoints (identities, TLS) is not to be asked of those that have just left.
   */
  const warming = new Map<string, { cluster: ClusterConfig; resource: RawResource; before: ClusterConfig }>();
  let live = new Map<string, ListenerConfig>();
  let unbound = false;
  // Told that there are no listeners a proxy is as ready as it will be: a gateway of no Gateway yet.
  let noListeners: 'unknown' | 'told' | 'live' = 'unknown';

  const rawOf = (typeUrl: TypeUrl): Map<string, RawResource> => raw.get(typeUrl) ?? new Map<string, RawResource>();
  const isAnswered = (typeUrl: TypeUrl, name: string): boolean => answered.get(typeUrl)?.has(name) === true;

  const warmUp = (edsName: string, endpoints?: LoadAssignment): void => {
    for (const [name, { cluster, resource }] of warming) {
      if (cluster.edsName !== edsName) continue;
      warming.delete(name);
      rawOf(TYPE_URL.cluster).set(name, resource);
      runtime.applyCluster(cluster, endpoints);
    }
  };

  /** Decodes one resource and puts it to use; throws and changes nothing when it cannot be done. */
  const applyResource = (typeUrl: TypeUrl, resource: RawResource): void => {
    const { body, name } = resource;
    switch (typeUrl) {
      case TYPE_URL.cluster: {
        const cluster = decodeCluster(body, name);
        const before = warming.get(name)?.before ?? clusters.get(name);
        if (before?.edsName === cluster.edsName && cluster.discovery === 'eds' && isAnswered(TYPE_URL.endpoint, cluster.edsName)) {
          warming.set(name, { cluster, resource, before });
        } else {
          runtime.applyCluster(cluster);
          warming.delete(name);
        }
        condemned.delete(name);
        clusters.set(name, cluster);
        return;
      }
      case TYPE_URL.endpoint: {
        const endpoints = decodeEndpoints(body, name);
        warmUp(name, endpoints);
        runtime.applyEndpoints(endpoints);
        return;
      }
      case TYPE_URL.route: {
        const config = decodeRouteConfig(body, name);
        runtime.applyRoutes(config);
        routes.set(name, config);
        return;
      }
      case TYPE_URL.secret:
        runtime.applySecret(decodeSecret(body, name));
        return;
      case TYPE_URL.listener:
        listeners.set(name, decodeListener(body, name));
        return;
    }
  };

  const applyRemoval = (typeUrl: TypeUrl, name: string): void => {
    switch (typeUrl) {
      case TYPE_URL.cluster:
        // Routes may still send requests there: see settle.
        condemned.add(name);
        return;
      case TYPE_URL.endpoint:
        warmUp(name);
        runtime.removeEndpoints(name);
        return;
      case TYPE_URL.route:
        routes.delete(name);
        runtime.removeRoutes(name);
        return;
      case TYPE_URL.secret:
        // A secret taken back stays in use until it expires: connections without a certificate serve nobody.
        return;
      case TYPE_URL.listener:
        listeners.delete(name);
        return;
    }
  };

  const isWarm = (listener: ListenerConfig): boolean => {
    // At first start requests must not meet clusters without endpoints.
    if (live.size === 0)
      for (const cluster of clusters.values()) if (cluster.discovery === 'eds' && !isAnswered(TYPE_URL.endpoint, cluster.edsName)) return false;
    return (
      routesNamedBy(listener).every((name) => isAnswered(TYPE_URL.route, name)) && secretsNamedBy(listener).every((name) => isAnswered(TYPE_URL.secret, name))
    );
  };

  /** Brings listeners into use that have become complete, then drops clusters nothing names any more. */
  const settle = async (): Promise<Error | undefined> => {
    const next = new Map<string, ListenerConfig>();
    for (const [name, listener] of listeners) {
      const chosen = live.get(name) === listener || isWarm(listener) ? listener : live.get(name);
      if (chosen !== undefined) next.set(name, chosen);
    }
    let failure: Error | undefined;
    const changed = unbound || noListeners === 'told' || next.size !== live.size || [...next].some(([name, listener]) => live.get(name) !== listener);
    if (changed) {
      noListeners = 'live';
      live = next;
      try {
        await runtime.applyListeners([...next.values()]);
      } catch (error) {
        failure = error as Error;
      }
      unbound = failure !== undefined;
      events.live(failure);
    }
    if (condemned.size > 0) {
      const named = new Set(
        [...routes.values(), ...managersOf(live.values()).flatMap((m) => ('inline' in m.routes ? [m.routes.inline] : []))].flatMap(clustersOf),
      );
      for (const name of [...live.values()].flatMap(clustersOfListener)) named.add(name);
      for (const name of condemned) {
        if (named.has(name)) continue;
        condemned.delete(name);
        clusters.delete(name);
        warming.delete(name);
        runtime.removeCluster(name);
      }
    }
    return failure;
  };

  const references = (typeUrl: TypeUrl): Set<string> => {
    const names = new Set<string>();
    const inUse = [...listeners.values(), ...live.values()];
    if (typeUrl === TYPE_URL.endpoint) for (const cluster of clusters.values()) if (cluster.discovery === 'eds') names.add(cluster.edsName);
    if (typeUrl === TYPE_URL.route) for (const name of inUse.flatMap(routesNamedBy)) names.add(name);
    if (typeUrl === TYPE_URL.secret)
      for (const name of [...inUse.flatMap(secretsNamedBy), ...[...clusters.values()].flatMap(secretsOfCluster)]) names.add(name);
    return names;
  };

  return {
    async apply(typeUrl, resources, removed) {
      const kept = rawOf(typeUrl);
      const heard = answered.get(typeUrl);
      const problems: string[] = [];
      let cause: unknown;
      for (const resource of resources) {
        try {
          applyResource(typeUrl, resource);
        } catch (error) {
          if (error instanceof DecodeError) problems.push(...error.problems);
          else {
            // A regular expression that does not compile, a key of another certificate.
            problems.push(`${resource.name}: ${(error as Error).message}`);
            cause ??= error;
          }
          continue;
        }
        if (typeUrl !== TYPE_URL.cluster || !warming.has(resource.name)) kept.set(resource.name, resource);
        heard?.add(resource.name);
      }
      const wanted = removed.length === 0 ? undefined : references(typeUrl);
      for (const name of removed) {
        applyRemoval(typeUrl, name);
        kept.delete(name);
        // What nothing names any more is not known not to exist: when it is named again, its listener waits for it.
        if (wanted?.has(name) === true) heard?.add(name);
      }
      if (typeUrl === TYPE_URL.listener && noListeners === 'unknown' && listeners.size === 0 && problems.length === 0) noListeners = 'told';
      events.changed();
      const failure = await settle();
      if (problems.length > 0) throw new DecodeError(problems, cause);
      // Only who sent the listeners can do something about their ports.
      if (failure !== undefined && typeUrl === TYPE_URL.listener) throw failure;
    },
    async applyLocalSecrets(secrets) {
      for (const secret of secrets) {
        runtime.applySecret(secret);
        answered.get(TYPE_URL.secret)?.add(secret.name);
      }
      await settle();
    },
    references,
    versions: (typeUrl) => Object.fromEntries([...rawOf(typeUrl)].map(([name, r]) => [name, r.version])),
    forget(typeUrl, names) {
      for (const name of names) {
        rawOf(typeUrl).delete(name);
        answered.get(typeUrl)?.delete(name);
        if (typeUrl === TYPE_URL.endpoint) runtime.removeEndpoints(name);
        if (typeUrl === TYPE_URL.route) {
          routes.delete(name);
          runtime.removeRoutes(name);
        }
      }
    },
    disconnected() {
      for (const [name, { before }] of warming) {
        clusters.set(name, before);
        // It had been taken away before it changed.
        if (!rawOf(TYPE_URL.cluster).has(name)) condemned.add(name);
      }
      warming.clear();
    },
    async rebind() {
      if (unbound) await settle();
    },
    raw: (typeUrl) => [...rawOf(typeUrl).values()],
    listeners: () => [...live.values()],
    clusters: () => [...clusters.values()],
  };
}
