// watch=true: one JSON event a line until the client leaves or the time is over.

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { MeshObject } from '@weft/mesh-core/model';
import type { Change, ConfigStore } from '../../config-store/config-store.ts';
import { statusOf } from './status.ts';

export interface WatchOptions {
  store: ConfigStore;
  kind: string;
  matches: (object: MeshObject) => boolean;
  /** The object as the client wants it (version, table). */
  show: (object: MeshObject, resourceVersion: string) => unknown;
  /** '' or '0' = first everything that is there. */
  from: string;
  timeoutMs: number;
}

/** A client that lets this much pile up is cut off; it lists again. */
const MAX_BUFFERED = 4 * 1024 * 1024;

export function streamWatch(request: FastifyRequest, reply: FastifyReply, options: WatchOptions): void {
  const { store, kind, matches, show } = options;
  reply.hijack();
  const out = reply.raw;
  out.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache' });
  out.flushHeaders();
  const send = (type: string, object: unknown): void => {
    out.write(`${JSON.stringify({ type, object })}\n`);
    if (out.writableLength > MAX_BUFFERED) out.destroy();
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
  const stop = store.watch(from, (event) => {
    if (event.type === 'commit') for (const change of event.commit.changes) onChange(change, event.commit.revision);
    else {
      send('ERROR', statusOf(410, `resourceVersion ${from} is too old: list again`));
      out.end();
    }
  });
  const timer = setTimeout(() => out.end(), options.timeoutMs);
  request.raw.socket.once('close', () => out.destroy());
  out.once('close', () => {
    clearTimeout(timer);
    stop();
  });
}
