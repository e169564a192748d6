// The order of the HTTP filters: a request meets them from first to last, its response from last to first.

import type { RouteFilterFactory } from './chain.ts';
import { corsFilter } from './cors.ts';
import { faultFilter } from './fault.ts';
import { localRateLimitFilter } from './local-rate-limit.ts';

export const filterFactories: readonly RouteFilterFactory[] = [faultFilter, corsFilter, localRateLimitFilter];
