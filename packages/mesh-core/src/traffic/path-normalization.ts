// Paths as Envoy's connection manager sees and forwards them: what routes, filters and the upstream judge is the same text.

export type EscapedSlashes = 'keep' | 'reject' | 'redirect' | 'unescape';

export interface PathRules {
  normalize: boolean;
  mergeSlashes: boolean;
  escapedSlashes: EscapedSlashes;
}

/** `path` to go on with, to redirect to (307), or undefined = refuse with 400. */
export type NormalizedPath = { path: string | undefined; redirect: boolean };

/** Undefined when no rule is on: such a manager has no cost. */
export function compilePathRules(rules: PathRules): ((path: string) => NormalizedPath) | undefined {
  if (!rules.normalize && !rules.mergeSlashes && rules.escapedSlashes === 'keep') return undefined;
  const same: NormalizedPath = { path: '', redirect: false };
  return (given) => {
    // Most paths are in order: nothing below changes them.
    if (!suspicious.test(given)) {
      same.path = given;
      return same;
    }
    return apply(given, rules);
  };
}

/** What may need work: a dot segment, a doubled slash, an escape, a backslash, or a character that has no place in a path. */
const suspicious = /^[^/]|[%\\#"<>^`{|}]|\/\/|\/\.|[^!-~]/;

function apply(given: string, rules: PathRules): NormalizedPath {
  const query = given.indexOf('?');
  let path = query < 0 ? given : given.slice(0, query);
  const rest = query < 0 ? '' : given.slice(query);
  let redirect = false;
  // Asterisk-form of OPTIONS.
  if (path === '*') return { path: given, redirect: false };
  if (rules.escapedSlashes !== 'keep' && /%(?:2f|5c)/i.test(path)) {
    if (rules.escapedSlashes === 'reject') return { path: undefined, redirect: false };
    path = path.replaceAll(/%2f/gi, '/').replaceAll(/%5c/gi, '\\');
    redirect = rules.escapedSlashes === 'redirect';
  }
  if (rules.normalize) {
    if (/%00/.test(path) || given.includes('#')) return { path: undefined, redirect: false };
    path = removeDotSegments(
      path
        .replaceAll(/%[0-9a-f]{2}/gi, unescapeUnreserved)
        .replaceAll('\\', '/')
        .replaceAll(/["<>^`{|}\x80-\xff]/g, escaped),
    );
  }
  if (rules.mergeSlashes) path = path.replaceAll(/\/{2,}/g, '/');
  return { path: path + rest, redirect };
}

/** What is no character of a path goes on escaped. */
const escaped = (char: string): string => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;

/** Unreserved characters lose their escape (RFC 3986 §6.2.2.2); all others keep it as it is. */
function unescapeUnreserved(escape: string): string {
  const char = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
  return /[A-Za-z0-9._~-]/.test(char) ? char : escape;
}

/** RFC 3986 §5.2.4. */
function removeDotSegments(path: string): string {
  const out: string[] = [];
  const segments = path.split('/').slice(1);
  for (const [i, segment] of segments.entries()) {
    const last = i === segments.length - 1;
    if (segment === '..') out.pop();
    else if (segment !== '.') out.push(segment);
    if (last && (segment === '.' || segment === '..')) out.push('');
  }
  return `/${out.join('/')}`;
}
