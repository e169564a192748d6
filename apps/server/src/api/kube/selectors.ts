// fieldSelector and labelSelector of lists and watches.

import type { MeshObject } from '@weft/mesh-core/model';

const FIELDS: Readonly<Record<string, (object: MeshObject) => string>> = {
  'metadata.name': ({ metadata }) => metadata.name,
  'metadata.namespace': ({ metadata }) => metadata.namespace,
};

/** A predicate for both selectors; throws SyntaxError on one that is not understood. */
export function selectorOf(query: { fieldSelector?: string | undefined; labelSelector?: string | undefined }): (object: MeshObject) => boolean {
  const fields = terms(query.fieldSelector).map((term) => {
    const [key = ''] = term.split(/[=!\s]/);
    if (!(key in FIELDS)) throw new SyntaxError(`the field ${key} is not selected by; there are ${Object.keys(FIELDS).join(' and ')}`);
    return requirement(term, (o, name) => FIELDS[name]?.(o));
  });
  const labels = terms(query.labelSelector).map((term) => requirement(term, (o, key) => o.metadata.labels?.[key]));
  return (object) => [...fields, ...labels].every((matches) => matches(object));
}

/** Splits at commas outside parentheses. */
function terms(selector: string | undefined): string[] {
  return (selector ?? '')
    .split(/,(?![^(]*\))/)
    .map((t) => t.trim())
    .filter((t) => t !== '');
}

function requirement(term: string, read: (object: MeshObject, key: string) => string | undefined): (object: MeshObject) => boolean {
  const equality = /^([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)$/.exec(term);
  if (equality) {
    const [, key = '', operator, value] = equality;
    return (o) => (read(o, key) === value) === (operator !== '!=');
  }
  const set = /^([\w./-]+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(term);
  if (set) {
    const [, key = '', operator, values = ''] = set;
    const wanted = values.split(',').map((v) => v.trim());
    return (o) => wanted.includes(read(o, key) ?? '') === (operator === 'in');
  }
  const existence = /^(!?)([\w./-]+)$/.exec(term);
  if (existence) return (o) => (read(o, existence[2] ?? '') === undefined) === (existence[1] === '!');
  throw new SyntaxError(`the selector ${term} is not understood; write key=value, key!=value, key in (a,b), key or !key`);
}
