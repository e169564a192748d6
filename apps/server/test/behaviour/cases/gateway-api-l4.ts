// TCPRoutes and TLSRoutes, attached to Services and to Gateways.

import { type Case, type HttpStep, type ServiceSpec, http, raw, until } from '../case.ts';
import { between, oneOf } from '../harness/match.ts';
import { secret } from './gateways.ts';

const area = 'routing: Gateway API, TCP and TLS';

const tcp = (name: string, app: 'echo' | 'echo2' = 'echo'): ServiceSpec => ({ name, ports: [{ name: 'tcp', number: 9000 }], endpoints: [{ app }] });
/** TCP whose connections nobody counts: they go to no service. */
const unreported = (name: string): ServiceSpec => ({ ...tcp(name), ports: [{ name: 'tcp', number: 9000, appProtocol: 'redis' }] });
const tls = (name: string, app: 'tls' | 'tls2' = 'tls'): ServiceSpec => ({ name, ports: [{ name: 'tls', number: 443 }], endpoints: [{ app }] });

/** A route with these parts of its spec (flow YAML). Ends with a document separator. */
const route = (kind: 'TCPRoute' | 'TLSRoute', name: string, spec: string, namespace = '$NS'): string => `
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ${spec} }
---`;
const ofService = (name: string, more = ''): string => `parentRefs: [{ group: "", kind: Service, name: ${name}${more} }]`;
const to = (...backends: string[]): string => `rules: [{ backendRefs: [${backends.map((b) => `{ ${b} }`).join(', ')}] }]`;
const says = (app: string, more: { at?: string; to?: string; from?: 'other' } = {}) =>
  raw({ ...more, send: ['x'], until: [/:x/], expect: { text: `${app}:x` } });
/** Through the proxy as it is: the application sees the name. */
const bySni = (sni: string, app: string, more: Partial<HttpStep> = {}): HttpStep =>
  http({ ...more, tls: { sni }, expect: { status: 200, app, certificate: 'DNS:*.example.org', upstream: { tls: `sni=${sni}` } } });

export const GATEWAY_API_L4: readonly Case[] = [
  {
    area,
    name: 'TCPRoute: weights',
    services: [tcp('l4-tcp'), tcp('l4-tcp-b', 'echo2')],
    objects: route('TCPRoute', 'l4-tcp', `${ofService('l4-tcp', ', port: 9000')}, ${to('name: l4-tcp, port: 9000, weight: 3', 'name: l4-tcp-b, port: 9000')}`),
    random: true,
    steps: [raw({ send: ['x'], until: [/echo2?:x/], times: 120, parallel: 4, expect: { apps: { echo: between(70, 110), echo2: between(10, 50) } } })],
  },
  {
    area,
    name: 'TCPRoute: of a port; without any weight, or to nobody, connections end; one in the client’s namespace is for the clients there',
    services: [tcp('l4-one'), tcp('l4-one-b', 'echo2'), unreported('l4-zero'), unreported('l4-gone')],
    objects: `${route('TCPRoute', 'l4-one', `${ofService('l4-one')}, ${to('name: l4-one-b, port: 9000')}`)}${route(
      'TCPRoute',
      'l4-one-other',
      `${ofService('l4-one', ', namespace: $NS')}, ${to('name: l4-one, namespace: $NS, port: 9000')}`,
      '$OTHER',
    )}${route('TCPRoute', 'l4-zero', `${ofService('l4-zero')}, ${to('name: l4-zero, port: 9000, weight: 0')}`)}${route(
      'TCPRoute',
      'l4-gone',
      `${ofService('l4-gone', ', port: 9000')}, ${to('name: l4-nobody, port: 9000')}`,
    )}${route('TCPRoute', 'l4-elsewhere', `${ofService('l4-gone', ', port: 9001')}, ${to('name: l4-one, port: 9000')}`)}`,
    steps: [
      says('echo2'),
      says('echo', { from: 'other' }),
      ...['l4-zero', 'l4-gone'].map((service) => raw({ to: service, send: ['x'], expect: { text: '', failed: oneOf('closed', 'reset') } })),
    ],
  },
  {
    area,
    name: 'TLSRoute: by name, whole or with a wildcard; other names go where they went',
    differs: { _bytes_total: 'signatures of the handshake vary in length' },
    services: [tls('l4-tls'), tls('l4-tls-b', 'tls2')],
    objects: route(
      'TLSRoute',
      'l4-tls',
      `hostnames: [one.example.org, "*.two.example.org"], ${ofService('l4-tls', ', port: 443')}, ${to('name: l4-tls-b, port: 443')}`,
    ),
    steps: [bySni('one.example.org', 'tls2'), bySni('x.two.example.org', 'tls2'), bySni('three.example.org', 'tls')],
  },
  {
    area,
    name: 'at a Gateway: TCP; TLS by name, passed on or ended there, each name its own; what nobody routes is closed',
    differs: { _bytes_total: 'signatures of the handshake vary in length' },
    services: [tcp('l4-edge'), tcp('l4-edge-b', 'echo2'), tls('l4-edge-tls')],
    objects: `${secret('l4-edge')}
kind: Service
metadata: { name: l4-gateway }
spec: { selector: { istio: ingress-$PLANE }, ports: [{ name: tcp, port: 1 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: l4-edge }
spec:
  gatewayClassName: istio
  addresses: [{ type: Hostname, value: l4-gateway }]
  listeners:
  - { name: tcp, port: $AT(l4-edge-tcp), protocol: TCP }
  - { name: pass, port: $AT(l4-edge-tls), protocol: TLS, tls: { mode: Passthrough } }
  - { name: end, port: $AT(l4-edge-tls), protocol: TLS, hostname: "*.end.example.com", tls: { mode: Terminate, certificateRefs: [{ name: l4-edge }] } }
---${route('TCPRoute', 'l4-edge', `parentRefs: [{ name: l4-edge, sectionName: tcp }], ${to('name: l4-edge, port: 9000')}`)}${route(
      'TLSRoute',
      'l4-edge-pass',
      `hostnames: [pass.example.org], parentRefs: [{ name: l4-edge, sectionName: pass }], ${to('name: l4-edge-tls, port: 443')}`,
    )}${['', '-b']
      .map((b) =>
        route(
          'TLSRoute',
          `l4-edge-end${b}`,
          `hostnames: [one${b}.end.example.com], parentRefs: [{ name: l4-edge, sectionName: end }], ${to(`name: l4-edge${b}, port: 9000`)}`,
        ),
      )
      .join('')}`,
    steps: [
      until(
        raw({
          at: 'l4-edge-tls',
          tls: { sni: 'one.end.example.com' },
          send: ['x'],
          until: [/:x/],
          expect: { text: 'echo:x', certificate: 'DNS:edge.example.com' },
        }),
      ),
      raw({ at: 'l4-edge-tls', tls: { sni: 'one-b.end.example.com' }, send: ['x'], until: [/:x/], expect: { text: 'echo2:x' } }),
      bySni('pass.example.org', 'tls', { at: 'l4-edge-tls' }),
      says('echo', { at: 'l4-edge-tcp' }),
      ...['three.end.example.com', 'other.example.org'].map((sni) =>
        raw({ at: 'l4-edge-tls', tls: { sni }, send: ['x'], expect: { failed: oneOf('tls', 'closed', 'reset') } }),
      ),
    ],
  },
];
