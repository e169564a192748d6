// One upstream cluster: endpoints, balancer, breaker, outlier detection. Configuration and endpoints change in place, so pools
// survive; a request keeps the endpoint it chose.

import { isDeepStrictEqual } from 'node:util';
import {
  type Balancer,
  type OutlierResult,
  type PickRequest,
  buildBalancer,
  CircuitBreaker,
  compileStringMatch,
  OutlierDetector,
  OutlierState,
  type PriorityLoads,
} from '@weft/mesh-core/traffic';
import type { ClusterConfig, Endpoint, LoadAssignment } from '../config/model.ts';
import type { ClusterStats, EndpointStats, RuntimeDeps } from '../http/hooks.ts';
import type { SecretStore } from '../transport/secrets.ts';
import { WheelTimer, type TimerTarget, type TimerWheel } from '../transport/timer-wheel.ts';
import { DnsDiscovery, resolveName } from './dns-discovery.ts';
import { addressOf, EndpointState } from './endpoint.ts';
import { HealthChecker } from './health/health-checker.ts';
import { hostAndPort } from './host-and-port.ts';
import { withStaying } from './stay-healthy.ts';

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
  connectionOverflow = 0;
  /** Requests that had to wait for a connection. */
  pendingTotal = 0;
  /** Of whole requests, of tries, and of tries between bytes. */
  timeouts = 0;
  tryTimeouts = 0;
  tryIdleTimeouts = 0;
  /** Requests answered, by the first digit of their status. */
  readonly answers: number[] = [0, 0, 0, 0, 0, 0];
  readonly deps: RuntimeDeps;
  private readonly endpoints = new Map<string, EndpointState>();
  private readonly request: PickRequest<EndpointState>;
  private readonly timer: WheelTimer = new WheelTimer(this);
  /** What discovery said last, and with it the hosts that stay beyond it. */
  private announced: LoadAssignment | undefined;
  private assignment: LoadAssignment | undefined;
  private detector: OutlierDetector | undefined;
  private isError: ((status: string) => boolean) | undefined;
  private discovery: DnsDiscovery | undefined;
  private readonly sweep: WheelTimer = new WheelTimer(this);
  private balancer: Balancer<EndpointState> | undefined;

  constructor(config: ClusterConfig, deps: RuntimeDeps, secrets: SecretStore, wheel: TimerWheel) {
    this.config = config;
    this.deps = deps;
    this.secrets = secrets;
    this.wheel = wheel;
    this.request = { random: this.random, hash: undefined, avoid: [], attempts: 0 };
    this.breaker = new CircuitBreaker(config.circuitBreaker, deps.clock);
    this.configure(config);
  }

  /** `assignment`: the endpoints that go with it, where they are discovered; none = those there are. */
  update(config: ClusterConfig, assignment?: LoadAssignment): void {
    const before = this.config;
    if (isDeepStrictEqual(before, config)) return;
    this.config = config;
    if (assignment !== undefined) this.announced = assignment;
    const sockets = ({ tls, tlsMatches, http, proxyProtocol }: ClusterConfig): unknown[] => [tls, tlsMatches, http, proxyProtocol];
    const sameSockets = isDeepStrictEqual(sockets(before), sockets(config));
    if (!sameSockets) for (const endpoint of this.endpoints.values()) endpoint.closeIdle();
    this.configure(config);
    for (const endpoint of this.endpoints.values()) endpoint.settings = config;
  }

  readonly random = (): number => this.deps.random();

  /** A request for it has been answered so, by an endpoint or in its place. */
  answered(status: number): void {
    const hundreds = Math.floor(status / 100);
    this.answers[hundreds] = (this.answers[hundreds] ?? 0) + 1;
  }

  /** A health check has a result. */
  checked(endpoint: EndpointState, changed: boolean, passed: boolean): void {
    const back = passed && endpoint.outlier.ejected && !endpoint.checker?.health.failed && this.detector?.rules.unejectOnHealthCheck === true;
    if (back) this.detector?.restore(endpoint.outlier);
    if (!changed && !back) return;
    if (passed) endpoint.healthySince = this.deps.clock();
    // It may be one that stays only as long as it passes.
    if (!passed && this.announced !== undefined && this.announced !== this.assignment) this.assign(this.announced);
    else this.rebuild();
  }

  /** Starts checks where there are none, and anew where they are to be made otherwise. */
  private checkHealth(): void {
    const { healthCheck } = this.config;
    for (const endpoint of this.endpoints.values()) {
      const wanted = endpoint.config.healthCheck?.disabled === true ? undefined : healthCheck;
      const { checker } = endpoint;
      if (isDeepStrictEqual(checker?.config, wanted)) continue;
      checker?.stop();
      endpoint.checker = wanted === undefined ? undefined : new HealthChecker(this, endpoint, wanted, checker?.health);
    }
  }

  private configure(config: ClusterConfig): void {
    this.breaker.update(config.circuitBreaker);
    this.wheel.clear(this.timer);
    const { outlier } = config;
    this.isError = config.http.errorStatus === undefined ? undefined : compileStringMatch(config.http.errorStatus);
    // As Envoy, to which a cluster that changed is a new one: its hosts have done nothing wrong yet. New endpoints alone change nothing.
    for (const endpoint of this.endpoints.values()) Object.assign(endpoint.outlier, new OutlierState());
    if (outlier === undefined) this.detector = undefined;
    else {
      const { clock, random } = this.deps;
      this.detector = new OutlierDetector(outlier, { clock, random, hosts: () => this.endpoints.values() }, this.detector?.ejections);
      this.wheel.set(this.timer, outlier.intervalMs);
    }
    this.discovery?.stop();
    this.discovery = undefined;
    this.wheel.clear(this.sweep);
    if (config.onDemand !== undefined) this.wheel.set(this.sweep, config.onDemand.idleMs);
    else if (config.endpoints === undefined) {
      // Those beyond what was announced stayed for the checks of the configuration before.
      if (this.announced !== undefined) this.take(this.announced);
    } else if (config.discovery === 'strict-dns' && config.dns !== undefined) {
      const { wheel } = this;
      const { random, resolve = resolveName } = this.deps;
      this.discovery = new DnsDiscovery(config.endpoints, config.dns, { wheel, random, resolve, changed: (found) => this.assign(found) });
      // Until the first answer those known before stay.
      this.checkHealth();
      this.rebuild();
    } else this.take((this.announced = config.endpoints));
  }

  /** Takes what discovery found. */
  assign(assignment: LoadAssignment): void {
    this.announced = assignment;
    const { assignment: before, config } = this;
    const stay = before !== undefined && config.healthCheck !== undefined && !config.ignoreHealthOnHostRemoval;
    this.take(stay ? withStaying(assignment, before, (endpoint) => this.staysHealthy(endpoint)) : assignment);
  }

  private staysHealthy(config: Endpoint): boolean {
    return config.health !== 'unhealthy' && this.endpoints.get(addressOf(config))?.checker?.health.failed !== true;
  }

  /** A new set of endpoints; those of the same address, name and place keep pool and health. */
  private take(assignment: LoadAssignment): void {
    this.assignment = assignment;
    const kept = new Set<string>();
    for (const locality of assignment.localities) {
      for (const config of locality.endpoints) {
        const key = addressOf(config);
        // Of one that is listed twice the first counts.
        if (kept.has(key)) continue;
        kept.add(key);
        let state = this.endpoints.get(key);
        if (state?.isOf(config, locality) === true) state.update(config);
        else {
          state?.remove();
          this.endpoints.set(key, (state = new EndpointState(this, config, this.deps.clock())));
        }
        state.priority = locality.priority;
        state.locality = locality;
      }
    }
    for (const [key, state] of this.endpoints) {
      if (kept.has(key)) continue;
      this.endpoints.delete(key);
      state.remove();
    }
    this.checkHealth();
    this.rebuild();
  }

  /** The balancer looks at hashes: otherwise none need be computed. */
  get usesHash(): boolean {
    const { kind } = this.config.lb;
    return kind === 'ring-hash' || kind === 'maglev';
  }

  /**
   * Undefined = no healthy endpoint. Up to `tries` further draws avoid the endpoints in `tried`. `target` is the request's own
   * `host:port`: where a dynamic forward proxy or an original destination goes, and the TLS server name with auto_sni. `loads` of the
   * priorities, where not the cluster's own.
   */
  pick(tried: readonly EndpointState[], tries: number, hash?: bigint, target = '', loads?: PriorityLoads): EndpointState | undefined {
    const { config, request } = this;
    if (config.onDemand !== undefined) return this.onDemand(target, config.onDemand.maximum);
    request.avoid = tried;
    request.attempts = tries;
    request.hash = hash;
    request.loads = loads;
    const picked = this.balancer?.pick(request);
    return config.http.autoSni && target !== '' ? picked?.named(hostAndPort(target, 0).host) : picked;
  }

  /** Loads for a retry that keeps away from the priorities of these endpoints; undefined = as always. */
  loadsWithout(tried: readonly EndpointState[]): PriorityLoads | undefined {
    return this.balancer?.loadsWithout(new Set(tried.map((endpoint) => endpoint.priority)));
  }

  private onDemand(target: string, maximum: number): EndpointState | undefined {
    const { config, endpoints } = this;
    const { host, port } = hostAndPort(target, config.tls === undefined ? 80 : 443);
    if (host === '') return undefined;
    const key = addressOf({ address: host, port });
    const known = endpoints.get(key);
    if (known !== undefined || endpoints.size >= maximum) return known;
    const made = new EndpointState(this, { address: host, port, hostname: host, weight: 1, health: 'healthy', metadata: {} }, this.deps.clock());
    endpoints.set(key, made);
    return made;
  }

  /** Forgets endpoints nobody used since the last time. */
  private forgetUnused(idleMs: number): void {
    for (const [key, endpoint] of this.endpoints) {
      if (endpoint.active > 0 || endpoint.load.total !== endpoint.totalAtSweep) endpoint.totalAtSweep = endpoint.load.total;
      else {
        this.endpoints.delete(key);
        endpoint.remove();
      }
    }
    this.wheel.set(this.sweep, idleMs);
  }

  /** `rttMs`: how long the response head took to come. */
  report(endpoint: EndpointState, result: OutlierResult, rttMs?: number): void {
    const { lb } = this.config;
    if (lb.kind === 'peak-ewma' && rttMs !== undefined) endpoint.ewma.observe(rttMs, this.deps.clock(), lb.decayMs);
    if (typeof result === 'number' ? result < 500 : result === 'success') endpoint.load.success++;
    else if (result !== 'connected') endpoint.load.errors++;
    if (this.detector?.report(endpoint, typeof result === 'number' ? this.judged(result) : result) === true) this.rebuild();
  }

  /** Where the cluster says what an error is, a status is one or none; split from local errors Envoy takes it for a 503. */
  private judged(status: number): number {
    if (this.isError === undefined) return status;
    if (!this.isError(String(status))) return 200;
    return this.detector?.rules.splitLocalOrigin === true ? 503 : 500;
  }

  onTimer(timer: WheelTimer): void {
    if (timer === this.sweep) return this.forgetUnused(this.config.onDemand?.idleMs ?? 0);
    if (this.detector === undefined) return;
    if (this.detector.tick()) this.rebuild();
    this.wheel.set(this.timer, this.detector.rules.intervalMs);
  }

  private stop(): void {
    this.wheel.clear(this.timer);
    this.wheel.clear(this.sweep);
    this.discovery?.stop();
    for (const endpoint of this.endpoints.values()) endpoint.checker?.stop();
  }

  remove(): void {
    this.stop();
    for (const endpoint of this.endpoints.values()) endpoint.remove();
  }

  closeAll(): void {
    this.stop();
    for (const endpoint of this.endpoints.values()) endpoint.closeAll();
  }

  stats(): ClusterStats {
    const endpoints: EndpointStats[] = [];
    let active = 0;
    let idle = 0;
    for (const endpoint of this.endpoints.values()) {
      active += endpoint.connectionCount;
      idle += endpoint.idleCount;
      endpoints.push({
        address: endpoint.address,
        hostname: endpoint.config.hostname,
        locality: endpoint.locality,
        health: endpoint.config.health,
        checked: endpoint.checker?.health,
        weight: endpoint.config.weight,
        priority: endpoint.priority,
        ejected: endpoint.outlier.ejected,
        activeRequests: endpoint.active,
        activeConnections: endpoint.connectionCount,
        totalConnections: endpoint.load.connects,
        connectFailures: endpoint.load.connectFailures,
        totalRequests: endpoint.load.total,
        success: endpoint.load.success,
        errors: endpoint.load.errors,
      });
    }
    const { breaker, totalConnections, connectFailures, totalRequests, retries, retryOverflow, overflow, connectionOverflow, pendingTotal } = this;
    const { timeouts, tryTimeouts, tryIdleTimeouts } = this;
    return {
      name: this.config.name,
      activeConnections: active,
      idleConnections: idle,
      activeRequests: breaker.requests,
      pendingRequests: breaker.pending,
      ...{ totalConnections, connectFailures, totalRequests, retries, retryOverflow, overflow, connectionOverflow, pendingTotal },
      ...{ timeouts, tryTimeouts, tryIdleTimeouts, answers: this.answers },
      discovered: this.config.endpoints === undefined && this.config.onDemand === undefined,
      breaker,
      ejections: this.detector?.ejections ?? new Map(),
      endpoints,
    };
  }

  private rebuild(): void {
    const listed = new Set<string>();
    const localities = (this.assignment?.localities ?? []).map((locality) => ({
      priority: locality.priority,
      weight: locality.weight,
      hosts: locality.endpoints.flatMap((config) => {
        const key = addressOf(config);
        if (listed.has(key)) return [];
        listed.add(key);
        return this.endpoints.get(key) ?? [];
      }),
    }));
    const { lb: policy, panicThresholdPercent: panicPercent, localityWeighted } = this.config;
    const { overprovisioning = 140, weightedPriorityHealth = false } = this.assignment ?? {};
    this.balancer = buildBalancer({ policy, panicPercent, localityWeighted, overprovisioning, weightedPriorityHealth, clock: this.deps.clock }, localities);
  }
}
