// TCP proxying: one upstream connection per client connection, bytes both ways. What one side does not take stops the reading
// of the other, so a connection holds at most the buffers of its four streams. Each side may end its half first.

import { connect, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type ConnectionOptions, TLSSocket } from 'node:tls';
import { type WeightedChoice, xxHash64 } from '@weft/mesh-core/traffic';
import type { ListenerConfig, TcpProxy, WeightedCluster } from '../config/model.ts';
import type { PeerInfo, RuntimeDeps, TcpRecord } from '../http/hooks.ts';
import { readDirectly } from '../../http-wire/socket/direct-reads.ts';
import { WheelTimer, type TimerTarget, type TimerWheel } from '../transport/timer-wheel.ts';
import { tlsFacts } from '../transport/tls-facts.ts';
import type { ClusterRuntime } from '../upstream/cluster.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import { connectAnnounced } from '../upstream/announced.ts';
import { keepAlive } from '../upstream/keepalive.ts';
import { SECRET_MISSING, failureText } from '../upstream/failure-text.ts';
import { socketTarget } from '../upstream/host-and-port.ts';
import { chooseUpstreamTls, planUpstreamTls, verification } from '../upstream/tls-plan.ts';
import type { CheckedConnection } from '../http/ext-authz/check-request.ts';
import type { Asking } from '../http/own-request.ts';
import type { ConnectionGuard, Refusal } from './connection-guard.ts';
import { refuseOnFirstBytes } from './refuse.ts';
import { Tunnel } from './tunnel.ts';

export interface TcpContext {
  socket: Socket;
  listener: ListenerConfig;
  proxy: TcpProxy;
  pick: WeightedChoice<WeightedCluster>;
  deps: RuntimeDeps;
  wheel: TimerWheel;
  clusters: ReadonlyMap<string, ClusterRuntime>;
  peer: PeerInfo;
  tls: boolean;
  /** `ip:port` of the client, which may be the one a PROXY header named. */
  downstreamAddress: string;
  /** `ip:port` of who connected. */
  directAddress: string;
  /** `ip:port` the client connected to, and that of its socket where a PROXY header says otherwise. */
  localAddress: string;
  directLocalAddress: string;
  /** The client's SNI, '' = none. */
  serverName: string;
  /** Who is asked before an upstream is connected, and about what; undefined = nobody. */
  guard: ConnectionGuard | undefined;
  checked: CheckedConnection | undefined;
}

/** Istio reports the bytes of open connections this often. */
const reportMs = 5_000;

export class TcpConnection implements TimerTarget {
  private readonly socket: Socket;
  private readonly context: TcpContext;
  private readonly record: TcpRecord;
  private readonly connectTimer = new WheelTimer(this);
  private readonly idleTimer = new WheelTimer(this);
  private readonly reportTimer = new WheelTimer(this);
  private readonly lifeTimer = new WheelTimer(this);
  private readonly tried: EndpointState[] = [];
  private judgement: Asking | undefined;
  private upstream: Duplex | undefined;
  /** Connections of the cluster this one is, see `open`. */
  private counts = 1;
  private endpoint: EndpointState | undefined;
  private cluster: ClusterRuntime | undefined;
  private activeAt: number;
  private clientReset = false;
  private done = false;

  constructor(socket: Socket, context: TcpContext) {
    this.socket = socket;
    this.context = context;
    const { proxy, deps, wheel } = context;
    this.activeAt = deps.clock();
    this.record = tcpRecord(context);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.clientReset = error.code === 'ECONNRESET';
      socket.destroy();
    });
    socket.on('close', () => this.finish());
    if (proxy.maxConnectionDurationMs !== undefined) wheel.set(this.lifeTimer, proxy.maxConnectionDurationMs);
    this.cluster = clusterOf(context);
    this.record.cluster = this.cluster?.config;
    const { guard, checked } = context;
    if (guard === undefined || checked === undefined) this.begin();
    else this.judgement = guard.judge(checked, context, (refusal) => this.judged(refusal));
  }

  private begin(): void {
    if (this.cluster === undefined) this.fail('NC');
    else this.open(this.cluster);
  }

  private judged(refusal: Refusal | undefined): void {
    if (this.done) return;
    if (refusal === undefined) this.begin();
    else this.refuse(refusal);
  }

  close(): void {
    this.socket.destroy();
  }

  onTimer(timer: WheelTimer): void {
    const { proxy, wheel, deps } = this.context;
    if (timer === this.connectTimer) this.connectFailed('connection_timeout');
    else if (timer === this.lifeTimer) this.fail('DT');
    else if (timer === this.reportTimer) {
      if (this.record.newReceivedBytes + this.record.newSentBytes > 0) this.tell('bytes');
      wheel.set(timer, reportMs);
    } else {
      // Re-armed only now: bytes just note their time.
      const left = this.activeAt + proxy.idleTimeoutMs - deps.clock();
      if (left > 0) wheel.set(timer, left);
      else this.socket.destroy();
    }
  }

  /** As Envoy tells it: a connection like others, but for its end. */
  private refuse({ flag, details, termination }: Refusal): void {
    const { record, context } = this;
    if (flag !== '') record.responseFlags = flag;
    record.details = details;
    record.terminationDetails = termination;
    this.tell('opened');
    refuseOnFirstBytes(this.socket, context.wheel, (bytes) => {
      record.receivedBytes += bytes;
      record.newReceivedBytes += bytes;
    });
  }

  private open(cluster: ClusterRuntime): void {
    const { context, record } = this;
    const { tunneling } = context.proxy;
    // A tunnel is a request: the pool that carries it counts its connections.
    this.counts = tunneling === undefined ? 1 : 0;
    if (tunneling === undefined && !cluster.breaker.mayConnect()) {
      cluster.connectionOverflow++;
      return this.fail('UO');
    }
    const { hashSourceIp } = context.proxy;
    const hash =
      hashSourceIp === true && cluster.usesHash ? xxHash64(context.downstreamAddress.slice(0, context.downstreamAddress.lastIndexOf(':'))) : undefined;
    const { sniForwardPort } = context.proxy;
    const named = sniForwardPort === undefined || context.serverName === '' ? '' : `${context.serverName}:${sniForwardPort}`;
    const endpoint = cluster.pick(this.tried, this.tried.length === 0 ? 0 : 3, hash, named);
    if (endpoint === undefined) return this.fail('UH');
    record.attempts = this.tried.push(endpoint);
    record.endpoint = endpoint.config;
    record.upstreamAddress = endpoint.address;
    this.endpoint = endpoint;
    endpoint.load.active++;
    endpoint.load.total++;
    cluster.breaker.connections += this.counts;
    cluster.totalConnections += this.counts;
    context.wheel.set(this.connectTimer, cluster.config.connectTimeoutMs || 5000);
    if (tunneling !== undefined) return this.await(new Tunnel(endpoint, tunneling, context.serverName), 'connect', cluster, endpoint);
    const tls = chooseUpstreamTls(cluster.config, endpoint.config);
    const plan = tls === undefined ? undefined : planUpstreamTls(tls, cluster.secrets);
    // Not from here: the caller of the constructor has not seen the connection yet.
    if (tls !== undefined && plan === undefined) return void setImmediate(() => this.connectFailed(SECRET_MISSING));
    const target = socketTarget(endpoint.config);
    // Over TCP nobody speaks HTTP/2.
    const secured: { tls?: ConnectionOptions } =
      plan === undefined ? {} : { tls: { ...verification(plan), ALPNProtocols: plan.alpn.filter((name) => name !== 'h2') } };
    const event = plan === undefined ? 'connect' : 'secureConnect';
    const { proxyProtocol: version } = cluster.config;
    // Node takes allowHalfOpen for TLS too; its types do not know.
    const own = { ...target, allowHalfOpen: true };
    if (version !== undefined) {
      const client = { source: context.downstreamAddress, destination: context.localAddress };
      this.await(connectAnnounced({ target, version, client, allowHalfOpen: true, ...secured }), event, cluster, endpoint);
    } else this.await(secured.tls === undefined ? connect({ ...own, noDelay: true }) : connectTls({ ...own, ...secured.tls }), event, cluster, endpoint);
  }

  private await(upstream: Socket | Tunnel, event: 'connect' | 'secureConnect', cluster: ClusterRuntime, endpoint: EndpointState): void {
    this.upstream = upstream;
    upstream.once(event, () => this.connected(upstream, cluster, endpoint));
    upstream.on('error', (error: NodeJS.ErrnoException) => {
      if (this.upstream !== upstream) return;
      if (this.connectTimer.active) this.connectFailed(error.code === 'TUNNEL_REFUSED' ? error.message : failureText(error));
      else this.upstreamReset(error);
    });
    upstream.on('close', () => {
      if (this.upstream === upstream && this.connectTimer.active) this.connectFailed('connection_termination');
      else if (this.upstream === upstream && !this.socket.destroyed && !this.socket.writableEnded) this.socket.end();
    });
  }

  private connected(upstream: Socket | Tunnel, cluster: ClusterRuntime, endpoint: EndpointState): void {
    const { context, record, socket } = this;
    context.wheel.clear(this.connectTimer);
    cluster.report(endpoint, 'success');
    const own = upstream instanceof Tunnel ? upstream.socket : upstream;
    record.upstreamSocket = own;
    if (own !== undefined) record.upstreamLocalAddress = `${own.localAddress}:${own.localPort}`;
    if (context.proxy.readsTls === true) tlsFacts(own);
    const { tcpKeepalive } = cluster.config;
    if (tcpKeepalive !== undefined && own === upstream) keepAlive(own, tcpKeepalive);
    this.activeAt = context.deps.clock();
    if (context.proxy.idleTimeoutMs > 0) context.wheel.set(this.idleTimer, context.proxy.idleTimeoutMs);
    context.wheel.set(this.reportTimer, reportMs);
    this.tell('opened');
    this.pass(socket, upstream, (bytes) => {
      record.receivedBytes += bytes;
      record.newReceivedBytes += bytes;
    });
    this.pass(upstream, socket, (bytes) => {
      record.sentBytes += bytes;
      record.newSentBytes += bytes;
    });
  }

  private pass(from: Duplex, to: Duplex, count: (bytes: number) => void): void {
    const { clock } = this.context.deps;
    readDirectly(from, (chunk) => {
      count(chunk.length);
      this.activeAt = clock();
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => {
      this.activeAt = clock();
      from.resume();
    });
    from.once('end', () => {
      if (!to.writableEnded) to.end();
    });
  }

  private connectFailed(reason: string): void {
    const { cluster, endpoint, context } = this;
    if (cluster === undefined || endpoint === undefined || this.done) return;
    context.wheel.clear(this.connectTimer);
    const failed = this.upstream;
    this.upstream = undefined;
    failed?.destroy();
    cluster.connectFailures++;
    cluster.report(endpoint, 'connect-failure');
    this.release();
    if (this.tried.length < (context.proxy.maxConnectAttempts ?? 1)) this.open(cluster);
    else {
      this.record.transportFailure = reason;
      this.fail('UF,URX');
    }
  }

  private release(): void {
    if (this.cluster === undefined || this.endpoint === undefined) return;
    this.endpoint.load.active--;
    this.cluster.breaker.connections -= this.counts;
    this.endpoint = undefined;
  }

  /** The client learns of a reset as a reset, where that can be said. */
  private upstreamReset(error: NodeJS.ErrnoException): void {
    if (this.done) return;
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE') this.record.responseFlags = 'UR';
    if (this.context.tls) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  private fail(flags: string): void {
    this.record.responseFlags = flags;
    this.socket.destroy();
    // A socket that was closed before it got here has no close event to come.
    if (this.socket.closed) this.finish();
  }

  private tell(phase: TcpRecord['phase']): void {
    const { record, context } = this;
    record.phase = phase;
    record.durationMs = context.deps.clock() - record.startedAt;
    context.deps.onTcp?.(record);
    record.newReceivedBytes = record.newSentBytes = 0;
  }

  /** With a reset, where that can be said, if the client has left with one. */
  private endUpstream(): void {
    const { upstream } = this;
    if (this.clientReset && upstream instanceof Socket && !(upstream instanceof TLSSocket)) upstream.resetAndDestroy();
    else upstream?.destroy();
  }

  private finish(): void {
    if (this.done) return;
    this.done = true;
    const { context } = this;
    for (const timer of [this.connectTimer, this.idleTimer, this.reportTimer, this.lifeTimer]) context.wheel.clear(timer);
    this.judgement?.cancel();
    this.endUpstream();
    this.release();
    this.tell('closed');
  }
}

/** Where a connection leads; undefined = nowhere. */
export function clusterOf({ proxy, serverName, pick, deps, clusters }: TcpContext): ClusterRuntime | undefined {
  const target = proxy.clusterFromSni === true ? { name: serverName } : pick.pick(deps.random());
  return target === undefined ? undefined : clusters.get(target.name);
}

/** Of a connection that begins now. */
export function tcpRecord(context: TcpContext): TcpRecord {
  const { listener, proxy, peer, tls } = context;
  return {
    phase: 'opened',
    attempts: 0,
    direction: listener.direction,
    listener,
    proxy,
    cluster: undefined,
    endpoint: undefined,
    peer,
    tls,
    startedAt: context.deps.clock(),
    durationMs: 0,
    receivedBytes: 0,
    sentBytes: 0,
    newReceivedBytes: 0,
    newSentBytes: 0,
    responseFlags: '-',
    transportFailure: '',
    downstreamFailure: '',
    details: '',
    terminationDetails: '',
    downstreamAddress: context.downstreamAddress,
    directAddress: context.directAddress,
    upstreamAddress: '',
    upstreamLocalAddress: '',
    downstreamSocket: context.socket,
    upstreamSocket: undefined,
    localAddress: context.localAddress,
    directLocalAddress: context.directLocalAddress,
    serverName: context.serverName,
  };
}
