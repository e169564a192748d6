// One listening address: accepts, looks at the first bytes when a chain needs it, picks the filter chain, hands over. A new
// configuration serves new connections; those of changed chains are told to close with their next response.

import { createServer, type Server, type Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { compileWeightedChoice, type RbacConnection, type WeightedChoice } from '@weft/mesh-core/traffic';
import { startCompiling } from '../compiling.ts';
import { compileChainMatch, type ChainMatcher } from '../config/chain-match.ts';
import type { ChainMatch, FilterChain, HttpConnectionManager, ListenerConfig, TcpProxy, WeightedCluster } from '../config/model.ts';
import type { ListenerStats } from '../http/hooks.ts';
import type { RouteFilter } from '../http/filters/chain.ts';
import { compileManagerFilters } from '../http/filters/manager-filters.ts';
import { compileRouteTable, type RouteSlot } from '../http/route-table.ts';
import { Http2ServerConnection } from '../http/http2-server-connection.ts';
import { ServerConnection } from '../http/server-connection.ts';
import type { CheckedConnection } from '../http/ext-authz/check-request.ts';
import { compileGuard, type ConnectionGuard } from '../tcp/connection-guard.ts';
import { refuseOnFirstBytes } from '../tcp/refuse.ts';
import { clusterOf, type TcpContext, TcpConnection, tcpRecord } from '../tcp/tcp-proxy.ts';
import { awaitPreface } from '../transport/preface.ts';
import { WheelTimer } from '../transport/timer-wheel.ts';
import { tlsFacts } from '../transport/tls-facts.ts';
import { TlsTerminator, type TlsClient } from '../transport/tls-terminator.ts';
import { inspect, nothingFound, type Found, type Inspection } from './inspect.ts';
import type { RuntimeParts } from './parts.ts';
import type { ConnectionContext } from '../http/downstream.ts';

interface CompiledChain {
  config: FilterChain;
  routes: RouteSlot | undefined;
  tls: TlsTerminator | undefined;
  pick: WeightedChoice<WeightedCluster>;
  filters: readonly RouteFilter[];
  guard: ConnectionGuard | undefined;
}

/** A listener's configuration, compiled. */
interface Setup {
  config: ListenerConfig;
  chains: readonly CompiledChain[];
  fallback: CompiledChain | undefined;
  matcher: ChainMatcher;
  /** Index of the one chain that takes everything. */
  only: number | undefined;
  inspection: Inspection;
  /** First bytes are looked at. */
  looks: boolean;
}

/** What is known of a client before its bytes are served. */
interface Downstream {
  listener: ListenerConfig;
  address: string;
  port: number;
  serverName: string;
  /** `ip:port` it connected to. */
  localAddress: string;
  /** The peer of the socket, where `address` is whom a PROXY header names. */
  directAddress: string;
  directPort: number;
  /** Why its handshake failed, once it has. */
  failure?: string;
}

/** A client on the chain that was picked for it. */
interface Arrival {
  socket: Socket;
  chain: CompiledChain;
  downstream: Downstream;
  client: TlsClient;
  tls: boolean;
  /** What rules look at; undefined where there are none. */
  checked: CheckedConnection | undefined;
}

/** What one slow reader may have unsent; smaller makes every large read wait for its write. */
const unsentBytes = 128 * 1024;
const matchAll: ChainMatch = { transportProtocol: 'any', applicationProtocols: [], serverNames: [] };
const plain: TlsClient = { principal: undefined, uriNames: [], trusted: false, certificateHash: '', subject: '', dnsNames: [], ownNames: [] };

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
  private setup: Setup;
  private totalConnections = 0;
  private totalRequests = 0;
  private refused = 0;

  /** @throws RegexError when inline routes do not compile. */
  constructor(config: ListenerConfig, parts: RuntimeParts) {
    this.config = config;
    this.parts = parts;
    this.setup = this.setUp(config);
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
    const setup = this.setUp(config);
    this.closeTls();
    this.config = config;
    this.setup = setup;
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
    this.closeTls();
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

  private closeTls(): void {
    for (const chain of this.setup.chains) chain.tls?.close();
    this.setup.fallback?.tls?.close();
  }

  private setUp(config: ListenerConfig): Setup {
    const chains = config.chains.map((chain) => this.compile(chain));
    const fallback = config.defaultChain === undefined ? undefined : this.compile(config.defaultChain);
    // As Envoy, which puts the inspector in by itself where a chain asks for it.
    const inspectTls = config.inspectTls || [...chains, fallback].some((chain) => chain !== undefined && needsHello(chain.config));
    const [first] = config.chains;
    return {
      config,
      chains,
      fallback,
      matcher: compileChainMatch(config.chains.map((chain) => chain.match)),
      only: config.chains.length === 1 && first !== undefined && isDeepStrictEqual(first.match, matchAll) ? 0 : undefined,
      inspection: { ...config, inspectTls },
      looks: inspectTls || config.inspectHttp === true || config.proxyProtocol !== undefined,
    };
  }

  private compile(config: FilterChain): CompiledChain {
    const source = config.http?.routes;
    const routes = source === undefined ? undefined : 'rds' in source ? this.parts.routeSlot(source.rds) : { table: compileRouteTable(source.inline) };
    const filters = config.http === undefined ? [] : compileManagerFilters(config.http, this.parts.counters);
    const guard = compileGuard(config.guards ?? [], this.parts.counters);
    const chain: CompiledChain = { config, routes, tls: undefined, pick: compileWeightedChoice(config.tcp?.clusters ?? []), filters, guard };
    if (config.tls !== undefined) {
      chain.tls = new TlsTerminator(
        config.tls,
        this.parts.secrets,
        (socket, client) => {
          const key = connectionKey(socket);
          const downstream = this.arriving.get(key);
          this.arriving.delete(key);
          if (downstream === undefined) socket.destroy();
          else this.serve(socket, chain, downstream, client, true);
        },
        (socket, reason) => {
          this.refused++;
          const downstream = this.arriving.get(connectionKey(socket));
          if (downstream !== undefined) downstream.failure = reason;
        },
        config.handshakeTimeoutMs,
      );
    }
    return chain;
  }

  private accept(socket: Socket): void {
    startCompiling();
    this.totalConnections++;
    socket.on('error', () => socket.destroy());
    this.accepted.add(socket);
    socket.once('close', () => this.accepted.delete(socket));
    const { setup } = this;
    if (!setup.looks) return this.dispatch(socket, nothingFound, setup);
    this.undecided.add(socket);
    // Node remembers it; once its client has reset the connection nobody can tell any more.
    addressesOf(socket, nothingFound);
    const stop = inspect(socket, setup.inspection, (found) => {
      this.undecided.delete(socket);
      if (found === undefined) this.refuse(socket);
      else this.dispatch(socket, found, setup);
    });
    socket.once('close', () => {
      stop();
      this.undecided.delete(socket);
    });
  }

  private dispatch(socket: Socket, found: Found, setup: Setup): void {
    const client = addressesOf(socket, found);
    const index =
      setup.only ??
      setup.matcher.find({
        destinationAddress: client.destination,
        destinationPort: client.destinationPort,
        serverName: found.serverName,
        transportProtocol: found.tls ? 'tls' : 'raw_buffer',
        applicationProtocols: found.protocols,
        directSourceAddress: plainAddress(socket.remoteAddress),
        sourceAddress: client.source,
        sourcePort: client.sourcePort,
      });
    const chain = index === undefined ? setup.fallback : setup.chains[index];
    if (chain === undefined) return this.refuse(socket);
    const downstream: Downstream = {
      ...{ listener: setup.config, address: client.source, port: client.sourcePort, serverName: found.serverName },
      localAddress: `${client.destination}:${client.destinationPort}`,
      directAddress: plainAddress(socket.remoteAddress),
      directPort: socket.remotePort ?? 0,
    };
    if (chain.tls === undefined) return this.serve(socket, chain, downstream, plain, false);
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

  private serve(socket: Socket, chain: CompiledChain, downstream: Downstream, client: TlsClient, tls: boolean): void {
    const { http, tcp } = chain.config;
    const access = chain.filters.length > 0 || chain.guard !== undefined ? accessOf(downstream, client, tls) : undefined;
    const checked = access === undefined ? undefined : { access, sourcePort: downstream.port, ownIdentity: client.ownNames[0] ?? '' };
    if (tcp === undefined && checked !== undefined && this.refuses(chain.guard, checked)) {
      this.refused++;
      return refuseOnFirstBytes(socket, this.parts.wheel);
    }
    const arrival: Arrival = { socket, chain, downstream, client, tls, checked };
    if (http?.readsTls === true || tcp?.readsTls === true) tlsFacts(socket);
    if (http !== undefined && chain.routes !== undefined) this.serveManager(socket, this.contextOf(arrival, http, chain.routes));
    else if (tcp !== undefined) this.serveTcp(socket, arrival, tcp);
    else this.refuse(socket);
  }

  /** Without a spread: objects made by one differ in shape, and every look at them on the request path is slow. */
  private contextOf({ socket, chain, downstream, client, tls, checked }: Arrival, manager: HttpConnectionManager, routes: RouteSlot): ConnectionContext {
    const { deps, wheel, clusters } = this.parts;
    return {
      socket,
      listener: downstream.listener,
      manager,
      routes,
      filters: chain.filters,
      deps,
      wheel,
      clusters,
      tls,
      principal: client.principal,
      certificateHash: client.certificateHash,
      subject: client.subject,
      dnsNames: client.dnsNames,
      uriNames: client.uriNames,
      ownNames: client.ownNames,
      remoteAddress: downstream.address,
      remotePort: downstream.port,
      downstreamAddress: `${downstream.address}:${downstream.port}`,
      directAddress: `${downstream.directAddress}:${downstream.directPort}`,
      localAddress: downstream.localAddress,
      serverName: downstream.serverName,
      access: checked?.access,
    };
  }

  /** By what the handshake has agreed, else by the first bytes. */
  private serveManager(socket: Socket, context: ConnectionContext): void {
    const { codec, idleTimeoutMs } = context.manager;
    const negotiated = 'alpnProtocol' in socket ? socket.alpnProtocol : undefined;
    if (codec === 'http2' || (negotiated === 'h2' && codec === 'auto')) return this.serveHttp(socket, context, true);
    if (codec === 'http1' || typeof negotiated === 'string') return this.serveHttp(socket, context, false);
    this.undecided.add(socket);
    // One that says nothing is idle.
    const idle = new WheelTimer({ onTimer: () => socket.destroy() });
    context.wheel.setUnlessZero(idle, idleTimeoutMs);
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

  private tcpContextOf({ socket, chain, downstream, client, tls, checked }: Arrival, proxy: TcpProxy): TcpContext {
    const { deps, wheel, clusters } = this.parts;
    return {
      socket,
      listener: downstream.listener,
      proxy,
      pick: chain.pick,
      deps,
      wheel,
      clusters,
      peer: { principal: client.principal, header: undefined },
      tls,
      downstreamAddress: `${downstream.address}:${downstream.port}`,
      directAddress: `${downstream.directAddress}:${downstream.directPort}`,
      localAddress: downstream.localAddress,
      serverName: downstream.serverName,
      guard: chain.guard,
      checked,
    };
  }

  /** Of a TCP chain it is a connection like others, but for its end. */
  private handshakeFailed(socket: Socket, chain: CompiledChain, downstream: Downstream): void {
    const { tcp } = chain.config;
    if (tcp === undefined) return;
    const { deps } = this.parts;
    const context = this.tcpContextOf({ socket, chain, downstream, client: plain, tls: true, checked: undefined }, tcp);
    deps.onTcp?.({ ...tcpRecord(context), phase: 'refused', cluster: clusterOf(context)?.config, downstreamFailure: downstream.failure ?? '' });
  }

  private serveTcp(socket: Socket, arrival: Arrival, proxy: TcpProxy): void {
    const connection = new TcpConnection(socket, this.tcpContextOf(arrival, proxy));
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
    const onRequest = (): void => {
      this.totalRequests++;
    };
    const connection = http2 ? new Http2ServerConnection(socket, context, onRequest) : new ServerConnection(socket, context, onRequest);
    this.http.add(connection);
    const { maxConnectionDurationMs } = context.manager;
    const life = maxConnectionDurationMs > 0 ? new WheelTimer({ onTimer: () => connection.expire() }) : undefined;
    if (life !== undefined) context.wheel.set(life, maxConnectionDurationMs);
    socket.once('close', () => {
      this.http.delete(connection);
      if (life !== undefined) context.wheel.clear(life);
    });
    // The configuration may have changed while the first bytes were awaited.
    if (!this.server.listening || this.parts.failing || context.listener !== this.config) connection.drain();
  }
}

/** Whether the client's TLS hello decides about this chain. */
function needsHello({ tls, match }: FilterChain): boolean {
  return tls !== undefined || match.transportProtocol === 'tls' || match.serverNames.length > 0 || match.applicationProtocols.length > 0;
}

/** A certificate that is not trusted has no names. */
function accessOf({ address, directAddress, localAddress, serverName }: Downstream, client: TlsClient, tls: boolean): RbacConnection {
  const { uriNames } = client;
  const colon = localAddress.lastIndexOf(':');
  return {
    tls,
    uriNames,
    dnsNames: client.trusted ? client.dnsNames : [],
    subject: client.trusted ? client.subject : '',
    serverName,
    directAddress,
    sourceAddress: address,
    destinationAddress: localAddress.slice(0, colon),
    destinationPort: Number(localAddress.slice(colon + 1)),
  };
}

function connectionKey(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress}`;
}

function addressesOf(socket: Socket, found: Found): NonNullable<Found['addresses']> {
  return (
    found.addresses ?? {
      source: plainAddress(socket.remoteAddress),
      sourcePort: socket.remotePort ?? 0,
      destination: plainAddress(socket.localAddress),
      destinationPort: socket.localPort ?? 0,
    }
  );
}

/** Without the IPv6 form of an IPv4 address. */
function plainAddress(address = ''): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
