// Istio's locality load balancing: which endpoints a client prefers by where it is itself (loadbalancer.go).

import type { TrafficPolicySpec } from '../config/index.ts';

type LoadBalancer = NonNullable<TrafficPolicySpec['loadBalancer']>;
type LocalitySetting = NonNullable<LoadBalancer['localityLbSetting']>;

export interface LocalityGroup<W> {
  /** `region/zone/subzone` */
  locality: string;
  members: readonly W[];
  priority: number;
  weight: number;
}

export interface LocalityMember {
  locality: string;
  labels: Readonly<Record<string, string>>;
  weight: number;
}

/** Who asks: read only where a setting looks at it, because proxies that differ in what was read share nothing. */
export interface LocalityClient {
  readonly locality: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Endpoints by locality, with priorities and weights. Without a setting and with outlier detection (`failover`) nearer ones are
 * preferred: same subzone, zone, region, then any. No setting = the mesh's default, which is on and empty. Zone awareness leaves the
 * zones of the own region to Envoy and orders the regions.
 */
export function localityGroups<W extends LocalityMember>(
  members: readonly W[],
  { localityLbSetting: setting, zoneAwareLbSetting: zoneAware }: Pick<LoadBalancer, 'localityLbSetting' | 'zoneAwareLbSetting'>,
  failover: boolean,
  client: LocalityClient,
): LocalityGroup<W>[] {
  const names = [...new Set(members.map((m) => m.locality))].toSorted();
  const groups = names.map((locality) =>
    group(
      locality,
      members.filter((m) => m.locality === locality),
      0,
    ),
  );
  if ((zoneAware ?? setting)?.enabled === false) return groups;
  if (zoneAware !== undefined) {
    const { failoverPriority = [], failover: regions = [] } = zoneAware;
    const ordered = failoverPriority.length === 0 ? groups : compacted(groups.flatMap((g) => byMatchingLabels(g, failoverPriority, client)));
    return compacted(byRegion(ordered, regions, client.locality));
  }
  if (setting?.distribute !== undefined) return distributed(groups, setting.distribute, client.locality);
  if (!failover) return groups;
  const labels = setting?.failoverPriority ?? [];
  if (labels.length === 0) return compacted(byDistance(groups, setting?.failover ?? [], client.locality));
  const byLabels = compacted(groups.flatMap((g) => byMatchingLabels(g, labels, client)));
  const regions = setting?.failover ?? [];
  return regions.length === 0 ? byLabels : compacted(byDistance(byLabels, regions, client.locality));
}

function group<W extends LocalityMember>(locality: string, members: readonly W[], priority: number): LocalityGroup<W> {
  return { locality, members, priority, weight: members.reduce((sum, m) => sum + m.weight, 0) || 1 };
}

/** `*` and what is left out at the end match anything. */
function matches(locality: string, rule: string): boolean {
  const parts = locality.split('/');
  const [region = '', zone = '', subZone = ''] = rule.split('/');
  const fits = (part: string | undefined, wanted: string): boolean => wanted === '*' || (part ?? '') === wanted;
  return fits(parts[0], region) && (zone === '' || fits(parts[1], zone)) && (subZone === '' || fits(parts[2], subZone));
}

function distributed<W extends LocalityMember>(
  groups: readonly LocalityGroup<W>[],
  distribute: NonNullable<LocalitySetting['distribute']>,
  clientLocality: string,
): LocalityGroup<W>[] {
  const to = distribute.find(({ from }) => matches(clientLocality, from))?.to;
  if (to === undefined) return [...groups];
  const shares = new Map<LocalityGroup<W>, number>();
  for (const [rule, share] of Object.entries(to)) {
    const found = groups.filter((g) => !shares.has(g) && matches(g.locality, rule));
    // A rule that fits several localities is divided among them by their own weights.
    const total = found.reduce((sum, g) => sum + g.weight, 0);
    for (const g of found) shares.set(g, share === 0 ? g.weight : Math.ceil((share * g.weight) / total));
  }
  return groups.map((g) => {
    const weight = shares.get(g);
    return weight === undefined ? { ...g, members: [] } : { ...g, weight };
  });
}

/** 0 same subzone, 1 same zone, 2 same region, 3 elsewhere, 4 elsewhere but not where the region fails over to; added to what was. */
function byDistance<W>(groups: readonly LocalityGroup<W>[], failover: readonly { from: string; to: string }[], clientLocality: string): LocalityGroup<W>[] {
  const [region = '', zone = '', subZone = ''] = clientLocality.split('/');
  const target = failover.find(({ from }) => from === region)?.to;
  return groups.map((g) => {
    const [ofRegion = '', ofZone = '', ofSubZone = ''] = g.locality.split('/');
    const near = ofRegion !== region ? 3 : ofZone !== zone ? 2 : ofSubZone !== subZone ? 1 : 0;
    const distance = near === 3 && target !== undefined && ofRegion !== target ? 4 : near;
    return { ...g, priority: g.priority * 5 + distance };
  });
}

/** 0 same region, 1 the one it fails over to, 2 elsewhere; added to what was. */
function byRegion<W>(groups: readonly LocalityGroup<W>[], failover: readonly { from: string; to: string }[], clientLocality: string): LocalityGroup<W>[] {
  const region = clientLocality.split('/')[0] ?? '';
  const target = failover.find(({ from }) => from === region)?.to;
  return groups.map((g) => {
    const own = g.locality.split('/')[0] ?? '';
    return { ...g, priority: g.priority * 3 + (own === region ? 0 : own === target ? 1 : 2) };
  });
}

/** `key` compares the endpoint's label with the client's, `key=value` with that value; the more labels fit in order, the better. */
function byMatchingLabels<W extends LocalityMember>(g: LocalityGroup<W>, labels: readonly string[], client: LocalityClient): LocalityGroup<W>[] {
  const own = withTopology(client.labels, client.locality);
  const wanted = labels.map((label) => {
    const [key = '', value] = label.split('=');
    return [key, value ?? own[key]] as const;
  });
  const priorityOf = (member: W): number => {
    const theirs = withTopology(member.labels, member.locality);
    const network = wanted[0]?.[0] === 'topology.istio.io/network' && wanted[0][1] !== theirs['topology.istio.io/network'];
    const differs = wanted.findIndex(([key, value], i) => value !== theirs[key] && !(i === 0 && network));
    return (differs < 0 ? 0 : labels.length - differs) + (network ? labels.length : 0);
  };
  const priorities = [...new Set(g.members.map(priorityOf))].toSorted((a, b) => a - b);
  return priorities.map((priority) =>
    group(
      g.locality,
      g.members.filter((m) => priorityOf(m) === priority),
      priority,
    ),
  );
}

function withTopology(labels: Readonly<Record<string, string>>, locality: string): Record<string, string> {
  const [region, zone, subZone] = locality.split('/');
  return {
    ...(region ? { 'topology.kubernetes.io/region': region } : {}),
    ...(zone ? { 'topology.kubernetes.io/zone': zone } : {}),
    ...(subZone ? { 'topology.istio.io/subzone': subZone } : {}),
    ...labels,
  };
}

/** Envoy wants priorities without gaps. */
function compacted<W>(groups: readonly LocalityGroup<W>[]): LocalityGroup<W>[] {
  const used = [...new Set(groups.map((g) => g.priority))].toSorted((a, b) => a - b);
  return groups.map((g) => ({ ...g, priority: used.indexOf(g.priority) }));
}
