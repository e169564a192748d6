// Encoded messages straight to protobuf's JSON form, as protobuf-es' `toJson(fromBinary())` has it (wire.test.ts compares them). That
// library keeps descriptors of all messages in memory; here a proxy that reads a few dozen of them keeps those.

import { type FieldSchema, type MessageSchema, enumAt, messageAt, messageNamed } from './schemas.ts';
import { WireReader, WireType } from './reader.ts';
import { type JsonObject, type JsonValue, wellKnownForms } from './well-known.ts';
import { joined } from './writer.ts';

/** What was read for a field: a scalar as JSON, messages as their bytes, a list of either. */
type Read = JsonValue | Uint8Array | Uint8Array[];

const maxDepth = 100;

/** `protoNames`: fields named as in their .proto file. @throws when the bytes are no such message, or hold one nobody knows */
export function messageToJson(typeName: string, bytes: Uint8Array, protoNames = false): JsonObject {
  const schema = messageNamed(typeName);
  if (schema === undefined) throw new Error(`${typeName} is not in the type registry`);
  return toJson(schema, bytes, { protoNames, depth: 0 }) as JsonObject;
}

interface Context {
  readonly protoNames: boolean;
  readonly depth: number;
}

function toJson(schema: MessageSchema, bytes: Uint8Array, context: Context): JsonValue {
  if (context.depth > maxDepth) throw new RangeError(`${schema.name} is nested too deeply`);
  const inner = { ...context, depth: context.depth + 1 };
  if (schema.name === anyName) return anyJson(bytes, inner);
  const form = wellKnownForms.get(schema.name);
  const values = read(schema, bytes);
  const json: JsonObject = {};
  for (const [field, value] of inOrder(values)) json[context.protoNames && form === undefined ? field.name : field.jsonName] = fieldJson(field, value, inner);
  return form === undefined ? json : form(json);
}

const anyName = 'google.protobuf.Any';

function anyJson(bytes: Uint8Array, context: Context): JsonObject {
  const reader = new WireReader(bytes);
  let typeUrl = '';
  let body: Uint8Array = new Uint8Array();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === 1) typeUrl = reader.string();
    else if (number === 2) body = reader.bytes();
    else reader.skip(wireType, number);
  }
  if (typeUrl === '') return {};
  const schema = messageNamed(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
  if (schema === undefined) throw new Error(`cannot encode message ${anyName} to JSON: "${typeUrl}" is not in the type registry`);
  const json = toJson(schema, body, context);
  const own = schema.name === anyName || wellKnownForms.has(schema.name);
  return { ...(own ? { value: json } : (json as JsonObject)), '@type': typeUrl };
}

/** By number, as most who write messages write them anyway. */
function inOrder(values: ReadonlyMap<FieldSchema, Read>): Iterable<[FieldSchema, Read]> {
  let last = 0;
  for (const { number } of values.keys()) {
    if (number < last) return [...values].toSorted(([a], [b]) => a.number - b.number);
    last = number;
  }
  return values;
}

/** The fields that are set. */
function read(schema: MessageSchema, bytes: Uint8Array): Map<FieldSchema, Read> {
  const values = new Map<FieldSchema, Read>();
  const reader = new WireReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = schema.fields.get(number);
    if (field === undefined) reader.skip(wireType, number);
    else take(schema, field, wireType, reader, values);
  }
  return values;
}

function take(schema: MessageSchema, field: FieldSchema, wireType: number, reader: WireReader, values: Map<FieldSchema, Read>): void {
  const { label, type } = field;
  const before = values.get(field);
  if (label === '*' || label === '%') {
    const list = (before ?? []) as (JsonValue | Uint8Array)[];
    values.set(field, list as Read);
    if (type === 'm') list.push(reader.bytes());
    else if (wireType === WireType.bytes && type !== 's' && type !== 'y') {
      const packed = new WireReader(reader.bytes());
      while (packed.pos < packed.len) list.push(scalar(field, packed));
    } else list.push(scalar(field, reader));
    if (list.length === 0) values.delete(field);
    return;
  }
  for (const sibling of schema.siblings.get(field) ?? []) values.delete(sibling);
  // A message in two parts is the two put together.
  const value = type !== 'm' ? scalar(field, reader) : before === undefined ? reader.bytes() : joined(before as Uint8Array, reader.bytes());
  if (label === '=' && isZero(field, value)) values.delete(field);
  else values.set(field, value);
}

function isZero({ type, ref }: FieldSchema, value: Read): boolean {
  if (type === 'e') return value === (enumAt(ref).get(0) ?? 0);
  return value === '' || value === false || Object.is(value, 0) || (value === '0' && 'lLFqz'.includes(type));
}

function scalar({ type, ref }: FieldSchema, reader: WireReader): JsonValue {
  switch (type) {
    case 's':
      return reader.string();
    case 'b':
      return reader.bool();
    case 'y':
      return base64(reader.bytes());
    case 'e': {
      const number = reader.int32();
      const names = enumAt(ref);
      return names.get(0) === 'NULL_VALUE' ? null : (names.get(number) ?? number);
    }
    case 'd':
      return float(reader.double());
    case 'f':
      return float(reader.float());
    case 'i':
      return reader.int32();
    case 'u':
      return reader.uint32();
    case 'n':
      return reader.sint32();
    case 'X':
      return reader.fixed32();
    case 'p':
      return reader.sfixed32();
    case 'l':
      return String(reader.int64());
    case 'L':
      return String(reader.uint64());
    case 'z':
      return String(reader.sint64());
    case 'F':
      return String(reader.fixed64());
    default:
      return String(reader.sfixed64());
  }
}

function float(value: number): JsonValue {
  return Number.isFinite(value) ? value : String(value);
}

function fieldJson(field: FieldSchema, value: Read, context: Context): JsonValue {
  if (field.label === '%') return mapJson(messageAt(field.ref), value as Uint8Array[], context);
  if (field.type !== 'm') return value as JsonValue;
  const schema = messageAt(field.ref);
  return field.label === '*' ? (value as Uint8Array[]).map((bytes) => toJson(schema, bytes, context)) : toJson(schema, value as Uint8Array, context);
}

/** Entries are messages of a key and a value, either of which may be left out. */
function mapJson(schema: MessageSchema, entries: readonly Uint8Array[], context: Context): JsonObject {
  const json: JsonObject = {};
  const [keyField, valueField] = [...schema.fields.values()] as [FieldSchema, FieldSchema];
  for (const entry of entries) {
    const values = read(schema, entry);
    const key = values.get(keyField) ?? zero(keyField);
    const value = values.get(valueField) ?? zero(valueField);
    Object.defineProperty(json, String(key), { value: fieldJson(valueField, value, context), enumerable: true, writable: true, configurable: true });
  }
  return json;
}

function zero({ type, ref }: FieldSchema): Read {
  if (type === 'm') return new Uint8Array();
  if (type === 'e') return enumAt(ref).get(0) ?? 0;
  if (type === 's' || type === 'y') return '';
  return type === 'b' ? false : 'lLFqz'.includes(type) ? '0' : 0;
}

const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const three = ((bytes[i] as number) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (let shift = 18; shift >= 0; shift -= 6) text += digits.charAt((three >> shift) & 63);
  }
  const missing = (3 - (bytes.length % 3)) % 3;
  return missing === 0 ? text : text.slice(0, -missing) + '='.repeat(missing);
}
