// How far each edit has spread: from commit to the last ACK of the resources it changed, per proxy.

import type { Propagation } from '@weft/mesh-core/api';
import { shortTypeName } from '@weft/mesh-core/xds';
import type { ProxyConnection } from './proxy-connection.ts';

/** Revisions kept. */
const KEPT = 500;

interface Spread {
  connection: ProxyConnection;
  /** Changed names by type URL. */
  changed: ReadonlyMap<string, readonly string[]>;
  state: 'pending' | 'sent' | 'acked' | 'nacked' | 'disconnected';
  sentMs?: number;
  answeredMs?: number;
  error?: string;
}

interface Edit {
  revision: string;
  at: number;
  spreads: Spread[];
}

export class PropagationLog {
  readonly #edits = new Map<string, Edit>();
  /** Edits not answered yet, by connection: only these are looked at when something happens on it. */
  readonly #open = new Map<ProxyConnection, Set<{ edit: Edit; spread: Spread }>>();
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Records that the edits `revisions` changed `changed` for a proxy; an edit that changed nothing anywhere leaves no trace. */
  record(revisions: readonly { revision: string; at: number }[], connection: ProxyConnection, changed: ReadonlyMap<string, readonly string[]>): void {
    if (changed.size === 0) return;
    for (const { revision, at } of revisions) {
      let edit = this.#edits.get(revision);
      if (edit === undefined) {
        edit = { revision, at, spreads: [] };
        this.#edits.set(revision, edit);
      }
      const spread: Spread = { connection, changed, state: 'pending' };
      edit.spreads.push(spread);
      const open = this.#open.get(connection) ?? new Set();
      open.add({ edit, spread });
      this.#open.set(connection, open);
    }
    for (const revision of this.#edits.keys()) {
      if (this.#edits.size <= KEPT) break;
      this.#edits.delete(revision);
    }
  }

  /** Looks at the open edits of a proxy after something was sent or answered; returns the revisions that moved. */
  refresh(connection: ProxyConnection): string[] {
    const open = this.#open.get(connection);
    if (open === undefined) return [];
    const moved: string[] = [];
    for (const entry of open) {
      const before = entry.spread.state;
      this.#look(entry.edit, entry.spread);
      if (entry.spread.state !== before) moved.push(entry.edit.revision);
      if (entry.spread.state !== 'pending' && entry.spread.state !== 'sent') open.delete(entry);
    }
    if (open.size === 0) this.#open.delete(connection);
    return moved;
  }

  get(revision: string): Propagation | undefined {
    const edit = this.#edits.get(revision);
    if (edit === undefined) return undefined;
    const answered = edit.spreads.flatMap((s) => s.answeredMs ?? []);
    const settled = edit.spreads.every((s) => s.state !== 'pending' && s.state !== 'sent');
    return {
      revision,
      proxies: edit.spreads.map(({ connection, changed, state, sentMs, answeredMs, error }) => ({
        proxyId: connection.node.id,
        workload: connection.node.workload,
        namespace: connection.node.namespace,
        state,
        ...(sentMs === undefined ? {} : { sentMs }),
        ...(answeredMs === undefined ? {} : { answeredMs }),
        ...(error === undefined ? {} : { error }),
        types: [...changed.keys()].map(shortTypeName),
      })),
      ...(settled && answered.length > 0 ? { completeMs: Math.max(...answered) } : {}),
    };
  }

  #look(edit: Edit, spread: Spread): void {
    const since = this.#clock() - edit.at;
    if (spread.connection.disconnectedAt !== undefined) {
      spread.state = 'disconnected';
      return;
    }
    const steps = [...spread.changed].map(([typeUrl, names]) => spread.connection.progress(typeUrl, names));
    if (steps.some((s) => s.state === 'pending')) {
      // A refusal keeps what depends on it from ever being sent.
      const refused = steps.find((s) => s.state === 'nacked');
      if (refused === undefined) return;
      spread.state = 'nacked';
      spread.error = refused.error;
      spread.answeredMs = since;
      return;
    }
    spread.sentMs ??= since;
    spread.state = 'sent';
    if (steps.some((s) => s.state === 'sent')) return;
    const refused = steps.find((s) => s.state === 'nacked');
    spread.state = refused === undefined ? 'acked' : 'nacked';
    if (refused !== undefined) spread.error = refused.error;
    spread.answeredMs = since;
  }
}
