// Matches of routes, and header matchers wherever they stand.

import type { HeaderMatchSpec, RouteMatchSpec } from '@weft/mesh-core/traffic';
import { decodeStringMatch } from './decode-common.ts';
import { decodeRuntimeFraction } from './decode-fraction.ts';
import { decodeMetadataMatch } from './decode-metadata-match.ts';
import type { Fields } from './fields.ts';
import type { StringMatch } from './model.ts';

const always = { numerator: 100, of: 100 };

export function decodeMatch(fields: Fields | undefined): RouteMatchSpec {
  if (fields === undefined) return { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], query: [] };
  const tls = fields.object('tlsContext');
  const match: RouteMatchSpec = {
    path: decodePath(fields),
    caseSensitive: fields.flag('caseSensitive', true),
    headers: fields.each('headers', decodeHeaderMatch),
    query: fields.each('queryParameters', (q) => {
      const string = q.object('stringMatch');
      const name = q.text('name');
      const match = string === undefined ? (q.flag('presentMatch', true) ? 'present' : 'absent') : decodeStringMatch(string, 'octets');
      q.end();
      return { name, match };
    }),
    ...(fields.has('grpc') ? { grpc: true } : {}),
    ...(tls === undefined
      ? {}
      : {
          tls: { ...(tls.has('presented') ? { presented: tls.flag('presented') } : {}), ...(tls.has('validated') ? { validated: tls.flag('validated') } : {}) },
        }),
    ...(fields.has('dynamicMetadata') ? { metadata: fields.list('dynamicMetadata').map(decodeMetadataMatch) } : {}),
    ...(fields.has('runtimeFraction') ? { fraction: decodeRuntimeFraction(fields.object('runtimeFraction'), always) } : {}),
  };
  fields.ignore('grpc');
  fields.end();
  return match;
}

function decodePath(fields: Fields): RouteMatchSpec['path'] {
  if (fields.has('path')) return { kind: 'exact', value: fields.octets('path') };
  if (fields.has('safeRegex')) return { kind: 'regex', value: decodeRegex(fields.object('safeRegex')) };
  if (fields.has('pathSeparatedPrefix')) return { kind: 'path-separated-prefix', value: fields.octets('pathSeparatedPrefix') };
  return { kind: 'prefix', value: fields.octets('prefix', '/') };
}

function decodeRegex(fields: Fields | undefined): string {
  fields?.ignore('googleRe2');
  const pattern = fields?.text('regex') ?? '';
  fields?.end();
  return pattern;
}

export function decodeRegexRewrite(fields: Fields): { pattern: string; substitution: string } {
  const rewrite = { pattern: decodeRegex(fields.object('pattern')), substitution: fields.octets('substitution') };
  fields.end();
  return rewrite;
}

export function decodeHeaderMatch(fields: Fields): HeaderMatchSpec {
  const match: HeaderMatchSpec = {
    name: fields.text('name').toLowerCase(),
    match: decodeHeaderValue(fields),
    invert: fields.flag('invertMatch'),
    treatMissingAsEmpty: fields.flag('treatMissingHeaderAsEmpty'),
  };
  fields.end();
  return match;
}

const DEPRECATED = [
  ['exactMatch', 'exact'],
  ['prefixMatch', 'prefix'],
  ['suffixMatch', 'suffix'],
  ['containsMatch', 'contains'],
] as const;

function decodeHeaderValue(fields: Fields): HeaderMatchSpec['match'] {
  const string = fields.object('stringMatch');
  if (string !== undefined) return decodeStringMatch(string, 'octets');
  const regex = fields.object('safeRegexMatch');
  if (regex !== undefined) return { kind: 'regex', value: decodeRegex(regex), ignoreCase: false };
  const range = fields.object('rangeMatch');
  if (range !== undefined) return { kind: 'range', start: range.number('start'), end: range.number('end') };
  for (const [field, kind] of DEPRECATED) if (fields.has(field)) return { kind, value: fields.octets(field), ignoreCase: false } satisfies StringMatch;
  return fields.flag('presentMatch', true) ? 'present' : 'absent';
}
