// The CORS filter of HTTPRoutes.

import type { HttpRouteSpec, MeshRouteSpec } from '../../config/index.ts';

type Filter = NonNullable<NonNullable<MeshRouteSpec['rules']>[number]['filters']>[number];
type Cors = Extract<Filter, { type: 'CORS' }>['cors'];
type Policy = NonNullable<HttpRouteSpec['corsPolicy']>;

/** What an origin can look like: `*` is no other text. */
const ANY_ORIGIN = '^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\\s?#]+$';

/** A preflight that is not allowed does not reach the application, unlike the default of VirtualServices. */
export function corsPolicy({ allowOrigins = [], allowMethods, allowHeaders, exposeHeaders, allowCredentials, maxAge = 5 }: Cors): Policy {
  return {
    allowOrigins: allowOrigins.map(origin),
    ...(allowMethods === undefined ? {} : { allowMethods }),
    ...(allowHeaders === undefined ? {} : { allowHeaders }),
    ...(exposeHeaders === undefined ? {} : { exposeHeaders }),
    ...(allowCredentials === true ? { allowCredentials } : {}),
    maxAge: `${maxAge}s`,
    unmatchedPreflights: 'IGNORE',
  };
}

function origin(text: string): NonNullable<Policy['allowOrigins']>[number] {
  if (text === '*') return { regex: ANY_ORIGIN };
  const at = text.indexOf('*');
  if (at < 0) return { exact: text };
  if (at === text.length - 1) return { prefix: text.slice(0, -1) };
  return { regex: `^${text.split('*').map(escaped).join('.*')}$` };
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
