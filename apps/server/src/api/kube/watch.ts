// watch=true: one JSON event a line until the client leaves or the time is over.

import type { FastifyReply, FastifyRequest } from 'fastify';
import { type MeshObject, refKey, refOf } from '@weft/mesh-core/model';
import type { Change, ConfigStore } from '../../config-store/config-store.ts';
import { statusOf } from './status.ts';

export interface WatchOptions {
  store: ConfigStore;
  kind: string;
  matches: (object: MeshObject) => boolean;
  /** The object as the client wants it (version, table). */
  show: (object: MeshObject, resourceVersion: string) => unknown;
  /** Where a status is worked out: it may change when its object does not. */
  status?: { now: () => (object: MeshObject) => unknown; onChange: (listener: () => void) => () => void };
  /** '' or '0' = first everything that is there. */
  from: string;
  timeoutMs: number;
}

/** A client that lets this much pile up is cut off; it lists again. */
const MAX_BUFFERED = 4 * 1024 * 1024;

export function streamWatch(request: FastifyRequest, reply: FastifyReply, options: WatchOptions): void {
  const { store, kind, matches, show, status } = options;
  reply.hijack();
  const out = reply.raw;
  out.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache' });
  out.flushHeaders();
  const send = (type: string, object: unknown): void => {
    out.write(`${JSON.stringify({ type, object })}\n`);
    if (out.writableLength > MAX_BUFFERED) out.destroy();
  };
  /** By object, what was told last. */
  const statuses = new Map<string, string>();
  const tellStatus = (): void => {
    if (status === undefined) return;
    const { items, revision } = store.list({ kind });
    const statusNow = status.now();
    for (const object of items.filter(matches)) {
      const key = refKey(refOf(object));
      const text = JSON.stringify(statusNow(object) ?? {});
      if (statuses.get(key) === text) continue;
      statuses.set(key, text);
      send('MODIFIED', show(object, revision));
    }
  };
  const onChange = (change: Change, revision: string): void => {
    if (change.ref.kind !== kind) return;
    const was = change.before !== undefined && matches(change.before);
    const is = change.after !== undefined && matches(change.after);
    if (is && change.after !== undefined) send(was ? 'MODIFIED' : 'ADDED', show(change.after, revision));
    else if (was && change.before !== undefined)
      send('DELETED', show({ ...change.before, metadata: { ...change.before.metadata, resourceVersion: revision } }, revision));
  };
  let from = options.from;
  if (from === '' || from === '0') {
    const { items, revision } = store.list({ kind });
    for (const object of items) if (matches(object)) send('ADDED', show(object, revision));
    from = revision;
  }
  // What the client has read may have changed since, and no commit says so.
  tellStatus();
  const stop = store.watch(from, (event) => {
    if (event.type === 'commit') {
      for (const change of event.commit.changes) onChange(change, event.commit.revision);
      tellStatus();
    } else {
      send('ERROR', statusOf(410, `resourceVersion ${from} is too old: list again`));
      out.end();
    }
  });
  const stopStatus = status?.onChange(tellStatus);
  const timer = setTimeout(() => out.end(), options.timeoutMs);
  request.raw.socket.once('close', () => out.destroy());
  out.once('close', () => {
    clearTimeout(timer);
    stopStatus?.();
    stop();
  });
}
