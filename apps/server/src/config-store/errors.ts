// Refusals of the config store.

import { type ObjectRef, shownRef } from '@weft/mesh-core/model';
import type { StoredObject } from './config-store.ts';

/** The object was changed (or made, or removed) by someone else since it was read. */
export class ConflictError extends Error {
  readonly code = 'WEFT_CONFLICT';
  readonly ref: ObjectRef;
  /** As it is now; undefined = it does not exist. */
  readonly current: StoredObject | undefined;
  constructor(ref: ObjectRef, sent: string, current: StoredObject | undefined) {
    const now = current === undefined ? 'it does not exist' : `it is at ${current.metadata.resourceVersion}`;
    super(
      `${shownRef(ref).replace('/', ' ')} was changed meanwhile: ${sent === '' ? 'the request wants it not to exist' : `the request is based on resourceVersion ${sent}`}, but ${now}. Read it again and repeat the change.`,
    );
    this.name = 'ConflictError';
    this.ref = ref;
    this.current = current;
  }
}

export class NotFoundError extends Error {
  readonly code = 'WEFT_NOT_FOUND';
  readonly ref: ObjectRef;
  constructor(ref: ObjectRef) {
    super(`${shownRef(ref).replace('/', ' ')} does not exist`);
    this.name = 'NotFoundError';
    this.ref = ref;
  }
}

/** The journal could not be opened or written; nothing was accepted. */
export class StoreFailedError extends Error {
  readonly code = 'WEFT_STORE_FAILED';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreFailedError';
  }
}
