// Parts of messages several decoders share.

import { enumNumber } from '@weft/mesh-core/wire';
import { isFinalStatus } from '../http/heads.ts';
import { headerValueProblem } from '../http/header-values.ts';
import type { Fields } from './fields.ts';
import type { HeaderAddition, HeaderOps, StringMatch } from './model.ts';
import { shared } from './shared.ts';

/** `of`: of a message's octets, or of text. */
export function decodeStringMatch(fields: Fields, of: 'octets' | 'text' = 'text'): StringMatch {
  const ignoreCase = fields.flag('ignoreCase');
  for (const kind of ['exact', 'prefix', 'suffix', 'contains'] as const)
    if (fields.has(kind)) {
      const value = fields[of](kind);
      fields.end();
      return { kind, value, ignoreCase };
    }
  const regex = fields.object('safeRegex');
  const value = regex?.text('regex') ?? '';
  regex?.ignore('googleRe2');
  fields.end();
  return { kind: 'regex', value, ignoreCase };
}

const APPEND_ACTIONS: Readonly<Record<string, HeaderAddition['action']>> = {
  APPEND_IF_EXISTS_OR_ADD: 'append',
  ADD_IF_ABSENT: 'add-if-absent',
  OVERWRITE_IF_EXISTS_OR_ADD: 'overwrite',
  OVERWRITE_IF_EXISTS: 'overwrite-if-exists',
};

/** Header mutations of a route configuration, virtual host, route or weighted cluster. */
export function decodeHeaderOps(fields: Fields, side: 'request' | 'response'): HeaderOps {
  return shared({ add: decodeHeaderList(fields, `${side}HeadersToAdd`), remove: fields.texts(`${side}HeadersToRemove`).map((name) => name.toLowerCase()) });
}

/** A list of HeaderValueOption. */
export function decodeHeaderList(fields: Fields, key: string): HeaderAddition[] {
  return fields.list(key).map((option) => {
    const header = option.object('header');
    const name = (header?.text('key') ?? '').toLowerCase();
    const raw = header?.text('rawValue') ?? '';
    const value = raw === '' ? (header?.octets('value') ?? '') : Buffer.from(raw, 'base64').toString('latin1');
    const problem = headerValueProblem(value);
    if (problem !== undefined) option.problem('header.value', problem);
    if (name === 'host' || name.startsWith(':')) option.problem('header.key', `${name} is changed by rewrites only`);
    // `append` is the old spelling: false = overwrite.
    const action = option.has('append') && !option.flag('append', true) ? 'overwrite' : (APPEND_ACTIONS[option.text('appendAction')] ?? 'append');
    const keepEmpty = option.flag('keepEmptyValue');
    header?.end();
    option.end();
    return { name, value, action, keepEmpty };
  });
}

/** Of an HttpStatus, whose codes have names; `fallback` also in place of what no answer can have. */
export function decodeHttpStatus(fields: Fields | undefined, fallback: number): number {
  if (fields === undefined) return fallback;
  const code = enumNumber('envoy.type.v3.StatusCode', fields.text('code') || fields.number('code'));
  fields.end();
  return code === undefined || !isFinalStatus(code) ? fallback : code;
}

/** `filter_metadata` of a Metadata message. */
export function decodeMetadata(fields: Fields): Record<string, Record<string, unknown>> {
  const metadata = fields.object('metadata');
  return (metadata?.raw('filterMetadata') ?? {}) as Record<string, Record<string, unknown>>;
}

/** Of a unix socket the address is its path (`@name` for an abstract one), and the port 0. */
export function decodeAddress(fields: Fields | undefined): { address: string; port: number } {
  const pipe = fields?.object('pipe');
  if (pipe !== undefined) return { address: pipe.text('path'), port: 0 };
  const socket = fields?.object('socketAddress');
  return { address: socket?.text('address') ?? '', port: socket?.number('portValue') ?? 0 };
}

/** Of a connection manager or a route. */
export function decodeUpgrades(fields: Fields): ReadonlyMap<string, boolean> {
  return new Map(
    fields.list('upgradeConfigs').map((config) => {
      const type = config.text('upgradeType').toLowerCase();
      if (type === 'connect') config.problem('upgradeType', 'CONNECT is not supported');
      const enabled = config.flag('enabled', true);
      config.end();
      return [type, enabled];
    }),
  );
}
