// What protobuf messages are made of, read from one generated text: a message is looked at when it first comes.

import { wireSchemas } from '../gen/wire-schemas.ts';

export interface FieldSchema {
  readonly number: number;
  /** As in the .proto file. */
  readonly name: string;
  readonly jsonName: string;
  /** `=` at most one, left out when zero; `?` at most one; `*` any number; `%` a map; else the oneof it belongs to. */
  readonly label: string;
  /** Letters of `TYPE_LETTERS` in scripts/generate-protos.mjs: `m` message, `e` enum, `s` string, `y` bytes. */
  readonly type: string;
  /** Of messages and enums. */
  readonly ref: number;
}

export interface MessageSchema {
  readonly name: string;
  /** By number. */
  readonly fields: ReadonlyMap<number, FieldSchema>;
  /** Of the same oneof, by any of them. */
  readonly siblings: ReadonlyMap<FieldSchema, readonly FieldSchema[]>;
}

let lines: readonly string[] | undefined;
let lineOf: ReadonlyMap<string, number> | undefined;
const messages = new Map<number, MessageSchema>();
const enums = new Map<number, ReadonlyMap<number, string>>();

function allLines(): readonly string[] {
  return (lines ??= wireSchemas.split('\n'));
}

function lineNamed(name: string): number | undefined {
  lineOf ??= new Map(allLines().map((line, i) => [line.includes(';') ? line.slice(0, line.indexOf(';')) : line, i]));
  return lineOf.get(name);
}

/** By full name, as in type URLs. */
export function messageNamed(name: string): MessageSchema | undefined {
  const line = lineNamed(name);
  return line === undefined ? undefined : messageAt(line);
}

/** Number of a value, which messages in JSON call by its name, or by its number where it has none. */
export function enumNumber(enumName: string, value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  const line = lineNamed(enumName);
  if (line !== undefined) for (const [number, name] of enumAt(line)) if (name === value) return number;
  return undefined;
}

export function messageAt(line: number): MessageSchema {
  let message = messages.get(line);
  if (message === undefined) messages.set(line, (message = readMessage(allLines()[line] ?? '')));
  return message;
}

/** Names of an enum by their numbers; the first is its zero. */
export function enumAt(line: number): ReadonlyMap<number, string> {
  let values = enums.get(line);
  if (values === undefined) {
    const [, ...parts] = (allLines()[line] ?? '').split(';');
    enums.set(line, (values = new Map(parts.map((part): [number, string] => [Number.parseInt(part, 10), part.slice(part.indexOf(' ') + 1)]))));
  }
  return values;
}

function readMessage(line: string): MessageSchema {
  const [name = '', ...parts] = line.split(';');
  const list = parts.map(readField).toSorted((a, b) => a.number - b.number);
  const siblings = list
    .filter(({ label }) => /[0-9a-z]/.test(label))
    .map((field): [FieldSchema, FieldSchema[]] => [field, list.filter((other) => other !== field && other.label === field.label)]);
  return { name, fields: new Map(list.map((field) => [field.number, field])), siblings: new Map(siblings) };
}

function readField(text: string): FieldSchema {
  const [number = '', name = '', code = ''] = text.split(' ');
  const jsonName = name.replaceAll(/_+(.?)/g, (_, letter: string) => letter.toUpperCase());
  return { number: Number(number), name, jsonName, label: code.charAt(0), type: code.charAt(1), ref: Number.parseInt(code.slice(2), 36) };
}
