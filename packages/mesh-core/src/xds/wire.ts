// Discovery messages to and from bytes. Written by hand on protobuf-es' reader: a reconnect of a thousand proxies brings
// millions of names and versions, and resource bodies go out as the bytes they were encoded to once, for all streams.

import { fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType, getTextEncoding } from '@bufbuild/protobuf/wire';
import type { Node } from '../gen/envoy/config/core/v3/base_pb.ts';
import { NodeSchema } from '../gen/envoy/config/core/v3/base_pb.ts';
import { StatusSchema } from '../gen/google/rpc/status_pb.ts';
import type { Dialect } from './ads-stream.ts';
import type { Resource } from './resource.ts';
import type { XdsRequest, XdsResponse } from './subscription.ts';

/** Field numbers of discovery.proto: DiscoveryRequest and DeltaDiscoveryRequest. */
const REQUEST_FIELDS = {
  sotw: { node: 2, names: 3, typeUrl: 4, nonce: 5, error: 6, subscribe: 0, unsubscribe: 0, held: 0 },
  delta: { node: 1, typeUrl: 2, subscribe: 3, unsubscribe: 4, held: 5, nonce: 6, error: 7, names: 0 },
} as const;

/**
 * Reads a DiscoveryRequest or DeltaDiscoveryRequest; `node` are the bytes of the Node when there is one ({@link decodeNode}).
 * Throws on bytes that are neither.
 */
export function decodeRequest(dialect: Dialect, bytes: Uint8Array): { request: XdsRequest; node: Uint8Array | undefined } {
  const fields = REQUEST_FIELDS[dialect];
  const reader = new BinaryReader(bytes);
  const names: string[] = [];
  const subscribe: string[] = [];
  const unsubscribe: string[] = [];
  const initialVersions = new Map<string, string>();
  let typeUrl = '';
  let nonce = '';
  let error: string | undefined;
  let node: Uint8Array | undefined;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) reader.skip(wireType, field);
    else if (field === fields.names) names.push(reader.string());
    else if (field === fields.subscribe) subscribe.push(reader.string());
    else if (field === fields.unsubscribe) unsubscribe.push(reader.string());
    else if (field === fields.held) readEntry(reader, initialVersions);
    else if (field === fields.typeUrl) typeUrl = reader.string();
    else if (field === fields.nonce) nonce = reader.string();
    else if (field === fields.node) node = reader.bytes();
    else if (field === fields.error) error = fromBinary(StatusSchema, reader.bytes()).message;
    else reader.skip(wireType, field);
  }
  return { node, request: { typeUrl, nonce, ...(error === undefined ? {} : { error }), names, subscribe, unsubscribe, initialVersions } };
}

export function decodeNode(bytes: Uint8Array): Node {
  return fromBinary(NodeSchema, bytes);
}

function readEntry(reader: BinaryReader, entries: Map<string, string>): void {
  const end = reader.uint32() + reader.pos;
  let key = '';
  let value = '';
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.LengthDelimited) key = reader.string();
    else if (field === 2 && wireType === WireType.LengthDelimited) value = reader.string();
    else reader.skip(wireType, field);
  }
  if (reader.pos !== end) throw new RangeError('a map entry ends outside its field');
  entries.set(key, value);
}

/** Field numbers: DiscoveryResponse and DeltaDiscoveryResponse. */
const RESPONSE_FIELDS = {
  sotw: { version: 1, resource: 2, typeUrl: 4, nonce: 5, removed: 0 },
  delta: { version: 1, resource: 2, typeUrl: 4, nonce: 5, removed: 6 },
} as const;

/** A DiscoveryResponse or DeltaDiscoveryResponse in the pieces it is made of: bodies of resources are not copied. */
export function encodeResponse(dialect: Dialect, response: XdsResponse): Uint8Array[] {
  const fields = RESPONSE_FIELDS[dialect];
  const parts: Uint8Array[] = [
    stringField(fields.version, response.version),
    stringField(fields.typeUrl, response.typeUrl),
    stringField(fields.nonce, response.nonce),
  ];
  if (dialect === 'delta') for (const name of response.removed) parts.push(element(RESPONSE_FIELDS.delta.removed, name));
  for (const resource of response.resources) parts.push(headOf(dialect, resource), resource.body);
  return parts;
}

const heads = { sotw: new WeakMap<Resource, Uint8Array>(), delta: new WeakMap<Resource, Uint8Array>() };

/** Everything of a resource's entry that stands before its body; the same for every stream. */
function headOf(dialect: Dialect, resource: Resource): Uint8Array {
  let head = heads[dialect].get(resource);
  if (head !== undefined) return head;
  // Any: type_url 1, value 2. Resource: version 1, resource 2, name 3; fields may stand in any order, so the body is last.
  const any = concat([stringField(1, resource.typeUrl), lengthField(2, resource.body.length)]);
  const anyLength = any.length + resource.body.length;
  if (dialect === 'sotw') head = concat([lengthField(RESPONSE_FIELDS.sotw.resource, anyLength), any]);
  else {
    const inner = concat([stringField(3, resource.name), stringField(1, resource.version), lengthField(2, anyLength), any]);
    head = concat([lengthField(RESPONSE_FIELDS.delta.resource, inner.length + resource.body.length), inner]);
  }
  heads[dialect].set(resource, head);
  return head;
}

/** A string field; an empty one is not written. */
function stringField(field: number, text: string): Uint8Array {
  return text === '' ? new Uint8Array() : element(field, text);
}

/** One string of a repeated field. */
function element(field: number, text: string): Uint8Array {
  const bytes = getTextEncoding().encodeUtf8(text);
  return concat([lengthField(field, bytes.length), bytes]);
}

/** Tag of a length-delimited field, and its length. */
function lengthField(field: number, length: number): Uint8Array {
  const bytes = [(field << 3) | WireType.LengthDelimited];
  let rest = length;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
