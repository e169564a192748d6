// The connections to one endpoint for one protocol (last used first), and those who wait for one.

import type { Socket } from 'node:net';
import { Dial, type DialOwner } from './dial.ts';
import type { EndpointState } from './endpoint.ts';
import { Http1Connection, type ConnectionOwner } from './http1-connection.ts';
import { Http2ClientConnection, type Http2ClientOwner } from './http2-connection.ts';
import { SECRET_MISSING } from './failure-text.ts';
import { keepAlive } from './keepalive.ts';
import type { ConnectFailure, StreamWaiter } from './stream.ts';
import { chooseUpstreamTls, planUpstreamTls } from './tls-plan.ts';

export type PoolProtocol = 'http1' | 'http2' | 'auto';

/** Requests a connection of HTTP/2 that is being made is expected to take. */
const expectedStreams = 100;

export class Pool implements DialOwner, ConnectionOwner, Http2ClientOwner {
  private readonly endpoint: EndpointState;
  private readonly protocol: PoolProtocol;
  private readonly connections = new Set<Http1Connection>();
  private readonly idle: Http1Connection[] = [];
  private readonly sessions: Http2ClientConnection[] = [];
  /** Sessions that take no new requests. */
  private readonly leaving = new Set<Http2ClientConnection>();
  private readonly dials = new Set<Dial>();
  private readonly waiting: StreamWaiter[] = [];
  /** Tunnels that wait for the settings of a session. */
  private readonly undecided: StreamWaiter[] = [];
  /** What the endpoint turned out to speak, where that is open. */
  private speaks: 'http1' | 'http2' | undefined;
  private secretsVersion = 0;
  private removed = false;

  constructor(endpoint: EndpointState, protocol: PoolProtocol) {
    this.endpoint = endpoint;
    this.protocol = protocol;
    this.speaks = protocol === 'auto' ? undefined : protocol;
    this.secretsVersion = endpoint.cluster.secrets.version;
  }

  get connectionCount(): number {
    return this.connections.size + this.sessions.length + this.leaving.size + this.dials.size;
  }

  get idleCount(): number {
    return this.idle.length + this.sessions.filter((session) => session.active === 0).length;
  }

  /** Tunnels are to be asked for over HTTP/1.1, where that is not ruled out. */
  get refusesTunnels(): boolean {
    const { protocol, allowConnect } = this.endpoint.settings.http;
    return protocol !== 'http2' && (!allowConnect || this.sessions.some((session) => session.takesTunnels === false));
  }

  /** False = there are as many requests, or as many that wait, as there may be. The waiter counts the request while it has a stream. */
  acquire(waiter: StreamWaiter): boolean {
    const { cluster } = this.endpoint;
    const { breaker } = cluster;
    if (this.sessions.length > 0) {
      if (this.secretsVersion !== cluster.secrets.version) this.renew();
      const session = this.roomy();
      if (session !== undefined) {
        if (waiter.tunnel && this.awaitsSettings(session)) return breaker.mayWait() && this.hold(waiter);
        if (!breaker.mayRequest()) return false;
        waiter.onStream(session.take());
        return true;
      }
    }
    while (this.idle.at(-1)?.closing === true) this.idle.pop();
    if (this.idle.length > 0 && !breaker.mayRequest()) return false;
    const connection = this.idle.pop();
    if (connection !== undefined) {
      waiter.onStream(connection);
      return true;
    }
    if (!breaker.mayWait()) return false;
    breaker.pending++;
    cluster.pendingTotal++;
    this.waiting.push(waiter);
    this.dialMore();
    return true;
  }

  cancel(waiter: StreamWaiter): void {
    if (remove(this.waiting, waiter) || remove(this.undecided, waiter)) this.endpoint.cluster.breaker.pending--;
  }

  /** What is idle closes, what is busy ends with its requests; `removed`: nothing new is kept. */
  drain(removed: boolean): void {
    this.removed ||= removed;
    for (const connection of this.idle.slice()) connection.close();
    this.retire();
  }

  closeAll(): void {
    for (const dial of [...this.dials]) dial.close();
    for (const connection of [...this.connections]) connection.close();
    for (const session of [...this.sessions, ...this.leaving]) session.close();
  }

  onDialed(dial: Dial, socket: Socket, http2: boolean): void {
    const { cluster } = this.endpoint;
    this.dials.delete(dial);
    this.speaks = http2 ? 'http2' : 'http1';
    const { http, tcpKeepalive } = this.endpoint.settings;
    if (tcpKeepalive !== undefined) keepAlive(socket, tcpKeepalive);
    if (http2) {
      const session = new Http2ClientConnection(socket, this, { clock: () => cluster.deps.clock(), wheel: cluster.wheel, http });
      dial.reader = session;
      this.sessions.push(session);
      this.serve(session);
      if (this.removed) this.retire();
    } else {
      const connection = new Http1Connection(socket, this, cluster.wheel);
      if (http.maxConnectionDurationMs > 0) connection.expiresAt = cluster.deps.clock() + http.maxConnectionDurationMs;
      dial.reader = connection;
      this.connections.add(connection);
      this.offer(connection);
    }
    this.dialMore();
  }

  onDialFailed(dial: Dial, reason: ConnectFailure): void {
    const { cluster } = this.endpoint;
    this.dials.delete(dial);
    cluster.breaker.connections--;
    cluster.connectFailures++;
    this.endpoint.load.connectFailures++;
    // A connection of HTTP/1.1 was meant for one of them, any other for all.
    let failing = this.speaks === 'http1' ? 1 : this.waiting.length;
    while (failing-- > 0) this.takeWaiter()?.onConnectFailed(reason, dial.why);
    this.dialMore();
    this.endpoint.onConnectionGone();
  }

  onReleased(connection: Http1Connection): void {
    const { settings, cluster } = this.endpoint;
    const limit = settings.http.maxRequestsPerConnection;
    const old = connection.expiresAt > 0 && cluster.deps.clock() >= connection.expiresAt;
    if (this.removed || old || (limit > 0 && connection.served >= limit)) connection.close();
    // The request it comes from is over, but still counted.
    else this.offer(connection, 1);
  }

  onRoom(session: Http2ClientConnection): void {
    if (this.undecided.length > 0 && session.takesTunnels !== undefined) this.waiting.unshift(...this.undecided.splice(0));
    if (this.waiting.length > 0) this.serve(session);
    if (this.waiting.length > 0) this.dialMore();
  }

  onGone(connection: Http1Connection | Http2ClientConnection): void {
    this.endpoint.cluster.breaker.connections--;
    if (connection instanceof Http2ClientConnection) {
      this.leaving.delete(connection);
      remove(this.sessions, connection);
      if (this.sessions.length === 0) this.failUndecided();
    } else {
      this.connections.delete(connection);
      remove(this.idle, connection);
    }
    this.dialMore();
    this.endpoint.onConnectionGone();
  }

  private roomy(): Http2ClientConnection | undefined {
    for (let i = this.sessions.length - 1; i >= 0; i--) if (this.sessions[i]?.hasRoom === true) return this.sessions[i];
    return undefined;
  }

  /** New certificates: connections of the old ones take no more requests. */
  private renew(): void {
    this.secretsVersion = this.endpoint.cluster.secrets.version;
    if (this.tls() !== undefined) this.retire();
  }

  private retire(): void {
    for (const session of this.sessions.splice(0)) {
      this.leaving.add(session);
      session.leave();
    }
  }

  private dialMore(): void {
    const { cluster, config, settings } = this.endpoint;
    const { breaker } = cluster;
    const perDial = this.speaks === 'http1' ? 1 : expectedStreams;
    if (this.dials.size * perDial >= this.waiting.length) return;
    // An endpoint without any connection may have one, or it could starve behind the others (as Envoy does).
    if (!breaker.mayConnect()) {
      cluster.connectionOverflow++;
      if (this.connectionCount > 0) return;
    }
    const tls = this.tls();
    const { autoSni, autoSanValidation } = settings.http;
    const plan = tls === undefined ? undefined : planUpstreamTls(tls, cluster.secrets, autoSni ? this.endpoint.serverName : '', autoSanValidation);
    if (tls !== undefined && plan === undefined) {
      cluster.connectFailures++;
      // Not from inside acquire(): the caller has not been told yet that it waits.
      setImmediate(() => {
        this.takeWaiter()?.onConnectFailed('tls', SECRET_MISSING);
        this.endpoint.onConnectionGone();
      });
      return;
    }
    breaker.connections++;
    cluster.totalConnections++;
    this.endpoint.load.connects++;
    const { proxyProtocol: version, connectTimeoutMs } = settings;
    const announce = version === undefined ? undefined : { version, client: this.endpoint.client };
    const timeoutMs = connectTimeoutMs || 5000;
    this.dials.add(new Dial(this, { endpoint: config, tls: plan, protocol: this.protocol, timeoutMs, wheel: cluster.wheel, announce }));
  }

  private tls(): ReturnType<typeof chooseUpstreamTls> {
    return chooseUpstreamTls(this.endpoint.settings, this.endpoint.config);
  }

  private serve(session: Http2ClientConnection): void {
    while (session.hasRoom) {
      const waiter = this.nextWaiter();
      if (waiter === undefined) return;
      if (waiter.tunnel && this.refusesTunnels) this.endpoint.acquireHttp1(waiter);
      else if (waiter.tunnel && this.awaitsSettings(session)) this.hold(waiter);
      else waiter.onStream(session.take());
    }
  }

  /** Where HTTP/2 is all there is, the peer has to take what it gets. */
  private awaitsSettings(session: Http2ClientConnection): boolean {
    return session.takesTunnels === undefined && this.endpoint.settings.http.protocol !== 'http2';
  }

  private hold(waiter: StreamWaiter): boolean {
    this.endpoint.cluster.breaker.pending++;
    return this.undecided.push(waiter) > 0;
  }

  private failUndecided(): void {
    for (const waiter of this.undecided.splice(0)) {
      this.endpoint.cluster.breaker.pending--;
      waiter.onConnectFailed('connection');
    }
  }

  private offer(connection: Http1Connection, ending = 0): void {
    const waiter = this.nextWaiter(ending);
    if (waiter !== undefined) return waiter.onStream(connection);
    if (this.removed) return connection.close();
    this.idle.push(connection);
    const { cluster, settings } = this.endpoint;
    const own = settings.http.idleTimeoutMs || Infinity;
    // A second earlier than the peer, so that a request does not meet its close.
    const peer = connection.peerKeepAliveMs > 0 ? Math.max(connection.peerKeepAliveMs - 1000, 100) : own;
    const left = connection.expiresAt > 0 ? connection.expiresAt - cluster.deps.clock() : own;
    const ms = Math.min(own, peer, left);
    if (ms < Infinity) cluster.wheel.set(connection.timer, ms);
  }

  /** Those that cannot be served because the cluster is full learn so: they have waited for a connection, not for a place. */
  private nextWaiter(ending = 0): StreamWaiter | undefined {
    const { breaker } = this.endpoint.cluster;
    for (;;) {
      const waiter = this.takeWaiter();
      if (waiter === undefined || breaker.mayRequest(ending)) return waiter;
      waiter.onConnectFailed('overflow');
    }
  }

  private takeWaiter(): StreamWaiter | undefined {
    const waiter = this.waiting.shift();
    if (waiter !== undefined) this.endpoint.cluster.breaker.pending--;
    return waiter;
  }
}

function remove<T>(list: T[], item: T): boolean {
  const index = list.indexOf(item);
  if (index >= 0) list.splice(index, 1);
  return index >= 0;
}
