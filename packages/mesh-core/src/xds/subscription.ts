// What one stream knows about one resource type. Two dialects implement it: sotw-subscription.ts and delta-subscription.ts.

import type { Resource } from './resource.ts';

/** Resources of one type by name. */
export type View = ReadonlyMap<string, Resource>;

/** One request of either dialect, reduced to what the state machines read. */
export interface XdsRequest {
  typeUrl: string;
  nonce: string;
  /** The client's words when it refused the last response. */
  error?: string;
  /** SotW: the whole list of names wanted. */
  names: readonly string[];
  /** Delta: changes of the subscription. */
  subscribe: readonly string[];
  unsubscribe: readonly string[];
  /** Delta, first request of a type: what the client still holds, name -> version. */
  initialVersions: Readonly<Record<string, string>>;
}

/** One response of either dialect; SotW ignores `removed`. */
export interface XdsResponse {
  typeUrl: string;
  version: string;
  nonce: string;
  resources: readonly Resource[];
  removed: readonly string[];
}

/** What a request meant: `stale` answers an older response, `subscribe` answers none. */
export type RequestFact = { kind: 'ack' | 'stale' | 'subscribe' } | { kind: 'nack'; message: string };

export interface Subscription {
  /** Takes a request in; the response it calls for, if any, comes from the next {@link Subscription.next}. */
  receive(request: XdsRequest, view: View): RequestFact;
  /** The next response owed for `view`; undefined when there is none, or when one is still unanswered (they coalesce). */
  next(view: View, nonce: () => string): XdsResponse | undefined;
  /** Sends these names again with the next response even if they did not change. */
  force(names: Iterable<string>): void;
  /** Whether the client would be told about `name`. */
  wants(name: string): boolean;
  readonly wildcard: boolean;
  /** As last sent (or as the client said it holds). */
  readonly sent: ReadonlyMap<string, Resource>;
  /** A response is on its way and not yet answered. */
  readonly outstanding: boolean;
  readonly sentVersion: string;
  readonly ackedVersion: string;
  /** Refusal of the last answered response; undefined after an ACK. */
  readonly nack: string | undefined;
}

/** Only these types know a wildcard (all resources there are). */
export function hasWildcard(typeUrl: string): boolean {
  return typeUrl.endsWith('.Listener') || typeUrl.endsWith('.Cluster');
}

/** A short hash of what a client holds: equal content has an equal version, whichever replica sent it. */
export function versionOf(resources: ReadonlyMap<string, Resource>): string {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (const key of [...resources.values()].map((r) => `${r.name}\n${r.version}\n`).toSorted()) {
    for (let i = 0; i < key.length; i += 1) {
      a = Math.imul(a ^ key.charCodeAt(i), 0x01000193);
      b = Math.imul(b ^ key.charCodeAt(i), 0x85ebca6b);
    }
  }
  return (a >>> 0).toString(16).padStart(8, '0') + (b >>> 0).toString(16).padStart(8, '0');
}
