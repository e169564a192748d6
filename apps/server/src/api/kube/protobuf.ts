// Kubernetes' protobuf: `kubectl create secret|configmap|namespace|service|ingress` send nothing else. Numbers of generated.proto in k8s.io/api/core/v1
// and networking/v1.

import { WireReader, WireType } from '@weft/mesh-core/wire';
import { RefusedError } from '../errors.ts';

/** What a field holds: a scalar, a list of texts, a message, a map, or a list of messages. Go writes what is unset as 0: of a `positive` number that is nothing. */
type Shape = 'text' | 'number' | 'positive' | 'list' | 'base64' | 'texts' | 'base64s' | Fields | readonly [Fields];
interface Fields {
  readonly [number: number]: readonly [name: string, shape: Shape];
}

/** Name of a field whose fields are those of the message around it. */
const INLINE = '';
const META: Fields = { 1: ['name', 'text'], 3: ['namespace', 'text'], 6: ['resourceVersion', 'text'], 11: ['labels', 'texts'], 12: ['annotations', 'texts'] };
const SERVICE_PORT: Fields = {
  1: ['name', 'text'],
  2: ['protocol', 'text'],
  3: ['port', 'number'],
  4: ['targetPort', { 2: ['number', 'number'], 3: ['name', 'text'] }],
  6: ['appProtocol', 'text'],
};
const BACKEND: Fields = {
  3: ['resource', { 1: ['apiGroup', 'text'], 2: ['kind', 'text'], 3: ['name', 'text'] }],
  4: ['service', { 1: ['name', 'text'], 2: ['port', { 1: ['name', 'text'], 2: ['number', 'positive'] }] }],
};
const PATH: Fields = { 1: ['path', 'text'], 2: ['backend', BACKEND], 3: ['pathType', 'text'] };
/** Its value is part of the rule itself in JSON. */
const RULE: Fields = { 1: ['host', 'text'], 2: [INLINE, { 1: ['http', { 1: ['paths', [PATH]] }] }] };
const KINDS: Readonly<Record<string, Fields>> = {
  Ingress: {
    1: ['metadata', META],
    2: [
      'spec',
      {
        ...{ 1: ['defaultBackend', BACKEND], 3: ['rules', [RULE]], 4: ['ingressClassName', 'text'] },
        2: ['tls', [{ 1: ['hosts', 'list'], 2: ['secretName', 'text'] }]],
      },
    ],
  },
  Namespace: { 1: ['metadata', META] },
  Secret: { 1: ['metadata', META], 2: ['data', 'base64s'], 3: ['type', 'text'], 4: ['stringData', 'texts'] },
  ConfigMap: { 1: ['metadata', META], 2: ['data', 'texts'], 3: ['binaryData', 'base64s'] },
  Service: {
    1: ['metadata', META],
    2: ['spec', { 1: ['ports', [SERVICE_PORT]], 2: ['selector', 'texts'], 3: ['clusterIP', 'text'], 4: ['type', 'text'], 10: ['externalName', 'text'] }],
  },
};
const TYPE_META: Fields = { 1: ['apiVersion', 'text'], 2: ['kind', 'text'] };
const ENVELOPE: Fields = { 1: ['typeMeta', TYPE_META], 2: ['raw', 'base64'] };
const MAGIC = Buffer.from('k8s\0');

/** The object a body holds, as JSON would have it. @throws RefusedError */
export function fromKubeProtobuf(body: Buffer): unknown {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC))
    throw new RefusedError(400, 'WEFT_BAD_REQUEST', 'the body is no protobuf of Kubernetes: it starts otherwise');
  try {
    const { typeMeta, raw } = read(body.subarray(MAGIC.length), ENVELOPE) as { typeMeta?: { apiVersion?: string; kind?: string }; raw?: string };
    const fields = KINDS[typeMeta?.kind ?? ''];
    if (fields === undefined)
      throw new RefusedError(
        415,
        'WEFT_PROTOBUF_KIND',
        `kind ${typeMeta?.kind ?? ''} is taken as JSON or YAML only: write it to a file and use kubectl apply -f`,
      );
    return { ...typeMeta, ...withTargetPorts(read(Buffer.from(raw ?? '', 'base64'), fields)) };
  } catch (error) {
    if (error instanceof RefusedError) throw error;
    throw new RefusedError(400, 'WEFT_BAD_REQUEST', `the body is no protobuf of Kubernetes: ${(error as Error).message}`);
  }
}

function read(bytes: Uint8Array, fields: Fields): Record<string, unknown> {
  const reader = new WireReader(bytes);
  const out: Record<string, unknown> = {};
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = fields[number];
    if (field === undefined) {
      reader.skip(wireType, number);
      continue;
    }
    const [name, shape] = field;
    if (shape === 'number' || shape === 'positive') {
      if (wireType !== WireType.varint) throw new RangeError(`${name} is no number`);
      const value = reader.int32();
      if (value !== 0 || shape === 'number') out[name] = value;
      continue;
    }
    if (wireType !== WireType.bytes) throw new RangeError(`${name} has no length`);
    const value = reader.bytes();
    if (shape === 'text') {
      // Go writes what is unset as an empty text.
      if (value.length > 0) out[name] = textOf(value);
    } else if (shape === 'base64') out[name] = Buffer.from(value).toString('base64');
    else if (shape === 'texts' || shape === 'base64s') {
      const { key = '', value: held = '' } = read(value, { 1: ['key', 'text'], 2: ['value', shape === 'texts' ? 'text' : 'base64'] }) as Record<string, string>;
      out[name] = { ...(out[name] as Record<string, string> | undefined), [key]: held };
    } else if (shape === 'list') out[name] = [...((out[name] as string[] | undefined) ?? []), textOf(value)];
    else if (isList(shape)) out[name] = [...((out[name] as unknown[] | undefined) ?? []), read(value, shape[0])];
    else if (name === INLINE) Object.assign(out, read(value, shape));
    else out[name] = read(value, shape);
  }
  return out;
}

const isList = (shape: Fields | readonly [Fields]): shape is readonly [Fields] => Array.isArray(shape);
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

/** IntOrString is a message here and a bare value in JSON. */
function withTargetPorts(object: Record<string, unknown>): Record<string, unknown> {
  const { spec } = object as { spec?: { ports?: Record<string, unknown>[] } };
  if (spec?.ports === undefined) return object;
  const ports = spec.ports.map(({ targetPort, ...port }) => {
    const { number, name } = (targetPort ?? {}) as { number?: number; name?: string };
    const bare = name ?? (number === 0 ? undefined : number);
    return bare === undefined ? port : { ...port, targetPort: bare };
  });
  return { ...object, spec: { ...spec, ports } };
}
