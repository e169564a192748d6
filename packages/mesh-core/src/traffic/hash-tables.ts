// Consistent hashing: Envoy's ketama ring and maglev table, entry for entry, so that both proxies send a key to the same host.

import type { BalancedHost } from './lb-policy.ts';
import { xxHash64 } from './xx-hash.ts';

/** `attempt` above 0 asks for another host than before; it need not be another one. */
export type HashPicker<H> = (hash: bigint, attempt: number) => H | undefined;

export interface WeightedHost<H> {
  host: H;
  /** All weights sum up to 1. */
  weight: number;
}

/** Hashes of `<key>_<i>`: the ring is rebuilt whenever a host's health changes, its hashes never change. */
const ringHashes = new Map<string, bigint[]>();
const cachedHashes = 200_000;

export function ringPicker<H extends BalancedHost>(hosts: readonly WeightedHost<H>[], minimumSize: number, maximumSize: number): HashPicker<H> {
  if (hosts.length === 0) return () => undefined;
  const least = Math.min(...hosts.map((entry) => entry.weight));
  // The lightest host gets a whole number of entries.
  const scale = Math.min(Math.ceil(least * minimumSize) / least, maximumSize);
  const entries: { hash: bigint; host: H }[] = [];
  let target = 0;
  for (const { host, weight } of hosts) {
    target += scale * weight;
    const hashes = ringHashes.get(host.hashKey) ?? [];
    for (let i = 0; entries.length < target; i++) entries.push({ hash: (hashes[i] ??= xxHash64(`${host.hashKey}_${i}`)), host });
    if (ringHashes.size * hashes.length > cachedHashes) ringHashes.clear();
    ringHashes.set(host.hashKey, hashes);
  }
  entries.sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
  const points = BigUint64Array.from(entries, (entry) => entry.hash);
  return (hash, attempt) => {
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((points[middle] ?? 0n) < hash) low = middle + 1;
      else high = middle;
    }
    return entries[(low === points.length ? attempt : low + attempt) % points.length]?.host;
  };
}

const all64 = (1n << 64n) - 1n;

export function maglevPicker<H extends BalancedHost>(hosts: readonly WeightedHost<H>[], tableSize: number): HashPicker<H> {
  if (hosts.length === 0) return () => undefined;
  const size = BigInt(tableSize);
  const heaviest = Math.max(...hosts.map((entry) => entry.weight));
  const builds = hosts
    .toSorted((a, b) => (a.host.hashKey < b.host.hashKey ? -1 : a.host.hashKey > b.host.hashKey ? 1 : a.weight - b.weight))
    .map(({ host, weight }) => ({
      weight,
      // Walks through the table in steps of `skip`; both are below 2^24, so plain numbers do.
      position: Number(xxHash64(host.hashKey) % size),
      skip: Number((xxHash64(host.hashKey, 1) % (size - 1n)) + 1n),
      target: 0,
      host,
    }));
  const table = builds.length < 65_535 ? new Uint16Array(tableSize) : new Uint32Array(tableSize);
  for (let filled = 0, iteration = 1; filled < tableSize; iteration++)
    for (let i = 0; i < builds.length && filled < tableSize; i++) {
      const build = builds[i];
      if (build === undefined || iteration * build.weight < build.target) continue;
      build.target += heaviest;
      while (table[build.position] !== 0) build.position = (build.position + build.skip) % tableSize;
      table[build.position] = i + 1;
      filled++;
      build.position = (build.position + build.skip) % tableSize;
    }
  return (hash, attempt) => {
    const shifted = attempt === 0 ? hash : hash ^ (all64 - BigInt(attempt) + 1n);
    return builds[(table[Number(shifted % size)] ?? 0) - 1]?.host;
  };
}
