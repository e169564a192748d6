// Delta: requests change the subscription, responses carry what changed and the names of what is gone.

import type { Resource, TypeUrl } from './resource.ts';
import { hasWildcard, versionOf } from './subscription.ts';
import type { RequestFact, Subscription, View, XdsRequest, XdsResponse } from './subscription.ts';

/** The delta state of one type on one stream. */
export class DeltaSubscription implements Subscription {
  readonly typeUrl: string;
  readonly sent = new Map<string, Resource>();
  outstanding = false;
  sentVersion = '';
  ackedVersion = '';
  nack: string | undefined;
  readonly #names = new Set<string>();
  #wildcard = false;
  #first = true;
  #lastNonce: string | undefined;
  /** Names to be answered whatever the diff says: as resource, or as removed. */
  readonly #asked = new Set<string>();
  #greet = false;
  #refused: string[] = [];
  #lastSentNames: string[] = [];

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  get wildcard(): boolean {
    return this.#wildcard;
  }

  wants(name: string): boolean {
    return this.#wildcard || this.#names.has(name);
  }

  force(names: Iterable<string>): void {
    for (const name of names) if (this.sent.has(name)) this.#asked.add(name);
  }

  receive(request: XdsRequest, view: View): RequestFact {
    if (this.#first) this.#begin(request, view);
    // Changes of the subscription count even on a stale nonce: they are not repeated.
    this.#unsubscribe(request.unsubscribe);
    this.#subscribe(request.subscribe, this.#first ? request.initialVersions : {}, view);
    this.#first = false;
    if (request.nonce === '' || this.#lastNonce === undefined) return { kind: 'subscribe' };
    if (request.nonce !== this.#lastNonce || !this.outstanding) return { kind: 'stale' };
    this.outstanding = false;
    if (request.error !== undefined) {
      this.nack = request.error;
      this.#refused = [...this.#refused, ...this.#lastSentNames];
      return { kind: 'nack', message: request.error };
    }
    this.nack = undefined;
    this.#refused = [];
    this.ackedVersion = this.sentVersion;
    return { kind: 'ack' };
  }

  next(view: View, nonce: () => string): XdsResponse | undefined {
    if (this.outstanding) return undefined;
    const due = new Set(this.#asked);
    for (const name of this.#wildcard ? view.keys() : this.#names) {
      const resource = view.get(name);
      if (resource !== undefined && this.sent.get(name)?.version !== resource.version) due.add(name);
    }
    for (const name of this.sent.keys()) if (!view.has(name)) due.add(name);
    if (due.size === 0 && !this.#greet) return undefined;
    // The client may have dropped the whole refused response: what was good in it comes again with the correction.
    for (const name of this.#refused) if (this.wants(name) && view.has(name)) due.add(name);
    this.#refused = [];
    const resources: Resource[] = [];
    const removed: string[] = [];
    for (const name of due) {
      const resource = this.wants(name) ? view.get(name) : undefined;
      if (resource === undefined) {
        removed.push(name);
        this.sent.delete(name);
      } else {
        resources.push(resource);
        this.sent.set(name, resource);
      }
    }
    this.#asked.clear();
    this.#greet = false;
    this.#lastSentNames = [...due];
    this.#lastNonce = nonce();
    this.outstanding = true;
    this.sentVersion = versionOf(this.sent);
    return { typeUrl: this.typeUrl, version: this.sentVersion, nonce: this.#lastNonce, resources, removed };
  }

  /** The first request of a type on this stream: a legacy wildcard, and what a reconnecting client still holds. */
  #begin(request: XdsRequest, view: View): void {
    if (hasWildcard(this.typeUrl) && request.subscribe.length === 0 && request.unsubscribe.length === 0) {
      this.#wildcard = true;
      this.#greet = true;
    }
    const covered = this.#wildcard || request.subscribe.includes('*');
    for (const [name, version] of Object.entries(request.initialVersions)) {
      if (!covered && !request.subscribe.includes(name)) continue;
      const current = view.get(name);
      // Of an older version only the number is known; the diff replaces it at once.
      this.sent.set(name, current?.version === version ? current : { typeUrl: this.typeUrl as TypeUrl, name, version, body: new Uint8Array() });
    }
  }

  #subscribe(names: readonly string[], held: Readonly<Record<string, string>>, view: View): void {
    for (const name of names) {
      if (name === '*') {
        if (!hasWildcard(this.typeUrl)) continue;
        this.#wildcard = true;
        this.#greet = true;
        continue;
      }
      this.#names.add(name);
      // A name asked for again is answered again: the client may have forgotten it. Not when it just told us what it holds.
      if (held[name] === undefined || held[name] !== view.get(name)?.version) this.#asked.add(name);
    }
  }

  #unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name === '*') {
        this.#wildcard = false;
        for (const sent of this.sent.keys()) if (!this.#names.has(sent)) this.sent.delete(sent);
        continue;
      }
      if (!this.#names.delete(name)) continue;
      this.#asked.delete(name);
      // Under a wildcard the client drops it and must be told what the wildcard makes of it.
      if (this.#wildcard) this.#asked.add(name);
      else this.sent.delete(name);
    }
  }
}
