// One endpoint of a cluster: its pools by protocol, its health.

import { isDeepStrictEqual } from 'node:util';
import { type BalancedHost, type HostHealth, OutlierState, PeakEwma } from '@weft/mesh-core/traffic';
import type { ClusterConfig, Endpoint } from '../config/model.ts';
import type { ClientAddresses } from './announced.ts';
import type { ClusterRuntime } from './cluster.ts';
import type { HealthChecker } from './health/health-checker.ts';
import { isSocketPath } from './host-and-port.ts';
import { Pool, type PoolProtocol } from './pool.ts';
import type { StreamWaiter } from './stream.ts';

interface Load {
  /** Requests and connections that chose this endpoint and have not ended. */
  active: number;
  total: number;
  success: number;
  errors: number;
  connects: number;
  connectFailures: number;
}

export interface Locality {
  region: string;
  zone: string;
  subZone: string;
}
const NOWHERE: Locality = { region: '', zone: '', subZone: '' };

interface VariantOf {
  endpoint: EndpointState;
  key: string;
  serverName: string;
  client?: ClientAddresses;
}

export class EndpointState implements BalancedHost {
  config: Endpoint;
  priority = 0;
  locality: Locality = NOWHERE;
  readonly outlier: OutlierState;
  readonly ewma: PeakEwma;
  /** Clock since which it takes requests, ms. */
  healthySince: number;
  readonly cluster: ClusterRuntime;
  readonly address: string;
  checker: HealthChecker | undefined;
  /** Requests it had when unused ones were last looked for. */
  totalAtSweep = -1;
  /** Pools of their own for each server name (auto_sni), or each client (PROXY headers), of one health and load. */
  private variants: Map<string, EndpointState> | undefined;
  readonly serverName: string;
  /** Whom its connections announce. */
  readonly client: ClientAddresses | undefined;
  private readonly of: VariantOf | undefined;
  /** Counts, one for all that stand for one endpoint. */
  readonly load: Load;
  private readonly pools: Partial<Record<PoolProtocol, Pool>> = {};
  private chosenBy: ClusterConfig;
  private removed = false;

  constructor(cluster: ClusterRuntime, config: Endpoint, now: number, of?: VariantOf) {
    this.cluster = cluster;
    this.config = config;
    this.address = addressOf(config);
    this.healthySince = now;
    this.chosenBy = cluster.config;
    this.of = of;
    this.client = of?.client;
    this.serverName = of?.serverName ?? config.hostname;
    this.outlier = of?.endpoint.outlier ?? new OutlierState();
    this.ewma = of?.endpoint.ewma ?? new PeakEwma();
    this.load = of?.endpoint.load ?? { active: 0, total: 0, success: 0, errors: 0, connects: 0, connectFailures: 0 };
  }

  get active(): number {
    return this.load.active;
  }

  /** What its connections are made with. One that has gone keeps what it was chosen by: of what its cluster asks for now it knows nothing. */
  get settings(): ClusterConfig {
    return this.of?.endpoint.settings ?? this.chosenBy;
  }

  set settings(config: ClusterConfig) {
    this.chosenBy = config;
  }

  /** The endpoint's pool of connections that ask for this server name. */
  named(serverName: string): EndpointState {
    return serverName === this.serverName ? this : this.variant(serverName, { endpoint: this, key: serverName, serverName });
  }

  /** What the balancer knows it as. */
  get balanced(): EndpointState {
    return this.of?.endpoint.balanced ?? this;
  }

  /** The endpoint's pool of connections that announce this client. */
  behind(client: ClientAddresses): EndpointState {
    const key = `${client.source} ${client.destination}`;
    return this.variant(key, { endpoint: this, key, serverName: this.serverName, client });
  }

  private variant(key: string, of: VariantOf): EndpointState {
    this.variants ??= new Map();
    let variant = this.variants.get(key);
    if (variant === undefined) this.variants.set(key, (variant = new EndpointState(this.cluster, this.config, this.healthySince, of)));
    return variant;
  }

  /** A connection has gone, or could not be made. Of clients and names there is no end: what is left of one without any is forgotten. */
  onConnectionGone(): void {
    const { of } = this;
    if (of !== undefined && this.connectionCount === 0 && of.endpoint.variants?.get(of.key) === this) of.endpoint.variants.delete(of.key);
  }

  /** In another place, or by another name, what has its address is another endpoint, as in Envoy. */
  isOf({ hostname }: Endpoint, { region, zone, subZone }: Locality): boolean {
    const { locality } = this;
    return hostname === this.config.hostname && region === locality.region && zone === locality.zone && subZone === locality.subZone;
  }

  /** What discovery says of it now. */
  update(config: Endpoint): void {
    if (!isDeepStrictEqual(this.config.metadata, config.metadata)) this.closeIdle();
    this.config = config;
    for (const variant of this.variantList()) variant.update(config);
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

  /** Open or being opened. */
  get connectionCount(): number {
    return this.poolList().reduce((sum, pool) => sum + pool.connectionCount, 0) + this.variantList().reduce((sum, variant) => sum + variant.connectionCount, 0);
  }

  get idleCount(): number {
    return this.poolList().reduce((sum, pool) => sum + pool.idleCount, 0) + this.variantList().reduce((sum, variant) => sum + variant.idleCount, 0);
  }

  /** Gives a stream now or later. False = the pending queue is full. `http2`: the request came by HTTP/2. */
  acquire(waiter: StreamWaiter, http2: boolean): boolean {
    const { protocol } = this.settings.http;
    const pool = this.pool(protocol === 'downstream' ? (http2 ? 'http2' : 'http1') : protocol);
    return (waiter.tunnel && pool.refusesTunnels ? this.pool('http1') : pool).acquire(waiter);
  }

  /** For a tunnel that waited for a connection which turned out not to take any. */
  acquireHttp1(waiter: StreamWaiter): void {
    if (!this.pool('http1').acquire(waiter)) waiter.onConnectFailed('overflow');
  }

  /** The waiter no longer waits. */
  cancel(waiter: StreamWaiter): void {
    for (const pool of this.poolList()) pool.cancel(waiter);
  }

  /** Idle connections close now, others when their requests end. */
  remove(): void {
    this.removed = true;
    this.checker?.stop();
    this.closeIdle();
    for (const variant of this.variantList()) variant.remove();
  }

  closeIdle(): void {
    for (const pool of this.poolList()) pool.drain(this.removed);
    for (const variant of this.variantList()) variant.closeIdle();
  }

  closeAll(): void {
    for (const pool of this.poolList()) pool.closeAll();
    for (const variant of this.variantList()) variant.closeAll();
  }

  private pool(protocol: PoolProtocol): Pool {
    return (this.pools[protocol] ??= new Pool(this, protocol));
  }

  private variantList(): EndpointState[] {
    return this.variants === undefined ? [] : [...this.variants.values()];
  }

  private poolList(): Pool[] {
    return Object.values(this.pools);
  }
}

/** As Envoy writes it, and as its hash rings know it. */
export function addressOf({ address, port }: { address: string; port: number }): string {
  if (isSocketPath(address)) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
