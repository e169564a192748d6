import { expect, test } from 'vitest';
import { type ConfigDump, certificateTable, clusterTable, endpointTable, listenerTable, routeTable } from './proxy-config.ts';

const istio = (kind: string, name: string) => ({
  metadata: { filter_metadata: { istio: { config: `/apis/networking.istio.io/v1/namespaces/foo/${kind}/${name}` } } },
});
const address = { socket_address: { address: '127.0.0.1', port_value: 21_000 } };
const dump: ConfigDump = {
  configs: [
    {
      static_clusters: [{ cluster: { name: 'xds-grpc' } }],
      dynamic_active_clusters: [
        { cluster: { name: 'outbound|8000|v1|httpbin.foo.svc.cluster.local', type: 'EDS', ...istio('destination-rule', 'httpbin') } },
        { cluster: { name: 'inbound|8000||', type: 'STATIC' } },
      ],
    },
    {
      dynamic_listeners: [
        {
          active_state: {
            listener: {
              name: 'virtualInbound_21000',
              address,
              filter_chains: [
                {
                  filter_chain_match: { transport_protocol: 'tls', application_protocols: ['istio', 'h2'] },
                  filters: [{ typed_config: { route_config: { name: 'inbound|8000||' } } }],
                },
              ],
              default_filter_chain: { filters: [{ typed_config: { weighted_clusters: { clusters: [{ name: 'a' }, { name: 'b' }] } } }] },
            },
          },
        },
      ],
    },
    {
      dynamic_route_configs: [
        {
          route_config: {
            name: 'http_proxy',
            virtual_hosts: [
              {
                name: 'httpbin:8000',
                domains: ['httpbin', 'httpbin:8000'],
                routes: [{ match: { prefix: '/', headers: [{ name: 'end-user' }] }, ...istio('virtual-service', 'httpbin') }, { match: { path: '/a' } }],
              },
            ],
          },
        },
      ],
    },
  ],
};

test('clusters by their parts, with the rule they follow', () => {
  expect(clusterTable(dump).rows).toEqual([
    ['-', '8000', '-', 'inbound', 'STATIC', ''],
    ['httpbin.foo.svc.cluster.local', '8000', 'v1', 'outbound', 'EDS', 'httpbin.foo'],
    ['xds-grpc', '-', '-', '-', 'STATIC', ''],
  ]);
});

test('listeners by their chains, with where these lead', () => {
  expect(listenerTable(dump).rows).toEqual([
    ['virtualInbound_21000', '127.0.0.1:21000', 'ALL', 'Clusters: a, b'],
    ['virtualInbound_21000', '127.0.0.1:21000', 'Trans: tls; App: istio,h2', 'Route: inbound|8000||'],
  ]);
});

test('routes in their order, with the VirtualService they come from', () => {
  expect(routeTable(dump).rows).toEqual([
    ['http_proxy', 'httpbin:8000', 'httpbin + 1 more', '/* (end-user)', 'httpbin.foo'],
    ['http_proxy', 'httpbin:8000', 'httpbin + 1 more', '/a', ''],
  ]);
});

test('endpoints with their health', () => {
  const hosts = [
    { eds_health_status: 'HEALTHY', failed_outlier_check: true },
    { failed_active_health_check: true, eds_health_status: 'HEALTHY' },
  ];
  const statuses = hosts.map((health) => ({ address, health_status: health }));
  expect(endpointTable({ cluster_statuses: [{ name: 'c', host_statuses: statuses }] }).rows).toEqual([
    ['127.0.0.1:21000', 'HEALTHY', 'FAILED', 'c'],
    ['127.0.0.1:21000', 'UNHEALTHY', 'OK', 'c'],
  ]);
});

test('certificates with their identity and time, the own one first', () => {
  const until = { valid_from: '2026-11-29T00:00:00.000Z', expiration_time: '2026-11-30T00:00:00.000Z' };
  const certificates = [
    { ca_cert: [{ serial_number: '5e', ...until }], cert_chain: [] },
    { ca_cert: [], cert_chain: [{ serial_number: '7f', subject_alt_names: [{ uri: 'spiffe://cluster.local/ns/foo/sa/bar' }], ...until }] },
  ];
  expect(certificateTable({ certificates }, Date.parse('2026-11-29T12:00:00Z')).rows).toEqual([
    ['Cert Chain', 'spiffe://cluster.local/ns/foo/sa/bar', 'true', '7f', until.expiration_time, until.valid_from],
    ['CA', '-', 'true', '5e', until.expiration_time, until.valid_from],
  ]);
  expect(certificateTable({ certificates }, Date.parse('2026-12-01T12:00:00Z')).rows.map((r) => r[2])).toEqual(['false', 'false']);
});
