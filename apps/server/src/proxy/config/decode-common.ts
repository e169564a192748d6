// Parts of messages several decoders share.

import type { Fields } from './fields.ts';
import type { HeaderOps, StringMatch } from './model.ts';

export function decodeStringMatch(fields: Fields): StringMatch {
  const ignoreCase = fields.flag('ignoreCase');
  for (const kind of ['exact', 'prefix', 'suffix', 'contains'] as const)
    if (fields.has(kind)) {
      const value = fields.text(kind);
      fields.end();
      return { kind, value, ignoreCase };
    }
  const regex = fields.object('safeRegex');
  const value = regex?.text('regex') ?? '';
  regex?.ignore('googleRe2');
  fields.end();
  return { kind: 'regex', value, ignoreCase };
}

/** Header mutations of a route, virtual host or weighted cluster. */
export function decodeHeaderOps(fields: Fields, side: 'request' | 'response'): HeaderOps {
  return {
    add: fields.list(`${side}HeadersToAdd`).map((option) => {
      const header = option.object('header');
      const action = option.text('appendAction', 'APPEND_IF_EXISTS_OR_ADD');
      if (action !== 'APPEND_IF_EXISTS_OR_ADD' && action !== 'OVERWRITE_IF_EXISTS_OR_ADD') option.problem('appendAction', `${action} is not supported`);
      const value = header?.text('value') ?? '';
      if (/%[A-Z_]+(\([^)]*\))?%/.test(value)) option.problem('header.value', `the command operator in ${value} is not supported`);
      option.ignore('keepEmptyValue');
      option.end();
      return { name: (header?.text('key') ?? '').toLowerCase(), value, overwrite: action === 'OVERWRITE_IF_EXISTS_OR_ADD' };
    }),
    remove: fields.texts(`${side}HeadersToRemove`).map((name) => name.toLowerCase()),
  };
}

/** `filter_metadata` of a Metadata message. */
export function decodeMetadata(fields: Fields): Record<string, Record<string, unknown>> {
  const metadata = fields.object('metadata');
  return (metadata?.raw('filterMetadata') ?? {}) as Record<string, Record<string, unknown>>;
}

export function decodeAddress(fields: Fields | undefined): { address: string; port: number } {
  const socket = fields?.object('socketAddress');
  return { address: socket?.text('address') ?? '', port: socket?.number('portValue') ?? 0 };
}
