import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { MeshObject } from '../model/index.ts';
import { analyzeObjects } from './analyze.ts';
import { gatewayProxyProblems } from './analyze-gateway-proxies.ts';
import { validateObject } from './validate.ts';
import { parseYaml } from './yaml-text.ts';

const OURS = { 'kubernetes.io/ingress.class': 'istio' };
const to = (name: string, port: object = { number: 80 }): object => ({ path: '/', pathType: 'Prefix', backend: { service: { name, port } } });
function made(apiVersion: string, kind: string, name: string, body: object, annotations: object = {}, creationTimestamp = '2026-01-01T00:00:00Z'): MeshObject {
  const { object, problems } = validateObject({ apiVersion, kind, metadata: { name, namespace: 'shop', annotations, creationTimestamp }, ...body });
  expect(problems).toEqual([]);
  return object as MeshObject;
}
const ingress = (name: string, spec: object, annotations: object = OURS, created?: string): MeshObject =>
  made('networking.k8s.io/v1', 'Ingress', name, { spec }, annotations, created);
const rule = (host: string, ...paths: object[]): object => ({ rules: [{ host, http: { paths } }] });
const ingressClass = (name: string, controller: string): MeshObject => made('networking.k8s.io/v1', 'IngressClass', name, { spec: { controller } });
const SERVICE = made('v1', 'Service', 'web', { spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80 }] } });
const mesh = (text: string): MeshObject => ({
  ...made('v1', 'ConfigMap', 'istio', { data: { mesh: text } }),
  metadata: { name: 'istio', namespace: 'istio-system' },
});
const told = (...objects: MeshObject[]) => analyzeObjects([SERVICE, ...objects]).map((p) => `${p.code} ${p.ref?.name} ${p.path}`);

test('an Ingress that is of no class of ours is told, with the place that says so', () => {
  const spec = rule('shop.test', to('web'));
  expect(told(ingress('web', spec))).toEqual([]);
  expect(told(ingress('web', spec, {}))).toEqual(['WEFT_INGRESS_CLASS web spec']);
  expect(told(ingress('web', spec, { 'kubernetes.io/ingress.class': 'nginx' }))).toEqual([
    'WEFT_INGRESS_CLASS web metadata.annotations["kubernetes.io/ingress.class"]',
  ]);
  expect(told(ingress('web', { ...spec, ingressClassName: 'one' }, {}))).toEqual(['WEFT_INGRESS_CLASS web spec.ingressClassName']);
  expect(told(ingress('web', { ...spec, ingressClassName: 'one' }, {}), ingressClass('one', 'istio.io/ingress-controller'))).toEqual([]);
  expect(told(ingress('web', { ...spec, ingressClassName: 'one' }, {}), ingressClass('one', 'nginx.org/x'))).toHaveLength(1);
});

test('the MeshConfig decides of those without a class, and which name is ours', () => {
  const spec = rule('shop.test', to('web'));
  expect(told(ingress('web', spec, {}), mesh('ingressControllerMode: DEFAULT'))).toEqual([]);
  expect(told(ingress('web', spec), mesh('ingressControllerMode: "OFF"'))).toHaveLength(1);
  expect(told(ingress('web', spec), mesh('ingressClass: edge'))).toHaveLength(1);
  expect(told(ingress('web', spec, { 'kubernetes.io/ingress.class': 'edge' }), mesh('ingressClass: edge'))).toEqual([]);
});

test('backends that are not there, and parts that do nothing', () => {
  const spec = {
    tls: [{ hosts: ['shop.test'] }],
    defaultBackend: { service: { name: 'web', port: { number: 80 } } },
    rules: [
      { host: 'no.test' },
      { host: 'shop.test', http: { paths: [to('weh'), to('web', { number: 81 }), to('web', { name: 'grpc' }), to('web', { name: 'http' })] } },
    ],
  };
  expect(told(ingress('web', spec))).toEqual([
    ...['KIA1101 web spec.rules[1].http.paths[0].backend.service.name'],
    ...[1, 2].map((i) => `KIA1101 web spec.rules[1].http.paths[${i}].backend.service.port`),
    ...['spec.tls[0]', 'spec.rules[0]', 'spec.defaultBackend'].map((path) => `WEFT_NO_EFFECT web ${path}`),
  ]);
});

test('a certificate for a host whose rules go with an older Ingress leads nowhere', () => {
  const tls = [{ hosts: ['shop.test'], secretName: 'cert' }];
  const spec = rule('shop.test', to('web'));
  const younger = ingress('younger', { ...spec, tls }, OURS, '2026-02-01T00:00:00Z');
  expect(told(younger, ingress('older', spec))).toEqual(['WEFT_INGRESS_CERTIFICATE younger spec.tls[0]']);
  expect(told(younger, ingress('older', { ...spec, tls }))).toEqual([]);
});

test('Secrets are looked for where the gateway proxies are, and proxies by the label MeshConfig says', () => {
  const web = ingress('web', { ...rule('shop.test', to('web')), tls: [{ secretName: 'cert' }] });
  const proxies = [{ workload: 'gw', namespace: 'edge', labels: { istio: 'ingressgateway' } }];
  const found = (...objects: MeshObject[]) => gatewayProxyProblems([web, ...objects], proxies).map((p) => `${p.code} ${p.severity} ${p.ref?.kind} ${p.path}`);
  expect(found()).toEqual(['IST0101 error Ingress spec.tls[0].secretName']);
  const secret = { ...made('v1', 'Secret', 'cert', { data: { 'tls.crt': 'eA==', 'tls.key': 'eA==' } }), metadata: { name: 'cert', namespace: 'edge' } };
  expect(found(secret)).toEqual([]);
  expect(found(secret, mesh('ingressSelector: edge'))).toEqual(['IST0101 warning Ingress spec']);
});

test('the example is in order in the demo it is for', () => {
  const texts = ['bookinfo/bookinfo', 'ingress/bookinfo-ingress'].map((name) =>
    readFileSync(new URL(`../../../../examples/${name}.yaml`, import.meta.url), 'utf8'),
  );
  const objects = parseYaml(texts.join('---\n')).documents.map((d) => validateObject(d.value).object as MeshObject);
  expect(objects.filter((o) => o.kind === 'Ingress')).toHaveLength(1);
  expect(analyzeObjects(objects).filter((p) => p.ref?.kind.startsWith('Ingress'))).toEqual([]);
});
