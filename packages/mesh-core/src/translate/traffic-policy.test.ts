import type { JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import type { TrafficPolicySpec } from '../config/index.ts';
import { DEFAULT_MESH_SETTINGS as SETTINGS, type MeshObject, type ProxyNode } from '../model/index.ts';
import { TYPE_URL } from '../xds/index.ts';
import { buildMesh } from './mesh.ts';
import { proxyNode } from './testing/proxy-node.ts';
import { decoded } from './testing/static-envoy.ts';
import { effectivePolicy, withMeshLocality } from './traffic-policy.ts';
import { translate } from './translate.ts';

const HOST = 'reviews.shop.svc.cluster.local';
const NODE = proxyNode('web', 'shop', { dataPlane: 'envoy', locality: 'us-west/a/x' });
const object = (kind: string, name: string, spec: object, annotations?: Record<string, string>): MeshObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, namespace: 'shop', ...(annotations === undefined ? {} : { annotations }) },
  spec,
});
const rule = (spec: object, annotations?: Record<string, string>): MeshObject => object('DestinationRule', 'reviews', { host: HOST, ...spec }, annotations);

function clusterOf(objects: MeshObject[], node: Partial<ProxyNode> = {}, subset = ''): JsonObject {
  const service = object('Service', 'reviews', { selector: { app: 'reviews' }, ports: [{ name: 'http', port: 9080 }] });
  const entry = object('WorkloadEntry', 'reviews-v1', {
    address: '10.0.0.1',
    ports: { http: 9080 },
    labels: { app: 'reviews', version: 'v1' },
    locality: 'us-east/a',
  });
  const set = translate(buildMesh([service, entry, ...objects], SETTINGS), { ...NODE, ...node }, SETTINGS);
  return decoded(set, TYPE_URL.cluster, `outbound|9080|${subset}|${HOST}`);
}

const a = { connectionPool: { http: { maxRetries: 1 } }, loadBalancer: { simple: 'RANDOM' }, retryBudget: { percent: 5 } } as const satisfies TrafficPolicySpec;
const withPort = { ...a, portLevelSettings: [{ port: { number: 80 }, loadBalancer: { simple: 'ROUND_ROBIN' } }] } as const satisfies TrafficPolicySpec;
const tls = { tls: { mode: 'DISABLE' } } as const satisfies TrafficPolicySpec;

test.each<[string, TrafficPolicySpec | undefined, TrafficPolicySpec | undefined, object]>([
  ['nothing', undefined, undefined, {}],
  ['the rule', a, undefined, a],
  ['settings of the port replace the rule whole', withPort, undefined, { loadBalancer: { simple: 'ROUND_ROBIN' } }],
  ['a block of the subset replaces that of the rule', a, tls, { ...a, ...tls }],
  ["the subset's block goes before the rule's port", withPort, { loadBalancer: { simple: 'LEAST_REQUEST' } }, { loadBalancer: { simple: 'LEAST_REQUEST' } }],
  ["the subset inherits from the rule's port", withPort, tls, { loadBalancer: { simple: 'ROUND_ROBIN' }, ...tls }],
  [
    "the subset's port leaves nothing of blocks, but of the rest",
    a,
    { ...tls, portLevelSettings: [{ port: { number: 80 }, outlierDetection: {} }] },
    { outlierDetection: {}, retryBudget: { percent: 5 } },
  ],
])('effective policy: %s', (_, ofRule, ofSubset, expected) => {
  expect(JSON.parse(JSON.stringify(effectivePolicy(ofRule, ofSubset, 80)))).toMatchObject(expected);
  const { portLevelSettings: _levels, ...blocks } = effectivePolicy(ofRule, ofSubset, 80);
  expect(Object.keys(JSON.parse(JSON.stringify(blocks))).toSorted()).toEqual(Object.keys(expected).toSorted());
});

// Expectations are what Istio's own code makes of the same rule.
test('connection pool, retry budget, warm-up and outlier detection as Istio translates them', () => {
  const cluster = clusterOf([
    rule({
      trafficPolicy: {
        loadBalancer: { simple: 'ROUND_ROBIN', warmup: { duration: '30s', minimumPercent: 20, aggression: 2 } },
        connectionPool: {
          tcp: {
            maxConnections: 10,
            connectTimeout: '3s',
            maxConnectionDuration: '60s',
            idleTimeout: '30s',
            tcpKeepalive: { probes: 3, time: '60s', interval: '10s' },
          },
          http: { http1MaxPendingRequests: 11, http2MaxRequests: 12, maxRetries: 4, maxRequestsPerConnection: 7 },
        },
        outlierDetection: { consecutiveGatewayErrors: 3, splitExternalLocalOriginErrors: true, minHealthPercent: 30 },
        retryBudget: { percent: 30, minRetryConcurrency: 5 },
      },
    }),
  ]);
  expect(cluster).toMatchObject({
    connectTimeout: '3s',
    circuitBreakers: {
      thresholds: [
        { maxConnections: 10, maxPendingRequests: 11, maxRequests: 12, maxRetries: 4, retryBudget: { budgetPercent: { value: 30 }, minRetryConcurrency: 5 } },
      ],
    },
    roundRobinLbConfig: { slowStartConfig: { slowStartWindow: '30s', aggression: { defaultValue: 2 }, minWeightPercent: { value: 20 } } },
    commonLbConfig: { healthyPanicThreshold: { value: 30 } },
    upstreamConnectionOptions: { tcpKeepalive: { keepaliveProbes: 3, keepaliveTime: 60, keepaliveInterval: 10 } },
    typedExtensionProtocolOptions: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        commonHttpProtocolOptions: { idleTimeout: '30s', maxConnectionDuration: '60s', maxRequestsPerConnection: 7 },
        explicitHttpConfig: { httpProtocolOptions: {} },
      },
    },
  });
  expect(cluster['outlierDetection']).toEqual({
    enforcingSuccessRate: 0,
    consecutiveGatewayFailure: 3,
    enforcingConsecutiveGatewayFailure: 100,
    splitExternalLocalOriginErrors: true,
    enforcingLocalOriginSuccessRate: 0,
  });
});

test('error codes and the interval of the retry budget, which newer Envoys have', () => {
  const cluster = clusterOf([
    rule({ trafficPolicy: { outlierDetection: { outlierDetectionHttpErrorCodes: [500, 418] }, retryBudget: { budgetInterval: '10s' } } }),
  ]);
  expect(JSON.stringify(cluster['typedExtensionProtocolOptions'])).toContain('{"name":":status","stringMatch":{"safeRegex":{"regex":"500|418"}}}');
  expect(cluster).toMatchObject({
    circuitBreakers: { thresholds: [{ retryBudget: { budgetPercent: { value: 20 }, minRetryConcurrency: 3, budgetInterval: '10s' } }] },
  });
});

test('HTTP/2 by upgrade or by the client, with streams and pings', () => {
  const http = (settings: object): unknown =>
    (clusterOf([rule({ trafficPolicy: { connectionPool: { http: settings } } })])['typedExtensionProtocolOptions'] as JsonObject)[
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
    ];
  expect(http({ h2UpgradePolicy: 'UPGRADE', maxConcurrentStreams: 5, http2KeepAlive: { interval: '10s', timeout: '2s' } })).toMatchObject({
    explicitHttpConfig: { http2ProtocolOptions: { maxConcurrentStreams: 5, connectionKeepalive: { interval: '10s', timeout: '2s' } } },
  });
  expect(http({ useClientProtocol: true })).toMatchObject({ useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: {} } });
});

const socketOf = (tlsBlock: object, dataPlane: ProxyNode['dataPlane'] = 'envoy'): JsonObject => {
  const cluster = clusterOf([rule({ trafficPolicy: { tls: tlsBlock } })], { dataPlane });
  return { ...(cluster['transportSocket'] as { typedConfig: JsonObject }).typedConfig, http: JSON.stringify(cluster['typedExtensionProtocolOptions']) };
};

test('TLS origination: names and trust', () => {
  expect(socketOf({ mode: 'SIMPLE' })).toMatchObject({
    commonTlsContext: { validationContext: { trustedCa: { filename: '/etc/ssl/certs/ca-certificates.crt' } } },
    http: expect.stringContaining('"upstreamHttpProtocolOptions":{"autoSni":true,"autoSanValidation":true}') as string,
  });
  expect(socketOf({ mode: 'SIMPLE' }, 'embedded')).toMatchObject({ commonTlsContext: { validationContext: { systemRootCerts: {} } } });
  const named = socketOf({
    mode: 'SIMPLE',
    sni: 'a.example',
    subjectAltNames: ['a.example', 'spiffe://x'],
    caCertificates: '/etc/ca.pem',
    caCrl: '/etc/crl.pem',
  });
  expect(named).toMatchObject({
    sni: 'a.example',
    commonTlsContext: {
      tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2', tlsMaximumProtocolVersion: 'TLSv1_3' },
      validationContext: {
        trustedCa: { filename: '/etc/ca.pem' },
        crl: { filename: '/etc/crl.pem' },
        matchTypedSubjectAltNames: [
          { sanType: 'DNS', matcher: { exact: 'a.example' } },
          { sanType: 'URI', matcher: { exact: 'spiffe://x' } },
        ],
      },
    },
  });
  expect(named['http']).not.toContain('autoSni');
  const careless = socketOf({ mode: 'SIMPLE', insecureSkipVerify: true });
  expect(careless).toMatchObject({ commonTlsContext: { validationContext: {} }, http: expect.not.stringContaining('autoSanValidation') as string });
  expect(JSON.stringify(careless)).not.toContain('trustedCa');
});

test('mutual TLS: from files, from a credential, or the mesh', () => {
  expect(socketOf({ mode: 'MUTUAL', clientCertificate: '/c.pem', privateKey: '/k.pem' })).toMatchObject({
    commonTlsContext: { tlsCertificates: [{ certificateChain: { filename: '/c.pem' }, privateKey: { filename: '/k.pem' } }] },
  });
  expect(socketOf({ mode: 'MUTUAL', credentialName: 'cred' })).toMatchObject({
    commonTlsContext: {
      tlsCertificateSdsSecretConfigs: [{ name: 'kubernetes://cred' }],
      combinedValidationContext: { validationContextSdsSecretConfig: { name: 'kubernetes://cred-cacert' } },
    },
  });
  expect(socketOf({ mode: 'ISTIO_MUTUAL', sni: 'other', subjectAltNames: ['spiffe://y'] })).toMatchObject({
    sni: 'other',
    commonTlsContext: {
      combinedValidationContext: { defaultValidationContext: { matchTypedSubjectAltNames: [{ sanType: 'URI', matcher: { exact: 'spiffe://y' } }] } },
    },
  });
});

test('the PROXY protocol goes around whatever socket there is', () => {
  const socket = clusterOf([rule({ trafficPolicy: { proxyProtocol: { version: 'V2' } } })])['transportSocketMatches'] as { transportSocket: JsonObject }[];
  expect(socket[1]?.transportSocket).toMatchObject({
    typedConfig: { config: { version: 'V2' }, transportSocket: { name: 'envoy.transport_sockets.raw_buffer' } },
  });
});

test('panic is off unless asked for; peak EWMA by annotation, with least request for those who lack it', () => {
  expect(clusterOf([])).toMatchObject({ lbPolicy: 'LEAST_REQUEST', commonLbConfig: { healthyPanicThreshold: {} } });
  const cluster = clusterOf([rule({ subsets: [{ name: 'v1', labels: { version: 'v1' } }] }, { 'weft.dev/load-balancer': 'PEAK_EWMA' })], {}, 'v1');
  expect(JSON.stringify(cluster['loadBalancingPolicy'])).toMatch(/peak_ewma.*least_request/);
});

test('localities are weighted only where a rule shares them out; a rule with a selector is for those it selects', () => {
  const locality = { trafficPolicy: { loadBalancer: { localityLbSetting: { distribute: [{ from: 'us-west', to: { 'us-east': 100 } }] } } } };
  expect(clusterOf([rule(locality)])).toMatchObject({ commonLbConfig: { localityWeightedLbConfig: {} } });
  const selected = rule({ workloadSelector: { matchLabels: { app: 'web' } }, trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } });
  expect(clusterOf([selected])).toMatchObject({ lbPolicy: 'RANDOM' });
  expect(clusterOf([selected], { labels: { app: 'other' } })).toMatchObject({ lbPolicy: 'LEAST_REQUEST' });
});

test('the mesh’s preferences of localities hold where a rule has none, neither to say others nor to switch them off', () => {
  const localityLbSetting = { failover: [{ from: 'us-west', to: 'us-east' }] };
  const held = (policy: TrafficPolicySpec): unknown => withMeshLocality(policy, { ...SETTINGS, localityLbSetting }).loadBalancer;
  expect([held({}), held({ loadBalancer: { simple: 'RANDOM' } })]).toEqual([{ localityLbSetting }, { simple: 'RANDOM', localityLbSetting }]);
  for (const loadBalancer of [{ localityLbSetting: { enabled: false } }, { localityLbSetting: {} }, { zoneAwareLbSetting: {} }])
    expect(held({ loadBalancer })).toBe(loadBalancer);
  expect(withMeshLocality(a, SETTINGS)).toBe(a);
});
