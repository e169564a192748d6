// One upstream cluster: endpoints, balancer, breaker, outlier detection. Configuration and endpoints change in place, so pools
// survive; a request keeps the endpoint it chose.

import { isDeepStrictEqual } from 'node:util';
import { type Balancer, type OutlierResult, type PickRequest, buildBalancer, CircuitBreaker, OutlierDetector } from '@weft/mesh-core/traffic';
import type { ClusterConfig, LoadAssignment } from '../config/model.ts';
import type { ClusterStats, EndpointStats, RuntimeDeps } from '../http/hooks.ts';
import type { SecretStore } from '../transport/secrets.ts';
import { WheelTimer, type TimerTarget, type TimerWheel } from '../transport/timer-wheel.ts';
import { addressOf, EndpointState } from './endpoint.ts';

export class ClusterRuntime implements TimerTarget {
  config: ClusterConfig;
  readonly breaker: CircuitBreaker;
  readonly secrets: SecretStore;
  readonly wheel: TimerWheel;
  totalConnections = 0;
  connectFailures = 0;
  totalRequests = 0;
  retries = 0;
  retryOverflow = 0;
  overflow = 0;
  timeouts = 0;
  private readonly deps: RuntimeDeps;
  private readonly endpoints = new Map<string, EndpointState>();
  private readonly request: PickRequest<EndpointState>;
  private readonly timer: WheelTimer = new WheelTimer(this);
  private assignment: LoadAssignment | undefined;
  private detector: OutlierDetector | undefined;
  private balancer: Balancer<EndpointState> | undefined;

  constructor(config: ClusterConfig, deps: RuntimeDeps, secrets: SecretStore, wheel: TimerWheel) {
    this.config = config;
    this.deps = deps;
    this.secrets = secrets;
    this.wheel = wheel;
    this.request = { random: () => deps.random(), hash: undefined, avoid: [], attempts: 0 };
    this.breaker = new CircuitBreaker(config.circuitBreaker);
    this.configure(config);
  }

  update(config: ClusterConfig): void {
    const before = this.config;
    if (isDeepStrictEqual(before, config)) return;
    this.config = config;
    const sameSockets = isDeepStrictEqual([before.tls, before.tlsMatches, before.http], [config.tls, config.tlsMatches, config.http]);
    if (!sameSockets) for (const endpoint of this.endpoints.values()) endpoint.closeIdle();
    this.configure(config);
  }

  private configure(config: ClusterConfig): void {
    this.breaker.limits = config.circuitBreaker;
    this.wheel.clear(this.timer);
    const { outlier } = config;
    if (outlier === undefined) {
      this.detector = undefined;
      for (const endpoint of this.endpoints.values()) endpoint.outlier.ejected = false;
    } else {
      const { clock, random } = this.deps;
      this.detector = new OutlierDetector(outlier, { clock, random, hosts: () => this.endpoints.values() });
      this.wheel.set(this.timer, outlier.intervalMs);
    }
    if (config.endpoints !== undefined) this.assign(config.endpoints);
    else this.rebuild();
  }

  /** Takes a new set of endpoints; those of the same address keep pool and health. */
  assign(assignment: LoadAssignment): void {
    this.assignment = assignment;
    const kept = new Set<string>();
    for (const locality of assignment.localities) {
      for (const config of locality.endpoints) {
        const key = addressOf(config);
        kept.add(key);
        let state = this.endpoints.get(key);
        if (state === undefined) this.endpoints.set(key, (state = new EndpointState(this, config, this.deps.clock())));
        else if (!isDeepStrictEqual(state.config.metadata, config.metadata)) state.closeIdle();
        state.config = config;
        state.priority = locality.priority;
      }
    }
    for (const [key, state] of this.endpoints) {
      if (kept.has(key)) continue;
      this.endpoints.delete(key);
      state.remove();
    }
    this.rebuild();
  }

  /** The balancer looks at hashes: otherwise none need be computed. */
  get usesHash(): boolean {
    const { kind } = this.config.lb;
    return kind === 'ring-hash' || kind === 'maglev';
  }

  /** Undefined = no healthy endpoint. Up to `tries` further draws avoid the endpoints in `tried`. */
  pick(tried: readonly EndpointState[], tries: number, hash?: bigint): EndpointState | undefined {
    const { request } = this;
    request.avoid = tried;
    request.attempts = tries;
    request.hash = hash;
    return this.balancer?.pick(request);
  }

  /** `rttMs`: how long the response head took to come. */
  report(endpoint: EndpointState, result: OutlierResult, rttMs?: number): void {
    const { lb } = this.config;
    if (lb.kind === 'peak-ewma' && rttMs !== undefined) endpoint.ewma.observe(rttMs, this.deps.clock(), lb.decayMs);
    if (typeof result === 'number' ? result < 500 : result === 'success') endpoint.success++;
    else if (result !== 'connected') endpoint.errors++;
    if (this.detector?.report(endpoint, result) === true) this.rebuild();
  }

  onTimer(): void {
    if (this.detector === undefined) return;
    if (this.detector.tick()) this.rebuild();
    this.wheel.set(this.timer, this.detector.rules.intervalMs);
  }

  remove(): void {
    this.wheel.clear(this.timer);
    for (const endpoint of this.endpoints.values()) endpoint.remove();
  }

  closeAll(): void {
    this.wheel.clear(this.timer);
    for (const endpoint of this.endpoints.values()) endpoint.closeAll();
  }

  stats(): ClusterStats {
    const endpoints: EndpointStats[] = [];
    let active = 0;
    let idle = 0;
    for (const endpoint of this.endpoints.values()) {
      active += endpoint.connections.size;
      idle += endpoint.idleCount;
      endpoints.push({
        address: endpoint.address,
        health: endpoint.config.health,
        weight: endpoint.config.weight,
        priority: endpoint.priority,
        ejected: endpoint.outlier.ejected,
        activeRequests: endpoint.active,
        activeConnections: endpoint.connections.size,
        totalRequests: endpoint.total,
        success: endpoint.success,
        errors: endpoint.errors,
      });
    }
    const { totalConnections, connectFailures, totalRequests, retries, retryOverflow, overflow, timeouts } = this;
    return {
      name: this.config.name,
      activeConnections: active,
      idleConnections: idle,
      activeRequests: this.breaker.requests,
      pendingRequests: this.breaker.pending,
      ...{ totalConnections, connectFailures, totalRequests, retries, retryOverflow, overflow, timeouts },
      endpoints,
    };
  }

  private rebuild(): void {
    const localities = (this.assignment?.localities ?? []).map((locality) => ({
      priority: locality.priority,
      weight: locality.weight,
      hosts: locality.endpoints.flatMap((config) => this.endpoints.get(addressOf(config)) ?? []),
    }));
    const { lb: policy, panicThresholdPercent: panicPercent, localityWeighted } = this.config;
    const { overprovisioning = 140, weightedPriorityHealth = false } = this.assignment ?? {};
    this.balancer = buildBalancer({ policy, panicPercent, localityWeighted, overprovisioning, weightedPriorityHealth, clock: this.deps.clock }, localities);
  }
}
