// Secret and ConfigMap (core): objects whose content stands at the top, not under `spec`. Weft keeps it as their spec.

import { base64Encode, getTextEncoding } from '@bufbuild/protobuf/wire';
import { z } from 'zod';
import { KINDS, type MeshObject, manifestKind } from '../model/index.ts';

/** Fields beside metadata, by kind. */
export const DATA_FIELDS: Readonly<Record<string, readonly string[]>> = {
  Secret: ['type', 'data', 'stringData', 'immutable'],
  ConfigMap: ['data', 'binaryData', 'immutable'],
};

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const texts = z.record(z.string().regex(/^[-._A-Za-z0-9]+$/, 'must be letters, digits, -, _ and .'), z.string());

/** Messages name keys, never values. `stringData` is plain text, laid over `data` when the object is stored. */
export const secretSpec = z
  .strictObject({ type: z.string().optional(), data: texts.optional(), stringData: texts.optional(), immutable: z.boolean().optional() })
  .superRefine((spec, context) => {
    const keys = new Set([...Object.keys(spec.data ?? {}), ...Object.keys(spec.stringData ?? {})]);
    for (const [key, value] of Object.entries(spec.data ?? {}))
      if (value !== REDACTED && !BASE64.test(value.replaceAll(/\s/g, '')))
        context.addIssue({ code: 'custom', path: ['data'], message: `${key} must be base64` });
    if (spec.type !== 'kubernetes.io/tls') return;
    for (const key of ['tls.crt', 'tls.key'])
      if (!keys.has(key)) context.addIssue({ code: 'custom', path: ['data'], message: `a Secret of type kubernetes.io/tls needs ${key}` });
  });
/** As stored. */
export interface SecretSpec {
  type?: string;
  /** Base64. */
  data: Readonly<Record<string, string>>;
}

/** Stands for a value that is not shown. Written back it means the value as it is. */
export const REDACTED = '[redacted]';
/** The same as Kubernetes' clients read it: their Secrets are base64. */
const REDACTED_BASE64 = base64Encode(getTextEncoding().encodeUtf8(REDACTED));

export const configMapSpec = z.strictObject({ data: texts.optional(), binaryData: texts.optional(), immutable: z.boolean().optional() });

/** The stored form of a valid Secret: everything in `data`. */
export function storedSecret(spec: z.infer<typeof secretSpec>): SecretSpec {
  const own = Object.entries(spec.data ?? {}).map(([key, value]): [string, string] => [
    key,
    value === REDACTED_BASE64 ? REDACTED : value === REDACTED ? value : value.replaceAll(/\s/g, ''),
  ]);
  const plain = Object.entries(spec.stringData ?? {}).map(([key, value]): [string, string] => [key, base64Encode(getTextEncoding().encodeUtf8(value))]);
  return { ...(spec.type === undefined ? {} : { type: spec.type }), data: Object.fromEntries([...own, ...plain]) };
}

/** The body of an input object: under `spec`, or for these kinds at the top. `path` is where it stands. */
export function bodyOf(kind: string, record: Readonly<Record<string, unknown>>): { body: unknown; path: string[] } {
  const fields = DATA_FIELDS[kind];
  if (fields === undefined || record['spec'] !== undefined) return { body: record['spec'] ?? {}, path: ['spec'] };
  return { body: Object.fromEntries(fields.filter((key) => record[key] !== undefined).map((key) => [key, record[key]])), path: [] };
}

/** An object as Kubernetes shows it: its kind by the name of manifests, no namespace where it has none, these kinds' content at the top. */
export function presented<T extends MeshObject>(object: T): T {
  if (DATA_FIELDS[object.kind] === undefined) return asManifest(object);
  const { spec, ...rest } = object;
  const { data, ...others } = spec as { data?: Readonly<Record<string, string>> };
  const shown =
    data === undefined ? {} : { data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, value === REDACTED ? REDACTED_BASE64 : value])) };
  return { ...rest, ...others, ...shown } as unknown as T;
}

function asManifest<T extends MeshObject>(object: T): T {
  const kind = KINDS.find((k) => k.kind === object.kind);
  if (kind === undefined) return object;
  const { namespace: _, ...metadata } = object.metadata;
  const scoped = kind.clusterScoped === true ? { metadata: metadata as T['metadata'] } : {};
  return { ...object, kind: manifestKind(kind), ...scoped };
}
