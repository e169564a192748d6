// Endpoints of a STRICT_DNS cluster: every address a name has now. Asked again when the answer's time is over, of one without any (TTL 0)
// as often as of others; an answer that does not come changes nothing, a name that does not exist has no endpoints.

import { lookup, resolve4, resolve6 } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { DnsSettings, Endpoint, LoadAssignment } from '../config/model.ts';
import { resolvable } from './host-and-port.ts';
import { WheelTimer, type TimerTarget, type TimerWheel } from '../transport/timer-wheel.ts';

export interface DnsAnswer {
  addresses: readonly string[];
  /** Undefined = not known. */
  ttlMs?: number;
}

/** Rejects when there is no answer; a name that does not exist is an empty one. */
export type ResolveName = (name: string, settings: DnsSettings) => Promise<DnsAnswer>;

export interface DnsDiscoveryDeps {
  wheel: TimerWheel;
  random(): number;
  resolve: ResolveName;
  changed(assignment: LoadAssignment): void;
}

export class DnsDiscovery implements TimerTarget {
  private readonly names: LoadAssignment;
  private readonly settings: DnsSettings;
  private readonly deps: DnsDiscoveryDeps;
  private readonly timer = new WheelTimer(this);
  private readonly known = new Map<string, readonly string[]>();
  private failures = 0;
  private stopped = false;

  /** `names` are endpoints with host names as addresses. */
  constructor(names: LoadAssignment, settings: DnsSettings, deps: DnsDiscoveryDeps) {
    this.names = names;
    this.settings = settings;
    this.deps = deps;
    void this.refresh();
  }

  stop(): void {
    this.stopped = true;
    this.deps.wheel.clear(this.timer);
  }

  onTimer(): void {
    void this.refresh();
  }

  private async refresh(): Promise<void> {
    const names = [...new Set(this.names.localities.flatMap((locality) => locality.endpoints.map((endpoint) => endpoint.address)))];
    let failed = false;
    let ttlMs = Infinity;
    await Promise.all(
      names.map(async (name) => {
        try {
          const answer = await this.deps.resolve(name, this.settings);
          this.known.set(name, answer.addresses);
          ttlMs = Math.min(ttlMs, answer.ttlMs ?? Infinity);
        } catch {
          failed = true;
        }
      }),
    );
    if (this.stopped) return;
    this.deps.changed(this.assignment());
    this.failures = failed ? this.failures + 1 : 0;
    const { respectTtl, refreshMs, jitterMs } = this.settings;
    const rate = respectTtl && ttlMs > 0 && ttlMs < Infinity ? ttlMs : refreshMs;
    this.deps.wheel.set(this.timer, failed ? this.afterFailure() : rate + this.deps.random() * jitterMs);
  }

  /** Without a failure rate of its own the refresh rate holds. */
  private afterFailure(): number {
    const { failureRefresh, refreshMs } = this.settings;
    if (failureRefresh === undefined) return refreshMs;
    return Math.max(1, this.deps.random() * Math.min(failureRefresh.maxMs, failureRefresh.baseMs * 2 ** Math.min(this.failures, 30)));
  }

  private assignment(): LoadAssignment {
    return {
      ...this.names,
      localities: this.names.localities.map((locality) => ({
        ...locality,
        endpoints: locality.endpoints.flatMap((endpoint): Endpoint[] =>
          (this.known.get(endpoint.address) ?? []).map((address) => ({ ...endpoint, address, hostname: endpoint.hostname || endpoint.address })),
        ),
      })),
    };
  }
}

/** By the system's own rules (hosts file included); the time to live is asked of the name server where it matters. */
export const resolveName: ResolveName = async (name, { family, respectTtl }) => {
  if (isIP(name) !== 0) return { addresses: [name] };
  const four = family !== 'v6';
  const six = family !== 'v4';
  const asked = resolvable(name);
  const found = await lookup(asked, { all: true, order: 'verbatim' }).catch((error: unknown) => {
    const { code } = error as { code?: string };
    if (code === 'ENOTFOUND' || code === 'ENODATA') return [];
    throw error;
  });
  const of = (wanted: 4 | 6): string[] => found.filter((entry) => entry.family === wanted).map((entry) => entry.address);
  const lists = { v4: of(4), v6: of(6) };
  const first = family === 'v4-preferred' || family === 'v4' ? lists.v4 : lists.v6;
  const second = family === 'v4-preferred' ? lists.v6 : lists.v4;
  const addresses = family === 'all' ? [...lists.v6, ...lists.v4] : first.length > 0 ? first : four && six ? second : [];
  if (!respectTtl || addresses.length === 0) return { addresses };
  const records = await (isIP(addresses[0] ?? '') === 6 ? resolve6 : resolve4)(asked, { ttl: true }).catch(() => []);
  const ttls = records.map((record) => record.ttl * 1_000);
  return ttls.length === 0 ? { addresses } : { addresses, ttlMs: Math.min(...ttls) };
};
