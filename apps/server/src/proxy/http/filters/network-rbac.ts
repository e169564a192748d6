// envoy.filters.network.rbac: whether a connection may go on. All there is to know of it is known when it is there: it is decided then,
// and an upstream never hears of one that is refused.

import type { RbacConnection, RbacDecision, RbacSubject } from '@weft/mesh-core/traffic';
import type { NetworkRbac } from '../../config/rbac-model.ts';
import type { Counters } from '../counters.ts';
import { compileRbacEngine } from './rbac.ts';

/** Undefined = may go on. */
export type ConnectionGuard = (connection: RbacConnection) => RbacDecision | undefined;

/** The first filter that refuses decides. Undefined = there are none. @throws RegexError */
export function compileNetworkRbac(filters: readonly NetworkRbac[], counters: Counters): ConnectionGuard | undefined {
  if (filters.length === 0) return undefined;
  const engines = filters.map(({ config, scope }) => compileRbacEngine(config, scope, counters));
  return (connection) => {
    const subject: RbacSubject = { connection, request: undefined, remoteAddress: connection.sourceAddress, metadata: undefined };
    for (const engine of engines) {
      const refusal = engine.refusal(subject);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  };
}
