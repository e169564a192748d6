// Rules and matches of one VirtualService that an earlier rule leaves nothing for.

import type { MeshObject, Problem } from '../model/index.ts';
import { problem } from './analyze-mesh.ts';
import type { HttpMatchSpec } from './http-route.ts';
import type { StringMatchSpec } from './schema-parts.ts';
import type { VirtualServiceSpec } from './virtual-service.ts';

type VirtualService = MeshObject<VirtualServiceSpec>;
interface Rule {
  name?: string | undefined;
  match?: readonly object[] | undefined;
}

export function matchProblems(vs: VirtualService): Problem[] {
  const { http = [], tls = [], tcp = [] } = vs.spec;
  return [...rulesOf(vs, 'http', http), ...coveredPrefixes(vs), ...rulesOf(vs, 'tls', tls), ...rulesOf(vs, 'tcp', tcp)];
}

/** Rules after one without matches, and matches that were there before. */
function rulesOf(vs: VirtualService, kind: 'http' | 'tls' | 'tcp', rules: readonly Rule[]): Problem[] {
  const problems: Problem[] = [];
  const unused = (path: string, message: string): unknown => problems.push(problem(vs, 'warning', 'IST0130', path, message));
  const seen = new Map<string, string>();
  let open: string | undefined;
  for (const [i, rule] of rules.entries()) {
    const path = `spec.${kind}[${i}]`;
    const name = rule.name ?? `${kind}[${i}]`;
    const list = rule.match ?? [];
    if (open !== undefined) {
      unused(path, `Rule ${name} is never reached: ${open} matches every request. Move it up.`);
      continue;
    }
    if (list.length === 0) {
      open = name;
      continue;
    }
    let repeated = 0;
    for (const [j, match] of list.entries()) {
      const key = JSON.stringify(Object.entries({ ...match, name: undefined }).toSorted(([a], [b]) => (a < b ? -1 : 1)));
      const earlier = seen.get(key);
      if (earlier === undefined) seen.set(key, name);
      else {
        repeated += 1;
        problems.push(problem(vs, 'info', 'IST0131', `${path}.match[${j}]`, `Rule ${earlier} has the same match and comes first.`));
      }
    }
    if (kind === 'http' && (list as HttpMatchSpec[]).some(matchesAll)) open = name;
    if (repeated === list.length) unused(path, `Rule ${name} is never reached: rules before it have all its matches.`);
  }
  return problems;
}

/** A match entry that lets every request through; Istio cuts the list after it. */
function matchesAll(match: HttpMatchSpec): boolean {
  const { name: _name, statPrefix: _stat, ignoreUriCase: _case, uri, ...rest } = match;
  const anyUri = uri === undefined || uri.prefix === '/' || uri.regex === '.*';
  return anyUri && Object.values(rest).every((value) => value === undefined || (typeof value === 'object' && Object.keys(value).length === 0));
}

/** A prefix under a shorter one that asks for nothing more. */
function coveredPrefixes(vs: VirtualService): Problem[] {
  const prefixes = (vs.spec.http ?? []).flatMap((rule, i) =>
    (rule.match ?? []).flatMap((match, j) =>
      match.uri?.prefix === undefined ? [] : [{ match, prefix: match.uri.prefix, path: `spec.http[${i}].match[${j}]`, rule: rule.name ?? `http[${i}]` }],
    ),
  );
  return prefixes.flatMap((inner, i) => {
    const outer = prefixes.slice(0, i).find((o) => o.prefix !== inner.prefix && inner.prefix.startsWith(o.prefix) && asksNoMore(o.match, inner.match));
    return outer === undefined
      ? []
      : [
          problem(
            vs,
            'info',
            'IST0131',
            inner.path,
            `Rule ${outer.rule} takes all of ${outer.prefix}, so ${inner.prefix} is never reached here. Put the longer prefix first.`,
          ),
        ];
  });
}

/** Istio's approximation: the same port and fields, each value equal or wider. */
function asksNoMore(outer: HttpMatchSpec, inner: HttpMatchSpec): boolean {
  if (outer.port !== inner.port) return false;
  if (!covers(outer.method ?? { exact: 'GET' }, inner.method ?? { exact: 'GET' }) || !covers(outer.authority, inner.authority)) return false;
  return (['headers', 'queryParams', 'withoutHeaders'] as const).every((key) => {
    const [wide = {}, narrow = {}] = [outer[key], inner[key]];
    return Object.keys(wide).length === Object.keys(narrow).length && Object.entries(wide).every(([name, m]) => name in narrow && covers(m, narrow[name]));
  });
}

function covers(outer: StringMatchSpec | undefined, inner: StringMatchSpec | undefined): boolean {
  const key = (m: StringMatchSpec | undefined): string => (m?.exact !== undefined ? `exact${m.exact}` : m?.prefix !== undefined ? `prefix${m.prefix}` : '');
  return key(outer).startsWith(key(inner));
}
