// Upgrades through a gateway.

import { type Case, http, service, until, websocket } from '../case.ts';
import { EDGE, byHost, edgeHost, gateway, secret } from './gateways.ts';

const area = 'gateways';
const socketed = { status: 101, app: 'a', messages: ['a:one', 'a:two'] };
const fromGateway = { 'x-forwarded-client-cert': /^By=.*;URI=spiffe:\/\/cluster\.local\/ns\/<ns>\/sa\/gateway$/ };

export const GATEWAY_UPGRADES: readonly Case[] = [
  {
    area,
    name: 'WebSocket: in by the plaintext port or inside TLS, to a sidecar by mutual TLS; the rule’s rewrite holds, other upgrades are refused',
    // After the closing handshake both ends close at once: which one the flags name is a race.
    random: true,
    services: [service('gw-ws')],
    objects: `${secret('gw-ws')}${gateway('gw-ws', { hosts: 'edge.example.com', tls: '{ mode: SIMPLE, credentialName: gw-ws }' })}
kind: VirtualService
metadata: { name: gw-ws }
spec:
  hosts: [gw-ws.example.com, edge.example.com]
  gateways: [gateway, gw-ws]
  http:
  - { match: [{ uri: { prefix: /socket } }], rewrite: { uri: /s }, route: [{ destination: { host: gw-ws } }] }
`,
    steps: [
      websocket({
        ...{ at: 'gateway', path: '/socket?x=1', host: 'gw-ws.example.com', messages: ['one', 'two'] },
        expect: { ...socketed, upstream: { headers: { ...fromGateway, 'x-forwarded-proto': 'http', 'x-envoy-original-path': '/socket?x=1' } } },
      }),
      until(http({ at: 'gw-ws', tls: EDGE, path: '/none', headers: edgeHost, expect: { status: 404 } })),
      websocket({
        ...{ at: 'gw-ws', tls: EDGE, path: '/socket', host: 'edge.example.com', messages: ['one', 'two'] },
        expect: { ...socketed, upstream: { headers: { ...fromGateway, 'x-forwarded-proto': 'https', 'x-envoy-original-path': '/socket' } } },
      }),
      websocket({ at: 'gateway', path: '/none', host: 'gw-ws.example.com', messages: [], expect: { status: 404 } }),
      byHost('gw-ws.example.com', { path: '/socket', headers: { connection: 'upgrade', upgrade: 'other' }, expect: { status: 403 } }),
    ],
    telemetry: {
      logs: [{ request: 'GET /socket?x=1 HTTP/1.1', status: '101', cluster: 'outbound|80||gw-ws.<ns>.svc.cluster.local' }],
      metrics: [{ metric: 'istio_requests_total', reporter: 'source', source_workload: 'gateway', response_code: '101' }],
    },
  },
];
