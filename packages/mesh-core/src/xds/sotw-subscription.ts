// State of the world: every request names everything wanted, every LDS/CDS response holds everything there is.

import type { Resource } from './resource.ts';
import { hasWildcard, versionOf } from './subscription.ts';
import type { RequestFact, Subscription, View, XdsRequest, XdsResponse } from './subscription.ts';

/** The SotW state of one type on one stream. */
export class SotwSubscription implements Subscription {
  readonly typeUrl: string;
  readonly sent = new Map<string, Resource>();
  outstanding = false;
  sentVersion = '';
  ackedVersion = '';
  nack: string | undefined;
  #names = new Set<string>();
  #wildcard = false;
  #everNamed = false;
  #lastNonce: string | undefined;
  /** Names the client asked for and has not been answered about. */
  readonly #asked = new Set<string>();
  readonly #forced = new Set<string>();
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
    for (const name of names) if (this.sent.has(name)) this.#forced.add(name);
  }

  receive(request: XdsRequest): RequestFact {
    const answers = this.#lastNonce !== undefined && request.nonce === this.#lastNonce;
    // An older nonce: the request that answers our newest response is on its way and supersedes this one.
    if (this.#lastNonce !== undefined && request.nonce !== '' && !answers) return { kind: 'stale' };
    this.#subscribe(request.names);
    // Before our first response any nonce is one of an earlier stream; only what is subscribed counts.
    if (!answers) return { kind: 'subscribe' };
    const wasOutstanding = this.outstanding;
    this.outstanding = false;
    if (request.error !== undefined) {
      this.nack = request.error;
      this.#refused = this.#lastSentNames;
      return { kind: 'nack', message: request.error };
    }
    if (!wasOutstanding) return { kind: 'subscribe' };
    this.nack = undefined;
    this.#refused = [];
    this.ackedVersion = this.sentVersion;
    return { kind: 'ack' };
  }

  next(view: View, nonce: () => string): XdsResponse | undefined {
    if (this.outstanding) return undefined;
    const full = hasWildcard(this.typeUrl);
    const resources = full ? this.#full(view) : this.#partial(view);
    if (resources === undefined) return undefined;
    if (full) this.sent.clear();
    for (const resource of resources) this.sent.set(resource.name, resource);
    this.#asked.clear();
    this.#forced.clear();
    this.#lastSentNames = resources.map((r) => r.name);
    this.#lastNonce = nonce();
    this.outstanding = true;
    this.sentVersion = versionOf(this.sent);
    return { typeUrl: this.typeUrl, version: this.sentVersion, nonce: this.#lastNonce, resources, removed: [] };
  }

  #subscribe(list: readonly string[]): void {
    const names = new Set(list);
    const star = names.delete('*');
    const legacy = list.length === 0 && !this.#everNamed;
    const wildcard = hasWildcard(this.typeUrl) && (star || legacy);
    if (list.length > 0) this.#everNamed = true;
    if (wildcard && !this.#wildcard) this.#asked.add('*');
    for (const name of names) if (!this.#names.has(name)) this.#asked.add(name);
    this.#names = names;
    this.#wildcard = wildcard;
    for (const name of this.sent.keys()) if (!this.wants(name)) this.sent.delete(name);
    for (const name of this.#asked) if (name !== '*' && !names.has(name)) this.#asked.delete(name);
  }

  /** LDS and CDS: all or nothing; a name that is missing here is deleted at the client. */
  #full(view: View): Resource[] | undefined {
    const wanted = this.#wildcard ? [...view.values()] : [...this.#names].flatMap((name) => view.get(name) ?? []);
    const changed = wanted.length !== this.sent.size || wanted.some((r) => this.sent.get(r.name)?.version !== r.version);
    return changed || this.#asked.size > 0 ? wanted : undefined;
  }

  /** RDS, EDS, SDS: what changed or was asked for; missing does not delete, so an empty response would say nothing. */
  #partial(view: View): Resource[] | undefined {
    for (const name of this.sent.keys()) if (!view.has(name)) this.sent.delete(name);
    const due = [...this.#names].flatMap((name) => {
      const resource = view.get(name);
      if (resource === undefined) return [];
      return this.#forced.has(name) || this.#asked.has(name) || this.sent.get(name)?.version !== resource.version ? [resource] : [];
    });
    if (due.length === 0) return undefined;
    // The client dropped the whole refused response: what was good in it must come again with the correction.
    for (const name of this.#refused) {
      const resource = view.get(name);
      if (resource !== undefined && this.#names.has(name) && !due.includes(resource)) due.push(resource);
    }
    this.#refused = [];
    return due;
  }
}
