// One connected proxy: its ADS stream, what was sent and answered when, and its secrets.

import { type ProxyStatus, RESOURCE_TYPES } from '@weft/mesh-core/api';
import { spiffeId } from '@weft/mesh-core/model';
import type { ProxyNode } from '@weft/mesh-core/model';
import { AdsStream, LayeredView, TYPE_URL, diffResourceSets, shortTypeName } from '@weft/mesh-core/xds';
import type { Dialect, RequestFact, Resource, ResourceSet, Subscription, XdsRequest, XdsResponse } from '@weft/mesh-core/xds';
import type { SecretLease } from '../certificates/secret-provider.ts';

interface TypeTimes {
  sentAt?: number;
  ackedAt?: number;
  nackAt?: number;
}

/** How one resource stands at a proxy. `missing`: asked for, but there is none. */
export interface ResourceState {
  typeUrl: string;
  name: string;
  /** As last sent; absent when it never was. */
  resource?: Resource;
  state: 'synced' | 'sent' | 'not-sent' | 'missing' | 'refused';
  /** Unix ms of the last response of its type. */
  at?: number;
  nack?: { message: string; at: number };
}

export interface ConnectionOptions {
  node: ProxyNode;
  dialect: Dialect;
  peerAddress: string;
  /** Of the client's own certificate; absent on plaintext. */
  peerCertificate?: { serial: string; notAfter: number };
  /** Present on mTLS streams only: plaintext never carries secrets. */
  secrets?: SecretLease;
  /** All types may come by this stream. */
  aggregated: boolean;
  resources: ResourceSet;
  clock: () => number;
  send: (response: XdsResponse) => void;
  /** Whether what was sent is still in our buffers. */
  congested: () => boolean;
}

/** How far some resources have come. */
type Progress = { state: 'pending' | 'sent' | 'acked' } | { state: 'nacked'; error: string };
const PENDING: Progress = { state: 'pending' };
const SENT: Progress = { state: 'sent' };
const ACKED: Progress = { state: 'acked' };

/** Who comes back and has not asked for clusters by then may wait for newer endpoints, and after as long again has clusters from elsewhere. */
const CLUSTERS_WITHIN_MS = 5_000;

const NO_SECRETS: ReadonlyMap<string, Resource> = new Map();

/** Drives the pure stream with real sends, and keeps the facts the console shows. */
export class ProxyConnection {
  readonly node: ProxyNode;
  readonly connectedAt: number;
  lastSeenAt: number;
  disconnectedAt: number | undefined;
  readonly #options: ConnectionOptions;
  readonly #stream: AdsStream;
  readonly #times = new Map<string, TypeTimes>();
  #config: ResourceSet;
  #snapshot: ResourceSet;
  #clustersTimer: NodeJS.Timeout | undefined;

  /** `before`: the last connection of the same proxy, which is not kept. */
  constructor(options: ConnectionOptions, before?: ProxyConnection) {
    this.node = options.node;
    this.#options = options;
    this.#config = options.resources;
    this.#snapshot = this.#withSecrets(options.resources);
    this.#stream = new AdsStream(options.dialect, this.#snapshot, options.aggregated, before === undefined ? undefined : before.#stream.types);
    this.connectedAt = options.clock();
    this.lastSeenAt = this.connectedAt;
  }

  /** Takes a request in and sends what it calls for; returns what it meant. */
  receive(request: XdsRequest): RequestFact {
    const now = this.#options.clock();
    this.lastSeenAt = now;
    const { fact, responses } = this.#stream.onRequest(request);
    if (this.#stream.clustersDue) this.#clustersTimer ??= setTimeout(() => this.#waiveClusters(), CLUSTERS_WITHIN_MS).unref();
    const times = this.#timesOf(request.typeUrl);
    if (fact.kind === 'ack') times.ackedAt = now;
    if (fact.kind === 'nack') times.nackAt = now;
    this.#send(responses);
    return fact;
  }

  /** Sends what differs from what this proxy was sent; returns changed names by type URL, of those the proxy asks for. */
  update(resources: ResourceSet): Map<string, string[]> {
    this.#config = resources;
    return this.#push();
  }

  #waiveClusters(): void {
    this.#send(this.#stream.waiveClusters());
    this.#clustersTimer = this.#stream.clustersDue ? setTimeout(() => this.#waiveClusters(), CLUSTERS_WITHIN_MS).unref() : undefined;
  }

  get peerAddress(): string {
    return this.#options.peerAddress;
  }

  get congested(): boolean {
    return this.#options.congested();
  }

  /** Sends renewed secrets. */
  renewSecrets(): void {
    this.#push();
  }

  release(): void {
    clearTimeout(this.#clustersTimer);
    this.disconnectedAt = this.#options.clock();
    this.#options.secrets?.release();
  }

  /** What would change for this proxy if its class had these resources: short type names. */
  impactOf(resources: ResourceSet): string[] {
    return [...this.#changed(this.#snapshot, this.#withSecrets(resources)).keys()].map(shortTypeName);
  }

  /** How far these names of one type have come. */
  progress(typeUrl: string, names: readonly string[]): Progress {
    const subscription = this.#stream.types.get(typeUrl);
    for (const name of names) if (!this.#stream.isCurrent(typeUrl, name)) return PENDING;
    if (subscription === undefined) return ACKED;
    if (subscription.outstanding) return SENT;
    return subscription.nack === undefined ? ACKED : { state: 'nacked', error: subscription.nack };
  }

  /** Resources as last sent. */
  sent(): ReadonlyMap<string, ReadonlyMap<string, Resource>> {
    return new Map([...this.#stream.types].map(([typeUrl, subscription]) => [typeUrl, subscription.sent()]));
  }

  /** Clusters it holds. */
  clusterNames(): string[] {
    return [...(this.#stream.types.get(TYPE_URL.cluster)?.sent().keys() ?? [])];
  }

  /** Nonces by short type name, as Istio's syncz tells them. */
  nonces(): Record<string, { sent: string; acked: string }> {
    return Object.fromEntries([...this.#stream.types].map(([typeUrl, s]) => [shortTypeName(typeUrl), { sent: s.sentNonce, acked: s.ackedNonce }]));
  }

  /** Every resource this proxy holds or asks for. */
  resourceStates(): ResourceState[] {
    return [...this.#stream.types].flatMap(([typeUrl, subscription]) => {
      const { sentAt, nackAt } = this.#timesOf(typeUrl);
      const names = new Set([...subscription.names, ...subscription.sent().keys()]);
      return [...names].map((name): ResourceState => {
        const resource = subscription.held(name);
        const refused = subscription.nack !== undefined && subscription.lastSent(name);
        return {
          typeUrl,
          name,
          ...(resource === undefined ? {} : { resource }),
          state: refused ? 'refused' : this.#stateOf(subscription, name, resource),
          ...(sentAt === undefined ? {} : { at: sentAt }),
          ...(refused && subscription.nack !== undefined ? { nack: { message: subscription.nack, at: nackAt ?? this.lastSeenAt } } : {}),
        };
      });
    });
  }

  #stateOf(subscription: Subscription, name: string, resource: Resource | undefined): ResourceState['state'] {
    if (!this.#stream.isCurrent(subscription.typeUrl, name)) return 'not-sent';
    if (resource === undefined) return 'missing';
    return subscription.outstanding && subscription.lastSent(name) ? 'sent' : 'synced';
  }

  status(): ProxyStatus {
    const { node } = this;
    const types = [...this.#stream.types].map(([typeUrl, subscription]) => {
      const { sentAt, ackedAt, nackAt } = this.#timesOf(typeUrl);
      return {
        type: shortTypeName(typeUrl),
        sentVersion: subscription.sentVersion,
        ackedVersion: subscription.ackedVersion,
        ...(sentAt === undefined ? {} : { sentAt }),
        ...(ackedAt === undefined ? {} : { ackedAt }),
        ...(subscription.nack === undefined ? {} : { nack: { at: nackAt ?? this.lastSeenAt, message: subscription.nack } }),
        resources: subscription.count,
        outstanding: subscription.outstanding,
      };
    });
    const live = types.some((t) => t.nack !== undefined) ? 'nacked' : types.some((t) => t.outstanding) ? 'stale' : 'synced';
    const certificate = this.#options.secrets?.certificate() ?? this.#options.peerCertificate;
    return {
      id: node.id,
      workload: node.workload,
      namespace: node.namespace,
      role: node.role,
      dataPlane: node.dataPlane,
      version: node.version,
      address: node.ip === '' ? this.#options.peerAddress : node.ip,
      adminPort: node.adminPort,
      state: this.disconnectedAt === undefined ? live : 'disconnected',
      connectedAt: this.connectedAt,
      lastSeenAt: this.lastSeenAt,
      identity: spiffeId(node.identity),
      ...(certificate === undefined ? {} : { certificate }),
      types: types.map(({ outstanding: _, ...rest }) => rest).toSorted((a, b) => RESOURCE_TYPES.indexOf(a.type) - RESOURCE_TYPES.indexOf(b.type)),
      protocol: this.#options.dialect,
    };
  }

  #push(): Map<string, string[]> {
    const before = this.#snapshot;
    this.#snapshot = this.#withSecrets(this.#config);
    const changed = this.#changed(before, this.#snapshot);
    this.#send(this.#stream.onSnapshot(this.#snapshot));
    return changed;
  }

  /** Of what this proxy asks for. */
  #changed(before: ResourceSet, after: ResourceSet): Map<string, string[]> {
    return diffResourceSets(before, after, (typeUrl, name) => this.#stream.types.get(typeUrl)?.wants(name) === true);
  }

  #withSecrets(resources: ResourceSet): ResourceSet {
    const own = this.#options.secrets?.resources();
    const credentials = resources[TYPE_URL.secret];
    // Without a certificate that proves who asks there are none at all.
    const secrets = own === undefined ? NO_SECRETS : credentials.size === 0 ? own : new LayeredView([own, credentials]);
    return { ...resources, [TYPE_URL.secret]: secrets };
  }

  #send(responses: readonly XdsResponse[]): void {
    const now = this.#options.clock();
    for (const response of responses) {
      this.#timesOf(response.typeUrl).sentAt = now;
      this.#options.send(response);
    }
  }

  #timesOf(typeUrl: string): TypeTimes {
    let times = this.#times.get(typeUrl);
    if (times === undefined) {
      times = {};
      this.#times.set(typeUrl, times);
    }
    return times;
  }
}
