// How a cluster chooses hosts: `lb_policy` with its config, or the first policy of `load_balancing_policy` this proxy knows.

import type { LbPolicy, SlowStart } from '@weft/mesh-core/traffic';
import type { Fields } from './fields.ts';
import type { ClusterConfig } from './model.ts';

export type LoadBalancing = Pick<ClusterConfig, 'lb' | 'localityWeighted' | 'hashByHostname'>;

const POLICIES = 'envoy.extensions.load_balancing_policies.';
const NONE = { localityWeighted: false, hashByHostname: false };

export function decodeLoadBalancing(cluster: Fields, common: Fields | undefined): LoadBalancing {
  const list = cluster.object('loadBalancingPolicy');
  if (list !== undefined) {
    cluster.ignore('lbPolicy', 'ringHashLbConfig', 'maglevLbConfig', 'leastRequestLbConfig', 'roundRobinLbConfig');
    common?.ignore('localityWeightedLbConfig', 'zoneAwareLbConfig', 'consistentHashingLbConfig');
    const policy = firstKnown(list);
    list.end();
    return policy ?? unknown(cluster, 'loadBalancingPolicy', 'none of the policies is known to this proxy');
  }
  // Zone aware routing needs a local cluster, which this proxy's bootstrap never names: Envoy does not do it then either.
  common?.ignore('zoneAwareLbConfig');
  const localityWeighted = common?.object('localityWeightedLbConfig') !== undefined;
  const hashByHostname = decodeHashing(common?.object('consistentHashingLbConfig'));
  const kind = cluster.text('lbPolicy', 'ROUND_ROBIN');
  const configs = {
    ROUND_ROBIN: cluster.object('roundRobinLbConfig'),
    LEAST_REQUEST: cluster.object('leastRequestLbConfig'),
    RING_HASH: cluster.object('ringHashLbConfig'),
    MAGLEV: cluster.object('maglevLbConfig'),
  };
  const done = (lb: LbPolicy): LoadBalancing => {
    for (const config of Object.values(configs)) config?.end();
    return { lb, localityWeighted, hashByHostname };
  };
  switch (kind) {
    case 'ROUND_ROBIN':
      return done({ kind: 'round-robin', ...decodeSlowStart(configs.ROUND_ROBIN) });
    case 'LEAST_REQUEST':
      return done(leastRequest(configs.LEAST_REQUEST));
    case 'RANDOM':
    case 'CLUSTER_PROVIDED':
      return done({ kind: 'random' });
    case 'RING_HASH':
      return done(ringHash(configs.RING_HASH));
    case 'MAGLEV':
      return done(maglev(configs.MAGLEV));
    default:
      return unknown(cluster, 'lbPolicy', `${kind} is not supported`);
  }
}

function unknown(fields: Fields, key: string, problem: string): LoadBalancing {
  fields.problem(key, problem);
  return { lb: { kind: 'round-robin' }, ...NONE };
}

function firstKnown(list: Fields): LoadBalancing | undefined {
  for (const policy of list.list('policies')) {
    const config = policy.object('typedExtensionConfig')?.object('typedConfig');
    if (config === undefined) continue;
    const wrapped = config.type() === 'xds.type.v3.TypedStruct';
    const type = wrapped ? (config.text('typeUrl').split('/').at(-1) ?? '') : config.type();
    const found = decodePolicy(type.startsWith(POLICIES) ? type.slice(POLICIES.length) : '', (wrapped ? config.object('value') : config) ?? config);
    if (found !== undefined) return found;
  }
  return undefined;
}

function decodePolicy(type: string, config: Fields): LoadBalancing | undefined {
  switch (type) {
    case 'round_robin.v3.RoundRobin':
      return flat(config, { kind: 'round-robin', ...decodeSlowStart(config) });
    case 'least_request.v3.LeastRequest':
      return flat(config, leastRequest(config));
    case 'random.v3.Random':
      return flat(config, { kind: 'random' });
    // Not part of Envoy's own build; a TypedStruct, so that Envoy goes on to the next of the list.
    case 'peak_ewma.v3.PeakEwma':
      config.ignore('aggregationInterval', 'maxSamplesPerHost');
      return flat(config, { kind: 'peak-ewma', decayMs: config.ms('decayTime', 10_000), defaultRttMs: config.ms('defaultRtt', 30) });
    case 'ring_hash.v3.RingHash':
      return hashed(config, ringHash(config));
    case 'maglev.v3.Maglev':
      return hashed(config, maglev(config));
    case 'wrr_locality.v3.WrrLocality': {
      const inner = config.object('endpointPickingPolicy');
      const found = inner === undefined ? undefined : firstKnown(inner);
      return found === undefined ? undefined : { ...found, localityWeighted: true };
    }
    default:
      return undefined;
  }
}

function flat(config: Fields, lb: LbPolicy): LoadBalancing {
  const locality = config.object('localityLbConfig');
  const localityWeighted = locality?.object('localityWeightedLbConfig') !== undefined;
  locality?.ignore('zoneAwareLbConfig');
  locality?.end();
  config.end();
  return { lb, localityWeighted, hashByHostname: false };
}

function hashed(config: Fields, lb: LbPolicy): LoadBalancing {
  const localityWeighted = config.object('localityWeightedLbConfig') !== undefined;
  const byHostname = decodeHashing(config.object('consistentHashingLbConfig'));
  const hashByHostname = config.flag('useHostnameForHashing') || byHostname;
  config.end();
  return { lb, localityWeighted, hashByHostname };
}

function decodeHashing(hashing: Fields | undefined): boolean {
  const byHostname = hashing?.flag('useHostnameForHashing') ?? false;
  hashing?.end();
  return byHostname;
}

function leastRequest(config: Fields | undefined): LbPolicy {
  const bias = config?.object('activeRequestBias');
  bias?.ignore('runtimeKey');
  return {
    kind: 'least-request',
    choices: config?.number('choiceCount', 2) ?? 2,
    activeRequestBias: bias?.number('defaultValue', 1) ?? 1,
    fullScan: config?.text('selectionMethod') === 'FULL_SCAN' || config?.flag('enableFullScan') === true,
    ...decodeSlowStart(config),
  };
}

function ringHash(config: Fields | undefined): LbPolicy {
  const hash = config?.text('hashFunction', 'XX_HASH') ?? 'XX_HASH';
  if (hash !== 'XX_HASH' && hash !== 'DEFAULT_HASH') config?.problem('hashFunction', `${hash} is not supported`);
  const minimumRingSize = config?.number('minimumRingSize', 1_024) ?? 1_024;
  const maximumRingSize = config?.number('maximumRingSize', 8_388_608) ?? 8_388_608;
  if (minimumRingSize > maximumRingSize) config?.problem('minimumRingSize', `${minimumRingSize} is more than maximumRingSize ${maximumRingSize}`);
  return { kind: 'ring-hash', minimumRingSize, maximumRingSize };
}

function maglev(config: Fields | undefined): LbPolicy {
  const tableSize = config?.number('tableSize', 65_537) ?? 65_537;
  if (!isPrime(tableSize) || tableSize > 5_000_011) config?.problem('tableSize', `${tableSize} is not a prime number up to 5000011`);
  return { kind: 'maglev', tableSize };
}

function isPrime(value: number): boolean {
  for (let i = 2; i * i <= value; i++) if (value % i === 0) return false;
  return value > 1;
}

function decodeSlowStart(config: Fields | undefined): { slowStart?: SlowStart } {
  const fields = config?.object('slowStartConfig');
  if (fields === undefined) return {};
  const aggression = fields.object('aggression');
  aggression?.ignore('runtimeKey');
  const slowStart = {
    windowMs: fields.ms('slowStartWindow'),
    aggression: aggression?.number('defaultValue', 1) ?? 1,
    minWeightPercent: fields.object('minWeightPercent')?.number('value') ?? 10,
  };
  fields.end();
  return slowStart.windowMs > 0 ? { slowStart } : {};
}
