// The data path as a whole: the parts configuration arrives in, each replaced without touching what runs.

import type { ClusterConfig, ListenerConfig, LoadAssignment, RouteConfig, Secret } from '../config/model.ts';
import { Counters } from './counters.ts';
import type { ProxyRuntime, RuntimeDeps, RuntimeStats } from './hooks.ts';
import { compileRouteTable, type RouteSlot } from './route-table.ts';
import { SecretStore } from '../transport/secrets.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { ClusterRuntime } from '../upstream/cluster.ts';
import { ListenerBindError } from '../listener/errors.ts';
import { ListenerRuntime } from '../listener/listener.ts';
import type { RuntimeParts } from '../listener/parts.ts';

/** How long connections of a removed listener may go on. */
const removedGraceMs = 30_000;
/** A drain leaves idle connections open that long: a busy client gets its next response, which tells it to close. */
const idleGraceMs = 500;

class Runtime implements ProxyRuntime {
  private readonly clusters = new Map<string, ClusterRuntime>();
  /** By the name of their endpoints. */
  private readonly clustersOf = new Map<string, Set<ClusterRuntime>>();
  private readonly assignments = new Map<string, LoadAssignment>();
  private readonly slots = new Map<string, RouteSlot>();
  private readonly listeners = new Map<string, ListenerRuntime>();
  private readonly leaving = new Set<ListenerRuntime>();
  private readonly parts: RuntimeParts;
  private readonly secrets = new SecretStore();
  private readonly wheel: TimerWheel;
  private readonly deps: RuntimeDeps;
  private draining = false;
  private applying: Promise<void> = Promise.resolve();

  constructor(deps: RuntimeDeps) {
    this.deps = deps;
    this.wheel = new TimerWheel(() => deps.clock());
    this.parts = {
      deps,
      wheel: this.wheel,
      secrets: this.secrets,
      clusters: this.clusters,
      routeSlot: (name) => this.slot(name),
      counters: new Counters(),
      failing: false,
    };
  }

  applyListeners(configs: readonly ListenerConfig[]): Promise<void> {
    // One after another: a second set must see the sockets of the first.
    const applied = this.applying.then(() => this.replaceListeners(configs));
    this.applying = applied.catch(() => undefined);
    return applied;
  }

  private async replaceListeners(configs: readonly ListenerConfig[]): Promise<void> {
    if (this.draining) return;
    const wanted = new Map(configs.map((config) => [addressKey(config), config]));
    for (const [key, listener] of this.listeners) {
      if (wanted.has(key)) continue;
      this.listeners.delete(key);
      this.retire(listener);
    }
    const failures: { name: string; address: string; port: number; error: unknown }[] = [];
    await Promise.all(
      [...wanted].map(async ([key, config]) => {
        const existing = this.listeners.get(key);
        if (existing !== undefined) return existing.update(config);
        const listener = new ListenerRuntime(config, this.parts);
        try {
          await listener.listen();
          this.listeners.set(key, listener);
        } catch (error) {
          failures.push({ name: config.name, address: config.address, port: config.port, error });
        }
      }),
    );
    if (failures.length === 0) return;
    const error = new ListenerBindError(failures);
    this.deps.log?.(error.message);
    throw error;
  }

  private retire(listener: ListenerRuntime): void {
    listener.stopAccepting();
    this.leaving.add(listener);
    setTimeout(() => {
      this.leaving.delete(listener);
      void listener.close();
    }, removedGraceMs).unref();
  }

  applyRoutes(routes: RouteConfig): void {
    this.slot(routes.name).table = compileRouteTable(routes);
  }

  removeRoutes(name: string): void {
    this.slot(name).table = undefined;
  }

  applyCluster(config: ClusterConfig, endpoints?: LoadAssignment): void {
    const existing = this.clusters.get(config.name);
    if (existing !== undefined) {
      this.unlink(existing);
      existing.update(config, endpoints);
      return this.link(existing);
    }
    const cluster = new ClusterRuntime(config, this.deps, this.secrets, this.wheel);
    const assignment = this.assignments.get(edsNameOf(config));
    if (assignment !== undefined && config.endpoints === undefined) cluster.assign(assignment);
    this.clusters.set(config.name, cluster);
    this.link(cluster);
  }

  removeCluster(name: string): void {
    const cluster = this.clusters.get(name);
    if (cluster === undefined) return;
    cluster.remove();
    this.unlink(cluster);
    this.clusters.delete(name);
  }

  applyEndpoints(assignment: LoadAssignment): void {
    this.assignments.set(assignment.clusterName, assignment);
    this.eachOf(assignment.clusterName, (cluster) => cluster.assign(assignment));
  }

  removeEndpoints(clusterName: string): void {
    this.assignments.delete(clusterName);
    this.eachOf(clusterName, (cluster) => cluster.assign({ clusterName, overprovisioning: 140, weightedPriorityHealth: false, localities: [] }));
  }

  applySecret(secret: Secret): void {
    this.secrets.apply(secret);
  }

  failHealth(failed: boolean): void {
    this.parts.failing = failed;
    if (failed) for (const listener of this.listeners.values()) listener.endConnections();
  }

  async drain(ms: number): Promise<void> {
    this.draining = true;
    // After this turn's accepts: the kernel resets what still waits when a listening socket closes.
    await new Promise((resolve) => setImmediate(resolve));
    const all = [...this.listeners.values(), ...this.leaving];
    for (const listener of this.listeners.values()) listener.stopAccepting();
    const start = this.deps.clock();
    for (;;) {
      const passed = this.deps.clock() - start;
      if (passed >= Math.min(idleGraceMs, ms)) for (const listener of all) listener.closeIdle();
      if (all.every((listener) => listener.connections === 0) || passed >= ms) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await this.close();
  }

  async close(): Promise<void> {
    this.draining = true;
    await Promise.all([...this.listeners.values(), ...this.leaving].map((listener) => listener.close()));
    this.listeners.clear();
    this.leaving.clear();
    for (const cluster of this.clusters.values()) cluster.closeAll();
  }

  stats(): RuntimeStats {
    return {
      clusters: [...this.clusters.values()].map((cluster) => cluster.stats()),
      listeners: [...this.listeners.values()].map((listener) => listener.stats()),
      counters: this.parts.counters.values(),
    };
  }

  private slot(name: string): RouteSlot {
    let slot = this.slots.get(name);
    if (slot === undefined) this.slots.set(name, (slot = { table: undefined }));
    return slot;
  }

  private eachOf(edsName: string, action: (cluster: ClusterRuntime) => void): void {
    for (const cluster of this.clustersOf.get(edsName) ?? []) if (cluster.config.endpoints === undefined) action(cluster);
  }

  private link(cluster: ClusterRuntime): void {
    const name = edsNameOf(cluster.config);
    const named = this.clustersOf.get(name);
    if (named === undefined) this.clustersOf.set(name, new Set([cluster]));
    else named.add(cluster);
  }

  private unlink(cluster: ClusterRuntime): void {
    const name = edsNameOf(cluster.config);
    const named = this.clustersOf.get(name);
    named?.delete(cluster);
    if (named?.size === 0) this.clustersOf.delete(name);
  }
}

function edsNameOf(config: ClusterConfig): string {
  return config.edsName === '' ? config.name : config.edsName;
}

function addressKey(config: ListenerConfig): string {
  return config.port === 0 ? `${config.address}:0:${config.name}` : `${config.address}:${config.port}`;
}

/** A data path without listeners yet. Configuration may arrive in any order; what is missing is answered as Envoy does. */
export function createProxyRuntime(deps: RuntimeDeps): ProxyRuntime {
  return new Runtime(deps);
}
