// Connected proxies, and those lost a short while ago.

import type { ProxyStatus } from '@weft/mesh-core/api';
import type { ProxyConnection } from './proxy-connection.ts';

/** How long a lost proxy stays on the list. */
const REMEMBER_MS = 600_000;

export class ProxyRegistry {
  readonly #byId = new Map<string, ProxyConnection>();
  readonly #live = new Map<ProxyConnection, () => void>();
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** The newest connection of a node id is the one shown; `end` closes its stream. */
  add(connection: ProxyConnection, end: () => void): void {
    const older = this.#byId.get(connection.node.id);
    this.#byId.set(connection.node.id, connection);
    const endOlder = older === undefined ? undefined : this.#live.get(older);
    this.#live.set(connection, end);
    // A proxy that came back before its old connection was noticed dead: two streams would be two truths. A gRPC
    // client keeps one stream per target with the same node id, so there both stay.
    if (connection.node.dataPlane !== 'grpc') endOlder?.();
  }

  lost(connection: ProxyConnection): void {
    this.#live.delete(connection);
    if (this.#byId.get(connection.node.id) !== connection) return;
    const sibling = [...this.#live.keys()].findLast((other) => other.node.id === connection.node.id);
    if (sibling !== undefined) this.#byId.set(sibling.node.id, sibling);
  }

  live(): ProxyConnection[] {
    return [...this.#live.keys()];
  }

  get(id: string): ProxyConnection | undefined {
    return this.#byId.get(id);
  }

  statuses(): ProxyStatus[] {
    const oldest = this.#clock() - REMEMBER_MS;
    for (const [id, connection] of this.#byId) if (connection.disconnectedAt !== undefined && connection.disconnectedAt < oldest) this.#byId.delete(id);
    return [...this.#byId.values()].map((connection) => connection.status());
  }

  endAll(): void {
    for (const end of this.#live.values()) end();
  }
}
