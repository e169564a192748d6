// From proto3 JSON to an encoded resource, once per content. JSON keeps the builders readable and every misspelt field an error.

import { type DescMessage, type JsonObject, fromJson, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '../gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from '../gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ListenerSchema } from '../gen/envoy/config/listener/v3/listener_pb.ts';
import { SecretSchema } from '../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import { RouteConfigurationSchema } from '../gen/envoy/config/route/v3/route_pb.ts';
import { registry } from './registry.ts';
import { type Resource, type TypeUrl, TYPE_URL } from '../xds/index.ts';
import type { Memo } from './memo.ts';

const SCHEMAS: Partial<Record<TypeUrl, DescMessage>> = {
  [TYPE_URL.listener]: ListenerSchema,
  [TYPE_URL.route]: RouteConfigurationSchema,
  [TYPE_URL.cluster]: ClusterSchema,
  [TYPE_URL.endpoint]: ClusterLoadAssignmentSchema,
  [TYPE_URL.secret]: SecretSchema,
};

const SALT = String(Math.random());

/** Encodes unless the same content was encoded before. Throws what protobuf-es throws on a field that does not fit. */
export function encodeResource(memo: Memo<never>, typeUrl: TypeUrl, name: string, json: JsonObject): Resource {
  // The text itself would be several times the bytes it is encoded to. Salted: who writes configuration must not find text that is taken for another's.
  const key = textHash(`${SALT}${typeUrl}|${name}|${JSON.stringify(json)}`);
  const known = memo.recall<Resource>(key);
  if (known !== undefined) return known;
  const body = encodeFields(typeUrl, json);
  const resource: Resource = { typeUrl, name, version: contentHash(body), body };
  memo.remember(key, resource);
  return resource;
}

/** `resource` with more fields, and their {@link contentHash}. */
export function withFields({ typeUrl, name, version, body }: Resource, tail: Uint8Array, hashOfTail: string): Resource {
  return { typeUrl, name, version: textHash(`${version}${hashOfTail}`), body, tail };
}

export function schemaOf(typeUrl: TypeUrl): DescMessage {
  const schema = SCHEMAS[typeUrl];
  if (schema === undefined) throw new Error(`no schema for ${typeUrl}`);
  return schema;
}

/** Bytes of some fields of a message. */
export function encodeFields(typeUrl: TypeUrl, json: JsonObject): Uint8Array {
  const schema = schemaOf(typeUrl);
  return toBinary(schema, fromJson(schema, json, { registry }));
}

/** 96 bits of three mixed multiplicative hashes, in hex: pure, and equal on every replica. */
export function contentHash(bytes: Uint8Array): string {
  return hash(bytes.length, (i) => bytes[i] ?? 0);
}

function textHash(text: string): string {
  return hash(text.length, (i) => text.charCodeAt(i));
}

function hash(length: number, at: (i: number) => number): string {
  let a = 0xdeadbeef ^ length;
  let b = 0x41c6ce57 ^ length;
  let c = 0x9e3779b9;
  for (let i = 0; i < length; i += 1) {
    const unit = at(i);
    a = Math.imul(a ^ unit, 2_654_435_761);
    b = Math.imul(b ^ unit, 1_597_334_677);
    c = Math.imul(c + unit, 2_246_822_519) ^ (c >>> 13);
  }
  a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909);
  b = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(a ^ (a >>> 13), 3_266_489_909);
  return [a, b, c].map((n) => (n >>> 0).toString(16).padStart(8, '0')).join('');
}
