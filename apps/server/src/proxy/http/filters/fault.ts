// envoy.filters.http.fault: a delay, then an abort, each for its share of requests. Nothing of it reaches the upstream or a retry.

import { compileFault, type Fault } from '@weft/mesh-core/traffic';
import { managerPolicy } from '../policy/manager-policy.ts';
import type { FilteredRequest, RouteFilterFactory } from './chain.ts';

export const faultFilter: RouteFilterFactory = ({ filters: { fault: spec } }) => {
  if (spec === undefined) return undefined;
  const decide = compileFault(spec);
  const { maxActive = Number.POSITIVE_INFINITY } = spec;
  /** Faults under way, until their request ends. */
  const active = new Map<FilteredRequest, Fault>();
  return [
    {
      onRequest(request) {
        const { deps, manager } = request.context;
        const policy = managerPolicy(manager);
        if (!policy.runs('fault') || policy.activeFaults >= maxActive) return 'next';
        const fault = decide(request, deps.random);
        if (fault === undefined) return 'next';
        active.set(request, fault);
        policy.activeFaults++;
        if (fault.delayMs === 0) return 'next';
        request.flag('DI');
        request.continueAfter(fault.delayMs);
        return 'stop';
      },
      onEnd(request) {
        if (active.delete(request)) managerPolicy(request.context.manager).activeFaults--;
      },
    },
    {
      onRequest(request) {
        const abort = active.get(request)?.abort;
        if (abort === undefined) return 'next';
        request.answer(abort.status, 'fault filter abort', 'FI', 'fault_filter_abort', '', abort.grpc);
        return 'stop';
      },
    },
  ];
};
