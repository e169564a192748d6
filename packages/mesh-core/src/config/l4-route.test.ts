import { expect, test } from 'vitest';
import { validateObject } from './validate.ts';

const told = (kind: string, spec: object, version = 'v1'): (string | undefined)[] =>
  validateObject({ apiVersion: `gateway.networking.k8s.io/${version}`, kind, metadata: { name: 'r', namespace: 'shop' }, spec }).problems.map((p) => p.path);
const rule = { backendRefs: [{ name: 'db', port: 5432 }] };
const hostnames = ['db.example.com', '*.example.com'];

test('TCPRoutes and TLSRoutes are taken as the CRDs take them', () => {
  expect(told('TCPRoute', { parentRefs: [{ name: 'gw' }], rules: [rule] })).toEqual([]);
  expect(told('TLSRoute', { parentRefs: [{ group: '', kind: 'Service', name: 'db', port: 443 }], hostnames, rules: [{ ...rule, name: 'one' }] })).toEqual([]);
  // Older versions asked for less.
  expect(told('TCPRoute', { rules: [rule, rule] }, 'v1alpha2')).toEqual([]);
  expect(told('TLSRoute', { rules: [rule] }, 'v1alpha2')).toEqual([]);
  expect(told('TLSRoute', { rules: [rule], hostnames }, 'v1alpha3')).toEqual([]);
});

test('what they refuse is refused with its path', () => {
  for (const [kind, spec, ...places] of [
    ['TCPRoute', {}, 'spec.rules'],
    ['TCPRoute', { rules: [] }, 'spec.rules'],
    ['TCPRoute', { rules: [{}] }, 'spec.rules[0].backendRefs'],
    ['TCPRoute', { rules: [{ backendRefs: [] }] }, 'spec.rules[0].backendRefs'],
    ['TCPRoute', { rules: [{ backendRefs: [{ name: 'db' }] }] }, 'spec.rules[0].backendRefs[0]'],
    ['TCPRoute', { rules: [{ backendRefs: [{ name: 'db', port: 1, weight: -1 }] }] }, 'spec.rules[0].backendRefs[0].weight'],
    ['TCPRoute', { hostnames, rules: [rule] }, 'spec.hostnames'],
    ['TCPRoute', { rules: [rule, rule] }, 'spec.rules'],
    ['TLSRoute', { rules: [rule] }, 'spec.hostnames'],
    ['TLSRoute', { hostnames: ['10.0.0.1'], rules: [rule] }, 'spec.hostnames[0]'],
    ['TLSRoute', { hostnames: ['*'], rules: [rule] }, 'spec.hostnames[0]'],
  ] as const)
    expect({ kind, spec, places: told(kind, spec) }).toEqual({ kind, spec, places });
  expect(told('TLSRoute', { rules: [rule] }, 'v1alpha3')).toEqual(['spec.hostnames']);
});
