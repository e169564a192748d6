// Path and host rewrites. Of a path the query is never touched.

import { compileRegex } from './string-match.ts';
import { pathWithoutQuery } from './route-match.ts';

/** Replaces the first `matchedLength` characters (what the route's prefix or exact path matched) by `replacement`, as it is. */
export function rewritePrefix(path: string, matchedLength: number, replacement: string): string {
  return replacement + path.slice(matchedLength);
}

/** Replaces all matches of an RE2 pattern in a text; `\1` in the substitution is a group. @throws RegexError */
export function compileRegexRewriteText(pattern: string, substitution: string): (text: string) => string {
  const regex = compileRegex(pattern);
  // A group the pattern does not have: RE2 then replaces nothing.
  const groups = [...substitution.replaceAll('\\\\', '').matchAll(/\\(\d)/g)].map(([, group]) => Number(group));
  if (groups.some((group) => group > regex.groupCount())) return (text) => text;
  return (text) => {
    const matcher = regex.matcher(text);
    let rewritten = '';
    let end = -1;
    while (matcher.find()) {
      // As RE2: right behind a match nothing is none.
      if (matcher.start() === matcher.end() && matcher.start() === end) continue;
      rewritten += text.slice(Math.max(end, 0), matcher.start());
      rewritten += substitution.replaceAll(/\\(\d|\\)/g, (_, what: string) => (what === '\\' ? '\\' : (matcher.group(Number(what)) ?? '')));
      end = matcher.end();
    }
    return rewritten + text.slice(Math.max(end, 0));
  };
}

/** The same for the path of a target, its query left as it is; undefined where nothing is left of it, which is no path. @throws RegexError */
export function compileRegexRewrite(pattern: string, substitution: string): (path: string) => string | undefined {
  const rewrite = compileRegexRewriteText(pattern, substitution);
  return (path) => {
    const bare = pathWithoutQuery(path);
    const rewritten = rewrite(bare);
    return rewritten === '' ? undefined : rewritten + path.slice(bare.length);
  };
}
