// Random Ingresses for the comparison with Istio: of several classes, for hosts and paths that get in each other's way.

import fc from 'fast-check';
import type { MeshObject } from '@weft/mesh-core/model';
import { NAMESPACE, PORTS, callsTo, object, rarely, record, services, time } from './worlds.ts';

const HOSTS = ['one.test', '*.test', undefined, 'two.test'] as const;

const backend = fc.record({
  service: fc.record({
    name: fc.constantFrom('a', 'b', 'nowhere'),
    port: fc.oneof(
      fc.constantFrom(...PORTS).map((number) => ({ number })),
      fc.constantFrom('http-80', 'no-such').map((name) => ({ name })),
    ),
  }),
});
const path = fc.oneof(
  fc.record({ pathType: fc.constantFrom('Exact', 'Prefix'), path: fc.constantFrom('/', '/api', '/api/', '/api/v1', '/x'), backend }),
  record({ pathType: fc.constant('ImplementationSpecific'), path: fc.constantFrom(undefined, '', '/*', '/api', '/api/*', '/api.*', '/x*'), backend }),
);
const spec = record({
  ingressClassName: rarely(fc.constantFrom('ours', 'theirs', 'missing')),
  defaultBackend: rarely(backend),
  tls: rarely(fc.array(record({ hosts: rarely(fc.constantFrom(['one.test'], ['*.test'])), secretName: fc.constantFrom('cert', undefined) }), { maxLength: 2 })),
  rules: fc.array(
    record({
      host: fc.constantFrom(...HOSTS),
      http: fc.option(fc.record({ paths: fc.array(path, { minLength: 1, maxLength: 4 }) }), { nil: undefined, freq: 9 }),
    }),
    {
      minLength: 1,
      maxLength: 3,
    },
  ),
});
const ingress = fc
  .tuple(spec, fc.constantFrom('istio', 'istio', 'istio', undefined, 'other'), fc.constantFrom(NAMESPACE, NAMESPACE, 'other'), time)
  .map(([body, annotated, namespace, created]) => (name: string): MeshObject => {
    const made = object('networking.k8s.io/v1', 'Ingress', namespace, name, body, created);
    if (annotated === undefined || body['ingressClassName'] !== undefined) return made;
    return { ...made, metadata: { ...made.metadata, annotations: { 'kubernetes.io/ingress.class': annotated } } };
  });

const MESH = [
  undefined,
  undefined,
  'ingressControllerMode: DEFAULT',
  'ingressControllerMode: "OFF"',
  'ingressClass: other',
  'ingressSelector: elsewhere',
  'ingressService: elsewhere',
  'ingressService: istio-ingressgateway',
];
const meshConfig = (mesh: string): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' }, data: { mesh } });
const ingressClass = (name: string, controller: string): MeshObject => object('networking.k8s.io/v1', 'IngressClass', 'default', name, { controller });

export const ingressWorld: fc.Arbitrary<MeshObject[]> = fc
  .tuple(fc.array(ingress, { minLength: 1, maxLength: 4 }), fc.constantFrom(...MESH))
  .map(([list, mesh]) => [
    ...services,
    ingressClass('ours', 'istio.io/ingress-controller'),
    ingressClass('theirs', 'example.com/other'),
    ...list.map((make, i) => make(`i${i}`)),
    ...(mesh === undefined ? [] : [meshConfig(mesh) as MeshObject]),
  ]);

const HOSTS_ASKED = ['one.test', 'x.test', 'other.example'];
const overTls = HOSTS_ASKED.flatMap((sni) => callsTo(HOSTS_ASKED, [443]).map((call) => ({ ...call, sni })));
export const INGRESS_CALLS = [...callsTo(HOSTS_ASKED, [80]), ...overTls];
