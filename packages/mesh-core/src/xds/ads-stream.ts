// One ADS stream: all types of one proxy, in the order that never leaves a route without its cluster.

import { TYPE_URL } from './resource.ts';
import type { ResourceSet, TypeUrl } from './resource.ts';
import { DeltaSubscription } from './delta-subscription.ts';
import { withoutNewcomers } from './newcomers.ts';
import { SotwSubscription } from './sotw-subscription.ts';
import type { RequestFact, Step, Subscription, XdsRequest, XdsResponse } from './subscription.ts';
import { EMPTY_VIEW, LayeredView, versionOf } from './view.ts';
import type { View } from './view.ts';

export type Dialect = 'sotw' | 'delta';

const OF_CLUSTERS = [TYPE_URL.endpoint, TYPE_URL.listener, TYPE_URL.route] as const;
/** A client may still use what a snapshot takes away of these. */
const REMOVED_LATE = [TYPE_URL.cluster, TYPE_URL.endpoint, TYPE_URL.route, TYPE_URL.secret] as const;

/**
 * The state machine of one stream. Additions and changes go out as clusters, endpoints, listeners, routes, secrets; removals of
 * clusters, endpoints and routes follow when nothing refers to them any more. Listeners and routes wait until new
 * clusters are acknowledged, because proxies warm clusters but not routes. Endpoint resources are named like their cluster.
 */
export class AdsStream {
  readonly dialect: Dialect;
  readonly #aggregated: boolean;
  readonly #types = new Map<string, Subscription>();
  readonly #views = new Map<string, View>();
  #target: ResourceSet;
  #nonce = 0;
  readonly #nextNonce = (): string => {
    this.#nonce += 1;
    return String(this.#nonce);
  };
  /** `waiting`: new clusters are on their way. `refused`: the client refused them; its routes stay as they are until the next snapshot. */
  #gate: 'open' | 'waiting' | 'refused' = 'open';
  #endpointsBarrier = false;
  #holdsRemovals = false;
  /** It came back with clusters that have gone since, and has answered nothing yet: its routes, which may name them, have not been asked for. */
  #returning = false;
  /**
   * It came back and has asked for what belongs to clusters before it has asked for these, as Envoy does while some of them warm. They
   * do with endpoints as it knows them (`held`); should they not, with those there are now (`newest`).
   */
  #clustersDue: 'no' | 'held' | 'newest' = 'no';
  /** Updated clusters whose endpoints it has not asked for yet. */
  #unwarmed: string[] = [];
  /** Updated clusters since endpoints were last sent. */
  #updated: string[] = [];

  /** Endpoints on the stream before, until they are asked for on this one. */
  #before: Subscription | undefined;

  /** `aggregated`: clusters may come by this stream. `before`: types of the stream this client had before. */
  constructor(dialect: Dialect, snapshot: ResourceSet, aggregated = true, before?: ReadonlyMap<string, Subscription>) {
    this.dialect = dialect;
    this.#aggregated = aggregated;
    this.#target = snapshot;
    this.#before = before?.get(TYPE_URL.endpoint);
    for (const typeUrl of Object.values(TYPE_URL)) this.#views.set(typeUrl, snapshot[typeUrl]);
  }

  /** State of every type the client has asked for. */
  get types(): ReadonlyMap<string, Subscription> {
    return this.#types;
  }

  /** A client that has come back is expected to ask for clusters. */
  get clustersDue(): boolean {
    return this.#clustersDue !== 'no';
  }

  /** It has not asked for clusters so far: it gets the endpoints there are, after their clusters, and when this is called again the rest. */
  waiveClusters(): XdsResponse[] {
    if (this.#clustersDue === 'no') return [];
    const responses: XdsResponse[] = [];
    if (this.#clustersDue === 'held') this.#sendUnasked(responses);
    this.#clustersDue = this.#clustersDue === 'held' ? 'newest' : 'no';
    this.#keepHeld(TYPE_URL.endpoint);
    this.#advance(responses);
    return responses;
  }

  /** Takes one request in; returns what it meant and the responses to send now, in order. */
  onRequest(request: XdsRequest): { fact: RequestFact; responses: XdsResponse[] } {
    const known = this.#types.get(request.typeUrl);
    const subscription = known ?? (this.dialect === 'sotw' ? new SotwSubscription(request.typeUrl) : new DeltaSubscription(request.typeUrl));
    if (known === undefined) this.#types.set(request.typeUrl, subscription);
    const ackedBefore = subscription.ackedVersion;
    const fact = subscription.receive(request, this.#view(request.typeUrl), request.typeUrl === TYPE_URL.endpoint ? this.#before : undefined);
    if (known === undefined) this.#begin(request, subscription);
    if (fact.kind === 'ack' || fact.kind === 'nack') this.#returning = false;
    if (request.typeUrl === TYPE_URL.cluster && this.#gate === 'waiting') {
      if (fact.kind === 'ack') this.#gate = 'open';
      // A proxy that never had clusters has no good state to protect: let it start with what it accepted.
      if (fact.kind === 'nack') this.#gate = ackedBefore === '' ? 'open' : 'refused';
    }
    const responses: XdsResponse[] = [];
    // A type outside the known order (a client's extension) is answered on its own.
    if (!this.#views.has(request.typeUrl)) this.#send(request.typeUrl, responses);
    this.#advance(responses);
    return { fact, responses };
  }

  #begin({ typeUrl, initialVersions }: XdsRequest, subscription: Subscription): void {
    if (typeUrl === TYPE_URL.endpoint) {
      this.#before = undefined;
      this.#updated.push(...this.#unwarmed);
      subscription.force(this.#unwarmed.splice(0));
    }
    if (typeUrl === TYPE_URL.cluster) {
      // These are answered in any case, and so is the answer.
      this.#returning = subscription.heldBeyond(this.#view(typeUrl)).length > 0;
      this.#clustersDue = 'no';
      this.#keepHeld(TYPE_URL.endpoint);
    } else if (this.#aggregated && initialVersions.size > 0 && OF_CLUSTERS.some((type) => type === typeUrl) && !this.#types.has(TYPE_URL.cluster)) {
      if (this.#clustersDue === 'no') this.#clustersDue = 'held';
      if (typeUrl === TYPE_URL.endpoint) subscription.force(subscription.names);
    }
    if (this.#aggregated) for (const late of REMOVED_LATE) if (late === typeUrl) this.#keepHeld(late);
  }

  /** Takes a new snapshot; returns the responses to send now. The rest follows as the client answers. */
  onSnapshot(snapshot: ResourceSet): XdsResponse[] {
    this.#target = snapshot;
    this.#holdsRemovals = false;
    for (const typeUrl of REMOVED_LATE) this.#keepHeld(typeUrl);
    this.#views.set(TYPE_URL.listener, snapshot[TYPE_URL.listener]);
    if (this.#gate === 'refused') this.#gate = 'open';
    const responses: XdsResponse[] = [];
    this.#advance(responses);
    return responses;
  }

  /** Whether the client has been sent `name` as the newest snapshot has it (or does not ask for it). */
  isCurrent(typeUrl: string, name: string): boolean {
    const subscription = this.#types.get(typeUrl);
    if (subscription === undefined || !subscription.wants(name)) return true;
    return subscription.held(name)?.version === this.#target[typeUrl as keyof ResourceSet]?.get(name)?.version;
  }

  #view(typeUrl: string): View {
    return this.#views.get(typeUrl) ?? EMPTY_VIEW;
  }

  #advance(out: XdsResponse[]): void {
    if (this.#clustersDue !== 'no') {
      this.#send(TYPE_URL.endpoint, out);
      this.#send(TYPE_URL.secret, out);
      return;
    }
    this.#sendClusters(out);
    // Clusters that wait behind an unanswered response are on their way no less than those sent, and as they were
    // they may not know how to speak to endpoints that are new.
    const clusters = this.#types.get(TYPE_URL.cluster);
    const clustersWait = clusters?.outstanding === true && clusters.isBehind(this.#view(TYPE_URL.cluster));
    if (!clustersWait) this.#sendEndpoints(out);
    const endpoints = this.#types.get(TYPE_URL.endpoint);
    if (this.#gate === 'open' && endpoints?.outstanding !== true) this.#endpointsBarrier = false;
    const held = this.#gate !== 'open' || this.#endpointsBarrier || clustersWait;
    if (!held) {
      this.#send(TYPE_URL.listener, out);
      this.#send(TYPE_URL.route, out);
    }
    this.#send(TYPE_URL.secret, out);
    // A cluster that is changed is the one before until the client has answered: Envoy warms it first.
    if (
      this.#holdsRemovals &&
      !this.#returning &&
      !held &&
      clusters?.outstanding !== true &&
      this.#settled(TYPE_URL.listener) &&
      this.#settled(TYPE_URL.route)
    ) {
      this.#holdsRemovals = false;
      for (const typeUrl of Object.values(TYPE_URL)) this.#views.set(typeUrl, this.#target[typeUrl]);
      this.#send(TYPE_URL.route, out);
      this.#sendClusters(out);
      this.#sendEndpoints(out);
      this.#send(TYPE_URL.secret, out);
    }
  }

  /** Nothing on its way and nothing refused: the client no longer uses what the last snapshot took away. */
  #settled(typeUrl: TypeUrl): boolean {
    const subscription = this.#types.get(typeUrl);
    return subscription === undefined || (!subscription.outstanding && !subscription.refuses(this.#target[typeUrl]));
  }

  /** Of a type the target, and over it what the client still holds of what the target took away. */
  #keepHeld(typeUrl: (typeof REMOVED_LATE)[number]): void {
    const target = this.#target[typeUrl];
    const subscription = this.#types.get(typeUrl);
    const asHeld = typeUrl === TYPE_URL.endpoint && this.#clustersDue === 'held';
    const kept = (asHeld ? subscription?.heldOtherwise(target) : subscription?.heldBeyond(target)) ?? [];
    if (kept.length > 0) this.#holdsRemovals = true;
    this.#views.set(typeUrl, kept.length === 0 ? target : new LayeredView([new Map(kept.map((r) => [r.name, r])), target]));
  }

  #sendClusters(out: XdsResponse[]): void {
    const step = this.#send(TYPE_URL.cluster, out);
    if (step === undefined) return;
    const endpoints = this.#types.get(TYPE_URL.endpoint);
    if (step.added.length > 0) this.#gate = 'waiting';
    // One that was on its way out may have come back before it had any.
    if (step.added.length > 0 || step.updated.some((name) => endpoints?.wants(name) === true && endpoints.held(name) === undefined))
      this.#endpointsBarrier = true;
    // A proxy warms an updated cluster until it gets endpoints again, even when they did not change.
    if (endpoints === undefined) this.#unwarmed.push(...step.updated);
    else {
      endpoints.force(step.updated);
      this.#updated.push(...step.updated);
    }
  }

  /** Envoy takes clusters it has not asked for. As they warm they may be older than the newest endpoints, and not know how to speak to them. */
  #sendUnasked(out: XdsResponse[]): void {
    const clusters = this.#target[TYPE_URL.cluster];
    const others = this.#types.get(TYPE_URL.endpoint)?.heldOtherwise(this.#target[TYPE_URL.endpoint]) ?? [];
    const resources = others.flatMap(({ name }) => clusters.get(name) ?? []);
    if (resources.length > 0) out.push({ typeUrl: TYPE_URL.cluster, version: versionOf(resources), nonce: this.#nextNonce(), resources, removed: [] });
  }

  /** Updated clusters begin with endpoints they had before; with the answer they are in use, and those that join may come. */
  #sendEndpoints(out: XdsResponse[]): void {
    const endpoints = this.#types.get(TYPE_URL.endpoint);
    if (endpoints === undefined || endpoints.outstanding) return;
    const view = this.#view(TYPE_URL.endpoint);
    const first = this.#updated.splice(0).flatMap((name) => {
      const [held, now] = [endpoints.held(name), view.get(name)];
      return held === undefined || now === undefined ? [] : (withoutNewcomers(held, now) ?? []);
    });
    this.#send(TYPE_URL.endpoint, out, first.length === 0 ? view : new LayeredView([new Map(first.map((r) => [r.name, r])), view]));
  }

  #send(typeUrl: string, out: XdsResponse[], view = this.#view(typeUrl)): Step | undefined {
    const step = this.#types.get(typeUrl)?.next(view, this.#nextNonce);
    if (step !== undefined) out.push(step.response);
    return step;
  }
}
