// The way to a field of an object, and as problems tell it.

/** `['spec', 'http', 0, 'match']`: names of fields and indexes of lists. */
export type FieldPath = readonly (string | number)[];

/** `spec.http[0].headers["a.b"]` */
export function pathText(path: FieldPath): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : /^[\w-]+$/.test(part) ? `${i === 0 ? '' : '.'}${part}` : `["${part}"]`)).join('');
}

/** The path of such a text; empty for an empty one. */
export function pathOfText(text: string): FieldPath {
  return [...text.matchAll(/\["([^"]*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(([, quoted, index, name]) =>
    index === undefined ? (quoted ?? name ?? '') : Number(index),
  );
}
