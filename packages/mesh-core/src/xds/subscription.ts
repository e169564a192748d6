// What one stream knows about one resource type. Two dialects implement it over type-state.ts: sotw-subscription.ts and delta-subscription.ts.

import type { Resource } from './resource.ts';
import type { View } from './view.ts';

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
  initialVersions: ReadonlyMap<string, string>;
}

/** One response of either dialect; SotW ignores `removed`. */
export interface XdsResponse {
  typeUrl: string;
  version: string;
  nonce: string;
  resources: readonly Resource[];
  removed: readonly string[];
}

/** A response, and what of it the client did not hold (`added`) or held in another version (`updated`). */
export interface Step {
  response: XdsResponse;
  added: readonly string[];
  updated: readonly string[];
}

/** What a request meant: `stale` answers an older response, `subscribe` answers none. */
export type RequestFact = { kind: 'ack' | 'stale' | 'subscribe' } | { kind: 'nack'; message: string };

export interface Subscription {
  readonly typeUrl: string;
  /** Takes a request in; the response it calls for, if any, comes from the next {@link Subscription.next}. `before`: its type on the stream the client had before. */
  receive(request: XdsRequest, view: View, before?: Subscription): RequestFact;
  /** The next response owed for `view`; undefined when there is none, or when one is still unanswered (they coalesce). */
  next(view: View, nonce: () => string): Step | undefined;
  /** Sends these names again with the next response even if they did not change. */
  force(names: Iterable<string>): void;
  /** Whether the client would be told about `name`. */
  wants(name: string): boolean;
  readonly wildcard: boolean;
  /** As last sent (or as the client said it holds); undefined when the client does not have it. */
  held(name: string): Resource | undefined;
  /** What it holds that `view` does not have. */
  heldBeyond(view: View): Resource[];
  /** What it holds that `view` has in another version, or not at all. */
  heldOtherwise(view: View): Resource[];
  /** Whether the last response was about this name: with {@link nack} it is the one refused, with {@link outstanding} on its way. */
  lastSent(name: string): boolean;
  /** Whether the client would get something new, or anew, from `view`. */
  isBehind(view: View): boolean;
  /** Whether it refused something it still asks for and `view` still has. */
  refuses(view: View): boolean;
  /** Names asked for one by one. */
  readonly names: ReadonlySet<string>;
  /** All that is held. */
  sent(): ReadonlyMap<string, Resource>;
  /** How many are held. */
  readonly count: number;
  /** A response is on its way and not yet answered. */
  readonly outstanding: boolean;
  readonly sentNonce: string;
  readonly sentVersion: string;
  readonly ackedNonce: string;
  readonly ackedVersion: string;
  /** Refusal of the last answered response; undefined after an ACK. */
  readonly nack: string | undefined;
}

/** Only these types know a wildcard (all resources there are). */
export function hasWildcard(typeUrl: string): boolean {
  return typeUrl.endsWith('.Listener') || typeUrl.endsWith('.Cluster');
}
