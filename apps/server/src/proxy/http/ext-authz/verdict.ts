// What an authorization service says of a request or a connection, by whichever protocol.

import type { JsonObject } from '@weft/mesh-core/wire';

/** Names in lower case, values as latin1. */
export type HeaderPair = readonly [name: string, value: string];

export interface ResponseChange {
  name: string;
  value: string;
  action: 'add' | 'set' | 'add-if-absent' | 'set-if-present';
}

export type Verdict =
  | {
      kind: 'ok';
      /** Of the request, in this order: in place of what is there, beside it, and joined to its value where there is one. */
      set: readonly HeaderPair[];
      add: readonly HeaderPair[];
      append: readonly HeaderPair[];
      remove: readonly string[];
      response: readonly ResponseChange[];
      /** Query parameters, as they stand in a path. */
      setParameters: readonly HeaderPair[];
      removeParameters: readonly string[];
      metadata: JsonObject | undefined;
    }
  | { kind: 'denied'; status: number; headers: readonly HeaderPair[]; body: string; metadata: JsonObject | undefined }
  /** Nobody could say. */
  | { kind: 'error' };

export const failed: Verdict = { kind: 'error' };
