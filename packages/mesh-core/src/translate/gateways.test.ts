import { expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../model/index.ts';
import { TYPE_URL } from '../xds/index.ts';
import { buildMesh } from './mesh.ts';
import { proxyNode } from './testing/proxy-node.ts';
import { decoded } from './testing/static-envoy.ts';
import { translate } from './translate.ts';

const NODE = proxyNode('ingress', 'edge', { role: 'router', labels: { istio: 'ingressgateway' } });
const object = (kind: string, name: string, spec: unknown, creationTimestamp = '2026-01-01T00:00:00Z', namespace = 'shop'): MeshObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, namespace, creationTimestamp },
  spec,
});
const server = (protocol: string, hosts: string[], extra: object = {}): object => ({
  port: { number: 8080, name: protocol.toLowerCase(), protocol },
  hosts,
  ...extra,
});
const gateway = (...servers: object[]): MeshObject => object('Gateway', 'gw', { selector: { istio: 'ingressgateway' }, servers });
const vs = (name: string, hosts: string[], http: object[], created?: string, namespace?: string): MeshObject =>
  object('VirtualService', name, { hosts, gateways: ['shop/gw'], http }, created, namespace);
const to = (host: string, match?: object): object => ({
  ...(match === undefined ? {} : { match: [match] }),
  route: [{ destination: { host, port: { number: 80 } } }],
});

function virtualHosts(
  objects: MeshObject[],
  name = 'http.8080',
): { domains: string[]; routes?: { name: string; route?: { cluster: string }; redirect?: object }[]; requireTls?: string }[] {
  const mesh = buildMesh(objects, DEFAULT_MESH_SETTINGS);
  return decoded(translate(mesh, NODE, DEFAULT_MESH_SETTINGS), TYPE_URL.route, name)['virtualHosts'] as never;
}

test('ports of the Service are opened where the node says, together with the Gateways that name that port; matches go by the number of the Gateway', () => {
  const node: ProxyNode = { ...NODE, inbound: [{ name: 'http2', servicePort: 80, listenPort: 8080, appPort: 8080 }] };
  const at = (number: number, host: string): object => ({ port: { number, name: `p${number}`, protocol: 'HTTP' }, hosts: [host] });
  const mesh = buildMesh(
    [gateway(at(80, 'a.test'), at(8080, 'b.test')), vs('all', ['*'], [to('eighty', { port: 80 }), to('other', { port: 8080 })])],
    DEFAULT_MESH_SETTINGS,
  );
  const set = translate(mesh, node, DEFAULT_MESH_SETTINGS);
  expect(decoded(set, TYPE_URL.listener, '127.0.0.1_8080')).toMatchObject({ address: { socketAddress: { portValue: 8080 } } });
  // There is no application behind them.
  expect([...set[TYPE_URL.cluster].keys()].filter((name) => name.startsWith('inbound|'))).toEqual([]);
  const hosts = decoded(set, TYPE_URL.route, 'http.8080')['virtualHosts'] as { domains: string[]; routes: { route: { cluster: string } }[] }[];
  expect(hosts.map((h) => [h.domains, h.routes.map((r) => r.route.cluster.split('|')[3]?.split('.')[0])])).toEqual([[['a.test', 'b.test'], ['eighty']]]);
});

test('rules of several VirtualServices for one host are joined by age, catch-alls last; without any there is a black hole', () => {
  const hosts = virtualHosts([
    gateway(server('HTTP', ['*'])),
    vs('young', ['shop.test'], [to('b', { uri: { prefix: '/b' } })], '2026-02-01T00:00:00Z'),
    vs('old', ['shop.test'], [to('a', { uri: { prefix: '/a' } }), to('rest')]),
  ]);
  expect(hosts.map((h) => h.domains)).toEqual([['shop.test']]);
  expect(hosts[0]?.routes?.map((r) => r.route?.cluster.split('|')[3]?.split('.')[0])).toEqual(['a', 'b', 'rest']);
  expect(virtualHosts([gateway(server('HTTP', ['*']))])).toMatchObject([{ name: 'blackhole:8080', domains: ['*'] }]);
});

test('a wildcard VirtualService gets no more hosts than the server has, and only from namespaces it admits', () => {
  expect(virtualHosts([gateway(server('HTTP', ['shop.test'])), vs('any', ['*'], [to('a')])]).map((h) => h.domains[0])).toEqual(['shop.test']);
  expect(virtualHosts([gateway(server('HTTP', ['./*'])), vs('foreign', ['shop.test'], [to('a')], undefined, 'other')]).map((h) => h.domains[0])).toEqual(['*']);
});

test('httpsRedirect asks for TLS on every host of its server, routed or not', () => {
  const hosts = virtualHosts([gateway(server('HTTP', ['a.test', '*.b.test'], { tls: { httpsRedirect: true } })), vs('v', ['a.test'], [to('a')])]);
  expect(hosts).toMatchObject([
    { domains: ['a.test'], requireTls: 'ALL', routes: [{}] },
    { domains: ['*.b.test'], requireTls: 'ALL' },
  ]);
});

test('servers with TLS have a chain by SNI, with the certificates of the mesh or of a Secret', () => {
  const objects = [
    gateway(server('HTTPS', ['a.test'], { tls: { mode: 'ISTIO_MUTUAL' }, bind: '127.0.0.2' }), {
      port: { number: 8443, name: 'x', protocol: 'HTTPS' },
      hosts: ['*'],
      tls: {
        ...{ mode: 'MUTUAL', credentialName: 'cert', subjectAltNames: ['client.test'], minProtocolVersion: 'TLSV1_3', insecureSkipVerify: true },
        ...{ verifyCertificateHash: ['aa'], verifyCertificateSpki: ['bb='], caCrl: '/crl.pem', cipherSuites: ['AES128-SHA', 'UNKNOWN', 'AES128-SHA'] },
      },
    }),
    vs('v', ['a.test'], [to('a')]),
  ];
  const set = translate(buildMesh(objects, DEFAULT_MESH_SETTINGS), NODE, DEFAULT_MESH_SETTINGS);
  expect(decoded(set, TYPE_URL.listener, '127.0.0.1_8080')).toMatchObject({
    address: { socketAddress: { address: '127.0.0.2' } },
    filterChains: [{ filterChainMatch: { serverNames: ['a.test'] }, filters: [{ typedConfig: { rds: { routeConfigName: 'https.8080.https.gw.shop' } } }] }],
  });
  expect(virtualHosts(objects, 'https.8080.https.gw.shop')[0]?.domains).toEqual(['a.test']);
  expect(decoded(set, TYPE_URL.listener, '127.0.0.1_8443')).toMatchObject({
    filterChains: [
      {
        transportSocket: {
          typedConfig: {
            requireClientCertificate: true,
            commonTlsContext: {
              tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_3', cipherSuites: ['AES128-SHA'] },
              tlsCertificateSdsSecretConfigs: [{ name: 'kubernetes://cert' }],
              combinedValidationContext: {
                validationContextSdsSecretConfig: { name: 'kubernetes://cert-cacert' },
                defaultValidationContext: {
                  matchTypedSubjectAltNames: [{ sanType: 'DNS', matcher: { exact: 'client.test' } }],
                  ...{
                    verifyCertificateHash: ['aa'],
                    verifyCertificateSpki: ['bb='],
                    crl: { filename: '/crl.pem' },
                    trustChainVerification: 'ACCEPT_UNTRUSTED',
                  },
                },
              },
            },
          },
        },
      },
    ],
  });
});

test('a name two servers of a port have belongs to the first', () => {
  const tls = { tls: { mode: 'ISTIO_MUTUAL' } };
  const other = object(
    'Gateway',
    'younger',
    { selector: { istio: 'ingressgateway' }, servers: [server('HTTPS', ['a.test', 'b.test'], tls)] },
    '2026-02-01T00:00:00Z',
  );
  const set = translate(buildMesh([gateway(server('HTTPS', ['a.test'], tls)), other], DEFAULT_MESH_SETTINGS), NODE, DEFAULT_MESH_SETTINGS);
  expect(decoded(set, TYPE_URL.listener, '127.0.0.1_8080')['filterChains']).toMatchObject([
    { name: 'https.8080.https.gw.shop', filterChainMatch: { serverNames: ['a.test'] } },
    { name: 'https.8080.https.younger.shop', filterChainMatch: { serverNames: ['b.test'] } },
  ]);
});

const secret = (name: string, data: Record<string, string>, namespace = 'edge'): MeshObject => object('Secret', name, { data }, undefined, namespace);

test('a gateway gets the Secrets its servers name, of its own namespace only; the bundle may be a Secret of its own', () => {
  const named = gateway(server('HTTPS', ['a.test'], { tls: { mode: 'MUTUAL', credentialName: 'cert' } }));
  const of = (...objects: MeshObject[]): string[] => [
    ...translate(buildMesh([named, ...objects], DEFAULT_MESH_SETTINGS), NODE, DEFAULT_MESH_SETTINGS)[TYPE_URL.secret].keys(),
  ];
  const pair = { 'tls.crt': 'QQ==', 'tls.key': 'Qg==' };
  expect(of(secret('cert', pair))).toEqual(['kubernetes://cert']);
  expect(of(secret('cert', { ...pair, 'ca.crt': 'Qw==' }))).toEqual(['kubernetes://cert', 'kubernetes://cert-cacert']);
  expect(of(secret('cert', { cert: 'QQ==', key: 'Qg==' }), secret('cert-cacert', { cacert: 'Qw==' }))).toEqual([
    'kubernetes://cert',
    'kubernetes://cert-cacert',
  ]);
  expect(of(secret('cert', pair, 'shop'), secret('other', pair))).toEqual([]);
});

test('of a credential come its revocation list and its staple; a bundle may have a name of its own, or be a ConfigMap of any namespace', () => {
  const secretsOf = (tls: object, ...objects: MeshObject[]): Record<string, unknown> => {
    const set = translate(buildMesh([gateway(server('HTTPS', ['a.test'], { tls })), ...objects], DEFAULT_MESH_SETTINGS), NODE, DEFAULT_MESH_SETTINGS);
    return Object.fromEntries([...set[TYPE_URL.secret].keys()].map((name) => [name, decoded(set, TYPE_URL.secret, name)]));
  };
  const pair = { 'tls.crt': 'QQ==', 'tls.key': 'Qg==' };
  const full = secret('cert', { ...pair, 'ca.crt': 'Qw==', 'ca.crl': 'RA==', 'tls.ocsp-staple': 'RQ==' });
  expect(secretsOf({ mode: 'MUTUAL', credentialName: 'cert' }, full)).toMatchObject({
    'kubernetes://cert': { tlsCertificate: { ocspStaple: { inlineBytes: 'RQ==' } } },
    'kubernetes://cert-cacert': { validationContext: { trustedCa: { inlineBytes: 'Qw==' }, crl: { inlineBytes: 'RA==' } } },
  });
  const two = { mode: 'MUTUAL', credentialNames: ['cert', 'rsa'], caCertCredentialName: 'clients' };
  expect(Object.keys(secretsOf(two, full, secret('rsa', pair), secret('clients', { cacert: 'Qw==' })))).toEqual([
    ...['kubernetes://cert', 'kubernetes://rsa', 'kubernetes://clients'],
  ]);
  const roots = object('ConfigMap', 'roots', { data: { 'ca.crt': 'PEM' } }, undefined, 'elsewhere');
  expect(secretsOf({ mode: 'MUTUAL', credentialName: 'cert', caCertCredentialName: 'configmap://elsewhere/roots' }, full, roots)).toMatchObject({
    'configmap://elsewhere/roots': { validationContext: { trustedCa: { inlineString: 'PEM' } } },
  });
});

test('a proxy gets what its DestinationRules name: a gateway of all it sees, a sidecar of its namespace and its labels', () => {
  const rule = (name: string, namespace: string, spec: object = {}): MeshObject =>
    object(
      'DestinationRule',
      name,
      { host: `${name}.example`, trafficPolicy: { tls: { mode: 'MUTUAL', credentialName: name } }, ...spec },
      undefined,
      namespace,
    );
  const names = ['near', 'far', 'hidden', 'chosen', 'other'];
  const pair = { 'tls.crt': 'QQ==', 'tls.key': 'Qg==' };
  const objects = [
    ...names.map((name) => secret(name, pair)),
    ...[rule('near', 'edge'), rule('far', 'shop'), rule('hidden', 'shop', { exportTo: ['.'] })],
    rule('chosen', 'edge', { workloadSelector: { matchLabels: NODE.labels } }),
    rule('other', 'edge', { workloadSelector: { matchLabels: { app: 'other' } } }),
  ];
  const of = (node: ProxyNode): string[] => [...translate(buildMesh(objects, DEFAULT_MESH_SETTINGS), node, DEFAULT_MESH_SETTINGS)[TYPE_URL.secret].keys()];
  expect(of(NODE).toSorted()).toEqual(['kubernetes://chosen', 'kubernetes://far', 'kubernetes://near']);
  expect(of({ ...NODE, role: 'sidecar' }).toSorted()).toEqual(['kubernetes://chosen', 'kubernetes://near']);
});

test('TLS is passed on by SNI, TCP as it comes, and nothing is opened without routes', () => {
  const l4 = (spec: object): MeshObject => object('VirtualService', 'l4', { gateways: ['shop/gw'], ...spec });
  const passthrough = gateway(server('TLS', ['*.test'], { tls: { mode: 'PASSTHROUGH' } }));
  const destination = { destination: { host: 'a', port: { number: 443 } } };
  const listeners = (...objects: MeshObject[]): string[] => [
    ...translate(buildMesh(objects, DEFAULT_MESH_SETTINGS), NODE, DEFAULT_MESH_SETTINGS)[TYPE_URL.listener].keys(),
  ];
  const listenerOf = (...objects: MeshObject[]): unknown =>
    decoded(translate(buildMesh(objects, DEFAULT_MESH_SETTINGS), NODE, DEFAULT_MESH_SETTINGS), TYPE_URL.listener, '127.0.0.1_8080');
  expect(listeners(passthrough)).toEqual([]);
  expect(
    listenerOf(passthrough, l4({ hosts: ['*.test', 'b.example'], tls: [{ match: [{ sniHosts: ['a.test', 'b.example'] }], route: [destination] }] })),
  ).toMatchObject({
    filterChains: [{ filterChainMatch: { serverNames: ['a.test'] }, filters: [{ typedConfig: { cluster: 'outbound|443||a.shop.svc.cluster.local' } }] }],
  });
  expect(listenerOf(gateway(server('TCP', ['*'])), l4({ hosts: ['*'], tcp: [{ match: [{ port: 8080 }], route: [destination] }] }))).toMatchObject({
    filterChains: [{ filters: [{ typedConfig: { cluster: 'outbound|443||a.shop.svc.cluster.local' } }] }],
  });
  const auto = gateway(server('TLS', ['*.local'], { tls: { mode: 'AUTO_PASSTHROUGH' } }));
  const service = object('Service', 'a', { ports: [{ name: 'http', port: 80 }] });
  expect(listenerOf(auto, service)).toMatchObject({
    filterChains: [
      { filterChainMatch: { serverNames: ['outbound_.80_._.a.shop.svc.cluster.local'] }, filters: [{ name: 'envoy.filters.network.sni_cluster' }, {}] },
    ],
  });
});
