// What both dialects know of one type on one stream: where the client stands, which names it asks for, what it was sent and answered.

import type { Resource } from './resource.ts';
import type { RequestFact, Step, Subscription, XdsRequest } from './subscription.ts';
import { EMPTY_VIEW, diffViews, versionOf, versionOfView } from './view.ts';
import type { View } from './view.ts';

const NO_NAMES: ReadonlySet<string> = new Set();

interface Contents {
  resources: readonly Resource[];
  removed: readonly string[];
}

export abstract class TypeState implements Subscription {
  readonly typeUrl: string;
  outstanding = false;
  sentNonce = '';
  sentVersion = '';
  ackedNonce = '';
  ackedVersion = '';
  nack: string | undefined;
  wildcard = false;
  names: ReadonlySet<string> = NO_NAMES;
  /** What the client is in step with, as far as it wants it: every response brings it to the newest view whole. */
  protected base: View = EMPTY_VIEW;
  /** Of refused responses: the client may have dropped the whole of them, so that what was good comes again with the correction. */
  protected refused: readonly string[] = [];
  #lastSentNames = NO_NAMES;

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  abstract receive(request: XdsRequest, view: View, before?: Subscription): RequestFact;
  abstract next(view: View, nonce: () => string): Step | undefined;
  abstract force(names: Iterable<string>): void;
  /** Whether it asks for `name` and has not been sent it since. */
  protected abstract awaits(name: string): boolean;
  /** What was asked for is on its way. */
  protected abstract forgetAsked(): void;
  /** Whether it holds all of {@link base}. */
  protected abstract get whole(): boolean;

  get count(): number {
    if (this.whole) return this.base.size;
    let count = 0;
    for (const name of this.names) if (this.held(name) !== undefined) count += 1;
    return count;
  }

  wants(name: string): boolean {
    return this.wildcard || this.names.has(name);
  }

  held(name: string): Resource | undefined {
    return this.wants(name) && !this.awaits(name) ? this.base.get(name) : undefined;
  }

  heldBeyond(view: View): Resource[] {
    return diffViews(this.base, view).removed.flatMap((name) => this.held(name) ?? []);
  }

  heldOtherwise(view: View): Resource[] {
    const { changed, removed } = diffViews(this.base, view);
    return [...changed, ...removed].flatMap((name) => this.held(name) ?? []);
  }

  lastSent(name: string): boolean {
    return this.#lastSentNames.has(name);
  }

  isBehind(view: View): boolean {
    return diffViews(this.base, view).changed.some((name) => this.wants(name));
  }

  refuses(view: View): boolean {
    return this.nack !== undefined && [...this.#lastSentNames].some((name) => this.wants(name) && view.has(name));
  }

  sent(): ReadonlyMap<string, Resource> {
    return new Map([...this.base].filter(([name]) => this.held(name) !== undefined));
  }

  /** The newest response is answered. */
  protected answered(error: string | undefined): RequestFact {
    const first = this.outstanding;
    this.outstanding = false;
    this.nack = error;
    if (error !== undefined) {
      if (first) this.refused = [...this.refused, ...this.#lastSentNames];
      return { kind: 'nack', message: error };
    }
    this.refused = [];
    this.#lastSentNames = NO_NAMES;
    this.ackedNonce = this.sentNonce;
    this.ackedVersion = this.sentVersion;
    return { kind: 'ack' };
  }

  /** The response that brings the client to `view`; it is about `names`. */
  protected respond(view: View, nonce: string, { resources, removed }: Contents, names: ReadonlySet<string>): Step {
    const added: string[] = [];
    const updated: string[] = [];
    for (const { name, version } of resources) {
      const held = this.held(name);
      if (held === undefined) added.push(name);
      else if (held.version !== version) updated.push(name);
    }
    this.base = view;
    this.forgetAsked();
    this.refused = [];
    this.#lastSentNames = names;
    this.outstanding = true;
    this.sentNonce = nonce;
    this.sentVersion = this.whole ? versionOfView(view) : versionOf([...this.names].flatMap((name) => view.get(name) ?? []));
    return { response: { typeUrl: this.typeUrl, version: this.sentVersion, nonce, resources, removed }, added, updated };
  }
}
