// Which fields of an object anybody reads: its spec behind proxies that note every path, but for what JSON.stringify reads to compare.

/** Schemas as `jsonSchemaOf` gives them. */
export type Schema = {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  required?: string[];
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema | boolean;
} & Record<'anyOf' | 'oneOf' | 'allOf', Schema[] | undefined>;

const parts = (schema: Schema): Schema[] => [schema, ...[...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])].flatMap(parts)];

export function propertyOf(schema: Schema, name: string): Schema | undefined {
  for (const part of parts(schema)) {
    const found = part.properties?.[name] ?? (typeof part.additionalProperties === 'object' ? part.additionalProperties : undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Every field that holds a value itself, with the way there: `['servers', '[]', 'port', 'number']`. */
export function leaves(schema: Schema, way: string[] = []): string[][] {
  const inner = parts(schema).flatMap((part) => [
    ...Object.entries(part.properties ?? {}).flatMap(([name, s]) => leaves(s, [...way, name])),
    ...(part.items === undefined ? [] : leaves(part.items, [...way, '[]'])),
    ...(typeof part.additionalProperties === 'object' && parts(part.additionalProperties).some((p) => p.properties !== undefined)
      ? leaves(part.additionalProperties, [...way, '{}'])
      : []),
  ]);
  if (inner.length > 0) return [...new Map(inner.map((w) => [w.join('.'), w])).values()];
  return [way];
}

/** `servers[].port.number` */
export function pathOf(way: readonly string[]): string {
  return way
    .filter((step) => step !== '{}')
    .join('.')
    .replaceAll('.[]', '[]');
}

export class FieldReads {
  readonly paths = new Set<string>();
  private readonly known = new WeakMap<object, object>();

  /** `value`, noting what is read of it under its schema. */
  watch<T>(value: T, schema: Schema | undefined, path: readonly string[] = []): T {
    if (typeof value !== 'object' || value === null) return value;
    const before = this.known.get(value);
    if (before !== undefined) return before as T;
    /** Reads to come that are JSON.stringify's. */
    let ignored = 0;
    let stringifies = false;
    const list = Array.isArray(value);
    const proxy = new Proxy(value, {
      ownKeys: (target) => {
        const keys = Reflect.ownKeys(target);
        if (stringifies) ignored = keys.length;
        stringifies = false;
        return keys;
      },
      get: (target, key, receiver) => {
        const inner: unknown = Reflect.get(target, key, receiver);
        if (typeof key !== 'string') return inner;
        if (key === 'toJSON') {
          stringifies = true;
          return inner;
        }
        if (list && !/^\d+$/.test(key)) return inner;
        const own = parts(schema ?? ({} as Schema)).some((part) => part.properties?.[key] !== undefined);
        const way = list ? [...path, '[]'] : own ? [...path, key] : [...path, '{}'];
        if (ignored > 0) ignored--;
        else this.paths.add(pathOf(way));
        const next = schema === undefined ? undefined : list ? parts(schema).find((p) => p.items !== undefined)?.items : propertyOf(schema, key);
        return this.watch(inner, next, way);
      },
    });
    this.known.set(value, proxy);
    return proxy as T;
  }
}
