import { fromJson, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { registry } from '@weft/mesh-core/translate';
import { expect, test } from 'vitest';
import { decodeCluster } from './decode.ts';
import type { ClusterConfig } from './model.ts';

const decode = (json: object): ClusterConfig => decodeCluster(toBinary(ClusterSchema, fromJson(ClusterSchema, { name: 'c', ...json }, { registry })), 'c');
const policies = (...configs: object[]): object => ({
  loadBalancingPolicy: { policies: configs.map((typedConfig) => ({ typedExtensionConfig: { name: 'p', typedConfig } })) },
});
const type = (name: string): object => ({ '@type': `type.googleapis.com/envoy.extensions.load_balancing_policies.${name}` });

test.each<[string, object, object]>([
  ['default', {}, { lb: { kind: 'round-robin' }, localityWeighted: false }],
  [
    'least request',
    { lbPolicy: 'LEAST_REQUEST', leastRequestLbConfig: { choiceCount: 5, activeRequestBias: { defaultValue: 0.5, runtimeKey: 'x' } } },
    { lb: { kind: 'least-request', choices: 5, activeRequestBias: 0.5, fullScan: false } },
  ],
  [
    'slow start',
    { roundRobinLbConfig: { slowStartConfig: { slowStartWindow: '30s', aggression: { defaultValue: 2, runtimeKey: 'x' }, minWeightPercent: { value: 5 } } } },
    { lb: { kind: 'round-robin', slowStart: { windowMs: 30_000, aggression: 2, minWeightPercent: 5 } } },
  ],
  [
    'ring',
    { lbPolicy: 'RING_HASH', ringHashLbConfig: { minimumRingSize: '2048' } },
    { lb: { kind: 'ring-hash', minimumRingSize: 2048, maximumRingSize: 8_388_608 } },
  ],
  [
    'maglev with localities',
    { lbPolicy: 'MAGLEV', commonLbConfig: { localityWeightedLbConfig: {}, consistentHashingLbConfig: { useHostnameForHashing: true } } },
    { lb: { kind: 'maglev', tableSize: 65_537 }, localityWeighted: true, hashByHostname: true },
  ],
  [
    'the first policy of the list that is known',
    policies(
      { '@type': 'type.googleapis.com/xds.type.v3.TypedStruct', typeUrl: 'type.googleapis.com/x.Unknown', value: {} },
      {
        ...type('wrr_locality.v3.WrrLocality'),
        endpointPickingPolicy: (policies(type('random.v3.Random')) as { loadBalancingPolicy: object }).loadBalancingPolicy,
      },
    ),
    { lb: { kind: 'random' }, localityWeighted: true },
  ],
  [
    'peak EWMA, which Envoy has no type for',
    policies(
      {
        '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
        typeUrl: 'type.googleapis.com/envoy.extensions.load_balancing_policies.peak_ewma.v3.PeakEwma',
        value: { decayTime: '5s' },
      },
      type('least_request.v3.LeastRequest'),
    ),
    { lb: { kind: 'peak-ewma', decayMs: 5_000, defaultRttMs: 30 } },
  ],
])('%s', (_, json, expected) => {
  expect(decode(json)).toMatchObject(expected);
});

test.each<[string, object]>([
  ['c.loadBalancingPolicy: none of the policies', policies({ '@type': 'type.googleapis.com/xds.type.v3.TypedStruct', typeUrl: 'x/x.Unknown' })],
  ['c.lbSubsetConfig: this proxy cannot do it', { lbSubsetConfig: {} }],
  ['c.commonLbConfig.ignoreNewHostsUntilFirstHc: this proxy cannot do it', { commonLbConfig: { ignoreNewHostsUntilFirstHc: true } }],
  [
    'consistentHashingLbConfig.hashBalanceFactor: this proxy cannot do it',
    { lbPolicy: 'MAGLEV', commonLbConfig: { consistentHashingLbConfig: { hashBalanceFactor: 150 } } },
  ],
  ['c.ringHashLbConfig.hashFunction: MURMUR_HASH_2 is not supported', { lbPolicy: 'RING_HASH', ringHashLbConfig: { hashFunction: 'MURMUR_HASH_2' } }],
])('refused: %s', (problem, json) => {
  expect(() => decode(json)).toThrow(problem);
});
