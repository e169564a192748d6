import { expect, test } from 'vitest';
import type { MeshObject } from '../model/index.ts';
import { gatewayProxyProblems } from './analyze-gateway-proxies.ts';

const proxies = [{ workload: 'ingressgateway', namespace: 'ingress', labels: { app: 'istio-ingressgateway', istio: 'ingressgateway' } }];
const gateway = (tls: object, istio = 'ingressgateway'): MeshObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'Gateway',
  metadata: { name: 'gw', namespace: 'foo' },
  spec: { selector: { istio }, servers: [{ port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts: ['*'], tls }] },
});
const secret = (namespace: string, name: string, ...keys: string[]): MeshObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace },
  spec: { data: Object.fromEntries(keys.map((key) => [key, '[redacted]'])) },
});
const told = (...objects: MeshObject[]): string[] => gatewayProxyProblems(objects, proxies).map((p) => `${p.severity} ${p.path}: ${p.message}`);

test('a Gateway whose labels no gateway proxy has is told with the labels there are', () => {
  expect(told(gateway({ mode: 'PASSTHROUGH' }, 'egressgateway'))).toEqual([
    'warning spec.selector: No gateway proxy has the labels istio=egressgateway: the ports of this Gateway are open nowhere. Gateway proxies here: ingressgateway.ingress (istio=ingressgateway).',
  ]);
  expect(gatewayProxyProblems([gateway({}, 'egressgateway')], [])).toEqual([]);
});

test('a certificate the proxy does not find is told, and where there is one of that name', () => {
  const simple = gateway({ mode: 'SIMPLE', credentialName: 'cert' });
  const start =
    'error spec.servers[0].tls.credentialName: Gateway proxy ingressgateway.ingress finds no Secret cert with tls.crt and tls.key in its namespace ingress';
  const end = ': TLS connections to this server fail. Create it in ingress.';
  expect(told(simple)).toEqual([`${start}${end}`]);
  expect(told(simple, secret('istio-system', 'cert', 'tls.crt', 'tls.key'))).toEqual([
    `${start} (there is one in istio-system, which the proxy may not read)${end}`,
  ]);
  expect(told(simple, secret('ingress', 'cert', 'tls.crt'))).toEqual([`${start} (the one there lacks tls.crt and tls.key)${end}`]);
  expect(told(simple, secret('ingress', 'cert', 'tls.crt', 'tls.key'))).toEqual([]);
  expect(told(gateway({ mode: 'SIMPLE', credentialName: 'kubernetes://cert' }), secret('ingress', 'cert', 'cert', 'key'))).toEqual([]);
  expect(gatewayProxyProblems([simple], proxies)[0]?.unresolved).toBe(true);
});

test('a destination that is not exported to the proxy of its Gateway is told', () => {
  const vs = (namespace: string): MeshObject => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'vs', namespace },
    spec: { hosts: ['*'], gateways: ['foo/gw'], http: [{ route: [{ destination: { host: 'web.foo.svc.cluster.local' } }] }] },
  });
  const service = (exportTo?: string): MeshObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'foo', ...(exportTo === undefined ? {} : { annotations: { 'networking.istio.io/exportTo': exportTo } }) },
    spec: { ports: [{ name: 'http', port: 80 }] },
  });
  const entry: MeshObject = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'web', namespace: 'foo' },
    spec: { hosts: ['web.foo.svc.cluster.local'], exportTo: ['.'], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], resolution: 'STATIC' },
  };
  const open = gateway({ mode: 'PASSTHROUGH' });
  const hidden = (kind: string): string =>
    `error spec.http[0].route[0].destination.host: Gateway proxy ingressgateway.ingress does not see web.foo.svc.cluster.local: ${kind} web of foo is exported to .. Requests to it are answered 503; export it to ingress, too.`;
  expect(told(open, vs('foo'), service('.'))).toEqual([hidden('Service')]);
  expect(told(open, vs('foo'), entry)).toEqual([hidden('ServiceEntry')]);
  expect(told(open, vs('foo'), service('., ingress'))).toEqual([]);
  expect(told(open, vs('foo'), service())).toEqual([]);
  // Hidden from the VirtualService, too: that is told as one that leads nowhere.
  expect(told(open, vs('bar'), service('.'))).toEqual([]);
});

test('clients are checked against a bundle of the same Secret or of its own', () => {
  const mutual = gateway({ mode: 'MUTUAL', credentialName: 'cert' });
  const cert = secret('ingress', 'cert', 'tls.crt', 'tls.key');
  expect(told(mutual, cert)).toEqual([expect.stringContaining('finds no Secret cert with ca.crt') as string]);
  expect(told(mutual, cert, secret('ingress', 'cert-cacert', 'ca.crt'))).toEqual([]);
  expect(told(mutual, secret('ingress', 'cert', 'tls.crt', 'tls.key', 'ca.crt'))).toEqual([]);
  expect(told(gateway({ mode: 'MUTUAL', credentialName: 'cert', caCertCredentialName: 'configmap://a/b' }), cert)).toEqual([]);
});
