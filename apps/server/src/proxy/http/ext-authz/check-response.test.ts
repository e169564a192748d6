import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { CheckResponseSchema } from '@weft/mesh-core/gen/envoy/service/auth/v3/external_auth_pb';
import { expect, test } from 'vitest';
import { readVerdict } from './check-response.ts';

const read = (json: JsonObject): ReturnType<typeof readVerdict> => readVerdict(toBinary(CheckResponseSchema, fromJson(CheckResponseSchema, json)));
const denied = (response: JsonObject): ReturnType<typeof readVerdict> => read({ status: { code: 7 }, deniedResponse: response });

test('nothing at all lets pass, and changes nothing', () => {
  expect(read({})).toEqual({
    kind: 'ok',
    set: [],
    add: [],
    append: [],
    remove: [],
    response: [],
    setParameters: [],
    removeParameters: [],
    metadata: undefined,
  });
});

test('a refusal has a status a client can read', () => {
  const statusOf = (status: JsonObject): unknown => (denied({ status }) as { status?: number }).status;
  expect([statusOf({}), statusOf({ code: 'TooManyRequests' }), statusOf({ code: 299 })]).toEqual([403, 429, 299]);
  expect([statusOf({ code: 'Continue' }), statusOf({ code: 42 }), statusOf({ code: 700 })]).toEqual([403, 403, 403]);
});

test('texts are bytes of a head, names in lower case', () => {
  expect(denied({ headers: [{ header: { key: 'X-Name', value: 'é' } }], body: 'é' })).toMatchObject({
    headers: [['x-name', '\u00c3\u00a9']],
    body: '\u00c3\u00a9',
  });
});

test('the metadata of what passes hides that of the answer', () => {
  expect(read({ dynamicMetadata: { a: 1 } })).toMatchObject({ metadata: { a: 1 } });
  expect(read({ dynamicMetadata: { a: 1 }, okResponse: { dynamicMetadata: { b: 2 } } })).toMatchObject({ metadata: { b: 2 } });
});

test('what cannot be read is no answer', () => {
  expect(readVerdict(Uint8Array.from([0x0a, 0xff]))).toEqual({ kind: 'error' });
});
