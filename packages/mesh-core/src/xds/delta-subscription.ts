// Delta: requests change the subscription, responses carry what changed and the names of what is gone.

import type { Resource, TypeUrl } from './resource.ts';
import { hasWildcard } from './subscription.ts';
import type { RequestFact, Step, Subscription, XdsRequest } from './subscription.ts';
import { EMPTY_VIEW, LayeredView, diffViews, namesOf, versionOf, versionOfView } from './view.ts';
import type { View } from './view.ts';

const NO_NAMES: ReadonlySet<string> = new Set();

/** The delta state of one type on one stream. */
export class DeltaSubscription implements Subscription {
  readonly typeUrl: string;
  outstanding = false;
  sentNonce = '';
  sentVersion = '';
  ackedNonce = '';
  ackedVersion = '';
  nack: string | undefined;
  /** What the client is in step with, as far as it wants it: every response brings it to the newest view whole. */
  #base: View = EMPTY_VIEW;
  /** Shared with other streams when it is just the names of a view; copied before it is changed. */
  #names: ReadonlySet<string> = new Set();
  #namesShared = false;
  #wildcard = false;
  #first = true;
  /** Names to be answered whatever the diff says: as resource, or as removed. */
  readonly #asked = new Set<string>();
  /** Of those, the ones the client does not hold. */
  readonly #fresh = new Set<string>();
  #greet = false;
  #refused: readonly string[] = [];
  #lastSentNames = NO_NAMES;

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  get wildcard(): boolean {
    return this.#wildcard;
  }

  get count(): number {
    if (this.#wildcard || this.#namesShared) return this.#base.size;
    let count = 0;
    for (const name of this.#names) if (this.held(name) !== undefined) count += 1;
    return count;
  }

  wants(name: string): boolean {
    return this.#wildcard || this.#names.has(name);
  }

  held(name: string): Resource | undefined {
    return this.wants(name) && !this.#fresh.has(name) ? this.#base.get(name) : undefined;
  }

  lastSent(name: string): boolean {
    return this.#lastSentNames.has(name);
  }

  lacks(view: View): boolean {
    return diffViews(this.#base, view).changed.some((name) => this.wants(name) && this.held(name) === undefined);
  }

  refuses(view: View): boolean {
    return this.nack !== undefined && [...this.#lastSentNames].some((name) => this.wants(name) && view.has(name));
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  sent(): ReadonlyMap<string, Resource> {
    return new Map([...this.#base].filter(([name]) => this.held(name) !== undefined));
  }

  force(names: Iterable<string>): void {
    for (const name of names) if (this.held(name) !== undefined) this.#asked.add(name);
  }

  receive(request: XdsRequest, view: View): RequestFact {
    if (this.#first) this.#begin(request, view);
    // Changes of the subscription count even on a stale nonce: they are not repeated.
    this.#unsubscribe(request.unsubscribe);
    this.#subscribe(request.subscribe, view, this.#first);
    this.#first = false;
    if (request.nonce === '' || this.sentNonce === '') return { kind: 'subscribe' };
    if (request.nonce !== this.sentNonce || !this.outstanding) return { kind: 'stale' };
    this.outstanding = false;
    if (request.error !== undefined) {
      this.nack = request.error;
      this.#refused = [...this.#refused, ...this.#lastSentNames];
      return { kind: 'nack', message: request.error };
    }
    this.nack = undefined;
    this.#refused = [];
    this.#lastSentNames = NO_NAMES;
    this.ackedNonce = this.sentNonce;
    this.ackedVersion = this.sentVersion;
    return { kind: 'ack' };
  }

  next(view: View, nonce: () => string): Step | undefined {
    if (this.outstanding || (this.#base === view && this.#asked.size === 0 && !this.#greet)) return undefined;
    const due = new Set(this.#asked);
    const { changed, removed: gone } = diffViews(this.#base, view);
    for (const name of changed) if (this.wants(name)) due.add(name);
    for (const name of gone) if (this.wants(name)) due.add(name);
    if (due.size === 0 && !this.#greet) {
      this.#base = view;
      return undefined;
    }
    // The client may have dropped the whole refused response: what was good in it comes again with the correction.
    for (const name of this.#refused) if (this.wants(name)) due.add(name);
    this.#refused = [];
    const resources: Resource[] = [];
    const removed: string[] = [];
    const added: string[] = [];
    const updated: string[] = [];
    for (const name of due) {
      const resource = this.wants(name) ? view.get(name) : undefined;
      if (resource === undefined) {
        removed.push(name);
        continue;
      }
      resources.push(resource);
      const held = this.held(name);
      if (held === undefined) added.push(name);
      else if (held.version !== resource.version) updated.push(name);
    }
    this.#base = view;
    this.#asked.clear();
    this.#fresh.clear();
    this.#greet = false;
    this.#lastSentNames = due;
    this.sentNonce = nonce();
    this.outstanding = true;
    this.sentVersion = this.#version();
    return { response: { typeUrl: this.typeUrl, version: this.sentVersion, nonce: this.sentNonce, resources, removed }, added, updated };
  }

  #version(): string {
    if (this.#wildcard || this.#namesShared) return versionOfView(this.#base);
    return versionOf([...this.#names].flatMap((name) => this.#base.get(name) ?? []));
  }

  /** The first request of a type on this stream: a legacy wildcard, and what a reconnecting client still holds. */
  #begin(request: XdsRequest, view: View): void {
    if (hasWildcard(this.typeUrl) && request.subscribe.length === 0 && request.unsubscribe.length === 0) {
      this.#wildcard = true;
      this.#greet = true;
    }
    if (request.initialVersions.size === 0) return;
    const covered = this.#wildcard || request.subscribe.includes('*');
    const named = new Set(request.subscribe);
    const same: Resource[] = [];
    const other = new Map<string, Resource>();
    let missing = view.size;
    for (const [name, version] of request.initialVersions) {
      if (!covered && !named.has(name)) continue;
      const current = view.get(name);
      if (current !== undefined) missing -= 1;
      if (current?.version === version) same.push(current);
      // Of an older version only the number is known; the diff replaces it at once.
      else other.set(name, { typeUrl: this.typeUrl as TypeUrl, name, version, body: new Uint8Array() });
    }
    // Who holds all there is stands at the view that all others stand at, but for what is old.
    if (missing === 0) this.#base = other.size === 0 ? view : new LayeredView([other, view]);
    else this.#base = new Map([...other, ...same.map((resource) => [resource.name, resource] as const)]);
  }

  #subscribe(names: readonly string[], view: View, first: boolean): void {
    if (names.length === 0) return;
    const own = this.#ownNames();
    for (const name of names) {
      if (name === '*') {
        if (!hasWildcard(this.typeUrl)) continue;
        // What was not named until now was not sent, whatever the base has of it.
        if (!this.#wildcard && !first) this.#base = this.sent();
        this.#wildcard = true;
        this.#greet = true;
        continue;
      }
      const current = view.get(name);
      const held = this.#first ? this.#base.get(name) : this.held(name);
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
        this.#wildcard = false;
        continue;
      }
      if (!this.#names.has(name)) continue;
      this.#ownNames().delete(name);
      this.#asked.delete(name);
      this.#fresh.delete(name);
      // Under a wildcard the client drops it and must be told what the wildcard makes of it.
      if (this.#wildcard) this.#asked.add(name);
    }
  }

  #ownNames(): Set<string> {
    if (this.#namesShared) {
      this.#names = new Set(this.#names);
      this.#namesShared = false;
    }
    return this.#names as Set<string>;
  }

  /** A thousand proxies that name the same thousand clusters need one set of names. */
  #share(view: View): void {
    if (this.#names.size !== view.size || view.size === 0) return;
    for (const name of this.#names) if (!view.has(name)) return;
    this.#names = namesOf(view);
    this.#namesShared = true;
  }
}
