import { expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type ProxyNode } from '../model/index.ts';
import { TYPE_URL } from '../xds/index.ts';
import { buildMesh } from './mesh.ts';
import { SHOP_NODE, shopObject as object } from './testing/shop.ts';
import { decoded } from './testing/static-envoy.ts';
import { translate } from './translate.ts';

const NODE: ProxyNode = {
  ...SHOP_NODE,
  inbound: [{ name: 'grpc-web', servicePort: 80, listenPort: 21_000, appPort: 8080 }],
  upstreams: [80, 81, 82].map((port) => ({ host: 'a.shop.svc.cluster.local', port, listenPort: 22_000 + port })),
};

const ports = [
  { name: 'grpc-web', port: 80 },
  { name: 'other', appProtocol: 'grpc-web', port: 81 },
  { name: 'grpc', port: 82 },
];
const server = (number: number, protocol: string): object => ({ port: { number, name: `p${number}`, protocol }, hosts: ['*'] });
const OBJECTS = [
  object('Service', 'a', { selector: { app: 'a' }, ports }, 'v1'),
  object('WorkloadEntry', 'a-0', { address: '10.0.0.1', ports: { 'grpc-web': 21_000 }, labels: { app: 'a' } }),
  object('Gateway', 'g', { selector: { app: 'a' }, servers: [server(9000, 'GRPC-WEB'), server(9001, 'GRPC')] }),
];
const set = (node: Partial<ProxyNode> = {}) => translate(buildMesh(OBJECTS, DEFAULT_MESH_SETTINGS), { ...NODE, ...node }, DEFAULT_MESH_SETTINGS);
/** Of each of a listener's connection managers: whether its first filter of all that change something is grpc_web. */
const speaksWeb = (name: string, node: Partial<ProxyNode> = {}): boolean[] =>
  JSON.stringify(decoded(set(node), TYPE_URL.listener, name))
    .split('"httpFilters":')
    .slice(1)
    .map((filters) => /grpc_web.*filters\.http\.(fault|router)/.test(filters));

test('ports that say grpc-web have its filter, before all others, on both sides; those of gateways too', () => {
  expect([80, 81, 82].map((port) => speaksWeb(`a.shop.svc.cluster.local_${port}`))).toEqual([[true], [true], [false]]);
  expect(speaksWeb('virtualInbound_21000')).toEqual([true, true]);
  const gateway = { role: 'router' as const, inbound: [], upstreams: [] };
  expect([9000, 9001].map((port) => speaksWeb(`10.0.0.1_${port}`, gateway))).toEqual([[true], [false]]);
});

test('and are asked in HTTP/2', () => {
  const protocol = (name: string): string => JSON.stringify(decoded(set(), TYPE_URL.cluster, name)['typedExtensionProtocolOptions']);
  for (const port of [80, 81, 82]) expect(protocol(`outbound|${port}||a.shop.svc.cluster.local`)).toContain('"explicitHttpConfig":{"http2ProtocolOptions"');
  expect(protocol('inbound|80||')).toContain('"explicitHttpConfig":{"http2ProtocolOptions"');
});
