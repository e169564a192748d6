// Header changes of route configuration, virtual host, route and weighted cluster, compiled to "names to drop" and "lines to add".

import { oncePer } from '@weft/mesh-core/model';
import type { HeaderAddition, HeaderOps } from '../config/model.ts';
import { compileHeaderValue, type HeaderValueSource } from './header-values.ts';

/** A message that is changed, with what its values may speak of. */
export interface ChangedMessage extends HeaderValueSource {
  /** Of a field as it came, name in lower case. */
  values(side: 'request' | 'response', name: string): string[];
}

export interface CompiledHeaderOps {
  /** Lower-case names that are not passed on; undefined = none. */
  drop: ReadonlySet<string> | undefined;
  /** Of all fields that change. */
  names: ReadonlySet<string>;
  /** Field lines to add. */
  lines(source: ChangedMessage): string;
}

interface Entry {
  name: string;
  value: string | ((source: HeaderValueSource) => string);
  keepEmpty: boolean;
  /** `original`: whether the message's own field still counts at this point. */
  when: 'always' | 'absent' | 'present';
  original: boolean;
  /** Of a value that may come to nothing, and then overwrites nothing: what stays of earlier levels. */
  instead?: readonly Entry[];
  /** What it is joined to, besides the message's own. */
  joins?: readonly Entry[];
}

/**
 * Of which a message has one field: what is added joins it. Every header map of Envoy has some places (HTTP's own and gRPC's), others
 * its filters have asked for (CORS, cache, compressor). Those the proxies write anew themselves are not among them.
 */
const SINGLE: Readonly<Record<'request' | 'response', ReadonlySet<string>>> = {
  request: new Set([
    ...['accept', 'accept-encoding', 'access-control-request-headers', 'access-control-request-method', 'access-control-request-private-network'],
    ...['authorization', 'cache-control', 'cdn-loop', 'content-encoding', 'content-type', 'grpc-accept-encoding', 'grpc-timeout', 'if-match'],
    ...['if-modified-since', 'if-none-match', 'if-range', 'origin', 'pragma', 'proxy-status', 'referer', 'user-agent', 'via'],
  ]),
  response: new Set([
    ...['access-control-allow-credentials', 'access-control-allow-headers', 'access-control-allow-methods', 'access-control-allow-origin'],
    ...['access-control-allow-private-network', 'access-control-expose-headers', 'access-control-max-age', 'age', 'cache-control'],
    ...['content-encoding', 'content-type', 'date', 'etag', 'expires', 'last-modified', 'location', 'proxy-status', 'server', 'vary', 'via'],
  ]),
};

const noOps: CompiledHeaderOps = { drop: undefined, names: new Set(), lines: () => '' };

/**
 * Compiles several levels, applied in this order. Within a level Envoy removes first, then overwrites, then appends. `side` tells
 * whose fields "exists" and "absent" are about.
 */
export function compileHeaderOps(levels: readonly HeaderOps[], side: 'request' | 'response' = 'request'): CompiledHeaderOps {
  const saying = levels.filter(({ add, remove }) => add.length > 0 || remove.length > 0);
  const [first, ...more] = saying;
  if (first === undefined) return noOps;
  return more.length === 0 ? ofOneLevel[side](first) : compileLevels(saying, side);
}

const ofOneLevel = {
  request: oncePer((level: HeaderOps) => compileLevels([level], 'request')),
  response: oncePer((level: HeaderOps) => compileLevels([level], 'response')),
};

function compileLevels(levels: readonly HeaderOps[], side: 'request' | 'response'): CompiledHeaderOps {
  const drop = new Set<string>();
  let entries: Entry[] = [];
  for (const level of levels) {
    for (const name of level.remove) {
      drop.add(name);
      entries = entries.filter((entry) => entry.name !== name);
    }
    // Values see the message as the levels before have left it.
    const seen = { drop: new Set(drop), entries: [...entries] };
    const overwrites = level.add.filter(({ action }) => action === 'overwrite' || action === 'overwrite-if-exists');
    for (const addition of overwrites) {
      if (addition.value === '' && !addition.keepEmpty) continue;
      const original = !drop.has(addition.name);
      const before = entries.filter((entry) => entry.name === addition.name);
      // "If exists" is settled here when an earlier level surely added one, or removed what there was.
      if (addition.action === 'overwrite-if-exists' && before.length === 0 && !original) continue;
      const sure = addition.action === 'overwrite' || before.some((entry) => entry.when === 'always' && typeof entry.value === 'string');
      drop.add(addition.name);
      entries = entries.filter((entry) => entry.name !== addition.name);
      const entry = entryOf(addition, sure ? 'always' : 'present', original, seen, side);
      entries.push(typeof entry.value === 'string' ? entry : { ...entry, instead: before });
    }
    for (const addition of level.add) {
      if (overwrites.includes(addition)) continue;
      const { name } = addition;
      if (addition.action === 'append' && SINGLE[side].has(name)) {
        const joins = entries.filter((entry) => entry.name === name);
        entries = entries.filter((entry) => entry.name !== name);
        entries.push({ ...entryOf(addition, 'always', !drop.has(name), seen, side), joins });
        drop.add(name);
        continue;
      }
      entries.push(entryOf(addition, addition.action === 'add-if-absent' ? 'absent' : 'always', !seen.drop.has(addition.name), seen, side));
    }
  }
  if (drop.size === 0 && entries.length === 0) return noOps;
  const fixed = entries.every((entry) => entry.when === 'always' && typeof entry.value === 'string' && entry.joins === undefined)
    ? entries.map((entry) => lineOf(entry.name, entry.value as string, entry.keepEmpty)).join('')
    : undefined;
  const conditional = entries.some((entry) => entry.when !== 'always');
  return {
    drop: drop.size === 0 ? undefined : drop,
    names: new Set([...drop, ...entries.map(({ name }) => name)]),
    lines: fixed === undefined ? (source) => write(entries, source, side, conditional) : () => fixed,
  };
}

function write(entries: readonly Entry[], source: ChangedMessage, side: 'request' | 'response', conditional: boolean): string {
  let text = '';
  const added = conditional ? new Set<string>() : undefined;
  for (const { name, value, when, original, keepEmpty, instead, joins } of entries) {
    if (when !== 'always') {
      const exists = (original && source[side](name) !== undefined) || added?.has(name) === true;
      if (exists !== (when === 'present')) continue;
    }
    const own = typeof value === 'string' ? value : value(source);
    if (joins !== undefined) {
      text += join(name, [...(original ? source.values(side, name) : []), ...valuesOf(write(joins, source, side, true))], own, keepEmpty);
      continue;
    }
    const line = lineOf(name, own, keepEmpty);
    if (line !== '') added?.add(name);
    if (line !== '' || instead === undefined) text += line;
    else text += (original ? source.values(side, name) : []).map((own) => lineOf(name, own, true)).join('') + write(instead, source, side, true);
  }
  return text;
}

function join(name: string, before: readonly string[], own: string, keepEmpty: boolean): string {
  if (own === '' && !keepEmpty) return before.map((value) => lineOf(name, value, true)).join('');
  return lineOf(name, [...before, own].filter((part) => part !== '').join(','), keepEmpty);
}

function valuesOf(lines: string): string[] {
  return lines
    .split('\r\n')
    .slice(0, -1)
    .map((line) => line.slice(line.indexOf(':') + 2));
}

function lineOf(name: string, value: string, keepEmpty: boolean): string {
  return value === '' && !keepEmpty ? '' : `${name}: ${value}\r\n`;
}

function entryOf(
  { name, value, keepEmpty }: HeaderAddition,
  when: Entry['when'],
  original: boolean,
  seen: { drop: ReadonlySet<string>; entries: readonly Entry[] },
  side: 'request' | 'response',
): Entry {
  const compiled = compileHeaderValue(value);
  if (typeof compiled === 'string') return { name, value: compiled, when, original, keepEmpty };
  if (seen.drop.size === 0 && seen.entries.length === 0) return { name, value: compiled, when, original, keepEmpty };
  // A format that names a header an earlier step changed shows the changed one.
  const changed = (source: HeaderValueSource): HeaderValueSource => {
    const read = (header: string): string | undefined => {
      const own = seen.drop.has(header) ? undefined : source[side](header);
      if (own !== undefined) return own;
      const earlier = seen.entries.find((entry) => entry.name === header);
      return earlier === undefined ? undefined : typeof earlier.value === 'string' ? earlier.value : earlier.value(source);
    };
    return { record: source.record, request: (header) => source.request(header), response: (header) => source.response(header), [side]: read };
  };
  return { name, value: (source) => compiled(changed(source)), when, original, keepEmpty };
}
