// Filters a connection manager has for all its requests, in the order it lists them; they come before those of routes.

import type { HttpConnectionManager } from '../../config/model.ts';
import type { Counters } from '../counters.ts';
import type { RouteFilter } from './chain.ts';
import { rbacFilter } from './rbac.ts';

/** Only `onRequest` of them is called. @throws RegexError */
export function compileManagerFilters({ filters, statPrefix }: HttpConnectionManager, counters: Counters): readonly RouteFilter[] {
  const scope = `http.${statPrefix}.`;
  return filters.flatMap((filter) => (filter.kind === 'rbac' ? [rbacFilter(filter, scope, counters)] : []));
}
