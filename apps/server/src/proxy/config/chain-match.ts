// Which filter chain serves a connection, as Envoy decides it: one property after the other, at each the most specific entry,
// and no way back. (envoy: source/common/listener_manager/filter_chain_manager_impl.cc)

import { BlockList, isIPv6 } from 'node:net';
import type { ChainMatch, Cidr } from './model.ts';

/** What is known of a connection when its chain is chosen. Names in lower case. */
export interface ConnectionFacts {
  destinationAddress: string;
  destinationPort: number;
  serverName: string;
  transportProtocol: 'tls' | 'raw_buffer';
  /** ALPN of the client, or what http_inspector found. */
  applicationProtocols: readonly string[];
  /** The peer of the socket. */
  directSourceAddress: string;
  /** The client, also behind PROXY protocol. */
  sourceAddress: string;
  sourcePort: number;
}

/** One property: its value per chain for the tree, and the keys of a connection, most specific first. */
interface Level {
  values(match: ChainMatch): readonly string[];
  pick<T>(entries: ReadonlyMap<string, T>, facts: ConnectionFacts): T | undefined;
}

const any = '';
const orAny = (values: readonly string[]): readonly string[] => (values.length === 0 ? [any] : values);

const LEVELS: readonly Level[] = [
  { values: (m) => [m.destinationPort === undefined ? any : String(m.destinationPort)], pick: (e, f) => e.get(String(f.destinationPort)) ?? e.get(any) },
  byAddress(
    (m) => m.prefixRanges,
    (f) => f.destinationAddress,
  ),
  {
    // `*.example.com` is kept as `.example.com`.
    values: (m) => orAny(m.serverNames.map((name) => (name.startsWith('*.') ? name.slice(1) : name))),
    pick: (entries, { serverName }) => {
      const exact = serverName === '' ? undefined : entries.get(serverName);
      if (exact !== undefined) return exact;
      for (let dot = serverName.indexOf('.', 1); dot > 0; dot = serverName.indexOf('.', dot + 1)) {
        const wild = entries.get(serverName.slice(dot));
        if (wild !== undefined) return wild;
      }
      return entries.get(any);
    },
  },
  { values: (m) => [m.transportProtocol === 'any' ? any : m.transportProtocol], pick: (e, f) => e.get(f.transportProtocol) ?? e.get(any) },
  {
    values: (m) => orAny(m.applicationProtocols),
    pick: (entries, { applicationProtocols }) => {
      for (const name of applicationProtocols) {
        const found = entries.get(name);
        if (found !== undefined) return found;
      }
      return entries.get(any);
    },
  },
  byAddress(
    (m) => m.directSourcePrefixRanges,
    (f) => f.directSourceAddress,
  ),
  {
    values: (m) => [m.sourceType ?? 'any'],
    pick: (entries, f) => {
      const local = isLoopback(f.sourceAddress) || f.sourceAddress === f.destinationAddress;
      return entries.get(local ? 'local' : 'external') ?? entries.get('any');
    },
  },
  byAddress(
    (m) => m.sourcePrefixRanges,
    (f) => f.sourceAddress,
  ),
  { values: (m) => orAny((m.sourcePorts ?? []).map(String)), pick: (e, f) => e.get(String(f.sourcePort)) ?? e.get(any) },
];

function byAddress(ranges: (match: ChainMatch) => readonly Cidr[] | undefined, address: (facts: ConnectionFacts) => string): Level {
  const blocks = new Map<string, BlockList>();
  return {
    values: (match) =>
      orAny(
        (ranges(match) ?? []).map((range) => {
          const key = `${range.address}/${range.length}`;
          if (!blocks.has(key)) {
            const block = new BlockList();
            block.addSubnet(range.address, range.length, familyOf(range.address));
            blocks.set(key, block);
          }
          return key;
        }),
      ),
    pick: (entries, facts) => {
      let best: string = any;
      let length = -1;
      for (const key of entries.keys()) {
        const own = key === any ? -1 : Number(key.slice(key.indexOf('/') + 1));
        if (own > length && blocks.get(key)?.check(address(facts), familyOf(address(facts))) === true) {
          best = key;
          length = own;
        }
      }
      return entries.get(best);
    },
  };
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

type Node = Map<string, Node | number>;

export interface ChainMatcher {
  /** Index of the chain; undefined = none of them (the default chain's turn). */
  find(facts: ConnectionFacts): number | undefined;
  /** Chains no connection could tell apart, as pairs of indexes; such a listener is invalid. */
  duplicates: readonly (readonly [number, number])[];
}

export function compileChainMatch(matches: readonly ChainMatch[]): ChainMatcher {
  const root: Node = new Map();
  const duplicates: [number, number][] = [];
  for (const [index, match] of matches.entries()) {
    const add = (node: Node, depth: number): void => {
      for (const value of LEVELS[depth]?.values(match) ?? []) {
        const known = node.get(value);
        if (depth === LEVELS.length - 1) {
          if (typeof known === 'number') duplicates.push([known, index]);
          else node.set(value, index);
        } else {
          const next: Node = known instanceof Map ? known : new Map();
          node.set(value, next);
          add(next, depth + 1);
        }
      }
    };
    add(root, 0);
  }
  return {
    duplicates,
    find: (facts) => {
      let node: Node | number | undefined = root;
      for (const level of LEVELS) if (node instanceof Map) node = level.pick<Node | number>(node, facts);
      return typeof node === 'number' ? node : undefined;
    },
  };
}
