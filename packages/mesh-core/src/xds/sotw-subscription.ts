// State of the world: every request names everything wanted, every LDS/CDS response holds everything there is.

import type { Resource } from './resource.ts';
import { hasWildcard } from './subscription.ts';
import type { RequestFact, Step, Subscription, XdsRequest } from './subscription.ts';
import { EMPTY_VIEW, diffViews, versionOf, versionOfView } from './view.ts';
import type { View } from './view.ts';

const NO_NAMES: ReadonlySet<string> = new Set();

/** The SotW state of one type on one stream. */
export class SotwSubscription implements Subscription {
  readonly typeUrl: string;
  outstanding = false;
  sentNonce = '';
  sentVersion = '';
  ackedNonce = '';
  ackedVersion = '';
  nack: string | undefined;
  /** What the client is in step with, as far as it wants it. */
  #base: View = EMPTY_VIEW;
  #names = new Set<string>();
  #wildcard = false;
  #everNamed = false;
  /** Names the client asked for and has not been sent. */
  readonly #asked = new Set<string>();
  readonly #forced = new Set<string>();
  #refused: readonly string[] = [];
  #lastSentNames = NO_NAMES;

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  get wildcard(): boolean {
    return this.#wildcard;
  }

  get count(): number {
    if (this.#wildcard) return this.#asked.has('*') ? 0 : this.#base.size;
    let count = 0;
    for (const name of this.#names) if (this.held(name) !== undefined) count += 1;
    return count;
  }

  wants(name: string): boolean {
    return this.#wildcard || this.#names.has(name);
  }

  held(name: string): Resource | undefined {
    return this.wants(name) && !this.#asked.has(name) ? this.#base.get(name) : undefined;
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
    for (const name of names) if (this.held(name) !== undefined) this.#forced.add(name);
  }

  receive(request: XdsRequest): RequestFact {
    const answers = this.sentNonce !== '' && request.nonce === this.sentNonce;
    // An older nonce: the request that answers our newest response is on its way and supersedes this one.
    if (this.sentNonce !== '' && request.nonce !== '' && !answers) return { kind: 'stale' };
    this.#subscribe(request.names);
    // Before our first response any nonce is one of an earlier stream; only what is subscribed counts.
    if (!answers) return { kind: 'subscribe' };
    const wasOutstanding = this.outstanding;
    this.outstanding = false;
    if (request.error !== undefined) {
      this.nack = request.error;
      this.#refused = [...this.#lastSentNames];
      return { kind: 'nack', message: request.error };
    }
    if (!wasOutstanding) return { kind: 'subscribe' };
    this.nack = undefined;
    this.#refused = [];
    this.#lastSentNames = NO_NAMES;
    this.ackedNonce = this.sentNonce;
    this.ackedVersion = this.sentVersion;
    return { kind: 'ack' };
  }

  next(view: View, nonce: () => string): Step | undefined {
    if (this.outstanding || (this.#base === view && this.#asked.size === 0 && this.#forced.size === 0)) return undefined;
    const resources = hasWildcard(this.typeUrl) ? this.#full(view) : this.#partial(view);
    if (resources === undefined) {
      this.#base = view;
      return undefined;
    }
    const added: string[] = [];
    const updated: string[] = [];
    for (const { name, version } of resources) {
      const held = this.#asked.has('*') && !this.#names.has(name) ? undefined : this.held(name);
      if (held === undefined) added.push(name);
      else if (held.version !== version) updated.push(name);
    }
    this.#base = view;
    this.#asked.clear();
    this.#forced.clear();
    this.#lastSentNames = new Set(resources.map((r) => r.name));
    this.sentNonce = nonce();
    this.outstanding = true;
    this.sentVersion = this.#wildcard ? versionOfView(view) : versionOf([...this.#names].flatMap((name) => view.get(name) ?? []));
    return { response: { typeUrl: this.typeUrl, version: this.sentVersion, nonce: this.sentNonce, resources, removed: [] }, added, updated };
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
    for (const name of this.#asked) if (name === '*' ? !wildcard : !names.has(name)) this.#asked.delete(name);
  }

  /** LDS and CDS: all or nothing; a name that is missing here is deleted at the client. */
  #full(view: View): Resource[] | undefined {
    const { changed, removed } = diffViews(this.#base, view);
    if (this.#asked.size === 0 && this.#forced.size === 0 && ![...changed, ...removed].some((name) => this.wants(name))) return undefined;
    return this.#wildcard ? [...view.values()] : [...this.#names].flatMap((name) => view.get(name) ?? []);
  }

  /** RDS, EDS, SDS: what changed or was asked for; missing does not delete, so an empty response would say nothing. */
  #partial(view: View): Resource[] | undefined {
    const due = new Set<Resource>();
    for (const name of [...this.#asked, ...this.#forced, ...diffViews(this.#base, view).changed]) {
      const resource = this.#names.has(name) ? view.get(name) : undefined;
      if (resource !== undefined) due.add(resource);
    }
    if (due.size === 0) return undefined;
    // The client dropped the whole refused response: what was good in it must come again with the correction.
    for (const name of this.#refused) {
      const resource = this.#names.has(name) ? view.get(name) : undefined;
      if (resource !== undefined) due.add(resource);
    }
    this.#refused = [];
    return [...due];
  }
}
