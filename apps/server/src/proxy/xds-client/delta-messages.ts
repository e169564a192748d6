// DeltaDiscoveryRequest out, DeltaDiscoveryResponse in. By hand: these few fields are all a proxy has to do with them.

import { type JsonObject, type JsonValue, WireReader, WireType, WireWriter } from '@weft/mesh-core/wire';
import type { XdsNode } from '../config/proxy-spec.ts';
import type { RawResource } from './configuration.ts';

export interface DeltaNode extends XdsNode {
  version: string;
}

export interface DeltaRequest {
  node?: DeltaNode;
  subscribe?: readonly string[];
  unsubscribe?: readonly string[];
  /** Versions held, by name. */
  initial?: Readonly<Record<string, string>>;
  nonce?: string;
  /** Why the response with that nonce was refused. */
  error?: string;
}

export interface DeltaResponse {
  typeUrl: string;
  nonce: string;
  resources: RawResource[];
  removed: string[];
}

/** gRPC's INVALID_ARGUMENT. */
const INVALID_ARGUMENT = 3;

export function encodeDeltaRequest(typeUrl: string, { node, subscribe = [], unsubscribe = [], initial = {}, nonce = '', error }: DeltaRequest): Uint8Array {
  const w = new WireWriter();
  if (node !== undefined) writeNode(w.tag(1, WireType.bytes).fork(), node).join();
  text(w, 2, typeUrl);
  for (const name of subscribe) w.tag(3, WireType.bytes).string(name);
  for (const name of unsubscribe) w.tag(4, WireType.bytes).string(name);
  for (const [name, version] of Object.entries(initial)) {
    w.tag(5, WireType.bytes).fork();
    w.tag(1, WireType.bytes).string(name).tag(2, WireType.bytes).string(version).join();
  }
  text(w, 6, nonce);
  if (error !== undefined) w.tag(7, WireType.bytes).fork().tag(1, WireType.varint).int32(INVALID_ARGUMENT).tag(2, WireType.bytes).string(error).join();
  return w.finish();
}

function text(w: WireWriter, field: number, value: string): void {
  if (value !== '') w.tag(field, WireType.bytes).string(value);
}

function writeNode(w: WireWriter, { id, cluster, metadata, locality, version }: DeltaNode): WireWriter {
  text(w, 1, id);
  text(w, 2, cluster);
  writeStruct(w.tag(3, WireType.bytes), metadata);
  if (locality !== undefined) {
    w.tag(4, WireType.bytes).fork();
    for (const [i, part] of [locality.region, locality.zone, locality.sub_zone].entries()) text(w, i + 1, part);
    w.join();
  }
  text(w, 6, 'weft');
  // BuildVersion with a SemanticVersion in it.
  w.tag(8, WireType.bytes).fork().tag(1, WireType.bytes).fork();
  for (const [i, number] of version.split('.').slice(0, 3).entries()) w.tag(i + 1, WireType.varint).uint32(Number(number));
  return w.join().join();
}

/** google.protobuf.Struct, length included. */
function writeStruct(w: WireWriter, json: JsonObject): void {
  w.fork();
  for (const [key, value] of Object.entries(json)) {
    w.tag(1, WireType.bytes).fork().tag(1, WireType.bytes).string(key).tag(2, WireType.bytes);
    writeValue(w, value);
    w.join();
  }
  w.join();
}

/** google.protobuf.Value, length included. */
function writeValue(w: WireWriter, value: JsonValue): void {
  w.fork();
  if (value === null) w.tag(1, WireType.varint).uint32(0);
  else if (typeof value === 'number') w.tag(2, WireType.bit64).double(value);
  else if (typeof value === 'string') w.tag(3, WireType.bytes).string(value);
  else if (typeof value === 'boolean') w.tag(4, WireType.varint).bool(value);
  else if (!Array.isArray(value)) writeStruct(w.tag(5, WireType.bytes), value);
  else {
    w.tag(6, WireType.bytes).fork();
    for (const item of value) writeValue(w.tag(1, WireType.bytes), item);
    w.join();
  }
  w.join();
}

/** @throws on bytes that are none */
export function decodeDeltaResponse(bytes: Uint8Array): DeltaResponse {
  const response: DeltaResponse = { typeUrl: '', nonce: '', resources: [], removed: [] };
  eachField(bytes, (field, r) => {
    if (field === 2) response.resources.push(readResource(r.bytes()));
    else if (field === 4) response.typeUrl = r.string();
    else if (field === 5) response.nonce = r.string();
    else if (field === 6) response.removed.push(r.string());
    else return false;
    return true;
  });
  return response;
}

function readResource(bytes: Uint8Array): RawResource {
  const resource: RawResource = { name: '', version: '', body: new Uint8Array() };
  eachField(bytes, (field, r) => {
    if (field === 1) resource.version = r.string();
    else if (field === 2)
      eachField(r.bytes(), (inner, any) => {
        if (inner !== 2) return false;
        resource.body = any.bytes();
        return true;
      });
    else if (field === 3) resource.name = r.string();
    else return false;
    return true;
  });
  return resource;
}

/** What `read` does not take is passed over; all it takes has a length. */
function eachField(bytes: Uint8Array, read: (field: number, reader: WireReader) => boolean): void {
  const reader = new WireReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType !== WireType.bytes || !read(field, reader)) reader.skip(wireType, field);
  }
}
