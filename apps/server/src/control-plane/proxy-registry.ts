// Connected proxies, and those lost a short while ago.

import type { ProxyConnection } from './proxy-connection.ts';

/** How long a lost proxy stays on the list. */
const REMEMBER_MS = 600_000;

export class ProxyRegistry {
  readonly #byId = new Map<string, ProxyConnection>();
  readonly #live = new Map<ProxyConnection, { scope: string; end: () => void }>();
  /** Live connections by node id, oldest first. */
  readonly #siblings = new Map<string, Set<ProxyConnection>>();
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** The newest connection of a node id is the one shown; `end` closes its stream, `scope` tells separate streams of one proxy apart. */
  add(connection: ProxyConnection, scope: string, end: () => void): void {
    const { id, dataPlane } = connection.node;
    this.#forget();
    const older = this.#siblings.get(id) ?? new Set();
    this.#siblings.set(id, older);
    const replaced = [...older].filter((other) => this.#live.get(other)?.scope === scope);
    older.add(connection);
    this.#byId.set(id, connection);
    this.#live.set(connection, { scope, end });
    // A proxy that came back before its old connection was noticed dead: two streams would be two truths. A gRPC
    // client keeps one stream per target with the same node id, so there both stay.
    if (dataPlane !== 'grpc') for (const other of replaced) this.#live.get(other)?.end();
  }

  lost(connection: ProxyConnection): void {
    const { id } = connection.node;
    this.#live.delete(connection);
    const siblings = this.#siblings.get(id);
    siblings?.delete(connection);
    if (siblings?.size === 0) this.#siblings.delete(id);
    if (this.#byId.get(id) !== connection) return;
    const sibling = [...(siblings ?? [])].at(-1);
    if (sibling !== undefined) this.#byId.set(id, sibling);
  }

  live(): ProxyConnection[] {
    return [...this.#live.keys()];
  }

  get(id: string): ProxyConnection | undefined {
    return this.#byId.get(id);
  }

  /** Of every node id the newest, also those lost a short while ago. */
  connections(): ProxyConnection[] {
    this.#forget();
    return [...this.#byId.values()];
  }

  /** Those lost long ago, each with all it was sent. */
  #forget(): void {
    if (this.#byId.size === this.#siblings.size) return;
    const oldest = this.#clock() - REMEMBER_MS;
    for (const [id, connection] of this.#byId) if (connection.disconnectedAt !== undefined && connection.disconnectedAt < oldest) this.#byId.delete(id);
  }

  endAll(): void {
    for (const { end } of this.#live.values()) end();
  }
}
