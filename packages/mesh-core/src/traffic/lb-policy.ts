// What a cluster asks of its balancer, and what a balancer looks at in a host.

import type { PeakEwma } from './peak-ewma.ts';
import type { PriorityLoads } from './priority-load.ts';

export interface SlowStart {
  windowMs: number;
  /** 1 = linear; above, new hosts take load sooner. */
  aggression: number;
  minWeightPercent: number;
}

export type LbPolicy =
  | { kind: 'round-robin'; slowStart?: SlowStart }
  | { kind: 'least-request'; choices: number; activeRequestBias: number; fullScan: boolean; slowStart?: SlowStart }
  | { kind: 'random' }
  | { kind: 'peak-ewma'; decayMs: number; defaultRttMs: number }
  | { kind: 'ring-hash'; minimumRingSize: number; maximumRingSize: number }
  /** `tableSize` is prime. */
  | { kind: 'maglev'; tableSize: number };

export type HostHealth = 'healthy' | 'degraded' | 'unhealthy';

export interface BalancedHost {
  readonly weight: number;
  /** Running requests. */
  readonly active: number;
  /** What a hash ring knows the host by: `hash_key` metadata, host name or address. */
  readonly hashKey: string;
  readonly health: HostHealth;
  /** Clock since which it takes requests, ms. */
  readonly healthySince: number;
  readonly ewma: PeakEwma;
}

/** Everything one choice depends on. Made once per cluster and filled in for each choice. */
export interface PickRequest<H> {
  /** [0, 1) */
  random: () => number;
  /** Undefined = none of the hash policies gave one. */
  hash: bigint | undefined;
  /** Hosts that should not be taken again. */
  avoid: readonly H[];
  /** Further draws while the one drawn is to be avoided. */
  attempts: number;
  /** Instead of the balancer's own (a retry that keeps away from priorities tried before); undefined = those. */
  loads?: PriorityLoads | undefined;
}
