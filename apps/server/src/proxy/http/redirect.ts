import { compileRegexRewrite, pathWithoutQuery, rewritePrefix, withoutPort, type RequestView } from '@weft/mesh-core/traffic';
import type { RedirectAction, RouteMatch } from '../config/model.ts';

/** `forwardedProto`: how the client came, as `x-forwarded-proto` has it. */
export type RedirectLocation = (request: RequestView & { readonly forwardedProto: string }) => string;

/** Location of a redirect; of the path, what the route matched is what a prefix rewrite replaces. @throws RegexError */
export function compileRedirect(action: RedirectAction, match: RouteMatch): RedirectLocation {
  const { prefixRewrite, regexRewrite } = action;
  const regex = regexRewrite === undefined ? undefined : compileRegexRewrite(regexRewrite.pattern, regexRewrite.substitution);
  const pathOf = (path: string): string => {
    if (action.path !== undefined) return action.path.includes('?') ? action.path : action.path + path.slice(pathWithoutQuery(path).length);
    if (prefixRewrite !== undefined)
      return rewritePrefix(path, match.path.kind === 'regex' ? pathWithoutQuery(path).length : match.path.value.length, prefixRewrite);
    return regex?.(path) ?? path;
  };
  return (request) => {
    const scheme = action.scheme ?? request.scheme;
    let host = action.host ?? request.authority;
    if (action.port !== undefined) host = `${action.host ?? withoutPort(host)}:${action.port}`;
    else if (action.host === undefined && leavesDefaultPort(host, request.forwardedProto, scheme)) host = withoutPort(host);
    const path = pathOf(request.path);
    // A query the redirect itself names is not the request's.
    const stripped = action.stripQuery && action.path === undefined ? pathWithoutQuery(path) : action.stripQuery ? (action.path ?? '') : path;
    return `${scheme}://${host}${stripped.startsWith('/') ? '' : '/'}${stripped}`;
  };
}

/** The default port of the old scheme does not belong to the new one. */
function leavesDefaultPort(host: string, old: string, scheme: string): boolean {
  return old !== scheme && ((old === 'http' && host.endsWith(':80')) || (old === 'https' && host.endsWith(':443')));
}
