// What this folder reads and writes, against protobuf-es.

import { type DescField, type DescMessage, type Message, create, fromBinary, ScalarType, toBinary, toJson } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { registry } from '../translate/registry.ts';
import { messageToJson, WireReader, WireType, WireWriter } from './index.ts';

const schemas = [...registry].filter((type) => type.kind === 'message');

/** Numbers below a limit, all of them told by the seed. */
type Chance = (below: number) => number;
function chanceOf(seed: number): Chance {
  let state = seed;
  return (below) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
}
const oneOf = <T>(list: readonly T[], chance: Chance): T => list[chance(list.length)] as T;
const longs = [0n, 1n, 127n, 128n, 2n ** 31n, 2n ** 53n + 1n, 2n ** 63n - 1n];

function scalar(type: ScalarType, chance: Chance): unknown {
  switch (type) {
    case ScalarType.STRING:
      return oneOf(['', 'a', 'é', '\u{1f600} and more', '__proto__', '1'], chance);
    case ScalarType.BOOL:
      return chance(2) === 1;
    case ScalarType.BYTES:
      return Uint8Array.from({ length: chance(5) }, () => chance(256));
    case ScalarType.DOUBLE:
      return oneOf([0, -0, 1.5, 0.1, -1e300, Number.NaN, Infinity, -Infinity], chance);
    case ScalarType.FLOAT:
      return oneOf([0, -0, 1.5, 0.1, -3e38, Number.NaN, Infinity], chance);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return oneOf([...longs, ...longs.map((long) => -long - 1n)], chance);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return oneOf([...longs, 2n ** 64n - 1n], chance);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return oneOf([0, 1, 300, 2 ** 31, 2 ** 32 - 1], chance);
    default:
      return oneOf([0, 1, -1, 300, 2 ** 31 - 1, -(2 ** 31)], chance);
  }
}

/** A field nobody knows, which JSON leaves out: 2047, a varint. */
const UNKNOWN_FIELD = Uint8Array.of(0xf8, 0x7f, 0);

/** `whole`: no Any without a value, which laid over another would be that one's value read as this one's type: who reads what then, nobody says. */
function random(schema: DescMessage, chance: Chance, depth: number, whole = false): Message {
  const made = create(schema);
  switch (schema.typeName) {
    case 'google.protobuf.Any': {
      const inner = oneOf(schemas, chance);
      const bytes = depth === 0 ? new Uint8Array() : toBinary(inner, random(inner, chance, depth - 1, whole));
      const value = whole && bytes.length === 0 ? UNKNOWN_FIELD : bytes;
      return Object.assign(made, { typeUrl: oneOf([`type.googleapis.com/${inner.typeName}`, inner.typeName], chance), value });
    }
    case 'google.protobuf.Duration':
    case 'google.protobuf.Timestamp':
      return Object.assign(made, { seconds: BigInt(chance(2 ** 31)), nanos: oneOf([0, 0, 250_000_000, 1_500_000, 2_000, 3, 999_999_999], chance) });
  }
  const message = reflect(schema, made);
  const one = (field: {
    message?: DescMessage | undefined;
    enum?: { values: readonly { number: number }[] } | undefined;
    scalar?: ScalarType | undefined;
  }): never => {
    if (field.message !== undefined) return reflect(field.message, random(field.message, chance, depth - 1, whole)) as never;
    if (field.enum !== undefined) return oneOf([...field.enum.values.map((value) => value.number), 77], chance) as never;
    return scalar(field.scalar as ScalarType, chance) as never;
  };
  const set = (field: DescField): void => {
    if (field.message !== undefined && depth === 0) return;
    if (field.fieldKind === 'list') for (let n = chance(3); n > 0; n--) message.get(field).add(one(field));
    else if (field.fieldKind === 'map') for (let n = chance(3); n > 0; n--) message.get(field).set(scalar(field.mapKey, chance) as never, one(field));
    else message.set(field, one(field));
  };
  // One with nothing in it has no form.
  if (schema.typeName === 'google.protobuf.Value') set(oneOf(schema.fields.slice(0, depth === 0 ? 4 : 6), chance));
  else for (const field of schema.fields) if (chance(3) === 0) set(field);
  return made;
}

/** What either makes of bytes. */
function outcome(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return 'refused';
  }
}

test('messages of any kind read as protobuf-es reads them, in the same order', () => {
  let read = 0;
  fc.assert(
    fc.property(fc.integer(), fc.boolean(), (seed, useProtoFieldName) => {
      const chance = chanceOf(seed);
      const schema = oneOf(schemas, chance);
      // Two in a row are the second laid over the first.
      const twice = chance(3) === 0;
      const one = (): Uint8Array => toBinary(schema, random(schema, chance, 3, twice));
      const bytes = twice ? Uint8Array.from([...one(), ...one()]) : one();
      const expected = outcome(() => JSON.stringify(toJson(schema, fromBinary(schema, bytes), { registry, useProtoFieldName })));
      if (expected !== 'refused') read++;
      expect(outcome(() => JSON.stringify(messageToJson(schema.typeName, bytes, useProtoFieldName)))).toBe(expected);
    }),
    { numRuns: 3_000 },
  );
  expect(read).toBeGreaterThan(2_000);
});

test('what is cut short is refused or read, without end and beyond it', () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(), (seed, cut) => {
      const chance = chanceOf(seed);
      const schema = oneOf(schemas, chance);
      const bytes = toBinary(schema, random(schema, chance, 3));
      outcome(() => messageToJson(schema.typeName, bytes.subarray(0, cut % (bytes.length + 1))));
    }),
    { numRuns: 500 },
  );
  expect(() => messageToJson('envoy.config.cluster.v3.Cluster', Uint8Array.of(0x0a, 5, 0x61))).toThrow(RangeError);
  expect(() => messageToJson('envoy.config.cluster.v3.Clutter', Uint8Array.of())).toThrow('envoy.config.cluster.v3.Clutter');
});

test('messages deep within each other end somewhere', () => {
  const nested = (depth: number): Uint8Array => {
    let bytes: Uint8Array = Uint8Array.of(0x1a, 0);
    for (let i = 0; i < depth; i++) bytes = new WireWriter().tag(6, WireType.bytes).fork().tag(1, WireType.bytes).bytes(bytes).join().finish();
    return bytes;
  };
  expect(() => messageToJson('google.protobuf.Value', nested(1_000))).toThrow('too deeply');
  expect(messageToJson('google.protobuf.Value', nested(2))).toEqual([['']]);
});

test('values are written as protobuf-es writes them, and read as they were', () => {
  const values = fc.record({
    uint32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    int32: fc.integer(),
    int64: fc.maxSafeInteger(),
    fixed64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    double: fc.double(),
    bool: fc.boolean(),
    string: fc.string({ unit: 'grapheme' }),
    bytes: fc.uint8Array({ maxLength: 400 }),
  });
  fc.assert(
    fc.property(fc.array(values, { maxLength: 8 }), (list) => {
      const write = <W extends WireWriter | BinaryWriter>(w: W): Uint8Array => {
        for (const value of list) {
          w.tag(1, WireType.bytes).fork().tag(2, WireType.varint).uint32(value.uint32).int32(value.int32).int64(value.int64);
          w.tag(300, WireType.bytes).fork().fixed64(value.fixed64).double(value.double).join();
          w.bool(value.bool).string(value.string).bytes(value.bytes).join();
        }
        return w.finish();
      };
      const bytes = write(new WireWriter());
      expect(bytes).toEqual(write(new BinaryWriter()));
      for (const r of [new WireReader(bytes), new BinaryReader(bytes)])
        for (const value of list) {
          expect([r.tag(), r.uint32() > 0, r.tag()]).toEqual([[1, WireType.bytes], true, [2, WireType.varint]]);
          expect([r.uint32(), r.int32(), Number(r.int64())]).toEqual([value.uint32, value.int32, value.int64]);
          expect([r.tag(), r.uint32(), r.fixed64(), r.double()]).toEqual([[300, WireType.bytes], 16, value.fixed64, value.double]);
          expect([r.bool(), r.string(), r.bytes()]).toEqual([value.bool, value.string, value.bytes]);
        }
    }),
  );
});
