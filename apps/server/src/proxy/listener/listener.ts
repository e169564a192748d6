// One listening address: accepts, looks at the first bytes when a chain needs it, picks the filter chain, hands over. A new
// configuration serves new connections; those of changed chains are told to close with their next response.

import { createServer, type Server, type Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { startCompiling } from '../compiling.ts';
import type { ListenerConfig } from '../config/model.ts';
import type { ConnectionContext } from '../http/downstream.ts';
import type { CheckedConnection } from '../http/ext-authz/check-request.ts';
import type { ListenerStats } from '../http/hooks.ts';
import { Http2ServerConnection } from '../http/http2-server-connection.ts';
import { ServerConnection } from '../http/server-connection.ts';
import type { ConnectionGuard } from '../tcp/connection-guard.ts';
import { refuseOnFirstBytes } from '../tcp/refuse.ts';
import { clusterOf, type TcpContext, TcpConnection, tcpRecord } from '../tcp/tcp-proxy.ts';
import { awaitPreface } from '../transport/preface.ts';
import { WheelTimer } from '../transport/timer-wheel.ts';
import { tlsFacts } from '../transport/tls-facts.ts';
import { addressesOf, type Arrival, arrivalOf, type Downstream, downstreamOf, httpContext, plain, tcpContext } from './arrival.ts';
import { type CompiledChain, FilterChains } from './chains.ts';
import { inspect, nothingFound, type Found } from './inspect.ts';
import type { RuntimeParts } from './parts.ts';

/** What one slow reader may have unsent; smaller makes every large read wait for its write. */
const unsentBytes = 128 * 1024;

export class ListenerRuntime {
  config: ListenerConfig;
  private readonly parts: RuntimeParts;
  private readonly server: Server;
  private readonly http = new Set<ServerConnection | Http2ServerConnection>();
  private readonly tcp = new Set<TcpConnection>();
  private readonly undecided = new Set<Socket>();
  /** Also those TLS has taken over; they end with their listener at the latest. */
  private readonly accepted = new Set<Socket>();
  /** Clients of TLS, by their connection: Node does not tell which socket is under a finished handshake. */
  private readonly arriving = new Map<string, Downstream>();
  private chains: FilterChains;
  private totalConnections = 0;
  private totalRequests = 0;
  private refused = 0;

  /** @throws RegexError when inline routes do not compile. */
  constructor(config: ListenerConfig, parts: RuntimeParts) {
    this.config = config;
    this.parts = parts;
    this.chains = this.compile(config);
    this.server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: unsentBytes }, (socket) => this.accept(socket));
  }

  /** Rejects with the system's error when the address cannot be bound. */
  listen(): Promise<void> {
    const { sockets } = this.parts.deps;
    const kept = sockets?.take(this.socketKey);
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(kept ?? { host: this.config.address, port: this.config.port }, () => {
        this.server.removeListener('error', reject);
        if (kept === undefined && this.config.port !== 0) sockets?.keep(this.socketKey, this.server);
        this.server.on('error', (error) => this.parts.deps.log?.(`Listener ${this.config.name}: ${error.message}`));
        resolve();
      });
    });
  }

  update(config: ListenerConfig): void {
    if (isDeepStrictEqual(this.config, config)) return;
    const chains = this.compile(config);
    this.chains.close();
    this.config = config;
    this.chains = chains;
    this.endConnections();
  }

  /** No new connections; open ones end with their next response. */
  stopAccepting(): void {
    this.parts.deps.sockets?.release(this.socketKey);
    this.server.close();
    this.endConnections();
  }

  /** With their next response. */
  endConnections(): void {
    for (const connection of this.http) connection.drain();
  }

  closeIdle(): void {
    for (const connection of this.http) if (connection.idle) connection.close();
    for (const socket of this.undecided) socket.destroy();
  }

  get connections(): number {
    return this.http.size + this.tcp.size;
  }

  /** Closes all now; resolves when the address is free. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (!this.server.listening) return resolve();
      this.parts.deps.sockets?.release(this.socketKey);
      this.server.close(() => resolve());
    });
    this.chains.close();
    for (const connection of this.http) connection.close();
    for (const connection of this.tcp) connection.close();
    for (const socket of this.accepted) socket.destroy();
    await closed;
  }

  stats(): ListenerStats {
    const address = this.server.address();
    return {
      name: this.config.name,
      address: this.config.address,
      port: address !== null && typeof address === 'object' ? address.port : this.config.port,
      listening: this.server.listening,
      activeConnections: this.connections,
      totalConnections: this.totalConnections,
      totalRequests: this.totalRequests,
      refusedConnections: this.refused,
    };
  }

  private get socketKey(): string {
    return `${this.config.address}:${this.config.port}`;
  }

  private compile(config: ListenerConfig): FilterChains {
    return new FilterChains(config, this.parts, {
      secured: (socket, chain, client) => {
        const key = connectionKey(socket);
        const downstream = this.arriving.get(key);
        this.arriving.delete(key);
        if (downstream === undefined) socket.destroy();
        else this.serve(arrivalOf(socket, chain, downstream, client, true));
      },
      refused: (socket, reason) => {
        this.refused++;
        const downstream = this.arriving.get(connectionKey(socket));
        if (downstream !== undefined) downstream.failure = reason;
      },
    });
  }

  private accept(socket: Socket): void {
    startCompiling();
    this.totalConnections++;
    socket.on('error', () => socket.destroy());
    this.accepted.add(socket);
    socket.once('close', () => this.accepted.delete(socket));
    const { chains } = this;
    if (!chains.looks) return this.dispatch(socket, nothingFound, chains);
    this.undecided.add(socket);
    // Node remembers it; once its client has reset the connection nobody can tell any more.
    addressesOf(socket, nothingFound);
    const stop = inspect(socket, chains.inspection, (found) => {
      this.undecided.delete(socket);
      if (found === undefined) this.refuse(socket);
      else this.dispatch(socket, found, chains);
    });
    socket.once('close', () => {
      stop();
      this.undecided.delete(socket);
    });
  }

  private dispatch(socket: Socket, found: Found, chains: FilterChains): void {
    const chain = chains.find(socket, found);
    if (chain === undefined) return this.refuse(socket);
    const downstream = downstreamOf(socket, found, chains.config);
    if (chain.tls === undefined) return this.serve(arrivalOf(socket, chain, downstream, plain, false));
    const key = connectionKey(socket);
    this.arriving.set(key, downstream);
    socket.once('close', () => {
      if (this.arriving.delete(key)) this.handshakeFailed(socket, chain, downstream);
    });
    if (!chain.tls.take(socket, found, chain.config.http?.codec !== 'http1')) this.refuse(socket);
  }

  /** With a reset, as from Envoy, which closes without having read what it looked at. */
  private refuse(socket: Socket): void {
    this.refused++;
    socket.resetAndDestroy();
  }

  private serve(arrival: Arrival): void {
    const { socket, chain, checked } = arrival;
    const { http, tcp } = chain.config;
    if (tcp === undefined && checked !== undefined && this.refuses(chain.guard, checked)) {
      this.refused++;
      return refuseOnFirstBytes(socket, this.parts.wheel);
    }
    if (http?.readsTls === true || tcp?.readsTls === true) tlsFacts(socket);
    if (http !== undefined && chain.routes !== undefined) this.serveManager(socket, httpContext(arrival, http, chain.routes, this.parts));
    else if (tcp !== undefined) this.serveTcp(socket, tcpContext(arrival, tcp, this.parts));
    else this.refuse(socket);
  }

  /** By what the handshake has agreed, else by the first bytes. */
  private serveManager(socket: Socket, context: ConnectionContext): void {
    const { codec, idleTimeoutMs, maxConnectionDurationMs = Infinity } = context.manager;
    // Its time is up; Envoy's timer may be late, and one request answered.
    if (maxConnectionDurationMs === 0) return void socket.destroy();
    const negotiated = 'alpnProtocol' in socket ? socket.alpnProtocol : undefined;
    if (codec === 'http2' || (negotiated === 'h2' && codec === 'auto')) return this.serveHttp(socket, context, true);
    if (codec === 'http1' || typeof negotiated === 'string') return this.serveHttp(socket, context, false);
    this.undecided.add(socket);
    // One that says nothing is idle.
    const idle = new WheelTimer({ onTimer: () => socket.destroy() });
    const silentMs = Math.min(idleTimeoutMs || Infinity, maxConnectionDurationMs);
    if (silentMs < Infinity) context.wheel.set(idle, silentMs);
    const decided = (): void => {
      this.undecided.delete(socket);
      context.wheel.clear(idle);
    };
    socket.once('close', decided);
    awaitPreface(socket, (http2) => {
      decided();
      this.serveHttp(socket, context, http2);
    });
  }

  /** Of a TCP chain it is a connection like others, but for its end. */
  private handshakeFailed(socket: Socket, chain: CompiledChain, downstream: Downstream): void {
    const { tcp } = chain.config;
    if (tcp === undefined) return;
    const context = tcpContext({ socket, chain, downstream, client: plain, tls: true, checked: undefined }, tcp, this.parts);
    context.deps.onTcp?.({ ...tcpRecord(context), phase: 'refused', cluster: clusterOf(context)?.config, downstreamFailure: downstream.failure ?? '' });
  }

  private serveTcp(socket: Socket, context: TcpContext): void {
    const connection = new TcpConnection(socket, context);
    this.tcp.add(connection);
    socket.once('close', () => this.tcp.delete(connection));
  }

  /** Before a connection manager nobody else is asked: it is decided at once. */
  private refuses(guard: ConnectionGuard | undefined, connection: CheckedConnection): boolean {
    let refused = false;
    guard?.judge(connection, this.parts, (refusal) => (refused = refusal !== undefined));
    return refused;
  }

  private serveHttp(socket: Socket, context: ConnectionContext, http2: boolean): void {
    const { maxConnectionDurationMs } = context.manager;
    const onRequest = (): void => {
      this.totalRequests++;
    };
    const connection = http2 ? new Http2ServerConnection(socket, context, onRequest) : new ServerConnection(socket, context, onRequest);
    this.http.add(connection);
    socket.once('close', () => this.http.delete(connection));
    if (maxConnectionDurationMs !== undefined) {
      const life = new WheelTimer({ onTimer: () => connection.expire() });
      context.wheel.set(life, maxConnectionDurationMs);
      socket.once('close', () => context.wheel.clear(life));
    }
    // The configuration may have changed while the first bytes were awaited.
    if (!this.server.listening || this.parts.failing || context.listener !== this.config) connection.drain();
  }
}

function connectionKey(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress}`;
}
