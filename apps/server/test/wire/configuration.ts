// Who stands between clients and applications: sidecars of either, the proxy at the edge, and two sidecars with mutual TLS between them.

import { testAuthority } from '../../src/proxy/listener/testing/certificates.ts';
import { object, type PlaneOptions } from '../planes/planes.ts';
import type { ListenerKind } from './case.ts';

/** Where an application of HTTP/1 listens, and one of HTTP/2. */
export interface AppPorts {
  http1: number;
  http2: number;
}

/** `outbound` asks applications, and what the sidecars in front of them have behind their mutual TLS. */
export type Role = 'outbound' | 'inbound' | 'gateway';

type Configuration = Required<Pick<PlaneOptions, 'node' | 'secrets'>> & { objects: ReturnType<typeof object>[] };

/** Ports of services: what their applications speak. With the lane, those of listeners. */
const HTTP1 = 1000;
const HTTP2 = 2000;
/** From those of listeners without mutual TLS to those with it. */
const MESH = 2000;

const authority = await testAuthority();
const { chainPem, keyPem } = await authority.issue('spiffe://cluster.local/ns/shop/sa/web');
const secrets = [
  { name: 'default', tlsCertificate: { certificateChain: { inlineString: chainPem }, privateKey: { inlineString: keyPem } } },
  { name: 'ROOTCA', validationContext: { trustedCa: { inlineString: authority.caPem } } },
];

const hostOf = (lane: number): string => `app${lane}.test`;
const meshHostOf = (lane: number): string => `mesh${lane}.test`;

export const roleOf = (kind: ListenerKind): Role => (kind === 'mesh' ? 'outbound' : kind);

/** In the words both translate to. */
export function listenerName(kind: ListenerKind | 'behind', lane: number, app: keyof AppPorts): string {
  const port = app === 'http1' ? HTTP1 : HTTP2;
  switch (kind) {
    case 'outbound':
      return `${hostOf(lane)}_${port}`;
    case 'mesh':
      return `${meshHostOf(lane)}_${port}`;
    case 'inbound':
      return `virtualInbound_${port + lane}`;
    case 'behind':
      return `virtualInbound_${port + MESH + lane}`;
    case 'gateway':
      return `127.0.0.1_${port + lane}`;
  }
}

/** Of a service with one endpoint. */
const entry = (host: string, ports: AppPorts, labels: Record<string, string> = {}): ReturnType<typeof object> =>
  object('ServiceEntry', host.replace('.test', ''), {
    ...{ hosts: [host], resolution: 'STATIC', location: 'MESH_INTERNAL' },
    ports: [
      { number: HTTP1, name: 'http', protocol: 'HTTP' },
      { number: HTTP2, name: 'http2', protocol: 'HTTP2' },
    ],
    endpoints: [{ address: '127.0.0.1', ports: { http: ports.http1, http2: ports.http2 }, labels, serviceAccount: 'web' }],
  });

/** `behind`: listeners with mutual TLS in front of the applications. */
function outbound(apps: readonly AppPorts[], behind: readonly AppPorts[]): Configuration {
  const mesh = behind.map((ports, lane) => entry(meshHostOf(lane), ports, { 'security.istio.io/tlsMode': 'istio' }));
  const upstreams = [hostOf, meshHostOf].flatMap((host) =>
    apps.flatMap((_, lane) => [HTTP1, HTTP2].map((port) => ({ host: host(lane), port, listenPort: port + lane }))),
  );
  return { objects: [...apps.map((ports, lane) => entry(hostOf(lane), ports)), ...mesh], node: { upstreams }, secrets };
}

function inbound(apps: readonly AppPorts[]): Configuration {
  const ports = apps.flatMap(({ http1, http2 }, lane) => [
    { name: 'http', servicePort: HTTP1 + lane, appPort: http1 },
    { name: 'http2', servicePort: HTTP2 + lane, appPort: http2 },
  ]);
  const behind = ports.map((port) => ({ ...port, servicePort: port.servicePort + MESH }));
  const strict = behind.map(({ servicePort }) => [servicePort, { mode: 'STRICT' }] as const);
  return {
    objects: [
      object('security.istio.io/v1 PeerAuthentication', 'modes', {
        ...{ selector: { matchLabels: { app: 'web' } }, mtls: { mode: 'DISABLE' } },
        portLevelMtls: Object.fromEntries(strict),
      }),
    ],
    node: { inbound: [...ports, ...behind].map((port) => ({ ...port, listenPort: port.servicePort })) },
    secrets,
  };
}

/** A server of its own for each application, whatever the host. */
function gateway(apps: readonly AppPorts[]): Configuration {
  const objects = apps.flatMap((ports, lane) => [
    entry(hostOf(lane), ports),
    ...[HTTP1, HTTP2].flatMap((port) => {
      const name = `gw${port + lane}`;
      const server = { port: { number: port + lane, name: 'http', protocol: 'HTTP' }, hosts: ['*'] };
      const route = [{ destination: { host: hostOf(lane), port: { number: port } } }];
      return [
        object('Gateway', name, { selector: { istio: 'gw' }, servers: [server] }),
        object('VirtualService', name, { hosts: ['*'], gateways: [name], http: [{ route }] }),
      ];
    }),
  ]);
  return { objects, node: { role: 'router', labels: { istio: 'gw' } }, secrets };
}

/** `behind`, where the sidecars of the applications listen with mutual TLS, is asked for by `outbound`. */
export async function configurationOf(role: Role, apps: readonly AppPorts[], behind: () => Promise<readonly AppPorts[]>): Promise<Configuration> {
  if (role === 'outbound') return outbound(apps, await behind());
  return role === 'inbound' ? inbound(apps) : gateway(apps);
}
