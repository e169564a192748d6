// Discovery messages to and from bytes, by hand: a reconnect of a thousand proxies brings
// millions of names and versions, and resource bodies go out as the bytes they were encoded to once, for all streams.

import { fromBinary } from '@bufbuild/protobuf';
import type { Node } from '../gen/envoy/config/core/v3/base_pb.ts';
import { NodeSchema } from '../gen/envoy/config/core/v3/base_pb.ts';
import { StatusSchema } from '../gen/google/rpc/status_pb.ts';
import { WireReader, WireType } from '../wire/reader.ts';
import { decodeText, encodeText } from '../wire/text.ts';
import type { Dialect } from './ads-stream.ts';
import type { Resource } from './resource.ts';
import type { XdsRequest, XdsResponse } from './subscription.ts';

/** Field numbers of discovery.proto: DiscoveryRequest and DeltaDiscoveryRequest. */
const REQUEST_FIELDS = {
  sotw: { node: 2, names: 3, typeUrl: 4, nonce: 5, error: 6, subscribe: 0, unsubscribe: 0, held: 0 },
  delta: { node: 1, typeUrl: 2, subscribe: 3, unsubscribe: 4, held: 5, nonce: 6, error: 7, names: 0 },
} as const;

const NOTHING_HELD: ReadonlyMap<string, string> = new Map();

/**
 * Reads a DiscoveryRequest or DeltaDiscoveryRequest; `node` are the bytes of the Node when there is one ({@link decodeNode}).
 * Throws on bytes that are neither.
 */
export function decodeRequest(dialect: Dialect, bytes: Uint8Array): { request: XdsRequest; node: Uint8Array | undefined } {
  const fields = REQUEST_FIELDS[dialect];
  const reader = new WireReader(bytes);
  const message = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const names: string[] = [];
  const subscribe: string[] = [];
  const unsubscribe: string[] = [];
  let held: Map<string, string> | undefined;
  let typeUrl = '';
  let nonce = '';
  let error: string | undefined;
  let node: Uint8Array | undefined;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType !== WireType.bytes) reader.skip(wireType, field);
    else if (field === fields.names) names.push(readText(reader, message));
    else if (field === fields.subscribe) subscribe.push(readText(reader, message));
    else if (field === fields.unsubscribe) unsubscribe.push(readText(reader, message));
    else if (field === fields.held) readEntry(reader, message, (held ??= new Map()));
    else if (field === fields.typeUrl) typeUrl = readText(reader, message);
    else if (field === fields.nonce) nonce = reader.string();
    else if (field === fields.node) node = reader.bytes();
    else if (field === fields.error) error = fromBinary(StatusSchema, reader.bytes()).message;
    else reader.skip(wireType, field);
  }
  return { node, request: { typeUrl, nonce, ...(error === undefined ? {} : { error }), names, subscribe, unsubscribe, initialVersions: held ?? NOTHING_HELD } };
}

export function decodeNode(bytes: Uint8Array): Node {
  return fromBinary(NodeSchema, bytes);
}

function readEntry(reader: WireReader, message: DataView, entries: Map<string, string>): void {
  const end = reader.uint32() + reader.pos;
  let key = '';
  let value = '';
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.bytes) key = readText(reader, message);
    else if (field === 2 && wireType === WireType.bytes) value = readText(reader, message);
    else reader.skip(wireType, field);
  }
  if (reader.pos !== end) throw new RangeError('a map entry ends outside its field');
  entries.set(key, value);
}

/** A power of two, some times the names and versions of a mesh. */
const TEXTS = 32_768;
const LONGEST_KNOWN = 96;

/** Texts read before and their bytes: texts themselves would have to be compared character by character. */
class KnownTexts {
  /** As they came: what comes together lies together, and one behind the other is what memory is quick at. */
  readonly texts: string[] = [];
  readonly lengths = new Uint8Array(TEXTS);
  readonly bytes = new DataView(new ArrayBuffer(TEXTS * LONGEST_KNOWN));
  /** By hash: which of them it is, counted from 1. Of two with one hash the later is found. */
  readonly byHash = new Uint16Array(2 * TEXTS);
}
let known: KnownTexts | undefined;

/** Like `reader.string()`, but gives the string it gave before, when that is remembered: all clients name the same things. */
function readText(reader: WireReader, message: DataView): string {
  const length = reader.uint32();
  const start = reader.pos;
  const end = start + length;
  if (end > message.byteLength) throw new RangeError('a string ends outside its message');
  reader.pos = end;
  if (length > LONGEST_KNOWN) return textOf(message, start, length);
  known ??= new KnownTexts();
  const { texts, lengths, bytes, byHash } = known;
  let hash = length;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    hash = Math.imul(hash ^ message.getInt32(i), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; i < end; i += 1) hash = Math.imul(hash ^ message.getUint8(i), 0x01000193);
  const slot = (hash ^ (hash >>> 15)) & (2 * TEXTS - 1);
  const found = (byHash[slot] as number) - 1;
  if (found >= 0 && lengths[found] === length && sameBytes(message, start, bytes, found * LONGEST_KNOWN, length)) return texts[found] as string;
  const text = textOf(message, start, length);
  if (texts.length === TEXTS) {
    texts.length = 0;
    byHash.fill(0);
  }
  const cell = texts.length * LONGEST_KNOWN;
  lengths[texts.length] = length;
  for (let k = 0; k < length; k += 1) bytes.setUint8(cell + k, message.getUint8(start + k));
  byHash[slot] = texts.push(text);
  return text;
}

function textOf(message: DataView, start: number, length: number): string {
  return decodeText(new Uint8Array(message.buffer, message.byteOffset + start, length));
}

function sameBytes(a: DataView, startOfA: number, b: DataView, startOfB: number, length: number): boolean {
  let i = 0;
  for (; i + 4 <= length; i += 4) if (a.getInt32(startOfA + i) !== b.getInt32(startOfB + i)) return false;
  for (; i < length; i += 1) if (a.getUint8(startOfA + i) !== b.getUint8(startOfB + i)) return false;
  return true;
}

/** Field numbers: DiscoveryResponse and DeltaDiscoveryResponse. */
const RESPONSE_FIELDS = {
  sotw: { version: 1, resource: 2, typeUrl: 4, nonce: 5, removed: 0 },
  delta: { version: 1, resource: 2, typeUrl: 4, nonce: 5, removed: 6 },
} as const;

/** A DiscoveryResponse or DeltaDiscoveryResponse in the pieces it is made of: bodies of resources are not copied. */
export function encodeResponse(dialect: Dialect, response: XdsResponse): Uint8Array[] {
  const fields = RESPONSE_FIELDS[dialect];
  const { version, typeUrl, nonce, removed, resources } = response;
  const heads = new Heads();
  heads.string(fields.version, version);
  heads.string(fields.typeUrl, typeUrl);
  heads.string(fields.nonce, nonce);
  if (dialect === 'delta') for (const name of removed) heads.element(RESPONSE_FIELDS.delta.removed, name);
  const ends: number[] = [];
  for (const resource of resources) {
    heads.resource(dialect, resource);
    ends.push(heads.length);
  }
  const bytes = heads.take();
  if (resources.length === 0) return [bytes];
  // The head of a resource's entry, the first with that of the response, then its body, which is the entry's last field.
  const parts: Uint8Array[] = [];
  for (const [i, { body, tail }] of resources.entries()) {
    parts.push(bytes.subarray(ends[i - 1] ?? 0, ends[i]), body);
    if (tail !== undefined) parts.push(tail);
  }
  return parts;
}

let scratch = new Uint8Array(65_536);

/** Writes what stands before the bodies; kept for no resource, as most have one reader only. One at a time. */
class Heads {
  length = 0;

  /** A string field; an empty one is not written. */
  string(field: number, text: string): void {
    if (text !== '') this.element(field, text);
  }

  /** One string of a repeated field. */
  element(field: number, text: string): void {
    const length = utf8Length(text);
    this.#lengthField(field, length);
    this.#room(length);
    if (length === text.length) for (let i = 0; i < length; i += 1) scratch[this.length + i] = text.charCodeAt(i);
    else scratch.set(encodeText(text), this.length);
    this.length += length;
  }

  resource(dialect: Dialect, { typeUrl, name, version, body, tail }: Resource): void {
    const length = body.length + (tail?.length ?? 0);
    // Any: type_url 1, value 2. Resource: version 1, resource 2, name 3; fields may stand in any order, so the body is last.
    const anyLength = stringFieldLength(typeUrl) + lengthFieldLength(length) + length;
    if (dialect === 'sotw') this.#lengthField(RESPONSE_FIELDS.sotw.resource, anyLength);
    else {
      this.#lengthField(RESPONSE_FIELDS.delta.resource, stringFieldLength(name) + stringFieldLength(version) + lengthFieldLength(anyLength) + anyLength);
      this.string(3, name);
      this.string(1, version);
      this.#lengthField(2, anyLength);
    }
    this.string(1, typeUrl);
    this.#lengthField(2, length);
  }

  take(): Uint8Array {
    return scratch.slice(0, this.length);
  }

  /** Tag of a length-delimited field, and its length. */
  #lengthField(field: number, length: number): void {
    this.#room(8);
    scratch[this.length++] = (field << 3) | WireType.bytes;
    let rest = length;
    for (; rest > 0x7f; rest >>>= 7) scratch[this.length++] = (rest & 0x7f) | 0x80;
    scratch[this.length++] = rest;
  }

  #room(length: number): void {
    if (this.length + length <= scratch.length) return;
    const larger = new Uint8Array(2 * (this.length + length));
    larger.set(scratch);
    scratch = larger;
  }
}

function utf8Length(text: string): number {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) > 0x7f) return encodeText(text).length;
  return text.length;
}

/** Tag and length of a field with so many bytes. All field numbers here are below 16. */
function lengthFieldLength(length: number): number {
  let bytes = 2;
  for (let rest = length; rest > 0x7f; rest >>>= 7) bytes += 1;
  return bytes;
}

function stringFieldLength(text: string): number {
  if (text === '') return 0;
  const length = utf8Length(text);
  return lengthFieldLength(length) + length;
}
