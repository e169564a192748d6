// Discovery messages to and from bytes. Resource bodies are copied as they are: they were encoded once, for all streams.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Node } from '../gen/envoy/config/core/v3/base_pb.ts';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '../gen/envoy/service/discovery/v3/discovery_pb.ts';
import type { Dialect } from './ads-stream.ts';
import type { XdsRequest, XdsResponse } from './subscription.ts';

/** Reads a DiscoveryRequest or DeltaDiscoveryRequest; throws protobuf-es' error on bytes that are neither. */
export function decodeRequest(dialect: Dialect, bytes: Uint8Array): { request: XdsRequest; node: Node | undefined } {
  const empty = { names: [], subscribe: [], unsubscribe: [], initialVersions: {} };
  const message = dialect === 'sotw' ? fromBinary(DiscoveryRequestSchema, bytes) : fromBinary(DeltaDiscoveryRequestSchema, bytes);
  const error = message.errorDetail === undefined ? {} : { error: message.errorDetail.message };
  const base = { ...empty, typeUrl: message.typeUrl, nonce: message.responseNonce, ...error };
  if (message.$typeName === 'envoy.service.discovery.v3.DiscoveryRequest') return { node: message.node, request: { ...base, names: message.resourceNames } };
  return {
    node: message.node,
    request: {
      ...base,
      subscribe: message.resourceNamesSubscribe,
      unsubscribe: message.resourceNamesUnsubscribe,
      initialVersions: message.initialResourceVersions,
    },
  };
}

/** Writes a DiscoveryResponse or DeltaDiscoveryResponse. */
export function encodeResponse(dialect: Dialect, response: XdsResponse): Uint8Array {
  const { typeUrl, nonce, version } = response;
  if (dialect === 'sotw') {
    const resources = response.resources.map((r) => ({ typeUrl: r.typeUrl, value: r.body }));
    return toBinary(DiscoveryResponseSchema, create(DiscoveryResponseSchema, { typeUrl, nonce, versionInfo: version, resources }));
  }
  const resources = response.resources.map((r) => ({ name: r.name, version: r.version, resource: { typeUrl: r.typeUrl, value: r.body } }));
  return toBinary(
    DeltaDiscoveryResponseSchema,
    create(DeltaDiscoveryResponseSchema, { typeUrl, nonce, systemVersionInfo: version, resources, removedResources: [...response.removed] }),
  );
}
