// envoy.filters.http.cors: answers preflights of known origins, tells browsers what they may read.

import { compileCors, happens } from '@weft/mesh-core/traffic';
import { managerPolicy } from '../policy/manager-policy.ts';
import type { RouteFilterFactory } from './chain.ts';

export const corsDetails = 'cors_response';

export const corsFilter: RouteFilterFactory = ({ filters: { cors }, action }) => {
  // Routes that answer themselves have none.
  if (cors === undefined || action.kind !== 'forward') return undefined;
  const decide = compileCors(cors);
  return {
    onRequest(request) {
      const { deps, manager } = request.context;
      if (!managerPolicy(manager).runs('cors') || !happens(cors.enabled, deps.random)) return 'next';
      const decision = decide(request);
      for (const [name, value] of decision.headers) request.setResponseHeader(name, value);
      if (decision.kind === 'pass') return 'next';
      request.answer(200, '', '', corsDetails);
      return 'stop';
    },
  };
};
