// The order of the HTTP filters: a request meets them from first to last, its response from last to first.

import type { RouteFilterFactory } from './chain.ts';

export const filterFactories: readonly RouteFilterFactory[] = [];
