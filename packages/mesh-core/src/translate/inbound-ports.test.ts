import type { JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type MeshObject } from '../model/index.ts';
import { TYPE_URL } from '../xds/index.ts';
import { buildMesh } from './mesh.ts';
import { SHOP_NODE as NODE, shopObject as object } from './testing/shop.ts';
import { decoded } from './testing/static-envoy.ts';
import { translate } from './translate.ts';

const SERVICE = [
  object('Service', 'a', { selector: { app: 'a' }, ports: [{ name: 'http', port: 80 }] }, 'v1'),
  object('WorkloadEntry', 'a-0', { address: '10.0.0.1', ports: { http: 21_000 }, labels: { app: 'a' } }),
];
const pooled = (spec: object, ...more: MeshObject[]): JsonObject => {
  const set = translate(buildMesh([...SERVICE, ...more, object('Sidecar', 's', spec)], DEFAULT_MESH_SETTINGS), NODE, DEFAULT_MESH_SETTINGS);
  return decoded(set, TYPE_URL.cluster, 'inbound|80||');
};
const names = (spec: object): string[] => [
  ...translate(buildMesh([...SERVICE, object('Sidecar', 's', spec)], DEFAULT_MESH_SETTINGS), NODE, DEFAULT_MESH_SETTINGS)[TYPE_URL.listener].keys(),
];

test('the pool of a port: its ingress, the Sidecar, the DestinationRule of its own service', () => {
  const maxRequests = (cluster: JsonObject): unknown => (cluster['circuitBreakers'] as { thresholds: JsonObject[] }).thresholds[0]?.['maxRequests'];
  const pool = (http2MaxRequests: number): object => ({ http: { http2MaxRequests, maxRequestsPerConnection: 7 }, tcp: { connectTimeout: '3s' } });
  const rule = object('DestinationRule', 'a', { host: 'a', trafficPolicy: { connectionPool: pool(1) } });
  expect(maxRequests(pooled({ outboundTrafficPolicy: {} }))).toBe(4_294_967_295);
  expect(pooled({ outboundTrafficPolicy: {} }, rule)).toMatchObject({ connectTimeout: '3s', circuitBreakers: { thresholds: [{ maxRequests: 1 }] } });
  expect(JSON.stringify(pooled({ outboundTrafficPolicy: {} }, rule))).toContain('"maxRequestsPerConnection":7');
  expect(maxRequests(pooled({ inboundConnectionPool: pool(2) }, rule))).toBe(2);
  expect(maxRequests(pooled({ inboundConnectionPool: pool(2), ingress: [{ port: { number: 80 }, connectionPool: pool(3) }] }, rule))).toBe(3);
});

test('ingress opens ports only where something can come and go; a port of the agent stays where it is', () => {
  const at = (number: number, rest: object = {}): object => ({ port: { number, protocol: 'TCP', name: 'x' }, ...rest });
  const ingress = [at(1, { defaultEndpoint: '127.0.0.1:2' }), at(3), at(4, { defaultEndpoint: '127.0.0.1:5', captureMode: 'IPTABLES' }), at(80)];
  expect(names({ ingress }).toSorted()).toEqual(['virtualInbound_1', 'virtualInbound_21000']);
});

test('the numbers policies may call a port by are those its Service has now, the same for the sidecar and for who calls it', () => {
  const of = (number: number): [boolean, boolean, boolean] => {
    const set = translate(
      buildMesh(
        [
          object('Service', 'a', { selector: { app: 'a' }, ports: [{ name: 'http', port: 8000, targetPort: 8443 }] }, 'v1'),
          object('WorkloadEntry', 'a-0', { address: '10.0.0.1', ports: { http: 21_000 }, labels: { app: 'a', 'security.istio.io/tlsMode': 'istio' } }),
          object(
            'PeerAuthentication',
            'a',
            { selector: { matchLabels: { app: 'a' } }, portLevelMtls: { [number]: { mode: 'DISABLE' } } },
            'security.istio.io/v1',
          ),
          object('AuthorizationPolicy', 'a', { action: 'DENY', rules: [{ to: [{ operation: { ports: [`${number}`] } }] }] }, 'security.istio.io/v1'),
        ],
        DEFAULT_MESH_SETTINGS,
      ),
      NODE,
      DEFAULT_MESH_SETTINGS,
    );
    const listener = JSON.stringify(decoded(set, TYPE_URL.listener, 'virtualInbound_21000'));
    const endpoints = JSON.stringify(decoded(set, TYPE_URL.endpoint, 'outbound|8000||a.shop.svc.cluster.local'));
    return [!listener.includes('transportSocket'), !endpoints.includes('tlsMode'), listener.includes('"destinationPort":21000')];
  };
  for (const number of [8000, 8443, 21_000]) expect([number, ...of(number)]).toEqual([number, true, true, true]);
  expect(of(80)).toEqual([false, false, false]);
});
