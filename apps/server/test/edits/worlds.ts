// Configurations one after another in which the same services are always served, whatever else changes about them, and what
// happens to the control plane meanwhile.

import type { Random } from '../fuzz/random.ts';
import type { Manifest } from '../behaviour/random/parts.ts';

export const WEB = 'web.shop.svc.cluster.local';
export const STABLE = 'stable.shop.svc.cluster.local';
/** Of a ServiceEntry, and of Gateways. */
export const OUTSIDE = 'outside.test';
export const EDGE = 'edge.test';
/** Instances of `web`: one behind an embedded sidecar, one behind an Envoy where there is one, one without a sidecar. */
export const VERSIONS = ['v1', 'v2', 'v3'] as const;
/** Instances of `stable`, the same way; they are there in each world, and no edit of it ends what goes on with them. */
export const STABLES = ['s1', 's2'] as const;
/** Of an address that is another in each world, so that no edit changes nothing for anybody. */
const MARKER = 'marker.test';
/** Certificates of the Gateways' host. */
export const CERTIFICATES = ['c0', 'c1'] as const;

/** `"$PORT(v1)"` stands for where an instance is reached, `$CHAIN(c0)` and `$KEY(c0)` for a certificate. */
export interface World {
  readonly objects: readonly Manifest[];
  /** How the control plane fares: it dies so long after this was written, or was not there when it was. */
  readonly controlPlane?: { readonly diesAfterMs: number } | 'away';
  /** Clients and servers agree with those of the world before and after, but no further: all have to have it. */
  readonly settles: boolean;
}
export type Worlds = readonly World[];

/**
 * What `web` asks for and what its clients do, each compatible with its neighbours: mutual TLS or nothing, mutual TLS but plaintext
 * is taken, plaintext but mutual TLS is taken, plaintext or nothing.
 */
const SECURITY = [{ mode: 'STRICT' }, { mode: 'PERMISSIVE' }, { mode: 'PERMISSIVE', tls: { mode: 'DISABLE' } }, { mode: 'DISABLE', tls: { mode: 'DISABLE' } }];
type Security = (typeof SECURITY)[number];
/**
 * Of the host outside. To STATIC and back before it has heard of the first, without a stream in between, is more than Envoy takes: it
 * asks for clusters when none of them warms any more, and one that warms for endpoints nobody has comes into use without any.
 */
const RESOLUTIONS = ['STATIC', 'DNS'] as const;
type Resolution = (typeof RESOLUTIONS)[number];

export function randomWorlds(random: Random, count: number): Worlds {
  let level = 1;
  let resolution: Resolution = 'STATIC';
  let there: readonly string[] = VERSIONS;
  let earlier = there;
  return Array.from({ length: count }, (_, i) => {
    const before = [level, resolution];
    if (oneIn(random, 3)) level = Math.max(0, Math.min(SECURITY.length - 1, level + random.pick([-1, 1])));
    if (oneIn(random, 4)) resolution = random.pick(RESOLUTIONS);
    const [controlPlane] = some(random, 8, () => random.pick([{ diesAfterMs: random.below(30) }, 'away'] as const));
    // Two edits may come to a proxy as one.
    if (controlPlane === undefined) {
      const known = there.filter((version) => earlier.includes(version));
      earlier = there;
      there = instances(random, known);
    }
    const objects = [...randomWorld(random, SECURITY[level] as Security, resolution, there), marker(i)];
    return { objects, ...(controlPlane === undefined ? {} : { controlPlane }), settles: level !== before[0] || resolution !== before[1] };
  });
}

const oneIn = (random: Random, n: number): boolean => random.below(n) === 0;
const some = <T>(random: Random, n: number, make: () => T): T[] => (oneIn(random, n) ? [make()] : []);

function atLeastOne<T>(random: Random, from: readonly T[]): T[] {
  const chosen = from.filter(() => oneIn(random, 2));
  return chosen.length > 0 ? chosen : [random.pick(from)];
}

/**
 * Of `web`, of which each is somebody else. One stays: where none does, or a control plane does not know what a proxy holds, Envoy has
 * the new ones in the old cluster for a moment (docs/data-planes.md).
 */
function instances(random: Random, before: readonly string[]): readonly string[] {
  const now = atLeastOne(random, VERSIONS);
  return now.some((version) => before.includes(version)) ? now : [...now, random.pick(before)];
}

function randomWorld(random: Random, { mode, tls }: Security, resolution: Resolution, there: readonly string[]): Manifest[] {
  const subsets = oneIn(random, 4) ? [] : atLeastOne(random, there);
  const ports = [{ name: random.pick(['http', 'http', 'http', 'http-a', 'sniffed']), port: 80, targetPort: 'http' }];
  return [
    [
      'v1 Service',
      'stable',
      {
        selector: { app: 'stable' },
        ports: [
          { name: 'http', port: 80 },
          { name: 'tcp', port: 90 },
          { name: 'any', port: 91 },
        ],
      },
    ],
    ...STABLES.map((instance): Manifest => ['WorkloadEntry', `stable-${instance}`, entry('stable', instance, true)]),
    ['v1 Service', 'web', { selector: { app: 'web' }, ports: [...ports, ...some(random, 3, () => ({ name: 'http-more', port: 81 }))] }],
    ...some(random, 3, (): Manifest => ['DestinationRule', 'stable', { host: STABLE, ...trafficPolicy(random) }]),
    ...some(random, 3, () => virtualService(random, 'stable', { hosts: [STABLE] }, { host: STABLE, subsets: [] })),
    ...there.map((version): Manifest => {
      const locality = random.pick([undefined, 'r1/z1', 'r2/z1']);
      const place = locality === undefined ? {} : { locality };
      return ['WorkloadEntry', `web-${version}`, { ...entry('web', version, version !== 'v3'), weight: 1 + random.below(3), ...place }];
    }),
    ...(tls !== undefined || subsets.length > 0 || oneIn(random, 2) ? [destinationRule(random, subsets, tls)] : []),
    ['security.istio.io/v1 PeerAuthentication', 'web', { selector: { matchLabels: { app: 'web' } }, mtls: { mode } }],
    ...(oneIn(random, 4) ? [] : [virtualService(random, 'web', { hosts: [WEB] }, { host: WEB, subsets })]),
    ...edge(random, subsets),
    ...some(random, 3, () => authorization(random)),
    ...some(random, 4, () => tokens()),
    ...some(random, 3, () => telemetry(random)),
    ...some(random, 3, (): Manifest => {
      const hosts = random.pick([['./*'], ['*/*'], [WEB, STABLE, OUTSIDE, MARKER].map((host) => `shop/${host}`)]);
      const [outboundTrafficPolicy] = some(random, 2, () => ({ mode: 'REGISTRY_ONLY' }));
      return ['Sidecar', 'default', { egress: [{ hosts }], ...(outboundTrafficPolicy === undefined ? {} : { outboundTrafficPolicy }) }];
    }),
    ...some(random, 3, () => elsewhere(random)),
    serviceEntry('outside', OUTSIDE, { number: 80, name: 'http', protocol: 'HTTP' }, resolution, { http: '$PORT(outside)' }),
    // Clients of the mesh speak mutual TLS to sidecars in both modes.
    ...some(random, 2, (): Manifest => ['security.istio.io/v1 PeerAuthentication', 'default', { mtls: { mode: random.pick(['PERMISSIVE', 'STRICT']) } }]),
  ];
}

function entry(app: string, version: string, sidecar: boolean): object {
  const port = `$PORT(${version})`;
  return {
    address: '127.0.0.1',
    ports: {
      http: port,
      'http-more': port,
      ...(app === 'stable' ? { tcp: `$PORT(${version}-tcp)`, any: `$PORT(${version}-any)` } : { 'http-a': port, sniffed: port }),
    },
    labels: { app, version, ...(sidecar ? { 'security.istio.io/tlsMode': 'istio' } : {}) },
    serviceAccount: `${app}-${version}`,
  };
}

function destinationRule(random: Random, subsets: readonly string[], tls?: object): Manifest {
  const rules = subsets.map((version) => ({ name: version, labels: { version }, ...trafficPolicy(random, tls) }));
  return ['DestinationRule', 'web', { host: WEB, ...trafficPolicy(random, tls), subsets: rules }];
}

function trafficPolicy(random: Random, tls?: object): object {
  const asked = tls === undefined ? {} : { tls };
  // What is said of a port is all that holds for it.
  const ports = some(random, 4, () => ({ port: { number: 80 + random.below(2) }, loadBalancer: { simple: 'RANDOM' }, ...policy(random), ...asked }));
  const chosen = { ...policy(random), ...asked, ...(ports.length === 0 ? {} : { portLevelSettings: ports }) };
  return Object.keys(chosen).length === 0 ? {} : { trafficPolicy: chosen };
}

/** None of them keeps a request from being answered. */
function policy(random: Random): object {
  const balancers = [
    ...[{ simple: 'ROUND_ROBIN' }, { simple: 'RANDOM' }, { simple: 'LEAST_REQUEST' }, { simple: 'ROUND_ROBIN', warmup: { duration: '3s' } }],
    ...[{ consistentHash: { httpHeaderName: 'x-user' } }, { consistentHash: { useSourceIp: true } }],
  ];
  const pools = [
    ...[{ http: { http2MaxRequests: 500 + random.below(3) } }, { http: { maxRequestsPerConnection: 1 + random.below(20) } }, { http: { idleTimeout: '30s' } }],
    ...[{ tcp: { connectTimeout: `${20 + random.below(3)}s` } }, { tcp: { maxConnections: 500 } }, { http: { h2UpgradePolicy: 'UPGRADE' } }],
  ];
  const loadBalancer = some(random, 2, () => random.pick(balancers));
  const connectionPool = some(random, 2, () => random.pick(pools));
  const outlierDetection = some(random, 3, () => ({ consecutive5xxErrors: 5, interval: `${1 + random.below(5)}s` }));
  return Object.fromEntries(Object.entries({ loadBalancer, connectionPool, outlierDetection }).flatMap(([key, [value]]) => (value ? [[key, value]] : [])));
}

function virtualService(random: Random, name: string, where: object, { host, subsets }: { host: string; subsets: readonly string[] }): Manifest {
  const destination = (subset?: string): object => ({ host, port: { number: 80 }, ...(subset === undefined ? {} : { subset }) });
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
  return ['VirtualService', name, { ...where, http: [...matches.map((match) => ({ match: [match], ...route() })), route()] }];
}

/** A Gateway for each data plane, whose certificate is another now and then. */
function edge(random: Random, subsets: readonly string[]): Manifest[] {
  const certificate = random.pick(CERTIFICATES);
  const planes = ['embedded', 'envoy'];
  return [
    ['v1 Secret', 'edge', { data: { 'tls.crt': `$CHAIN(${certificate})`, 'tls.key': `$KEY(${certificate})` } }],
    ...planes.map((plane): Manifest => {
      const port = { number: `$PORT(edge-${plane})`, name: 'https', protocol: 'HTTPS' };
      return ['Gateway', `edge-${plane}`, { selector: { istio: plane }, servers: [{ port, hosts: [EDGE], tls: { mode: 'SIMPLE', credentialName: 'edge' } }] }];
    }),
    virtualService(random, 'edge', { hosts: [EDGE], gateways: planes.map((plane) => `edge-${plane}`) }, { host: WEB, subsets }),
  ];
}

function authorization(random: Random): Manifest {
  const [action, rule] = random.pick([
    ...[{}, { to: [{ operation: { methods: ['GET', 'POST'] } }] }, { from: [{ source: { notNamespaces: ['elsewhere'] } }] }].map((r) => ['ALLOW', r] as const),
    ...[{ to: [{ operation: { paths: ['/admin'] } }] }, { from: [{ source: { namespaces: ['elsewhere'] } }] }].map((r) => ['DENY', r] as const),
  ]);
  return ['security.istio.io/v1 AuthorizationPolicy', 'rule', { selector: { matchLabels: { app: 'web' } }, action, rules: [rule] }];
}

/** Nobody has one, and nobody has to. */
function tokens(): Manifest {
  return ['security.istio.io/v1 RequestAuthentication', 'tokens', { jwtRules: [{ issuer: 'nobody', jwks: '{"keys":[]}' }] }];
}

/** All listeners that carry HTTP change. */
function telemetry(random: Random): Manifest {
  return ['telemetry.istio.io/v1 Telemetry', 'all', { tracing: [{ randomSamplingPercentage: random.below(3) }] }];
}

function elsewhere(random: Random): Manifest {
  const port = { number: 80 + random.below(2), name: 'http', protocol: 'HTTP' };
  return serviceEntry('elsewhere', random.pick(['a.test', 'b.test']), port, random.pick(RESOLUTIONS));
}

function marker(world: number): Manifest {
  return serviceEntry('marker', MARKER, { number: 80, name: 'http', protocol: 'HTTP' }, 'STATIC', { http: 1 + world });
}

function serviceEntry(name: string, host: string, port: object, resolution: string, ports?: object): Manifest {
  const endpoint = { address: '127.0.0.1', ...(ports === undefined ? {} : { ports }) };
  return ['ServiceEntry', name, { hosts: [host], location: 'MESH_EXTERNAL', ports: [port], resolution, endpoints: [endpoint] }];
}
