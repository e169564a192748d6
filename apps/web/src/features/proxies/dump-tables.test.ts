import { refKey } from '@weft/mesh-core/model';
import { expect, test } from 'vitest';
import { dumpTable } from './dump-tables.ts';

const config = (path: string): object => ({ metadata: { filterMetadata: { istio: { config: path } } } });
const VS = '/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews';

test('clusters by service, port and subset, with the object that shaped them', () => {
  const cluster = [
    {
      name: 'outbound|9080|v1|reviews.shop.svc.cluster.local',
      type: 'EDS',
      ...config('/apis/networking.istio.io/v1/namespaces/shop/destination-rule/reviews'),
    },
    { name: 'BlackHoleCluster', type: 'STATIC' },
    { name: 'PassthroughCluster', clusterType: { name: 'envoy.clusters.dynamic_forward_proxy' } },
  ];
  expect(dumpTable('Clusters', { cluster }).rows.map((r) => [...r.cells, r.object && refKey(r.object)])).toEqual([
    ['BlackHoleCluster', '–', '–', '–', 'STATIC', undefined],
    ['PassthroughCluster', '–', '–', '–', 'dynamic_forward_proxy', undefined],
    ['reviews.shop.svc.cluster.local', '9080', 'v1', 'outbound', 'EDS', 'DestinationRule/shop/reviews'],
  ]);
});

test('routes stay in order, with what they match and where they lead', () => {
  const routes = [
    { match: { prefix: '/', headers: [{ name: 'end-user' }] }, route: { cluster: 'outbound|80|v2|reviews.shop.svc.cluster.local' }, ...config(VS) },
    {
      match: { prefix: '/' },
      route: {
        weightedClusters: {
          clusters: [
            { name: 'outbound|80|v1|reviews.shop.svc.cluster.local', weight: 90 },
            { name: 'outbound|80||ratings.shop.svc.cluster.local', weight: 10 },
          ],
        },
      },
      ...config('/apis/networking.istio.io/v1/namespaces/shop/virtual-service/80~web.shop'),
    },
    { match: { path: '/old' }, directResponse: { status: 404 } },
  ];
  expect(
    dumpTable('Routes', { route: [{ name: '80', virtualHosts: [{ domains: ['reviews', 'reviews.shop'], routes }] }] }).rows.map((r) => [
      ...r.cells.slice(1),
      r.object && refKey(r.object),
    ]),
  ).toEqual([
    ['reviews and 1 more', '/* with end-user', 'reviews.shop:80 v2', 'VirtualService/shop/reviews'],
    ['reviews and 1 more', '/*', 'reviews.shop:80 v1 90, ratings.shop:80 10', undefined],
    ['reviews and 1 more', '/old', 'answer 404', undefined],
  ]);
});

test('listeners by chain, endpoints with their transport, secrets without their values', () => {
  const listener = {
    name: 'virtualInbound_9080',
    address: { socketAddress: { address: '127.0.0.1', portValue: 9080 } },
    filterChains: [
      { filterChainMatch: { transportProtocol: 'tls', applicationProtocols: ['h2'] }, filters: [{ typedConfig: { routeConfig: { name: 'inbound|9080||' } } }] },
      { filters: [{ typedConfig: { cluster: 'inbound|9080||' } }] },
    ],
  };
  expect(dumpTable('Listeners', { listener: [listener] }).rows.map((r) => r.cells.slice(1))).toEqual([
    ['127.0.0.1:9080', 'all', 'cluster inbound|9080||'],
    ['127.0.0.1:9080', 'tls; ALPN h2', 'route table inbound|9080||'],
  ]);
  const metadata = { filterMetadata: { 'weft.peer': { workload: 'reviews-v1' }, 'envoy.transport_socket_match': { tlsMode: 'istio' } } };
  const endpoint = { address: { socketAddress: { address: '127.0.0.1', portValue: 1 } } };
  expect(dumpTable('Endpoints', { endpoint: [{ clusterName: 'c', endpoints: [{ lbEndpoints: [{ endpoint, metadata }] }] }] }).rows[0]?.cells).toEqual([
    ...['127.0.0.1:1', 'c', 'reviews-v1', 'UNKNOWN', 'mTLS'],
  ]);
  expect(
    dumpTable('Secrets', {
      secret: [
        { name: 'default', tlsCertificate: {} },
        { name: 'ROOTCA', validationContext: {} },
      ],
    }).rows.map((r) => r.cells[1]),
  ).toEqual(['key and certificate chain', 'trusted roots']);
  expect(dumpTable('Secrets', {}).rows).toEqual([]);
});
