// MetadataMatcher.

import type { MetadataMatchSpec, ValueMatchSpec } from '@weft/mesh-core/traffic';
import { decodeStringMatch } from './decode-common.ts';
import type { Fields } from './fields.ts';

export function decodeMetadataMatch(fields: Fields): MetadataMatchSpec {
  const value = fields.object('value');
  if (value === undefined) fields.problem('value', 'is needed');
  const match: MetadataMatchSpec = {
    namespace: fields.text('filter'),
    path: fields.list('path').map((segment) => {
      const key = segment.text('key');
      segment.end();
      return key;
    }),
    value: value === undefined ? { kind: 'or', values: [] } : decodeValueMatch(value),
    invert: fields.flag('invert'),
  };
  fields.end();
  return match;
}

function decodeValueMatch(fields: Fields): ValueMatchSpec {
  const spec = decodeKind(fields);
  if (spec === undefined && fields.keys().length === 0) fields.problem('match', 'there is none this proxy knows');
  fields.end();
  return spec ?? { kind: 'or', values: [] };
}

function decodeKind(fields: Fields): ValueMatchSpec | undefined {
  if (fields.has('presentMatch')) return { kind: 'present', present: fields.flag('presentMatch') };
  if (fields.has('boolMatch')) return { kind: 'bool', value: fields.flag('boolMatch') };
  const string = fields.object('stringMatch');
  if (string !== undefined) return { kind: 'string', match: decodeStringMatch(string) };
  if (fields.object('nullMatch') !== undefined) return { kind: 'null' };
  const double = fields.object('doubleMatch');
  if (double !== undefined) return decodeDouble(double);
  const list = fields.object('listMatch');
  if (list !== undefined) {
    const entry = list.object('oneOf');
    list.end();
    if (entry === undefined) list.problem('oneOf', 'is needed');
    return { kind: 'list', entry: entry === undefined ? { kind: 'or', values: [] } : decodeValueMatch(entry) };
  }
  const or = fields.object('orMatch');
  if (or === undefined) return undefined;
  const values = or.list('valueMatchers').map(decodeValueMatch);
  or.end();
  return { kind: 'or', values };
}

function decodeDouble(fields: Fields): ValueMatchSpec {
  const range = fields.object('range');
  const spec: ValueMatchSpec =
    range === undefined ? { kind: 'number', value: fields.number('exact') } : { kind: 'range', start: range.number('start'), end: range.number('end') };
  range?.end();
  fields.end();
  return spec;
}
