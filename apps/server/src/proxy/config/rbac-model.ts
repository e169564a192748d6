// Filters of access control, of requests and of connections.

import type { RbacSpec } from '@weft/mesh-core/traffic';

export interface RbacFilterConfig {
  /** Absent = everything may. */
  rules?: RbacSpec;
  /** What they would decide is counted. */
  shadow?: RbacSpec;
  /** In the names of the counters. */
  statPrefix: string;
  shadowStatPrefix: string;
}

export interface NetworkRbac {
  config: RbacFilterConfig;
  /** What the names of its counters begin with. */
  scope: string;
}
