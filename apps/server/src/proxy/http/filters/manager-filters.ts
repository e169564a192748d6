// Filters a connection manager has for all its requests, in the order it lists them; they come before those of routes.

import type { HttpConnectionManager } from '../../config/model.ts';
import type { Counters } from '../counters.ts';
import type { RouteFilter } from './chain.ts';
import { extAuthzFilter } from './ext-authz.ts';
import { jwtAuthnFilter } from './jwt-authn.ts';
import { rbacFilter } from './rbac.ts';

/** Only `onRequest` of them is called. @throws RegexError */
export function compileManagerFilters({ filters, statPrefix }: HttpConnectionManager, counters: Counters): readonly RouteFilter[] {
  const scope = `http.${statPrefix}.`;
  return filters.flatMap((filter) => {
    switch (filter.kind) {
      case 'jwt-authn':
        return [jwtAuthnFilter(filter.config, scope, counters)];
      case 'ext-authz':
        return [extAuthzFilter(filter.name, filter.config, scope, counters)];
      case 'rbac':
        return [rbacFilter(filter, scope, counters)];
      default:
        return [];
    }
  });
}
