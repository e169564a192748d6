import { expect, test } from 'vitest';
import { validateObject } from './validate.ts';

const SERVICE = { group: '', kind: 'Service', name: 'a' };
const ROOTS = { group: '', kind: 'ConfigMap', name: 'roots' };
const refused = (spec: unknown): string[] =>
  validateObject({ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'BackendTLSPolicy', metadata: { name: 'p' }, spec }).problems.map(
    (p) => `${p.path}: ${p.message}`,
  );
const policy = (validation: object, ...targetRefs: object[]): object => ({
  targetRefs: targetRefs.length === 0 ? [SERVICE] : targetRefs,
  validation: { hostname: 'a.test', wellKnownCACertificates: 'System', ...validation },
});

test.each<[string, object]>([
  ['the roots of the system', policy({})],
  ['roots of a ConfigMap', policy({ wellKnownCACertificates: undefined, caCertificateRefs: [ROOTS] })],
  ['two sections of a Service', policy({}, { ...SERVICE, sectionName: 'http' }, { ...SERVICE, sectionName: 'https' })],
  [
    'names of both types',
    policy({
      subjectAltNames: [
        { type: 'Hostname', hostname: '*.a.test' },
        { type: 'URI', uri: 'spiffe://cluster.local/ns/a/sa/b' },
      ],
    }),
  ],
  ['roots somebody else may know', policy({ wellKnownCACertificates: 'example.com/Roots' })],
])('%s are taken', (_, spec) => {
  expect(refused(spec)).toEqual([]);
});

test.each<[string, object, string]>([
  ['no roots', policy({ wellKnownCACertificates: undefined }), 'spec.validation: must have caCertificateRefs, or wellKnownCACertificates'],
  ['both roots', policy({ caCertificateRefs: [ROOTS] }), 'wellKnownCACertificates "System": must be absent beside caCertificateRefs'],
  ['no host name', policy({ hostname: undefined }), 'spec.validation.hostname'],
  ['a wildcard as host name', policy({ hostname: '*.a.test' }), 'spec.validation.hostname: hostname "*.a.test": must be one host name'],
  ['unknown roots', policy({ wellKnownCACertificates: 'system' }), 'wellKnownCACertificates "system": must be System'],
  ['a name without its value', policy({ subjectAltNames: [{ type: 'URI' }] }), 'spec.validation.subjectAltNames[0].uri: is required by type URI'],
  [
    'a name of the other type',
    policy({ subjectAltNames: [{ type: 'Hostname', hostname: 'a', uri: 'a://b' }] }),
    'spec.validation.subjectAltNames[0].uri: uri "a://b": must be absent',
  ],
  ['a URI without scheme', policy({ subjectAltNames: [{ type: 'URI', uri: 'a/b' }] }), 'spec.validation.subjectAltNames[0].uri: uri "a/b": must be a URI'],
  ['a target twice', policy({}, SERVICE, SERVICE), 'spec.targetRefs[1].sectionName: Service a is named twice'],
  [
    'a section twice',
    policy({}, { ...SERVICE, sectionName: 'x' }, { ...SERVICE, sectionName: 'x' }),
    'spec.targetRefs[1].sectionName: sectionName "x": is named twice',
  ],
  ['a target and a section of it', policy({}, SERVICE, { ...SERVICE, sectionName: 'x' }), 'spec.targetRefs[0].sectionName: is required'],
  ['a target of another namespace', policy({}, { ...SERVICE, namespace: 'b' }), 'spec.targetRefs[0].namespace'],
])('%s is refused', (_, spec, start) => {
  expect(refused(spec)).toEqual([expect.stringContaining(start)]);
});
