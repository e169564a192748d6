import { expect, test } from 'vitest';
import { validateObject } from './validate.ts';

const told = (spec: object, annotations: object = {}, kind = 'Ingress'): (string | undefined)[] =>
  validateObject({ apiVersion: 'networking.k8s.io/v1', kind, metadata: { name: 'web', namespace: 'shop', annotations }, spec }).problems.map((p) => p.path);
const backend = { service: { name: 'a', port: { number: 80 } } };
const paths = (...list: object[]): object => ({ rules: [{ host: 'shop.test', http: { paths: list.map((p) => ({ pathType: 'Prefix', backend, ...p })) } }] });

test('Ingresses are taken as Kubernetes takes them', () => {
  for (const spec of [
    { defaultBackend: backend },
    { defaultBackend: { resource: { apiGroup: 'k8s.example.com', kind: 'Bucket', name: 'b' } } },
    { rules: [{ host: '*.shop.test' }, {}], tls: [{}, { hosts: ['*.shop.test'], secretName: 'cert' }], ingressClassName: 'istio' },
    paths({ path: '/a/b' }, { pathType: 'ImplementationSpecific' }, { path: '/*', pathType: 'ImplementationSpecific' }),
    paths({ path: '/', backend: { service: { name: 'a', port: { name: 'http-2' } } } }),
  ])
    expect({ spec, problems: told(spec) }).toEqual({ spec, problems: [] });
});

test('what Kubernetes refuses is refused with its path', () => {
  const path = 'spec.rules[0].http.paths[0]';
  for (const [spec, ...places] of [
    [{}, 'spec'],
    [{ rules: [{ host: '10.0.0.1' }] }, 'spec.rules[0].host'],
    [{ rules: [{ host: '*' }] }, 'spec.rules[0].host'],
    [{ rules: [{ http: { paths: [] } }] }, 'spec.rules[0].http.paths'],
    [paths({}), `${path}.path`],
    [paths({ path: 'a' }), `${path}.path`],
    [paths({ path: '/a//b' }), `${path}.path`],
    [paths({ path: '/a/..' }), `${path}.path`],
    [paths({ path: '*', pathType: 'ImplementationSpecific' }), `${path}.path`],
    [paths({ path: '/', pathType: undefined }), `${path}.pathType`],
    [paths({ path: '/', backend: {} }), `${path}.backend`],
    [paths({ path: '/', backend: { service: { name: 'a', port: {} } } }), `${path}.backend.service.port`],
    [paths({ path: '/', backend: { service: { name: 'a', port: { name: 'http', number: 80 } } } }), `${path}.backend.service.port`],
    [{ defaultBackend: backend, tls: [{ hosts: [''] }] }, 'spec.tls[0].hosts[0]'],
    [{ defaultBackend: backend, tls: [{ secretName: 'Not_A_Name' }] }, 'spec.tls[0].secretName'],
    [{ defaultBackend: backend, class: 'istio' }, 'spec.class'],
  ] as const)
    expect({ spec, places: told(spec) }).toEqual({ spec, places });
});

test('the class is said once: by the annotation or by the field', () => {
  const annotation = { 'kubernetes.io/ingress.class': 'istio' };
  expect(told({ defaultBackend: backend }, annotation)).toEqual([]);
  expect(told({ defaultBackend: backend, ingressClassName: 'istio' }, annotation)).toEqual(['metadata.annotations["kubernetes.io/ingress.class"]']);
});

test('an IngressClass names its controller by domain and path', () => {
  expect(
    told({ controller: 'istio.io/ingress-controller', parameters: { kind: 'X', name: 'x', scope: 'Namespace', namespace: 'y' } }, {}, 'IngressClass'),
  ).toEqual([]);
  expect(told({ controller: 'istio' }, {}, 'IngressClass')).toEqual(['spec.controller']);
  expect(told({}, {}, 'IngressClass')).toEqual(['spec.controller']);
  expect(told({ controller: 'a.b/c', parameters: { kind: 'X', name: 'x', scope: 'Namespace' } }, {}, 'IngressClass')).toEqual(['spec.parameters']);
});
