// State of the world: every request names everything wanted, every LDS/CDS response holds everything there is.

import type { Resource } from './resource.ts';
import { hasWildcard } from './subscription.ts';
import type { RequestFact, Step, XdsRequest } from './subscription.ts';
import { TypeState } from './type-state.ts';
import { diffViews } from './view.ts';
import type { View } from './view.ts';

/** The SotW state of one type on one stream. */
export class SotwSubscription extends TypeState {
  #everNamed = false;
  /** Names the client asked for and has not been sent; `*` for all it does not name. */
  readonly #asked = new Set<string>();
  readonly #forced = new Set<string>();

  force(names: Iterable<string>): void {
    for (const name of names) if (this.held(name) !== undefined) this.#forced.add(name);
  }

  receive(request: XdsRequest): RequestFact {
    const answers = this.sentNonce !== '' && request.nonce === this.sentNonce;
    // An older nonce: the request that answers our newest response is on its way and supersedes this one.
    if (this.sentNonce !== '' && request.nonce !== '' && !answers) return { kind: 'stale' };
    this.#subscribe(request.names);
    // Before our first response any nonce is one of an earlier stream; only what is subscribed counts.
    if (!answers || (!this.outstanding && request.error === undefined)) return { kind: 'subscribe' };
    return this.answered(request.error);
  }

  next(view: View, nonce: () => string): Step | undefined {
    if (this.outstanding || (this.base === view && this.#asked.size === 0 && this.#forced.size === 0)) return undefined;
    const resources = hasWildcard(this.typeUrl) ? this.#full(view) : this.#partial(view);
    if (resources !== undefined) return this.respond(view, nonce(), { resources, removed: [] }, new Set(resources.map((r) => r.name)));
    this.base = view;
    return undefined;
  }

  protected awaits(name: string): boolean {
    return this.#asked.has(name) || (this.#asked.has('*') && !this.names.has(name));
  }

  protected forgetAsked(): void {
    this.#asked.clear();
    this.#forced.clear();
  }

  protected get whole(): boolean {
    return this.wildcard && this.#asked.size === 0;
  }

  #subscribe(list: readonly string[]): void {
    const names = new Set(list);
    const star = names.delete('*');
    const legacy = list.length === 0 && !this.#everNamed;
    const wildcard = hasWildcard(this.typeUrl) && (star || legacy);
    if (list.length > 0) this.#everNamed = true;
    if (wildcard && !this.wildcard) this.#asked.add('*');
    for (const name of names) if (!this.names.has(name)) this.#asked.add(name);
    this.names = names;
    this.wildcard = wildcard;
    for (const name of this.#asked) if (name === '*' ? !wildcard : !names.has(name)) this.#asked.delete(name);
  }

  /** LDS and CDS: all or nothing; a name that is missing here is deleted at the client. */
  #full(view: View): Resource[] | undefined {
    const { changed, removed } = diffViews(this.base, view);
    if (this.#asked.size === 0 && this.#forced.size === 0 && ![...changed, ...removed].some((name) => this.wants(name))) return undefined;
    return this.wildcard ? [...view.values()] : this.#named(view, this.names);
  }

  /** RDS, EDS, SDS: what changed or was asked for; missing does not delete, so an empty response would say nothing. */
  #partial(view: View): Resource[] | undefined {
    const due = new Set([...this.#asked, ...this.#forced, ...diffViews(this.base, view).changed]);
    if (this.#named(view, due).length === 0) return undefined;
    for (const name of this.refused) due.add(name);
    return this.#named(view, due);
  }

  #named(view: View, names: Iterable<string>): Resource[] {
    return [...names].flatMap((name) => (this.names.has(name) ? (view.get(name) ?? []) : []));
  }
}
