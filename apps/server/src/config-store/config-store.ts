// The truth about configuration: list, watch, write with optimistic concurrency. The embedded journal implements it;
// etcd and Kubernetes come later behind the same interface and the same contract suite.

import type { MeshObject, ObjectRef } from '@weft/mesh-core/model';

export interface StoredObject extends MeshObject {
  metadata: MeshObject['metadata'] & { uid: string; resourceVersion: string; generation: number; creationTimestamp: string };
}

/** One step of an atomic write. `resourceVersion`: undefined = do not check, '' = must not exist, else must be the current one. */
export type WriteOp =
  | { op: 'put'; object: MeshObject; resourceVersion?: string; /** The text the user wrote, comments kept. */ sourceYaml?: string }
  | { op: 'delete'; ref: ObjectRef; resourceVersion?: string };

export interface WriteContext {
  /** Who: `cli`, `console`, `kubectl`, `agent reviews-v1`, ... */
  actor: string;
  reason?: string;
  /** Validate and check versions, write nothing. */
  dryRun?: boolean;
}

export interface Change {
  ref: ObjectRef;
  verb: 'create' | 'update' | 'delete';
  before?: StoredObject;
  after?: StoredObject;
}

/** One commit of the journal. */
export interface Commit {
  /** Store-wide, opaque to users; for the journal its sequence number as text. Equals the resourceVersion of every object it wrote. */
  revision: string;
  /** Unix ms. */
  at: number;
  actor: string;
  reason?: string;
  changes: readonly Change[];
}

export type WatchEvent = { type: 'commit'; commit: Commit } | { type: 'expired' };

export interface ConfigStore {
  get(ref: ObjectRef): StoredObject | undefined;
  /** Text as last applied, or undefined when the object came without one. */
  sourceYaml(ref: ObjectRef): string | undefined;
  /** Text the object had at that resourceVersion; undefined when it had none or it is too long ago. */
  sourceAt?(ref: ObjectRef, resourceVersion: string): string | undefined;
  /** Without a filter the same list, not to be changed, until something is written. */
  list(filter?: { kind?: string; namespace?: string }): { items: readonly StoredObject[]; revision: string };
  /**
   * All ops or none; resolves after fsync. An op that changes nothing makes no revision of that object.
   * Throws ConflictError (a stale resourceVersion), NotFoundError, StoreFailedError (disk).
   */
  write(ops: readonly WriteOp[], context: WriteContext): Promise<Commit>;
  /** Calls `onEvent` for every commit after `fromRevision`, in order, none twice; `expired` = list again. Returns the stop function. */
  watch(fromRevision: string, onEvent: (event: WatchEvent) => void): () => void;
  /** Newest first. */
  history(options: { limit: number; before?: string }): Promise<readonly Commit[]>;
  close(): Promise<void>;
}
