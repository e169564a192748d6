// One endpoint of a cluster: its pool (last used first), those who wait for a connection, its health.

import { type BalancedHost, type HostHealth, OutlierState, PeakEwma } from '@weft/mesh-core/traffic';
import type { Endpoint } from '../config/model.ts';
import type { ClusterRuntime } from './cluster.ts';
import { UpstreamConnection } from './connection.ts';
import type { HealthChecker } from './health/health-checker.ts';
import type { StreamWaiter } from './stream.ts';
import { chooseUpstreamTls, planUpstreamTls } from './tls-plan.ts';

interface Load {
  active: number;
  total: number;
  success: number;
  errors: number;
}

export class EndpointState implements BalancedHost {
  config: Endpoint;
  priority = 0;
  readonly outlier: OutlierState;
  readonly ewma: PeakEwma;
  /** Clock since which it takes requests, ms. */
  healthySince: number;
  readonly cluster: ClusterRuntime;
  readonly connections: Set<UpstreamConnection> = new Set();
  readonly address: string;
  checker: HealthChecker | undefined;
  /** Requests it had when unused ones were last looked for. */
  totalAtSweep = -1;
  /** With auto_sni: pools of their own for each server name, of one health and load. */
  private variants: Map<string, EndpointState> | undefined;
  private readonly serverName: string;
  private readonly load: Load;
  private readonly idle: UpstreamConnection[] = [];
  private readonly waiting: StreamWaiter[] = [];
  private connecting = 0;
  private removed = false;

  constructor(cluster: ClusterRuntime, config: Endpoint, now: number, of?: { endpoint: EndpointState; serverName: string }) {
    this.cluster = cluster;
    this.config = config;
    this.address = addressOf(config);
    this.healthySince = now;
    this.serverName = of?.serverName ?? config.hostname;
    this.outlier = of?.endpoint.outlier ?? new OutlierState();
    this.ewma = of?.endpoint.ewma ?? new PeakEwma();
    this.load = of?.endpoint.load ?? { active: 0, total: 0, success: 0, errors: 0 };
  }

  /** Requests that chose this endpoint and have not ended. */
  get active(): number {
    return this.load.active;
  }

  set active(count: number) {
    this.load.active = count;
  }

  get total(): number {
    return this.load.total;
  }

  set total(count: number) {
    this.load.total = count;
  }

  get success(): number {
    return this.load.success;
  }

  set success(count: number) {
    this.load.success = count;
  }

  get errors(): number {
    return this.load.errors;
  }

  set errors(count: number) {
    this.load.errors = count;
  }

  /** The endpoint's pool of connections that ask for this server name. */
  named(serverName: string): EndpointState {
    if (serverName === this.serverName) return this;
    this.variants ??= new Map();
    let variant = this.variants.get(serverName);
    if (variant === undefined)
      this.variants.set(serverName, (variant = new EndpointState(this.cluster, this.config, this.healthySince, { endpoint: this, serverName })));
    return variant;
  }

  get weight(): number {
    return Math.max(this.config.weight, 1);
  }

  get health(): HostHealth {
    const { health } = this.config;
    const checked = this.checker?.health;
    if (this.outlier.ejected || health === 'unhealthy' || health === 'draining' || checked?.failed === true) return 'unhealthy';
    return health === 'degraded' || checked?.degraded === true ? 'degraded' : 'healthy';
  }

  get hashKey(): string {
    const own = this.config.metadata['envoy.lb']?.['hash_key'];
    if (typeof own === 'string') return own;
    return this.cluster.config.hashByHostname && this.config.hostname !== '' ? this.config.hostname : this.address;
  }

  get idleCount(): number {
    return this.pools().reduce((sum, pool) => sum + pool.idle.length, 0);
  }

  get connectionCount(): number {
    return this.pools().reduce((sum, pool) => sum + pool.connections.size, 0);
  }

  private pools(): EndpointState[] {
    return [this, ...(this.variants?.values() ?? [])];
  }

  /** Gives a stream now or later. False = the pending queue is full. */
  acquire(waiter: StreamWaiter, _http2Downstream: boolean, _upgrade: boolean): boolean {
    const connection = this.idle.pop();
    if (connection !== undefined) {
      waiter.onStream(connection);
      return true;
    }
    const { breaker } = this.cluster;
    if (!breaker.mayWait()) return false;
    breaker.pending++;
    this.waiting.push(waiter);
    if (this.connecting < this.waiting.length) this.open();
    return true;
  }

  /** The waiter no longer waits. */
  cancel(waiter: StreamWaiter): void {
    const index = this.waiting.indexOf(waiter);
    if (index < 0) return;
    this.waiting.splice(index, 1);
    this.cluster.breaker.pending--;
  }

  connected(connection: UpstreamConnection): void {
    this.connecting--;
    this.offer(connection);
  }

  released(connection: UpstreamConnection): void {
    const limit = this.cluster.config.http.maxRequestsPerConnection;
    if (this.removed || (limit > 0 && connection.served >= limit)) connection.close();
    else this.offer(connection);
  }

  closed(connection: UpstreamConnection, wasConnecting: boolean, reason: 'connection' | 'timeout' | 'tls'): void {
    this.connections.delete(connection);
    this.cluster.breaker.connections--;
    const index = this.idle.indexOf(connection);
    if (index >= 0) this.idle.splice(index, 1);
    if (wasConnecting) {
      this.connecting--;
      this.cluster.connectFailures++;
      this.takeWaiter()?.onConnectFailed(reason);
    }
    if (this.connecting < this.waiting.length) this.open();
  }

  /** Idle connections close now, others when their request ends. */
  remove(): void {
    this.removed = true;
    this.checker?.stop();
    this.closeIdle();
    for (const variant of this.variants?.values() ?? []) variant.remove();
  }

  closeIdle(): void {
    for (const connection of this.idle.slice()) connection.close();
    for (const variant of this.variants?.values() ?? []) variant.closeIdle();
  }

  closeAll(): void {
    for (const connection of [...this.connections]) connection.close();
    for (const variant of this.variants?.values() ?? []) variant.closeAll();
  }

  private open(): void {
    const { breaker } = this.cluster;
    // An endpoint without any connection may have one, or it could starve behind the others (as Envoy does).
    if (!breaker.mayConnect() && this.connections.size > 0) return;
    const tls = chooseUpstreamTls(this.cluster.config, this.config);
    const { autoSni, autoSanValidation } = this.cluster.config.http;
    const plan = tls === undefined ? undefined : planUpstreamTls(tls, this.cluster.secrets, autoSni ? this.serverName : '', autoSanValidation);
    if (tls !== undefined && plan === undefined) {
      this.cluster.connectFailures++;
      // Not from inside acquire(): the caller has not been told yet that it waits.
      setImmediate(() => this.takeWaiter()?.onConnectFailed('tls'));
      return;
    }
    this.connecting++;
    breaker.connections++;
    this.cluster.totalConnections++;
    this.connections.add(new UpstreamConnection(this, plan));
  }

  private offer(connection: UpstreamConnection): void {
    const waiter = this.takeWaiter();
    if (waiter !== undefined) return waiter.onStream(connection);
    this.idle.push(connection);
    const own = this.cluster.config.http.idleTimeoutMs || 3_600_000;
    // A second earlier than the peer, so that a request does not meet its close.
    const peer = connection.peerKeepAliveMs > 0 ? Math.max(connection.peerKeepAliveMs - 1000, 100) : own;
    this.cluster.wheel.set(connection.timer, Math.min(own, peer));
  }

  private takeWaiter(): StreamWaiter | undefined {
    const waiter = this.waiting.shift();
    if (waiter !== undefined) this.cluster.breaker.pending--;
    return waiter;
  }
}

/** As Envoy writes it, and as its hash rings know it. */
export function addressOf({ address, port }: { address: string; port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
