// The hand-written codec agrees with protobuf-es on any message.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { TYPE_URL, bytesOf } from './resource.ts';
import { decodeNode, decodeRequest, encodeResponse } from './wire.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const bytes = fc.uint8Array({ maxLength: 300 });
const resource = fc.record(
  { typeUrl: fc.constant(TYPE_URL.route), name: text, version: text, body: bytes, tail: bytes },
  { requiredKeys: ['typeUrl', 'name', 'version', 'body'] },
);
const response = fc.record({
  typeUrl: text,
  version: text,
  nonce: text,
  resources: fc.array(resource, { maxLength: 4 }),
  removed: fc.array(text, { maxLength: 4 }),
});
const joined = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

test('responses', () => {
  fc.assert(
    fc.property(response, (r) => {
      const any = r.resources.map((sent) => ({ typeUrl: sent.typeUrl, value: bytesOf(sent) }));
      expect(fromBinary(DiscoveryResponseSchema, joined(encodeResponse('sotw', r)))).toEqual(
        create(DiscoveryResponseSchema, { typeUrl: r.typeUrl, versionInfo: r.version, nonce: r.nonce, resources: any }),
      );
      expect(fromBinary(DeltaDiscoveryResponseSchema, joined(encodeResponse('delta', r)))).toEqual(
        create(DeltaDiscoveryResponseSchema, {
          typeUrl: r.typeUrl,
          systemVersionInfo: r.version,
          nonce: r.nonce,
          removedResources: r.removed,
          resources: r.resources.map(({ name, version }, i) => ({ name, version, resource: any[i] })),
        }),
      );
    }),
  );
});

test('requests, with fields that are not looked at', () => {
  const common = {
    typeUrl: text,
    responseNonce: text,
    node: fc.option(fc.record({ id: text }), { nil: undefined }),
    error: fc.option(text, { nil: undefined }),
  };
  const request = fc.record({ ...common, names: fc.array(text), subscribe: fc.array(text), unsubscribe: fc.array(text), held: fc.dictionary(text, text) });
  fc.assert(
    fc.property(request, ({ typeUrl, responseNonce, node, error, names, subscribe, unsubscribe, held }) => {
      const base = {
        typeUrl,
        responseNonce,
        ...(node === undefined ? {} : { node }),
        ...(error === undefined ? {} : { errorDetail: { code: 3, message: error } }),
      };
      const sotw = decodeRequest('sotw', toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, { ...base, resourceNames: names, versionInfo: 'x' })));
      const delta = decodeRequest(
        'delta',
        toBinary(
          DeltaDiscoveryRequestSchema,
          create(DeltaDiscoveryRequestSchema, {
            ...base,
            resourceNamesSubscribe: subscribe,
            resourceNamesUnsubscribe: unsubscribe,
            initialResourceVersions: held,
            resourceLocatorsSubscribe: [{ name: 'ignored' }],
          }),
        ),
      );
      const shared = { typeUrl, nonce: responseNonce, ...(error === undefined ? {} : { error }) };
      expect(sotw.request).toEqual({ ...shared, names, subscribe: [], unsubscribe: [], initialVersions: new Map() });
      expect(delta.request).toEqual({ ...shared, names: [], subscribe, unsubscribe, initialVersions: new Map(Object.entries(held)) });
      for (const decoded of [sotw, delta]) expect(decoded.node === undefined ? undefined : decodeNode(decoded.node).id).toBe(node?.id);
    }),
  );
});

test('a text is read as itself, however many others were read before it', () => {
  // As long as what is remembered and longer, alike in length, and many more than there is room for.
  const names = Array.from({ length: 70_000 }, (_, i) => `outbound|80||svc-${i}.${i % 7 === 0 ? 'ü' : 'u'}${i % 1_000 === 0 ? 'x'.repeat(300) : ''}`);
  const bytes = toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, { resourceNamesSubscribe: names }));
  expect(decodeRequest('delta', bytes).request.subscribe).toEqual(names);
  expect(decodeRequest('delta', bytes).request.subscribe).toEqual(names);
});
