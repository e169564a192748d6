// Messages with a JSON form of their own (https://protobuf.dev/programming-guides/json/), made from the form any other message has.

export type JsonValue = string | number | boolean | null | JsonObject | JsonValue[];
export interface JsonObject {
  [key: string]: JsonValue;
}

type Form = (json: JsonObject) => JsonValue;

const wrapper =
  (zero: JsonValue): Form =>
  ({ value }) =>
    value ?? zero;

export const wellKnownForms: ReadonlyMap<string, Form> = new Map<string, Form>([
  ['google.protobuf.Duration', ({ seconds, nanos }) => durationText(String(seconds ?? '0'), Number(nanos ?? 0))],
  ['google.protobuf.Timestamp', ({ seconds, nanos }) => timestampText(Number(seconds ?? 0), Number(nanos ?? 0))],
  [
    'google.protobuf.FieldMask',
    ({ paths }) => ((paths ?? []) as string[]).map((path) => path.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase())).join(','),
  ],
  ['google.protobuf.Struct', ({ fields }) => fields ?? {}],
  ['google.protobuf.ListValue', ({ values }) => values ?? []],
  ['google.protobuf.Value', onlyValue],
  ['google.protobuf.DoubleValue', wrapper(0)],
  ['google.protobuf.FloatValue', wrapper(0)],
  ['google.protobuf.Int64Value', wrapper('0')],
  ['google.protobuf.UInt64Value', wrapper('0')],
  ['google.protobuf.Int32Value', wrapper(0)],
  ['google.protobuf.UInt32Value', wrapper(0)],
  ['google.protobuf.BoolValue', wrapper(false)],
  ['google.protobuf.StringValue', wrapper('')],
  ['google.protobuf.BytesValue', wrapper('')],
]);

function onlyValue(json: JsonObject): JsonValue {
  const [value] = Object.values(json);
  if (value === undefined) throw new Error('google.protobuf.Value must have a value');
  if (typeof json['numberValue'] === 'string') throw new Error('google.protobuf.Value cannot be NaN or Infinity');
  return value;
}

function durationText(seconds: string, nanos: number): string {
  const whole = Number(seconds);
  if (Math.abs(whole) > 315_576_000_000) throw new Error('google.protobuf.Duration is out of range');
  if ((whole > 0 && nanos < 0) || (whole < 0 && nanos > 0)) throw new Error('nanos of a google.protobuf.Duration have another sign than its seconds');
  const sign = nanos < 0 && whole === 0 ? '-' : '';
  return `${sign}${seconds}${fraction(Math.abs(nanos))}s`;
}

/** From 0001-01-01 to 9999-12-31. */
const firstSecond = -62_135_596_800;
const lastSecond = 253_402_300_799;

function timestampText(seconds: number, nanos: number): string {
  if (seconds < firstSecond || seconds > lastSecond || nanos < 0 || nanos > 999_999_999) throw new Error('google.protobuf.Timestamp is out of range');
  // oxlint-disable-next-line no-restricted-globals -- a calendar, not the clock
  return new Date(seconds * 1000).toISOString().replace('.000Z', `${fraction(nanos)}Z`);
}

/** With three, six or nine digits; nothing for none. */
function fraction(nanos: number): string {
  return nanos === 0
    ? ''
    : `.${String(nanos)
        .padStart(9, '0')
        .replace(/(000){1,2}$/, '')}`;
}
