import { pathWithoutQuery, rewritePrefix, withoutPort, type RequestView } from '@weft/mesh-core/traffic';
import type { RedirectAction } from '../config/model.ts';

/** Location of a redirect; `matched` is the route's path, which a prefix rewrite replaces. */
export function redirectLocation(action: RedirectAction, request: RequestView, matched: string): string {
  const scheme = action.scheme ?? request.scheme;
  let host = action.host ?? request.authority;
  if (action.port !== undefined) host = `${withoutPort(host)}:${action.port}`;
  // The port of the old scheme does not belong to the new one.
  else if (action.scheme !== undefined && action.host === undefined && /:(80|443)$/.test(host)) host = withoutPort(host);
  let path = request.path;
  if (action.path !== undefined) path = action.path.includes('?') ? action.path : action.path + request.path.slice(pathWithoutQuery(request.path).length);
  else if (action.prefixRewrite !== undefined) path = rewritePrefix(request.path, matched.length, action.prefixRewrite);
  return `${scheme}://${host}${action.stripQuery ? pathWithoutQuery(path) : path}`;
}
