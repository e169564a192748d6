// Delta: requests change the subscription, responses carry what changed and the names of what is gone.

import type { Resource, TypeUrl } from './resource.ts';
import { hasWildcard } from './subscription.ts';
import type { RequestFact, Step, Subscription, XdsRequest } from './subscription.ts';
import { TypeState } from './type-state.ts';
import { LayeredView, diffViews, namesOf } from './view.ts';
import type { View } from './view.ts';

/** Of what a client has from another stream, and nobody has here any more. */
const NOT_HERE = new Uint8Array();

/** The delta state of one type on one stream. */
export class DeltaSubscription extends TypeState {
  /** `names` are just those of a view, shared with other streams; they are copied before they are changed. */
  #namesShared = true;
  #first = true;
  /** Names to be answered whatever the diff says: as resource, or as removed. */
  readonly #asked = new Set<string>();
  /** Of those, the ones the client does not hold. */
  readonly #fresh = new Set<string>();
  #greet = false;

  force(names: Iterable<string>): void {
    for (const name of names) if (this.held(name) !== undefined) this.#asked.add(name);
  }

  receive(request: XdsRequest, view: View, before?: Subscription): RequestFact {
    const known = this.#first && this.#begin(request, view, before);
    // Changes of the subscription count even on a stale nonce: they are not repeated.
    this.#unsubscribe(request.unsubscribe);
    if (!known) this.#subscribe(request.subscribe, view, this.#first);
    this.#first = false;
    if (request.nonce === '' || this.sentNonce === '') return { kind: 'subscribe' };
    if (request.nonce !== this.sentNonce || !this.outstanding) return { kind: 'stale' };
    return this.answered(request.error);
  }

  next(view: View, nonce: () => string): Step | undefined {
    if (this.outstanding || (this.base === view && this.#asked.size === 0 && !this.#greet)) return undefined;
    const due = new Set(this.#asked);
    const { changed, removed: gone } = diffViews(this.base, view);
    for (const name of changed) if (this.wants(name)) due.add(name);
    for (const name of gone) if (this.wants(name)) due.add(name);
    // It may keep them for now, and has them.
    for (const name of due) if (view.get(name)?.body === NOT_HERE && this.held(name) !== undefined) due.delete(name);
    if (due.size === 0 && !this.#greet) {
      this.base = view;
      return undefined;
    }
    for (const name of this.refused) if (this.wants(name)) due.add(name);
    const resources: Resource[] = [];
    const removed: string[] = [];
    for (const name of due) {
      const resource = this.wants(name) ? view.get(name) : undefined;
      if (resource === undefined || resource.body === NOT_HERE) removed.push(name);
      else resources.push(resource);
    }
    return this.respond(view, nonce(), { resources, removed }, due);
  }

  protected awaits(name: string): boolean {
    return this.#fresh.has(name);
  }

  protected forgetAsked(): void {
    // To clear one makes a new table, also of an empty one.
    if (this.#asked.size > 0) this.#asked.clear();
    if (this.#fresh.size > 0) this.#fresh.clear();
    this.#greet = false;
  }

  protected get whole(): boolean {
    return this.wildcard || (this.#namesShared && this.names.size > 0);
  }

  /**
   * The first request of a type on this stream: a legacy wildcard, and what a reconnecting client still holds. Whether that
   * makes its subscription known: it asks for all there is and holds all of it, as a thousand do that come back together.
   */
  #begin(request: XdsRequest, view: View, before: Subscription | undefined): boolean {
    const { initialVersions: held, subscribe } = request;
    if (hasWildcard(this.typeUrl) && subscribe.length === 0 && request.unsubscribe.length === 0) {
      this.wildcard = true;
      this.#greet = true;
    }
    if (held.size === 0) return false;
    const named = this.wildcard || subscribe.includes('*') ? undefined : new Set(subscribe);
    const old = new Map<string, Resource>();
    let missing = view.size;
    for (const [name, version] of held) {
      if (named?.has(name) === false) continue;
      const current = view.get(name);
      if (current !== undefined) missing -= 1;
      if (current?.version === version) continue;
      // Of what another server has sent only the number is known; the diff replaces it at once.
      const sent = before?.held(name);
      old.set(name, sent?.version === version ? sent : { typeUrl: this.typeUrl as TypeUrl, name, version, body: NOT_HERE });
    }
    // Who holds all there is stands at the view that all others stand at, but for what is old.
    if (missing === 0) this.base = old.size === 0 ? view : new LayeredView([old, view]);
    else {
      const names = [...held.keys()].filter((name) => named?.has(name) !== false);
      this.base = new Map(names.map((name) => [name, (old.get(name) ?? view.get(name)) as Resource]));
    }
    if (missing > 0 || named?.size !== view.size || request.unsubscribe.length > 0) return false;
    this.names = namesOf(view);
    return true;
  }

  #subscribe(names: readonly string[], view: View, first: boolean): void {
    if (names.length === 0) return;
    const own = this.#ownNames();
    for (const name of names) {
      if (name === '*') {
        if (!hasWildcard(this.typeUrl)) continue;
        // What was not named until now was not sent, whatever the base has of it.
        if (!this.wildcard && !first) this.base = this.sent();
        this.wildcard = true;
        this.#greet = true;
        continue;
      }
      const current = view.get(name);
      const held = this.#first ? this.base.get(name) : this.held(name);
      // The name as the view spells it: one string for all streams.
      own.add(current?.name ?? name);
      // A name asked for again is answered again: the client may have forgotten it. Not when it just told us what it holds.
      if (first && held !== undefined && held.version === current?.version) continue;
      this.#asked.add(name);
      if (held === undefined) this.#fresh.add(name);
    }
    this.#share(view);
  }

  #unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name === '*') {
        this.wildcard = false;
        continue;
      }
      if (!this.names.has(name)) continue;
      this.#ownNames().delete(name);
      this.#asked.delete(name);
      this.#fresh.delete(name);
      // Under a wildcard the client drops it and must be told what the wildcard makes of it.
      if (this.wildcard) this.#asked.add(name);
    }
  }

  #ownNames(): Set<string> {
    if (this.#namesShared) {
      this.names = new Set(this.names);
      this.#namesShared = false;
    }
    return this.names as Set<string>;
  }

  /** A thousand proxies that name the same thousand clusters need one set of names. */
  #share(view: View): void {
    if (this.names.size !== view.size || view.size === 0) return;
    for (const name of this.names) if (!view.has(name)) return;
    this.names = namesOf(view);
    this.#namesShared = true;
  }
}
