// What a proxy was sent, as proto3 JSON for people.

import { fromBinary, toBinary, toJson } from '@bufbuild/protobuf';
import type { DescMessage, JsonObject, JsonValue } from '@bufbuild/protobuf';
import { ClusterSchema } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { ClusterLoadAssignmentSchema } from '@weft/mesh-core/gen/envoy/config/endpoint/v3/endpoint_pb';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { RouteConfigurationSchema } from '@weft/mesh-core/gen/envoy/config/route/v3/route_pb';
import { SecretSchema } from '@weft/mesh-core/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb';
import { registry } from '@weft/mesh-core/translate';
import { TYPE_URL, bytesOf, shortTypeName } from '@weft/mesh-core/xds';
import type { Resource } from '@weft/mesh-core/xds';

const SCHEMAS: Readonly<Record<string, DescMessage>> = {
  [TYPE_URL.listener]: ListenerSchema,
  [TYPE_URL.route]: RouteConfigurationSchema,
  [TYPE_URL.cluster]: ClusterSchema,
  [TYPE_URL.endpoint]: ClusterLoadAssignmentSchema,
  [TYPE_URL.secret]: SecretSchema,
};

/** Resources by short type name, sorted by name; private keys are left out. */
export function dumpResources(sent: ReadonlyMap<string, ReadonlyMap<string, Resource>>): Record<string, unknown[]> {
  const dump: Record<string, unknown[]> = {};
  for (const [typeUrl, resources] of sent) {
    const schema = SCHEMAS[typeUrl];
    if (schema === undefined) continue;
    dump[shortTypeName(typeUrl)] = [...resources.values()]
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map((r) => withoutKey(typeUrl, toJson(schema, fromBinary(schema, bytesOf(r)), { registry })));
  }
  return dump;
}

/** The encoded message; of a secret, without its private key. */
export function redacted(resource: Resource): Uint8Array {
  const bytes = bytesOf(resource);
  if (resource.typeUrl !== TYPE_URL.secret) return bytes;
  const secret = fromBinary(SecretSchema, bytes);
  if (secret.type.case === 'tlsCertificate') delete secret.type.value.privateKey;
  return toBinary(SecretSchema, secret);
}

function withoutKey(typeUrl: string, json: JsonValue): JsonValue {
  if (typeUrl !== TYPE_URL.secret) return json;
  const secret = json as JsonObject;
  const certificate = secret['tlsCertificate'] as JsonObject | undefined;
  return certificate === undefined ? json : { ...secret, tlsCertificate: { ...certificate, privateKey: '[redacted]' } };
}
