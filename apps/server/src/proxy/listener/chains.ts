// A listener's filter chains, compiled: what looks at a client's first bytes, and which chain the client belongs to.

import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { compileWeightedChoice, type WeightedChoice } from '@weft/mesh-core/traffic';
import { compileChainMatch, type ChainMatcher } from '../config/chain-match.ts';
import type { ChainMatch, FilterChain, ListenerConfig, WeightedCluster } from '../config/model.ts';
import type { RouteFilter } from '../http/filters/chain.ts';
import { compileManagerFilters } from '../http/filters/manager-filters.ts';
import { compileRouteTable, type RouteSlot } from '../http/route-table.ts';
import { compileGuard, type ConnectionGuard } from '../tcp/connection-guard.ts';
import { TlsTerminator, type TlsClient } from '../transport/tls-terminator.ts';
import { addressesOf, plainAddress } from './arrival.ts';
import type { Found, Inspection } from './inspect.ts';
import type { RuntimeParts } from './parts.ts';

export interface CompiledChain {
  config: FilterChain;
  routes: RouteSlot | undefined;
  tls: TlsTerminator | undefined;
  pick: WeightedChoice<WeightedCluster>;
  filters: readonly RouteFilter[];
  guard: ConnectionGuard | undefined;
}

/** How handshakes end. */
export interface Handshakes {
  secured(socket: Socket, chain: CompiledChain, client: TlsClient): void;
  refused(socket: Socket, reason: string): void;
}

const matchAll: ChainMatch = { transportProtocol: 'any', applicationProtocols: [], serverNames: [] };

export class FilterChains {
  readonly config: ListenerConfig;
  readonly inspection: Inspection;
  /** First bytes are looked at. */
  readonly looks: boolean;
  private readonly chains: readonly CompiledChain[];
  private readonly fallback: CompiledChain | undefined;
  private readonly matcher: ChainMatcher;
  /** The one chain that takes everything. */
  private readonly only: CompiledChain | undefined;

  /** @throws RegexError when inline routes do not compile. */
  constructor(config: ListenerConfig, parts: RuntimeParts, handshakes: Handshakes) {
    this.config = config;
    this.chains = config.chains.map((chain) => compileChain(chain, parts, handshakes));
    this.fallback = config.defaultChain === undefined ? undefined : compileChain(config.defaultChain, parts, handshakes);
    this.matcher = compileChainMatch(config.chains.map((chain) => chain.match));
    const [first] = this.chains;
    this.only = this.chains.length === 1 && isDeepStrictEqual(first?.config.match, matchAll) ? first : undefined;
    // As Envoy, which puts the inspector in by itself where a chain asks for it.
    const inspectTls = config.inspectTls || this.all.some((chain) => needsHello(chain.config));
    this.inspection = { ...config, inspectTls };
    this.looks = inspectTls || config.inspectHttp === true || config.proxyProtocol !== undefined;
  }

  /** Undefined = nobody serves this client. */
  find(socket: Socket, found: Found): CompiledChain | undefined {
    if (this.only !== undefined) return this.only;
    const { source, sourcePort, destination, destinationPort } = addressesOf(socket, found);
    const index = this.matcher.find({
      destinationAddress: destination,
      destinationPort,
      serverName: found.serverName,
      transportProtocol: found.tls ? 'tls' : 'raw_buffer',
      applicationProtocols: found.protocols,
      directSourceAddress: plainAddress(socket.remoteAddress),
      sourceAddress: source,
      sourcePort,
    });
    return index === undefined ? this.fallback : this.chains[index];
  }

  /** No handshake is begun any more. */
  close(): void {
    for (const chain of this.all) chain.tls?.close();
  }

  private get all(): CompiledChain[] {
    return this.fallback === undefined ? [...this.chains] : [...this.chains, this.fallback];
  }
}

function compileChain(config: FilterChain, parts: RuntimeParts, handshakes: Handshakes): CompiledChain {
  const source = config.http?.routes;
  const routes = source === undefined ? undefined : 'rds' in source ? parts.routeSlot(source.rds) : { table: compileRouteTable(source.inline) };
  const filters = config.http === undefined ? [] : compileManagerFilters(config.http, parts.counters);
  const guard = compileGuard(config.guards ?? [], parts.counters);
  const chain: CompiledChain = { config, routes, tls: undefined, pick: compileWeightedChoice(config.tcp?.clusters ?? []), filters, guard };
  if (config.tls !== undefined)
    chain.tls = new TlsTerminator(
      config.tls,
      parts.secrets,
      (socket, client) => handshakes.secured(socket, chain, client),
      (socket, reason) => handshakes.refused(socket, reason),
      config.handshakeTimeoutMs,
    );
  return chain;
}

/** Whether the client's TLS hello decides about this chain. */
function needsHello({ tls, match }: FilterChain): boolean {
  return tls !== undefined || match.transportProtocol === 'tls' || match.serverNames.length > 0 || match.applicationProtocols.length > 0;
}
