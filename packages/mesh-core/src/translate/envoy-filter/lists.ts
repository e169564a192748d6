// Operations on lists of named things (filters, routes, virtual hosts), as Istio does them: what is there is removed or merged
// first, then new things are put in their places.

import { type DescMessage, type JsonObject, type Message, clone } from '@bufbuild/protobuf';
import { mergeMessage } from './merge.ts';
import { SCHEMA_OF, patchValue } from './patch-value.ts';
import type { Patch } from './select.ts';

interface Named extends Message {
  name: string;
}

interface ListPatch<T extends Named> {
  schema: DescMessage;
  /** Of the right kind, and for the thing that holds the list. */
  patches: readonly Patch[];
  /** Whether the patch means this element. */
  fits: (patch: Patch, element: T) => boolean;
  /** Whether it names an element at all; without, INSERT_BEFORE is the front and INSERT_AFTER the back. */
  names: (patch: Patch) => boolean;
}

/** Changes `list` in place. */
export function patchList<T extends Named>(list: T[], { schema, patches, fits, names }: ListPatch<T>): void {
  for (const patch of patches) {
    const { operation } = patch.patch.patch;
    if (operation === 'REMOVE')
      replaceAll(
        list,
        list.filter((element) => !fits(patch, element)),
      );
    else if (isMerge(patch)) for (const element of list) if (fits(patch, element)) mergePatch(schema, element, patch);
  }
  for (const patch of patches) {
    const { operation } = patch.patch.patch;
    if (operation === 'REMOVE' || isMerge(patch)) continue;
    const value = valueOf(patch) as T;
    const place = list.findIndex((element) => fits(patch, element));
    const isNamed = names(patch);
    if (operation === 'ADD') list.push(value);
    else if (operation === 'INSERT_FIRST' || (operation === 'INSERT_BEFORE' && !isNamed)) list.unshift(value);
    else if (operation === 'INSERT_AFTER' && !isNamed) list.push(value);
    else if (place >= 0) list.splice(operation === 'INSERT_AFTER' ? place + 1 : place, operation === 'REPLACE' ? 1 : 0, value);
  }
}

export function isMerge({ patch: { patch } }: Patch): boolean {
  return patch.operation === 'MERGE' || patch.operation === 'MERGE_AND_REPLACE_LIST';
}

export function mergePatch(schema: DescMessage, target: Message, patch: Patch): void {
  mergeMessage(schema, target, valueOf(patch), patch.patch.patch.operation === 'MERGE_AND_REPLACE_LIST');
}

const values = new WeakMap<object, Message>();

/** The patch's value, a new copy each time: what it is put into may be patched on. */
export function valueOf({ patch }: Patch): Message {
  const json = patch.patch.value ?? {};
  let value = values.get(json);
  if (value === undefined) values.set(json, (value = patchValue(patch.applyTo, json as JsonObject)));
  return clone(SCHEMA_OF[patch.applyTo] as DescMessage, value);
}

export function replaceAll<T>(list: T[], by: readonly T[]): void {
  list.splice(0, list.length, ...by);
}
