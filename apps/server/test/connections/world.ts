// Random configuration of connections, what is asked of it, and what the two data planes see differently.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import type { MeshObject } from '@weft/mesh-core/model';
import { testAuthority } from '../../src/proxy/listener/testing/certificates.ts';
import { differences } from '../behaviour/harness/match.ts';
import type { Manifest } from '../behaviour/random/parts.ts';
import { VERSIONS, defined, one, several } from '../behaviour/random/words.ts';
import type { Random } from '../fuzz/random.ts';
import { PLANES, type RunningPlane, object, runPlane } from '../planes/planes.ts';
import { type AppName, type Apps, type Arrived, startApps } from './apps.ts';
import { type Question, type Seen, ask } from './clients.ts';
import { NAMES, question } from './questions.ts';

export interface World {
  gateway: boolean;
  manifests: readonly Manifest[];
  questions: readonly Question[];
}

const SERVICES = ['s0', 's1', 's2'];
const hostOf = (service: string): string => `${service}.shop.svc.cluster.local`;
/** Declared TCP, declared TLS, and one that is to be found out. */
const PORTS = [
  { name: 'tcp', port: 9000 },
  { name: 'tls', port: 443 },
  { name: 'data', port: 8000 },
];
/** Ports of the workload itself, each with a listener of its own. */
const INBOUND = ['tcp', 'tls', 'data'];

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

const authority = await testAuthority('mesh');
const strangers = await testAuthority('strange');
const own = await authority.issue('spiffe://cluster.local/ns/shop/sa/web');
const edge = await authority.issue('edge.test');
const IDENTITIES = {
  mesh: await authority.issue('spiffe://cluster.local/ns/shop/sa/peer'),
  stranger: await strangers.issue('spiffe://cluster.local/ns/shop/sa/peer'),
};
const inline = (text: string) => ({ inlineString: text });
const pair = ({ chainPem, keyPem }: typeof own) => ({ certificateChain: inline(chainPem), privateKey: inline(keyPem) });
const trust = { trustedCa: inline(authority.caPem) };
const SECRETS: readonly JsonObject[] = [
  { name: 'default', tlsCertificate: pair(own) },
  { name: 'ROOTCA', validationContext: trust },
  { name: 'kubernetes://edge', tlsCertificate: pair(edge) },
  { name: 'kubernetes://edge-cacert', validationContext: trust },
];

const LOG = [
  '%RESPONSE_CODE%',
  '%RESPONSE_FLAGS%',
  '%RESPONSE_CODE_DETAILS%',
  '%CONNECTION_TERMINATION_DETAILS%',
  '%UPSTREAM_CLUSTER%',
  '%REQUESTED_SERVER_NAME%',
  '%BYTES_RECEIVED%',
  '%BYTES_SENT%',
  '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
];

interface Side extends RunningPlane {
  log(): Map<string, string[]>;
}

async function start(plane: (typeof PLANES)[number], world: World, apps: Apps, dir: string): Promise<Side> {
  const objects = JSON.parse(JSON.stringify(world.manifests).replaceAll(/"\$PORT\((\w+)\)"/g, (_, app: AppName) => String(apps.port(app)))) as Manifest[];
  const valid = objects.flatMap(([kind, name, spec]): MeshObject[] => {
    try {
      return [object(kind, name, spec)];
    } catch {
      return [];
    }
  });
  const node = world.gateway
    ? { role: 'router' as const, labels: { istio: 'gw' } }
    : {
        upstreams: SERVICES.flatMap((service) => PORTS.map(({ port }) => ({ host: hostOf(service), port, listenPort: 1 }))),
        inbound: INBOUND.map((name, i) => ({ name, servicePort: i + 1, listenPort: i + 1, appPort: apps.port('a') })),
      };
  const file = join(dir, plane);
  const settings = { accessLogFile: file, accessLogFormat: `%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS%\t${LOG.join('\t')}\n` };
  const running = await runPlane(plane, valid, { node, settings, secrets: SECRETS });
  const log = (): Map<string, string[]> => {
    const lines = new Map<string, string[]>();
    if (!existsSync(file)) return lines;
    for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) {
      const [from = '', ...fields] = line.split('\t');
      const key = from.replaceAll(/[0-9.]+:/g, '');
      lines.set(key, [...(lines.get(key) ?? []), fields.join(' ').replaceAll(/:\d{4,5}\b/g, ':<port>')]);
    }
    return lines;
  };
  return { ...running, log };
}

/** A text for each question that the planes see differently, each time they are asked: on a busy machine one of two may have come first for once. */
export async function differencesOf(world: World, times = 3): Promise<string[]> {
  const differing = await askAll(world);
  if (differing.size === 0 || times === 1) return [...differing].map(([question, found]) => `${found.join('\n')}\n  asked ${JSON.stringify(question)}`);
  return differencesOf({ ...world, questions: [...differing.keys()] }, times - 1);
}

async function askAll(world: World): Promise<Map<Question, string[]>> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-connections-'));
  const apps = await startApps(await authority.issue('app.test'));
  const sides: Side[] = [];
  try {
    for (const plane of PLANES) sides.push(await start(plane, world, apps, dir));
    const all: [Question, Outcome[]][] = [];
    // One at a time: whose connection an application has seen is told by when.
    for (const question of world.questions) {
      const outcomes: Outcome[] = [];
      for (const side of sides) {
        const at = opened(side, question.to);
        const seen = await ask(question, at, IDENTITIES);
        outcomes.push({ ...seen, at, arrived: await apps.arrived() });
      }
      all.push([question, outcomes]);
    }
    for (const side of sides) await side.stop();
    const logs = sides.splice(0).map((side) => side.log());
    const differing = new Map<Question, string[]>();
    for (const [question, outcomes] of all) {
      const [left, right] = outcomes.map((outcome, i) => comparable(outcome, question, logs[i]?.get(`${outcome.from} ${outcome.at}`) ?? []));
      const found = differences(left, right);
      if (found.length > 0) differing.set(question, found);
    }
    return differing;
  } finally {
    for (const side of sides) await side.stop();
    await apps.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** 0 = nobody listens, as where a gateway's port has no routes. */
function opened(side: Side, listener: string): number {
  try {
    return side.port(listener);
  } catch {
    return 0;
  }
}

interface Outcome extends Seen {
  /** Port it asked. */
  at: number;
  arrived: Arrived[];
}

function comparable({ text, end, protocol, arrived }: Outcome, { last, tls }: Question, log: readonly string[]): object {
  const failed = log.some((line) => line.includes('UF'));
  // How many bytes there were until a reset or a refusal is a matter of time; TLS that passes through is not always as long.
  const uncounted =
    last === 'reset' ||
    log.some((line) => line.includes('rbac_')) ||
    arrived.some(({ bytes, hello }) => hello !== '' || isHello(bytes) || bytes.startsWith('PRI '));
  return {
    protocol,
    text: protocol === 'h2' ? '' : last === 'reset' ? text !== '' : beginning(text),
    // Without an answer, and under TLS, how it ends depends on what had been read.
    end: (text === '' || tls !== undefined) && end !== 'silent' && end !== 'refused' ? 'over' : end,
    // Whom a further try asks is chance, and what a failed handshake leaves unread makes an end a reset.
    arrived: failed
      ? []
      : arrived.map(({ bytes, end: over, ...it }) => ({
          ...it,
          // Node cannot reset a connection of TLS.
          end: it.hello === '' ? over : '',
          bytes: isHello(bytes) ? '<TLS>' : last === 'reset' || bytes.startsWith('PRI ') ? bytes !== '' : bytes.replace(/(HTTP\/1.[01]\r?\n)[^]*/, '$1'),
        })),
    log: log.map((line) => (uncounted ? line.replaceAll(/ \d+(?= )/g, ' <bytes>') : line).replace(/(ERR_SSL|TLS_error).*/, '<words of the library>')),
  };
}

/** Of HTTP only that it is, what is in it others compare; of TLS too. */
function beginning(text: string): string {
  const at = [text.indexOf('HTTP/1.'), text.indexOf('<\x16\x03')].filter((index) => index >= 0);
  return at.length === 0 ? text : text.slice(0, Math.min(...at) + 'HTTP/1.1 200'.length);
}

const isHello = (bytes: string): boolean => bytes.startsWith('\x16\x03') && bytes.length > 100;
