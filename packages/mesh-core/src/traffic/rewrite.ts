// Path rewrites; the query is never touched.

import { compileRegex } from './string-match.ts';
import { pathWithoutQuery } from './route-match.ts';

/** Replaces the first `matchedLength` characters (what the route's prefix or exact path matched) by `replacement`. */
export function rewritePrefix(path: string, matchedLength: number, replacement: string): string {
  const rest = path.slice(matchedLength);
  const rewritten = replacement + rest;
  return rewritten.startsWith('/') ? rewritten : `/${rewritten}`;
}

/** Rewriter of all matches of an RE2 pattern; `\1` in the substitution is a group. @throws RegexError */
export function compileRegexRewrite(pattern: string, substitution: string): (path: string) => string {
  const regex = compileRegex(pattern);
  const replacement = substitution.replaceAll('$', '$$$$').replaceAll(/\\(\d|\\)/g, (_, what: string) => (what === '\\' ? '\\' : `$${what}`));
  return (path) => {
    const bare = pathWithoutQuery(path);
    return regex.matcher(bare).replaceAll(replacement) + path.slice(bare.length);
  };
}
