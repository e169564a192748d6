import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { parseYaml, validateObject } from '@weft/mesh-core/config';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { ClusterSchema, Cluster_LbPolicy } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '@weft/mesh-core/model';
import { buildMesh, registry, translate } from '@weft/mesh-core/translate';
import { TYPE_URL } from '@weft/mesh-core/xds';
import { expect, test } from 'vitest';
import { DecodeError, decodeCluster, decodeEndpoints, decodeListener, decodeRouteConfig } from './decode.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../../../..');
const bookinfo = parseYaml(readFileSync(join(root, 'examples/bookinfo/bookinfo.yaml'), 'utf8')).documents.map((d): MeshObject => {
  const { object, problems } = validateObject(d.value, d);
  if (object === undefined) throw new Error(JSON.stringify(problems));
  return object;
});
const reviews = (version: string, port: number): MeshObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadEntry',
  metadata: { name: `reviews-${version}`, namespace: 'bookinfo' },
  spec: {
    address: '127.0.0.1',
    ports: { http: port },
    labels: { app: 'reviews', version, 'security.istio.io/tlsMode': 'istio' },
    serviceAccount: 'bookinfo-reviews',
  },
});
const node = (role: ProxyNode['role']): ProxyNode => ({
  id: `${role}~127.0.0.1~productpage-v1.bookinfo~bookinfo.svc.cluster.local`,
  role,
  dataPlane: 'embedded',
  ip: '127.0.0.1',
  workload: 'productpage-v1',
  namespace: 'bookinfo',
  identity: { trustDomain: 'cluster.local', namespace: 'bookinfo', serviceAccount: 'bookinfo-productpage' },
  labels: role === 'router' ? { istio: 'ingressgateway' } : { app: 'productpage', version: 'v1' },
  locality: '',
  httpProxyPort: role === 'router' ? 0 : 15_001,
  inbound: role === 'router' ? [] : [{ name: 'http', servicePort: 9080, listenPort: 21_001, appPort: 9999 }],
  upstreams: role === 'router' ? [] : [{ host: 'reviews.bookinfo.svc.cluster.local', port: 9080, listenPort: 21_010 }],
  adminPort: 15_000,
  version: '0.1.0',
});
const settings = { ...DEFAULT_MESH_SETTINGS, accessLogFile: '/dev/stdout' };
const translated = (role: ProxyNode['role']) =>
  translate(buildMesh([...bookinfo, reviews('v1', 21_002), reviews('v2', 21_003)], settings), node(role), settings);

test.each(['sidecar', 'router'] as const)('everything the translator sends a %s can be done', (role) => {
  const set = translated(role);
  const decoders = [
    [TYPE_URL.listener, decodeListener],
    [TYPE_URL.route, decodeRouteConfig],
    [TYPE_URL.cluster, decodeCluster],
    [TYPE_URL.endpoint, decodeEndpoints],
  ] as const;
  const refused: string[] = [];
  let count = 0;
  for (const [typeUrl, decode] of decoders)
    for (const { name, body } of set[typeUrl].values()) {
      count += 1;
      try {
        decode(body, name);
      } catch (error) {
        refused.push(...(error as DecodeError).problems);
      }
    }
  expect(refused).toEqual([]);
  expect(count).toBeGreaterThan(role === 'router' ? 3 : 10);
});

test('an inbound listener keeps its TLS chain, its secrets and the peer header', () => {
  const resource = translated('sidecar')[TYPE_URL.listener].get('virtualInbound_21001');
  const listener = decodeListener(resource?.body ?? new Uint8Array(), 'virtualInbound_21001');
  expect(listener).toMatchObject({ address: '127.0.0.1', port: 21_001, direction: 'inbound', inspectTls: true });
  const [mtls] = listener.chains;
  expect(mtls).toMatchObject({
    match: { transportProtocol: 'tls' },
    tls: { certificateSecrets: ['default'], validationSecret: 'ROOTCA', requireClientCertificate: true },
  });
  expect(mtls?.http).toMatchObject({ peerHeader: 'x-weft-peer', streamIdleTimeoutMs: 0, accessLog: [{ kind: 'file', path: '/dev/stdout' }] });
});

test('an access log asked for as JSON arrives with Istio’s keys', () => {
  const json = { ...settings, accessLogEncoding: 'JSON' as const };
  const set = translate(buildMesh([...bookinfo, reviews('v1', 21_002)], json), node('sidecar'), json);
  const { chains } = decodeListener(set[TYPE_URL.listener].get('virtualInbound_21001')?.body ?? new Uint8Array(), 'virtualInbound_21001');
  const template = { upstream_cluster: '%UPSTREAM_CLUSTER_RAW%', request_id: '%REQ(X-REQUEST-ID)%' };
  expect(chains[0]?.http?.accessLog).toMatchObject([{ kind: 'file', format: { kind: 'json', template } }]);
});

test('the 90/10 route keeps weights, retries, span name and the object it came from', () => {
  const name = 'reviews.bookinfo.svc.cluster.local:9080';
  const config = decodeRouteConfig(translated('sidecar')[TYPE_URL.route].get(name)?.body ?? new Uint8Array(), name);
  const [route] = config.virtualHosts[0]?.routes ?? [];
  expect(route?.action).toMatchObject({ kind: 'forward', clusters: [{ weight: 90 }, { weight: 10 }], retry: { retries: 2 } });
  expect(route?.operation).toBe('reviews:9080/*');
  expect(route?.metadata['istio']).toMatchObject({ config: expect.stringContaining('/virtual-service/') as string });
});

test('a subset cluster keeps endpoint TLS, identity, pool limits and ejection', () => {
  const name = 'outbound|9080|v1|reviews.bookinfo.svc.cluster.local';
  const set = translated('sidecar');
  const cluster = decodeCluster(set[TYPE_URL.cluster].get(name)?.body ?? new Uint8Array(), name);
  expect(cluster).toMatchObject({
    discovery: 'eds',
    circuitBreaker: { maxConnections: 100 },
    outlier: { consecutive5xx: 5, intervalMs: 30_000, maxEjectionPercent: 100 },
  });
  // All of its endpoints speak the mesh's TLS: there is nothing to match.
  expect(cluster).toMatchObject({
    tlsMatches: [],
    tls: {
      certificateSecret: 'default',
      alpn: ['h2', 'http/1.1'],
      peerSans: [{ kind: 'exact', value: 'spiffe://cluster.local/ns/bookinfo/sa/bookinfo-reviews' }],
    },
    http: { protocol: 'auto', allowConnect: true },
  });
  const endpoints = decodeEndpoints(set[TYPE_URL.endpoint].get(cluster.edsName)?.body ?? new Uint8Array(), cluster.edsName);
  const [endpoint] = endpoints.localities[0]?.endpoints ?? [];
  expect(endpoint).toMatchObject({
    address: '127.0.0.1',
    port: 21_002,
    metadata: { 'weft.peer': { workload: 'reviews-v1' }, 'envoy.transport_socket_match': { tlsMode: 'istio' } },
  });
});

test('what it cannot do is refused by field, all of it at once', () => {
  const body = toBinary(
    ClusterSchema,
    create(ClusterSchema, {
      name: 'c',
      lbPolicy: Cluster_LbPolicy.MAGLEV,
      lbConfig: { case: 'maglevLbConfig', value: { tableSize: 4n } },
      closeConnectionsOnHostHealthFailure: false,
      connectionPoolPerDownstreamConnection: true,
      wrrStub: undefined,
    } as never),
  );
  expect(() => decodeCluster(body, 'c')).toThrow(
    /c\.maglevLbConfig\.tableSize: 4 is not a prime number up to 5000011; c\.connectionPoolPerDownstreamConnection: this proxy cannot do it/,
  );
});

const any = (type: string, fields: JsonObject = {}): JsonObject => ({
  typedConfig: { '@type': `type.googleapis.com/envoy.extensions.filters.${type}`, ...fields },
});
const decodedListener = (fields: JsonObject) =>
  decodeListener(
    toBinary(
      ListenerSchema,
      fromJson(ListenerSchema, { name: 'l', address: { socketAddress: { address: '127.0.0.1', portValue: 1 } }, ...fields }, { registry }),
    ),
    'l',
  );
const proxyTo = (fields: JsonObject): JsonObject => any('network.tcp_proxy.v3.TcpProxy', { statPrefix: 't', ...fields });

test('every part of a filter chain match, the listener filters and TCP options are kept', () => {
  const listener = decodedListener({
    listenerFilters: [
      any('listener.proxy_protocol.v3.ProxyProtocol', { allowRequestsWithoutProxyProtocol: true, disallowedVersions: ['V2'] }),
      any('listener.tls_inspector.v3.TlsInspector'),
      any('listener.http_inspector.v3.HttpInspector'),
    ],
    listenerFiltersTimeout: '0s',
    continueOnListenerFiltersTimeout: true,
    filterChains: [
      {
        filterChainMatch: {
          destinationPort: 443,
          prefixRanges: [{ addressPrefix: '10.0.0.0', prefixLen: 8 }],
          serverNames: ['*.A.test'],
          transportProtocol: 'tls',
          applicationProtocols: ['h2'],
          directSourcePrefixRanges: [{ addressPrefix: '10.1.0.0', prefixLen: 16 }],
          sourceType: 'EXTERNAL',
          sourcePrefixRanges: [{ addressPrefix: '::', prefixLen: 0 }],
          sourcePorts: [1, 2],
        },
        transportSocketConnectTimeout: '5s',
        filters: [any('network.sni_cluster.v3.SniCluster'), proxyTo({ cluster: 'BlackHoleCluster', idleTimeout: '0s', maxConnectAttempts: 3 })],
      },
    ],
    defaultFilterChain: {
      filters: [
        proxyTo({
          weightedClusters: {
            clusters: [
              { name: 'a', weight: 1 },
              { name: 'b', weight: 3 },
            ],
          },
          maxDownstreamConnectionDuration: '60s',
        }),
      ],
    },
  });
  expect(listener).toMatchObject({
    inspectTls: true,
    inspectHttp: true,
    proxyProtocol: { optional: true, refusedVersions: [2] },
    filtersTimeoutMs: 0,
    continueOnFiltersTimeout: true,
  });
  expect(listener.chains[0]).toMatchObject({
    match: {
      destinationPort: 443,
      prefixRanges: [{ address: '10.0.0.0', length: 8 }],
      serverNames: ['*.a.test'],
      transportProtocol: 'tls',
      applicationProtocols: ['h2'],
      directSourcePrefixRanges: [{ address: '10.1.0.0', length: 16 }],
      sourceType: 'external',
      sourcePrefixRanges: [{ address: '::', length: 0 }],
      sourcePorts: [1, 2],
    },
    handshakeTimeoutMs: 5_000,
    tcp: { clusterFromSni: true, idleTimeoutMs: 0, maxConnectAttempts: 3 },
  });
  expect(listener.defaultChain?.tcp).toMatchObject({
    clusters: [
      { name: 'a', weight: 1 },
      { name: 'b', weight: 3 },
    ],
    maxConnectionDurationMs: 60_000,
    idleTimeoutMs: 3_600_000,
  });
});

const chainOf = (...filters: JsonObject[]): JsonObject => ({ filterChains: [{ filters }] });
test.each<[string, JsonObject, RegExp]>([
  [
    'original_dst',
    { listenerFilters: [any('listener.original_dst.v3.OriginalDst')], ...chainOf(proxyTo({ cluster: 'a' })) },
    /^l\.listenerFilters\[0\]\.typedConfig: original_dst needs connections redirected by the kernel/,
  ],
  ['a listener that does not bind', { bindToPort: false, ...chainOf(proxyTo({ cluster: 'a' })) }, /^l\.bindToPort: /],
  [
    'chains that cannot be told apart',
    { filterChains: [{ filters: [proxyTo({ cluster: 'a' })] }, { filters: [proxyTo({ cluster: 'b' })] }] },
    /^l\.filterChains\[1\]\.filterChainMatch: the same connections match filterChains\[0\]/,
  ],
  [
    'an access log filter that cannot be evaluated',
    chainOf(
      proxyTo({
        cluster: 'a',
        accessLog: [
          {
            filter: {
              extensionFilter: {
                typedConfig: {
                  '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
                  ...{ typeUrl: 'x/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter', value: { expression: 'metadata.a == 1' } },
                },
              },
            },
            typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog', path: '/dev/null' },
          },
        ],
      }),
    ),
    /accessLog\[0\]\.filter\.extensionFilter\.typedConfig\.value\.expression: metadata is not known here/,
  ],
  [
    'two terminal filters',
    chainOf(proxyTo({ cluster: 'a' }), proxyTo({ cluster: 'b' })),
    /^l\.filterChains\[0\]\.filters\[0\]\.typedConfig: the network filter envoy\.extensions\.filters\.network\.tcp_proxy/,
  ],
  ['no filter', chainOf(), /^l\.filterChains\[0\]\.filters: one HttpConnectionManager, or a TcpProxy/],
])('%s is refused', (_, fields, message) => expect(() => decodedListener(fields)).toThrow(message));
