// Encoded xDS resources to the proxy's own view. Throws a DecodeError with every problem of the resource.

import { type DescMessage, type JsonObject, type MessageInitShape, fromBinary, toJson } from '@bufbuild/protobuf';
import { registry } from '@weft/mesh-core/registry';
import { ClusterSchema } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { ClusterLoadAssignmentSchema } from '@weft/mesh-core/gen/envoy/config/endpoint/v3/endpoint_pb';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { RouteConfigurationSchema } from '@weft/mesh-core/gen/envoy/config/route/v3/route_pb';
import { SecretSchema } from '@weft/mesh-core/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb';
import { decodeClusterFields } from './decode-cluster.ts';
import { decodeLoadAssignment } from './decode-endpoints.ts';
import { decodeListenerFields } from './decode-listener.ts';
import { decodeRouteConfigFields } from './decode-route.ts';
import { Fields } from './fields.ts';
import type { ClusterConfig, ListenerConfig, LoadAssignment, RouteConfig, Secret } from './model.ts';

export class DecodeError extends Error {
  readonly code = 'WEFT_XDS_REFUSED';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.name = 'DecodeError';
    this.problems = problems;
  }
}

function decode<T>(schema: DescMessage, body: Uint8Array, name: string, read: (fields: Fields) => T): T {
  let json: JsonObject;
  try {
    json = toJson(schema, fromBinary(schema, body), { registry }) as JsonObject;
  } catch (error) {
    throw new DecodeError([`${name}: ${(error as Error).message}`]);
  }
  const problems: string[] = [];
  const result = read(new Fields(json, name, problems));
  if (problems.length > 0) throw new DecodeError(problems);
  return result;
}

export const decodeListener = (body: Uint8Array, name: string): ListenerConfig => decode(ListenerSchema, body, name, decodeListenerFields);
export const decodeRouteConfig = (body: Uint8Array, name: string): RouteConfig => decode(RouteConfigurationSchema, body, name, decodeRouteConfigFields);
export const decodeCluster = (body: Uint8Array, name: string): ClusterConfig => decode(ClusterSchema, body, name, decodeClusterFields);
export const decodeEndpoints = (body: Uint8Array, name: string): LoadAssignment => decode(ClusterLoadAssignmentSchema, body, name, decodeLoadAssignment);

/** Secrets are read straight from the message: their bytes need no detour through JSON. */
export function decodeSecret(body: Uint8Array, name: string): Secret {
  const { type } = fromBinary(SecretSchema, body);
  const text = (source: MessageInitShape<typeof SecretSchema> | { specifier: { case: string | undefined; value?: unknown } } | undefined): string => {
    const specifier = (source as { specifier?: { case?: string; value?: unknown } } | undefined)?.specifier;
    if (specifier?.case === 'inlineBytes') return new TextDecoder().decode(specifier.value as Uint8Array);
    if (specifier?.case === 'inlineString') return specifier.value as string;
    throw new DecodeError([`${name}: only inline secrets are taken, not ${specifier?.case ?? 'an empty one'}`]);
  };
  if (type.case === 'tlsCertificate') {
    const { certificateChain, privateKey, ocspStaple } = type.value;
    const staple = ocspStaple?.specifier.case === 'inlineBytes' ? { ocspStaple: ocspStaple.specifier.value } : {};
    return { kind: 'certificate', name, chainPem: text(certificateChain), keyPem: text(privateKey), ...staple };
  }
  if (type.case === 'validationContext') {
    const { trustedCa, crl, ...more } = type.value;
    if (more.matchTypedSubjectAltNames.length + more.verifyCertificateHash.length + more.verifyCertificateSpki.length > 0)
      throw new DecodeError([`${name}: what certificates must be is said by listeners and clusters here, not by secrets`]);
    return { kind: 'validation', name, caPem: text(trustedCa), ...(crl === undefined ? {} : { crlPem: text(crl) }) };
  }
  throw new DecodeError([`${name}: a secret of kind ${type.case ?? 'none'} is of no use here`]);
}
