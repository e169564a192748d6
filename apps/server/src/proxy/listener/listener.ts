// One listening address: accepts, looks at the first bytes when a chain needs it, picks the filter chain, hands over. A new
// configuration serves new connections; those of changed chains are told to close with their next response.

import { createServer, type Server, type Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { FilterChain, ListenerConfig } from '../config/model.ts';
import type { ListenerStats } from '../http/hooks.ts';
import { compileRouteTable, type RouteSlot } from '../http/route-table.ts';
import { ServerConnection } from '../http/server-connection.ts';
import { TcpConnection } from '../tcp/tcp-proxy.ts';
import { readClientHello } from '../transport/client-hello.ts';
import { TlsTerminator, type TlsClient } from '../transport/tls-terminator.ts';
import type { RuntimeParts } from './parts.ts';

interface CompiledChain {
  config: FilterChain;
  routes: RouteSlot | undefined;
  tls: TlsTerminator | undefined;
}

const sniffTimeoutMs = 15_000;
const plain: TlsClient = { principal: undefined, certificateHash: '', ownIdentity: '' };

export class ListenerRuntime {
  config: ListenerConfig;
  private readonly parts: RuntimeParts;
  private readonly server: Server;
  private readonly http = new Set<ServerConnection>();
  private readonly tcp = new Set<TcpConnection>();
  private readonly undecided = new Set<Socket>();
  /** Also those TLS has taken over; they end with their listener at the latest. */
  private readonly accepted = new Set<Socket>();
  private chains: readonly CompiledChain[];
  private totalConnections = 0;
  private totalRequests = 0;
  private refused = 0;

  /** @throws RegexError when inline routes do not compile. */
  constructor(config: ListenerConfig, parts: RuntimeParts) {
    this.config = config;
    this.parts = parts;
    this.chains = config.chains.map((chain) => this.compile(chain, config));
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.accept(socket));
  }

  /** Rejects with the system's error when the address cannot be bound. */
  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ host: this.config.address, port: this.config.port }, () => {
        this.server.removeListener('error', reject);
        this.server.on('error', (error) => this.parts.deps.log?.(`Listener ${this.config.name}: ${error.message}`));
        resolve();
      });
    });
  }

  update(config: ListenerConfig): void {
    if (isDeepStrictEqual(this.config, config)) return;
    const chains = config.chains.map((chain) => this.compile(chain, config));
    for (const chain of this.chains) chain.tls?.close();
    this.config = config;
    this.chains = chains;
    for (const connection of this.http) connection.drain();
  }

  /** No new connections; open ones end with their next response. */
  stopAccepting(): void {
    this.server.close();
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
      if (this.server.listening) this.server.close(() => resolve());
      else resolve();
    });
    for (const chain of this.chains) chain.tls?.close();
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

  private compile(config: FilterChain, listener: ListenerConfig): CompiledChain {
    const source = config.http?.routes;
    const routes = source === undefined ? undefined : 'rds' in source ? this.parts.routeSlot(source.rds) : { table: compileRouteTable(source.inline) };
    const chain: CompiledChain = { config, routes, tls: undefined };
    if (config.tls !== undefined) {
      chain.tls = new TlsTerminator(
        config.tls,
        this.parts.secrets,
        (socket, client) => this.serve(socket, chain, listener, client, true),
        () => {
          this.refused++;
        },
      );
    }
    return chain;
  }

  private accept(socket: Socket): void {
    this.totalConnections++;
    socket.on('error', () => socket.destroy());
    this.accepted.add(socket);
    socket.once('close', () => this.accepted.delete(socket));
    const tlsPossible = this.config.inspectTls || this.chains.some((chain) => chain.tls !== undefined || chain.config.match.transportProtocol === 'tls');
    if (tlsPossible) return this.sniff(socket);
    const chain = this.choose(false, '', []);
    if (chain === undefined) this.refuse(socket);
    else this.serve(socket, chain, this.config, plain, false);
  }

  private sniff(socket: Socket): void {
    let seen: Buffer = Buffer.alloc(0);
    this.undecided.add(socket);
    const timer = setTimeout(() => socket.destroy(), sniffTimeoutMs).unref();
    const settle = (): void => {
      clearTimeout(timer);
      this.undecided.delete(socket);
      socket.removeListener('readable', look);
      socket.removeListener('close', settle);
    };
    const look = (): void => {
      const chunk: unknown = socket.read();
      if (!Buffer.isBuffer(chunk)) {
        if (socket.readableEnded) socket.destroy();
        return;
      }
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const isTls = seen[0] === 0x16;
      const hello = isTls ? readClientHello(seen) : undefined;
      if (hello === 'incomplete') return;
      settle();
      if (hello === 'unreadable') return this.refuse(socket);
      const chain = this.choose(isTls, hello?.serverName ?? '', hello?.alpn ?? []);
      if (chain === undefined) return this.refuse(socket);
      socket.unshift(seen);
      if (chain.tls === undefined) this.serve(socket, chain, this.config, plain, false);
      else if (!chain.tls.take(socket, hello?.alpn ?? [])) this.refuse(socket);
    };
    socket.on('readable', look);
    socket.on('close', settle);
    socket.once('end', () => {
      if (this.undecided.has(socket)) socket.destroy();
    });
  }

  private choose(isTls: boolean, serverName: string, alpn: readonly string[]): CompiledChain | undefined {
    return this.chains.find(({ config: { match } }) => {
      if (match.transportProtocol === 'tls' ? !isTls : match.transportProtocol === 'raw_buffer' && isTls) return false;
      if (match.serverNames.length > 0 && !match.serverNames.some((name) => nameFits(name, serverName))) return false;
      return match.applicationProtocols.length === 0 || match.applicationProtocols.some((name) => alpn.includes(name));
    });
  }

  private refuse(socket: Socket): void {
    this.refused++;
    socket.destroy();
  }

  private serve(socket: Socket, chain: CompiledChain, listener: ListenerConfig, client: TlsClient, tls: boolean): void {
    const { deps, wheel, clusters } = this.parts;
    const { http, tcp } = chain.config;
    if (http !== undefined && chain.routes !== undefined) {
      const connection = new ServerConnection(
        socket,
        {
          ...{ listener, manager: http, routes: chain.routes, deps, wheel, clusters, tls },
          ...client,
          remoteAddress: (socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
          remotePort: socket.remotePort ?? 0,
        },
        () => {
          this.totalRequests++;
        },
      );
      this.http.add(connection);
      socket.once('close', () => this.http.delete(connection));
    } else if (tcp !== undefined) {
      const connection = new TcpConnection(socket, {
        listener,
        proxy: tcp,
        deps,
        wheel,
        clusters,
        peer: { principal: client.principal, header: undefined },
        tls,
      });
      this.tcp.add(connection);
      socket.once('close', () => this.tcp.delete(connection));
    } else this.refuse(socket);
  }
}

function nameFits(pattern: string, name: string): boolean {
  return pattern === '*' || pattern.toLowerCase() === name || (pattern.startsWith('*.') && name.endsWith(pattern.slice(1).toLowerCase()));
}
