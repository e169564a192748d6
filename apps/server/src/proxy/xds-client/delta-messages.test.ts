// Against protobuf-es: what it reads of our requests, and what we read of its responses.

import { create, fromBinary, toBinary, toJson } from '@bufbuild/protobuf';
import { DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema } from '@weft/mesh-core/gen/envoy/service/discovery/v3/discovery_pb';
import { expect, test } from 'vitest';
import { decodeDeltaResponse, encodeDeltaRequest } from './delta-messages.ts';

const typeUrl = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';

test('a request says what it is given, node and metadata of any form included', () => {
  const metadata = { LABELS: { app: 'ä', empty: '' }, list: [1, -0.5, null, true, [], {}], none: null, off: false };
  const bytes = encodeDeltaRequest(typeUrl, {
    node: { id: 'sidecar~1', cluster: 'c', metadata, locality: { region: 'r', zone: 'z', sub_zone: '' }, version: '1.20.3' },
    subscribe: ['*', ''],
    unsubscribe: ['gone'],
    initial: { a: '1', b: '' },
    nonce: '7',
    error: 'no: '.repeat(100),
  });
  expect(toJson(DeltaDiscoveryRequestSchema, fromBinary(DeltaDiscoveryRequestSchema, bytes))).toEqual({
    node: {
      ...{ id: 'sidecar~1', cluster: 'c', metadata, locality: { region: 'r', zone: 'z' } },
      ...{ userAgentName: 'weft', userAgentBuildVersion: { version: { majorNumber: 1, minorNumber: 20, patch: 3 } } },
    },
    typeUrl,
    resourceNamesSubscribe: ['*', ''],
    resourceNamesUnsubscribe: ['gone'],
    initialResourceVersions: { a: '1', b: '' },
    responseNonce: '7',
    errorDetail: { code: 3, message: 'no: '.repeat(100) },
  });
  expect(toJson(DeltaDiscoveryRequestSchema, fromBinary(DeltaDiscoveryRequestSchema, encodeDeltaRequest(typeUrl, {})))).toEqual({ typeUrl });
});

test('a response is read, whatever else it says', () => {
  const body = Uint8Array.of(1, 2, 3);
  const bytes = toBinary(
    DeltaDiscoveryResponseSchema,
    create(DeltaDiscoveryResponseSchema, {
      systemVersionInfo: 'v',
      resources: [{ name: 'a', aliases: ['b'], version: '2', ttl: { seconds: 5n }, resource: { typeUrl, value: body } }, { name: 'empty' }],
      typeUrl,
      removedResources: ['c', 'd'],
      nonce: '9',
      controlPlane: { identifier: 'x' },
    }),
  );
  expect(decodeDeltaResponse(bytes)).toEqual({
    typeUrl,
    nonce: '9',
    resources: [
      { name: 'a', version: '2', body },
      { name: 'empty', version: '', body: new Uint8Array() },
    ],
    removed: ['c', 'd'],
  });
  expect(() => decodeDeltaResponse(bytes.subarray(0, -1))).toThrow(RangeError);
});
