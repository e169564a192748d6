// Configurations one after another in which the same two services are always served, whatever else changes about them.

import type { Random } from '../fuzz/random.ts';
import type { Manifest } from '../behaviour/random/parts.ts';

export const WEB = 'web.shop.svc.cluster.local';
export const STABLE = 'stable.shop.svc.cluster.local';
/** Instances of `web`: one behind an embedded sidecar, one behind an Envoy where there is one, one without a sidecar. */
export const VERSIONS = ['v1', 'v2', 'v3'] as const;

/** `"$PORT(v1)"` stands for where an instance is reached. */
export type Worlds = readonly (readonly Manifest[])[];

export function randomWorlds(random: Random, count: number): Worlds {
  return Array.from({ length: count }, () => randomWorld(random));
}

const oneIn = (random: Random, n: number): boolean => random.below(n) === 0;
const some = <T>(random: Random, n: number, make: () => T): T[] => (oneIn(random, n) ? [make()] : []);

function atLeastOne<T>(random: Random, from: readonly T[]): T[] {
  const chosen = from.filter(() => oneIn(random, 2));
  return chosen.length > 0 ? chosen : [random.pick(from)];
}

function randomWorld(random: Random): Manifest[] {
  const there = atLeastOne(random, VERSIONS);
  const subsets = oneIn(random, 4) ? [] : atLeastOne(random, there);
  return [
    ['v1 Service', 'stable', { selector: { app: 'stable' }, ports: [{ name: 'http', port: 80 }] }],
    ['WorkloadEntry', 'stable', entry('stable', 'v1', false)],
    ['v1 Service', 'web', { selector: { app: 'web' }, ports: [{ name: 'http', port: 80 }, ...some(random, 3, () => ({ name: 'http-more', port: 81 }))] }],
    ...there.map((version): Manifest => ['WorkloadEntry', `web-${version}`, { ...entry('web', version, version !== 'v3'), weight: 1 + random.below(3) }]),
    ...(subsets.length > 0 || oneIn(random, 2) ? [destinationRule(random, subsets)] : []),
    ...(oneIn(random, 4) ? [] : [virtualService(random, subsets)]),
    ...some(random, 3, () => authorization(random)),
    ...some(random, 3, (): Manifest => {
      const hosts = random.pick([['./*'], ['*/*'], [`shop/${WEB}`, `shop/${STABLE}`]]);
      return ['Sidecar', 'default', { egress: [{ hosts }] }];
    }),
    ...some(random, 3, () => elsewhere(random)),
    // Clients of the mesh speak mutual TLS to sidecars in both modes.
    ...some(random, 2, (): Manifest => ['security.istio.io/v1 PeerAuthentication', 'default', { mtls: { mode: random.pick(['PERMISSIVE', 'STRICT']) } }]),
  ];
}

function entry(app: string, version: string, sidecar: boolean): object {
  const port = `$PORT(${app === 'web' ? version : app})`;
  return {
    address: '127.0.0.1',
    ports: { http: port, 'http-more': port },
    labels: { app, version, ...(sidecar ? { 'security.istio.io/tlsMode': 'istio' } : {}) },
    serviceAccount: `${app}-${version}`,
  };
}

function destinationRule(random: Random, subsets: readonly string[]): Manifest {
  const rules = subsets.map((version) => ({ name: version, labels: { version }, ...policy(random) }));
  return ['DestinationRule', 'web', { host: WEB, ...policy(random), subsets: rules }];
}

/** None of them keeps a request from being answered. */
function policy(random: Random): object {
  const balancers = [
    ...[{ simple: 'ROUND_ROBIN' }, { simple: 'RANDOM' }, { simple: 'LEAST_REQUEST' }, { simple: 'ROUND_ROBIN', warmup: { duration: '3s' } }],
    ...[{ consistentHash: { httpHeaderName: 'x-user' } }, { consistentHash: { useSourceIp: true } }],
  ];
  const pools = [
    ...[{ http: { http2MaxRequests: 500 + random.below(3) } }, { http: { maxRequestsPerConnection: 5 + random.below(20) } }, { http: { idleTimeout: '30s' } }],
    ...[{ tcp: { connectTimeout: `${20 + random.below(3)}s` } }, { tcp: { maxConnections: 500 } }],
  ];
  const [loadBalancer] = some(random, 2, () => random.pick(balancers));
  const [connectionPool] = some(random, 2, () => random.pick(pools));
  const [outlierDetection] = some(random, 3, () => ({ consecutive5xxErrors: 5, interval: `${1 + random.below(5)}s` }));
  const chosen = { loadBalancer, connectionPool, outlierDetection };
  return Object.values(chosen).every((part) => part === undefined) ? {} : { trafficPolicy: chosen };
}

function virtualService(random: Random, subsets: readonly string[]): Manifest {
  const destination = (subset?: string): object => ({ host: WEB, ...(subset === undefined ? {} : { subset }) });
  const route = (): object => {
    const targets = subsets.length === 0 || oneIn(random, 4) ? [undefined] : atLeastOne(random, subsets);
    return {
      route: targets.map((subset) => ({ destination: destination(subset), weight: 1 + random.below(9) })),
      ...(oneIn(random, 3) ? { timeout: `${25 + random.below(3)}s` } : {}),
      // So that nothing is mended by another try.
      ...(oneIn(random, 2) ? { retries: { attempts: 0 } } : {}),
      ...(oneIn(random, 4) ? { rewrite: { uri: '/x' } } : {}),
      ...(oneIn(random, 4) ? { headers: { request: { set: { 'x-a': String(random.below(5)) } } } } : {}),
      ...(oneIn(random, 5) ? { mirror: destination(subsets[0]) } : {}),
    };
  };
  const matches = [...some(random, 2, () => ({ headers: { 'x-user': { exact: 'a' } } })), ...some(random, 3, () => ({ uri: { prefix: '/api' } }))];
  return ['VirtualService', 'web', { hosts: [WEB], http: [...matches.map((match) => ({ match: [match], ...route() })), route()] }];
}

function authorization(random: Random): Manifest {
  const rule = random.pick([{}, { from: [{ source: { principals: ['*'] } }] }, { to: [{ operation: { methods: ['GET', 'POST'] } }] }]);
  return ['security.istio.io/v1 AuthorizationPolicy', 'allow', { selector: { matchLabels: { app: 'web' } }, action: 'ALLOW', rules: [rule] }];
}

function elsewhere(random: Random): Manifest {
  const ports = [{ number: 80 + random.below(2), name: 'http', protocol: 'HTTP' }];
  const endpoints = [{ address: '127.0.0.1' }];
  return ['ServiceEntry', 'elsewhere', { hosts: [random.pick(['a.test', 'b.test'])], ports, resolution: random.pick(['STATIC', 'DNS']), endpoints }];
}
