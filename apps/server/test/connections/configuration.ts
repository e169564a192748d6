// Random TCP and TLS routes, ports of a workload, gateways, and who may connect.

import type { Manifest } from '../behaviour/random/parts.ts';
import { VERSIONS, defined, one, several } from '../behaviour/random/words.ts';
import type { Random } from '../fuzz/random.ts';
import type { AppName } from './apps.ts';
import type { Question } from './clients.ts';
import { NAMES, question } from './questions.ts';

export interface World {
  gateway: boolean;
  manifests: readonly Manifest[];
  questions: readonly Question[];
}

export const SERVICES = ['s0', 's1', 's2'];
export const hostOf = (service: string): string => `${service}.shop.svc.cluster.local`;
/** Declared TCP, declared TLS, and one that is to be found out. */
export const PORTS = [
  { name: 'tcp', port: 9000 },
  { name: 'tls', port: 443 },
  { name: 'data', port: 8000 },
];
/** Ports of the workload itself, each with a listener of its own. */
export const INBOUND = ['tcp', 'tls', 'data'];

const destination = (random: Random): object => {
  const service = random.pick(SERVICES);
  return defined({
    host: hostOf(service),
    subset: one(random, 2, () => random.pick(VERSIONS)),
    port: one(random, 2, () => ({ number: random.pick(PORTS).port })),
  });
};

function routes(random: Random): object[] {
  if (random.below(4) > 0) return [{ destination: destination(random) }];
  return [100, 0].map((weight) => ({ destination: destination(random), weight }));
}

const common = (random: Random): object =>
  defined({
    port: one(random, 4, () => random.pick(PORTS).port),
    destinationSubnets: one(random, 8, () => [random.pick(['10.0.0.0/8', '10.9.0.1', '10.9.0.0/16'])]),
    sourceLabels: one(random, 8, () => ({ app: random.pick(['web', 'other']) })),
  });

function virtualService(random: Random, service: string, gateway: boolean): Manifest {
  const tcp = several(random, 3, () => ({ ...defined({ match: one(random, 2, () => several(random, 2, () => common(random))) }), route: routes(random) }));
  const tls = several(random, 3, () => ({
    match: several(random, 2, () => ({ sniHosts: several(random, 2, () => random.pick(NAMES)), ...common(random) })),
    route: routes(random),
  }));
  return [
    'VirtualService',
    service,
    {
      hosts: [...new Set([...(gateway ? [] : [hostOf(service)]), ...NAMES])],
      ...(gateway ? { gateways: ['gw'] } : {}),
      ...(random.below(3) > 0 ? { tls } : {}),
      ...(random.below(3) > 0 ? { tcp } : {}),
    },
  ];
}

function destinationRule(random: Random, service: string): Manifest {
  const tcp = defined({ maxConnections: one(random, 4, () => 1), idleTimeout: one(random, 6, () => '5s') });
  return [
    'DestinationRule',
    service,
    {
      host: hostOf(service),
      trafficPolicy: defined({
        // Which of several must not be chance.
        loadBalancer: { consistentHash: { useSourceIp: true } },
        connectionPool: Object.keys(tcp).length === 0 ? undefined : { tcp },
        tls: one(random, 6, () => ({ mode: 'SIMPLE', insecureSkipVerify: true, ...defined({ sni: one(random, 2, () => 'orig.test') }) })),
      }),
      subsets: VERSIONS.map((version) => ({ name: version, labels: { version } })),
    },
  ];
}

function serviceOf(random: Random, name: string): Manifest[] {
  const app = (port: string): AppName => (port === 'tls' ? random.pick(['tls', 'tls', 'a']) : random.pick(['a', 'b', 'c', 'tls', 'first', 'dead']));
  return [
    ['v1 Service', name, { selector: { app: name }, clusterIP: '10.9.0.1', ports: PORTS }],
    ...VERSIONS.slice(random.below(2)).map((version): Manifest => [
      'WorkloadEntry',
      `${name}-${version}`,
      { address: '127.0.0.1', labels: { app: name, version }, ports: Object.fromEntries(PORTS.map((p) => [p.name, `$PORT(${app(p.name)})`])) },
    ]),
  ];
}

function peerAuthentication(random: Random): Manifest {
  const mode = (): object => ({ mode: random.pick(['DISABLE', 'PERMISSIVE', 'PERMISSIVE', 'STRICT']) });
  const byPort = (): object => Object.fromEntries(several(random, 2, () => [1 + random.below(INBOUND.length), mode()]));
  return [
    'security.istio.io/v1 PeerAuthentication',
    'own',
    defined({ selector: { matchLabels: { app: 'web' } }, mtls: mode(), portLevelMtls: one(random, 3, byPort) }),
  ];
}

function authorization(random: Random): Manifest {
  const rule = (): object =>
    defined({
      from: one(random, 2, () => [
        {
          source: random.pick([
            { ipBlocks: ['127.0.0.1'] },
            { notIpBlocks: ['127.0.0.0/8'] },
            { principals: ['*'] },
            { namespaces: ['shop'] },
            { notPrincipals: ['*'] },
          ]),
        },
      ]),
      to: one(random, 3, () => [{ operation: { ports: [String(1 + random.below(INBOUND.length))] } }]),
      when: one(random, 4, () => [{ key: 'connection.sni', values: [random.pick(NAMES)] }]),
    });
  return ['security.istio.io/v1 AuthorizationPolicy', 'own', { action: random.pick(['ALLOW', 'DENY']), rules: several(random, 2, rule) }];
}

/** Port 1 TLS passed through or ended, 2 TCP. */
function gatewayOf(random: Random): Manifest {
  const mode = random.pick(['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL', 'AUTO_PASSTHROUGH']);
  const hosts = (): string[] => [random.pick(['*', 'a.test', '*.b.test'])];
  const tls = { mode, ...(mode.includes('PASSTHROUGH') ? {} : { credentialName: 'edge' }) };
  return [
    'Gateway',
    'gw',
    {
      selector: { istio: 'gw' },
      servers: [
        { port: { number: 1, name: 'tls', protocol: 'TLS' }, hosts: hosts(), tls },
        { port: { number: 2, name: 'tcp', protocol: 'TCP' }, hosts: ['*'] },
      ],
    },
  ];
}

export function randomWorld(random: Random, count: number): World {
  const gateway = random.below(3) === 0;
  const manifests = SERVICES.flatMap((service) => [
    ...serviceOf(random, service),
    ...(random.below(3) > 0 ? [virtualService(random, service, gateway)] : []),
    destinationRule(random, service),
  ]);
  const own = gateway ? [gatewayOf(random)] : [peerAuthentication(random), ...(random.below(3) === 0 ? [authorization(random)] : [])];
  const sniffed = gateway ? [] : [...SERVICES.map((service) => `${hostOf(service)}_8000`), 'virtualInbound_3'];
  const listeners = gateway
    ? ['127.0.0.1_1', '127.0.0.1_2']
    : [
        ...SERVICES.flatMap((service) => PORTS.map(({ port }) => `${hostOf(service)}_${port}`)),
        ...INBOUND.flatMap((_, i) => [`virtualInbound_${i + 1}`, `virtualInbound_${i + 1}`]),
      ];
  return { gateway, manifests: [...own, ...manifests], questions: Array.from({ length: count }, () => question(random, listeners, sniffed)) };
}
