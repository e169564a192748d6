// JSON patch (RFC 6902): `kubectl patch --type=json`. Values are never changed in place.

import { isDeepStrictEqual } from 'node:util';
import { RefusedError } from '../errors.ts';

const MAX_OPERATIONS = 1_000;
/** Of copies in all: a document copied into itself doubles each time. */
const MAX_COPIED = 1_048_576;

type Change = (container: unknown, key: string) => unknown;

/** @throws RefusedError for a patch that is malformed, names what is not there, or whose test fails. */
export function jsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw refused('a JSON patch is a list of operations');
  if (patch.length > MAX_OPERATIONS) throw refused(`a JSON patch has at most ${MAX_OPERATIONS} operations, this one has ${patch.length}`);
  let copied = 0;
  return patch.reduce((target: unknown, operation: unknown, i) => {
    const { op, path, from, value } = (operation ?? {}) as Record<string, unknown>;
    const to = tokens(path, i, 'path');
    if ((op === 'add' || op === 'replace' || op === 'test') && value === undefined) throw refused(`[${i}] ${op} needs a value`);
    switch (op) {
      case 'add':
        return edit(target, to, adding(value), value);
      case 'remove':
        return edit(target, to, removing, undefined);
      case 'replace':
        read(target, to);
        return edit(target, to, (container, key) => adding(value)(Array.isArray(container) ? removing(container, key) : container, key), value);
      case 'move': {
        const source = tokens(from, i, 'from');
        const moved = read(target, source);
        return edit(edit(target, source, removing, undefined), to, adding(moved), moved);
      }
      case 'copy': {
        const found = read(target, tokens(from, i, 'from'));
        copied += JSON.stringify(found).length;
        if (copied > MAX_COPIED) throw refused(`[${i}] copy: more than ${MAX_COPIED} bytes are copied`);
        return edit(target, to, adding(found), found);
      }
      case 'test':
        if (!isDeepStrictEqual(read(target, to), value)) throw refused(`[${i}] test: ${String(path)} is ${JSON.stringify(read(target, to))}`);
        return target;
      default:
        throw refused(`[${i}].op is ${JSON.stringify(op)}; it must be add, remove, replace, move, copy or test`);
    }
  }, document);
}

function tokens(path: unknown, i: number, name: string): string[] {
  if (typeof path !== 'string' || (path !== '' && !path.startsWith('/'))) throw refused(`[${i}].${name} must be a path like /spec/hosts/0`);
  return path
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The document with the container at the end of `path` replaced by what `change` makes of it; of the empty path `whole`. */
function edit(target: unknown, path: readonly string[], change: Change, whole: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return whole;
  if (rest.length === 0) return change(container(target, key), key);
  const child = edit(read(target, [key]), rest, change, whole);
  if (Array.isArray(target)) return target.with(Number(key), child);
  return { ...(target as object), [key]: child };
}

function adding(value: unknown): Change {
  return (target, key) =>
    Array.isArray(target)
      ? target.toSpliced(key === '-' ? target.length : index(target, key, target.length), 0, value)
      : { ...(target as object), [key]: value };
}

function removing(target: unknown, key: string): unknown {
  read(target, [key]);
  if (Array.isArray(target)) return target.toSpliced(Number(key), 1);
  return Object.fromEntries(Object.entries(target as object).filter(([name]) => name !== key));
}

function read(target: unknown, path: readonly string[]): unknown {
  return path.reduce((at: unknown, key) => {
    const held = container(at, key);
    if (Array.isArray(held)) return held[index(held, key, held.length - 1)] as unknown;
    if (!Object.hasOwn(held, key)) throw refused(`there is no /${path.join('/')}`);
    return (held as Record<string, unknown>)[key];
  }, target);
}

function index(list: readonly unknown[], key: string, last: number): number {
  if (!/^(0|[1-9]\d*)$/.test(key) || Number(key) > last) throw refused(`${key} is no place in a list of ${list.length}`);
  return Number(key);
}

function container(value: unknown, key: string): object {
  if (typeof value !== 'object' || value === null) throw refused(`there is nothing that could hold ${key}`);
  return value;
}

function refused(message: string): RefusedError {
  return new RefusedError(422, 'WEFT_PATCH', `the patch cannot be applied: ${message}`);
}
