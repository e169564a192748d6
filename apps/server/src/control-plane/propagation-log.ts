// How far each edit has spread: from commit to the last ACK of the resources it changed, per proxy.

import type { Propagation } from '@weft/mesh-core/api';
import { shortTypeName } from '@weft/mesh-core/xds';
import type { ProxyConnection } from './proxy-connection.ts';

/** Revisions kept, and how many proxies all of them together may have reached: a thousand proxies would else fill the memory. */
const KEPT = 500;
const KEPT_SPREADS = 50_000;
const NOTHING: ReadonlyMap<string, readonly string[]> = new Map();

interface Spread {
  edit: Edit;
  /** Not the connection itself: the log outlives it. */
  proxy: { proxyId: string; workload: string; namespace: string };
  /** Short names of the types that changed. */
  types: string[];
  /** Changed names by type URL, until the last of them is answered. */
  changed: ReadonlyMap<string, readonly string[]>;
  state: 'pending' | 'sent' | 'acked' | 'nacked' | 'disconnected';
  sentMs: number | undefined;
  answeredMs: number | undefined;
  /** When it was gone without an answer. */
  goneMs: number | undefined;
  error: string | undefined;
}

interface Edit {
  revision: string;
  at: number;
  spreads: Spread[];
}

export class PropagationLog {
  readonly #edits = new Map<string, Edit>();
  /** Edits not answered yet, by connection: only these are looked at when something happens on it. */
  readonly #open = new Map<ProxyConnection, Spread[]>();
  readonly #proxies = new WeakMap<ProxyConnection, Spread['proxy']>();
  readonly #types = new Map<string, string[]>();
  #spreads = 0;
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Records that the edits `revisions` changed `changed` for a proxy; an edit that changed nothing anywhere leaves no trace. */
  record(revisions: readonly { revision: string; at: number }[], connection: ProxyConnection, changed: ReadonlyMap<string, readonly string[]>): void {
    if (changed.size === 0) return;
    const proxy = this.#proxyOf(connection);
    const types = this.#typesOf(changed);
    for (const { revision, at } of revisions) {
      let edit = this.#edits.get(revision);
      if (edit === undefined) {
        edit = { revision, at, spreads: [] };
        this.#edits.set(revision, edit);
      }
      const spread: Spread = { edit, proxy, types, changed, state: 'pending', sentMs: undefined, answeredMs: undefined, goneMs: undefined, error: undefined };
      edit.spreads.push(spread);
      this.#spreads += 1;
      const open = this.#open.get(connection);
      if (open === undefined) this.#open.set(connection, [spread]);
      else open.push(spread);
    }
    if (this.#edits.size <= KEPT && this.#spreads <= KEPT_SPREADS) return;
    for (const [revision, { spreads }] of this.#edits) {
      if (this.#edits.size <= KEPT && (this.#spreads <= KEPT_SPREADS || this.#edits.size === 1)) break;
      this.#edits.delete(revision);
      this.#spreads -= spreads.length;
    }
  }

  /** Looks at the open edits of a proxy after something was sent or answered; returns the revisions that moved. */
  refresh(connection: ProxyConnection): string[] {
    const open = this.#open.get(connection);
    if (open === undefined) return [];
    const moved: string[] = [];
    let answered = 0;
    for (const spread of open) {
      const before = spread.state;
      this.#look(spread, connection);
      if (spread.state !== before) moved.push(spread.edit.revision);
      if (spread.state === 'pending' || spread.state === 'sent') continue;
      answered += 1;
      spread.changed = NOTHING;
    }
    if (answered === open.length) this.#open.delete(connection);
    else if (answered > 0)
      this.#open.set(
        connection,
        open.filter(({ changed }) => changed !== NOTHING),
      );
    return moved;
  }

  /** Whether every edit recorded so far is answered. */
  get settled(): boolean {
    return this.#open.size === 0;
  }

  /** `more`: there are proxies that it has not been worked out for. */
  get(revision: string, more: boolean): Propagation | undefined {
    const edit = this.#edits.get(revision);
    if (edit === undefined) return undefined;
    let settled = !more;
    let completeMs = -1;
    let lastGoneMs = -1;
    const proxies = edit.spreads.map(({ proxy, types, state, sentMs, answeredMs, goneMs, error }) => {
      if (state === 'pending' || state === 'sent') settled = false;
      // Read again and again of a thousand proxies while an edit spreads.
      const row: Propagation['proxies'][number] = { proxyId: proxy.proxyId, workload: proxy.workload, namespace: proxy.namespace, state, types };
      if (sentMs !== undefined) row.sentMs = sentMs;
      if (answeredMs !== undefined) {
        row.answeredMs = answeredMs;
        completeMs = Math.max(completeMs, answeredMs);
      }
      if (goneMs !== undefined) lastGoneMs = Math.max(lastGoneMs, goneMs);
      if (error !== undefined) row.error = error;
      return row;
    });
    if (completeMs < 0) completeMs = lastGoneMs;
    return { revision, proxies, ...(settled && completeMs >= 0 ? { completeMs } : {}) };
  }

  /** One for all spreads of a connection, as of these there are fifty thousand. */
  #proxyOf(connection: ProxyConnection): Spread['proxy'] {
    let proxy = this.#proxies.get(connection);
    if (proxy === undefined) {
      const { id: proxyId, workload, namespace } = connection.node;
      this.#proxies.set(connection, (proxy = { proxyId, workload, namespace }));
    }
    return proxy;
  }

  #typesOf(changed: ReadonlyMap<string, unknown>): string[] {
    const key = [...changed.keys()].join();
    let types = this.#types.get(key);
    if (types === undefined) this.#types.set(key, (types = [...changed.keys()].map(shortTypeName)));
    return types;
  }

  #look(spread: Spread, connection: ProxyConnection): void {
    const since = this.#clock() - spread.edit.at;
    if (connection.disconnectedAt !== undefined) {
      spread.state = 'disconnected';
      spread.goneMs = since;
      return;
    }
    let state: 'pending' | 'sent' | 'acked' = 'acked';
    let refusal: string | undefined;
    for (const [typeUrl, names] of spread.changed) {
      const step = connection.progress(typeUrl, names);
      if (step.state === 'nacked') refusal ??= step.error;
      else if (step.state === 'pending' || state === 'acked') state = step.state;
    }
    // A refusal keeps what depends on it from ever being sent.
    if (state === 'pending' && refusal === undefined) return;
    if (state !== 'pending') {
      spread.sentMs ??= since;
      spread.state = 'sent';
      if (state === 'sent') return;
    }
    spread.state = refusal === undefined ? 'acked' : 'nacked';
    spread.error = refusal;
    spread.answeredMs = since;
  }
}
