// Which local port is what: upstream listeners of the clients, inbound listeners of the servers, gateways. Fixed before anything
// starts, since a proxy tells its ports once, in its node metadata.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { InboundPort, UpstreamPort } from '@weft/mesh-core/model';
import { openPortBook } from '../../../src/agent/ports.ts';
import { type Case, type Plane, PLANES, namespaceOf } from '../case.ts';
import type { Apps } from './apps.ts';
import type { Certificates } from './certificates.ts';
import { portsOf } from './objects.ts';

export interface Layout {
  /** State directory of the whole run. */
  dir: string;
  certificates: Certificates;
  accessLogFile: string;
  appPort(app: string): number;
  inbound(plane: Plane): readonly InboundPort[];
  inboundPort(plane: Plane, name: string): number;
  upstreams(plane: Plane, client: string): readonly UpstreamPort[];
  upstreamPort(plane: Plane, client: string, host: string, port: number): number;
  proxyPort(plane: Plane): number;
  /** A port that configuration opens, by the name it has there: `$AT(name)`. */
  openedPort(plane: Plane, name: string): number;
  adminPort(plane: Plane, workload: string): number;
}

/** Server ports by name; the name's first part is the protocol, the application behind it is the rest or as told. */
const INBOUND: readonly { name: string; app: string; servicePort: number }[] = [
  ...['a', 'b', 'c', 'd', 'dead'].map((app, i) => ({ name: `http-${app}`, app, servicePort: 8080 + i })),
  ...['a', 'b'].map((app, i) => ({ name: `grpc-${app}`, app, servicePort: 9090 + i })),
  ...['a', 'b'].map((app, i) => ({ name: `http2-${app}`, app, servicePort: 9190 + i })),
  ...['echo', 'echo2', 'first'].map((app, i) => ({ name: `tcp-${app}`, app, servicePort: 9000 + i })),
  { name: 'tls-tls', app: 'tls', servicePort: 9443 },
  { name: 'tls-tls2', app: 'tls2', servicePort: 9445 },
  { name: 'https-tls', app: 'tls', servicePort: 9444 },
  ...['a', 'echo', 'first'].map((app, i) => ({ name: `auto-${app}`, app, servicePort: 7000 + i })),
  { name: 'http-authz', app: 'authz', servicePort: 8090 },
  { name: 'grpc-authz', app: 'authz', servicePort: 9290 },
  { name: 'strict', app: 'a', servicePort: 8443 },
  { name: 'disable', app: 'a', servicePort: 8444 },
];

/** `told` has Telemetry of its own and a locality, `drained` ends in the middle. */
export const CLIENTS = ['client', 'other', 'told', 'drained'] as const;

const BLOCK = 2_000;
/** fetch asks no such port. */
const REFUSED_BY_FETCH = [10_080];

/** First of a block of ports below the ephemeral range and below those of the other tests; held by its first port, so that a run beside this one takes another. */
async function holdBlock(): Promise<number> {
  for (let first = 10_000; first < 20_000; first += BLOCK) {
    const guard = createServer().unref().listen({ port: first, host: '127.0.0.1', exclusive: true });
    const held = await once(guard, 'listening').then(
      () => true,
      () => false,
    );
    if (held) return first;
  }
  throw new Error('every block of ports of the behaviour suite is held by a run of it');
}

export interface LayoutInput extends Pick<Layout, 'dir' | 'certificates'> {
  cases: readonly Case[];
  apps: Apps;
  observed: { name: string; ports: readonly { name: string; number: number }[] };
}

export async function planLayout({ dir, certificates, cases, apps, observed }: LayoutInput): Promise<Layout> {
  const book = openPortBook(join(dir, 'ports'), await holdBlock(), REFUSED_BY_FETCH);
  const ports = new Map<string, number>();
  const give = async (purpose: string): Promise<number> => {
    const port = ports.get(purpose) ?? (await book.allocate(purpose));
    ports.set(purpose, port);
    return port;
  };
  const inbound = new Map<Plane, InboundPort[]>();
  const upstreams = new Map<string, UpstreamPort[]>();
  for (const plane of PLANES) {
    inbound.set(plane, []);
    for (const { name, app, servicePort } of INBOUND)
      inbound
        .get(plane)
        ?.push({ name: wireName(name), servicePort, listenPort: await give(`${plane}/in/${name}`), appPort: apps.port(app as Parameters<Apps['port']>[0]) });
    for (const name of ['gateway', 'ingress', 'ingress-tls', ...cases.flatMap(openedBy)]) await give(`${plane}/at/${name}`);
    for (const purpose of ['proxy', ...[...CLIENTS, 'by-host', 'observed-v1', 'gateway', 'ingress'].map((w) => `admin/${w}`)])
      await give(`${plane}/${purpose}`);
    for (const client of CLIENTS) {
      const list: UpstreamPort[] = [];
      upstreams.set(`${plane}/${client}`, list);
      for (const target of PLANES)
        for (const behaviour of [{ services: [{ ...observed, endpoints: [] }], mixed: true, steps: [] as Case['steps'] }, ...cases]) {
          if ((target !== plane && behaviour.mixed !== true) || ('own' in behaviour && behaviour.own !== undefined)) continue;
          // The other clients ask only what a case lets them ask.
          if (client !== 'client' && behaviour.steps.length > 0 && !JSON.stringify(behaviour.steps).includes(`"from":"${client}"`)) continue;
          for (const service of behaviour.services ?? [])
            for (const { number } of portsOf(service)) {
              const host = `${service.name}.${namespaceOf(target)}.svc.cluster.local`;
              list.push({ host, port: number, listenPort: await give(`${plane}/${client}/${host}:${number}`) });
            }
          for (const upstream of 'outside' in behaviour ? (behaviour.outside ?? []) : []) {
            const [host = '', port] = upstream.replaceAll('$NS', namespaceOf(target)).split(':');
            list.push({ host, port: Number(port), listenPort: await give(`${plane}/${client}/${host}:${port}`) });
          }
        }
    }
  }
  const known = (purpose: string): number => {
    const port = ports.get(purpose);
    if (port === undefined) throw new Error(`nothing listens for ${purpose}`);
    return port;
  };
  return {
    dir,
    certificates,
    accessLogFile: join(dir, 'access.log'),
    appPort: (app) => apps.port(app as Parameters<Apps['port']>[0]),
    inbound: (plane) => inbound.get(plane) ?? [],
    inboundPort: (plane, name) => known(`${plane}/in/${name}`),
    upstreams: (plane, client) => upstreams.get(`${plane}/${client}`) ?? [],
    upstreamPort: (plane, client, host, port) => known(`${plane}/${client}/${host}:${port}`),
    proxyPort: (plane) => known(`${plane}/proxy`),
    openedPort: (plane, name) => known(`${plane}/at/${name}`),
    adminPort: (plane, workload) => known(`${plane}/admin/${workload}`),
  };
}

function openedBy({ objects = '', steps }: Case): string[] {
  const texts = [objects, ...steps.map((s) => (s.kind === 'apply' ? s.objects : ''))];
  return texts.flatMap((text) => [...text.matchAll(/\$AT\(([\w-]+)\)/g)].map((m) => m[1] ?? ''));
}

/** What the sidecar is told: a port without a protocol in its name is one to sniff. */
function wireName(name: string): string {
  return /^(strict|disable)$/.test(name) ? `http-${name}` : name;
}
