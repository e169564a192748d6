import type { Counters } from '../http/counters.ts';
import type { RuntimeDeps } from '../http/hooks.ts';
import type { RouteSlot } from '../http/route-table.ts';
import type { SecretStore } from '../transport/secrets.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { ClusterRuntime } from '../upstream/cluster.ts';

/** What listeners share. */
export interface RuntimeParts {
  deps: RuntimeDeps;
  wheel: TimerWheel;
  secrets: SecretStore;
  clusters: ReadonlyMap<string, ClusterRuntime>;
  /** The place a named route configuration is or will be. */
  routeSlot(name: string): RouteSlot;
  counters: Counters;
  /** The operator wants clients to go: each connection ends with its next response. */
  failing: boolean;
}
