// What the CRDs of the Gateway API refuse; its own examples, good and bad, were the measure.

import { expect, test } from 'vitest';
import { validateObject } from './validate.ts';

const problems = (kind: string, spec: object): string[] =>
  validateObject({ apiVersion: 'gateway.networking.k8s.io/v1', kind, metadata: { name: 'x' }, spec }).problems.map((p) => `${p.path}: ${p.message}`);
const route = (rule: object): string[] => problems('HTTPRoute', { parentRefs: [{ name: 'g' }], rules: [rule] });
const gateway = (listener: object, more: object = {}): string[] =>
  problems('Gateway', { gatewayClassName: 'istio', listeners: [{ name: 'a', port: 443, protocol: 'HTTPS', ...listener }], ...more });
const to = { backendRefs: [{ name: 'a', port: 80 }] };
const redirect = (requestRedirect: object): object => ({ type: 'RequestRedirect', requestRedirect });
const set = (...names: string[]): object => ({ type: 'RequestHeaderModifier', requestHeaderModifier: { set: names.map((name) => ({ name, value: '1' })) } });

test.each([
  ['a path with //', { matches: [{ path: { value: '/a//b' } }], ...to }, 'spec.rules[0].matches[0].path'],
  ['a path with a dot segment', { matches: [{ path: { type: 'Exact', value: '/a/..' } }], ...to }, 'spec.rules[0].matches[0].path'],
  ['a path with a sign it cannot have', { matches: [{ path: { value: '/a#b' } }], ...to }, 'spec.rules[0].matches[0].path'],
  ['a header twice', { matches: [{ headers: ['1', '2'].map((value) => ({ name: 'x', value })) }], ...to }, 'spec.rules[0].matches[0].headers'],
  ['a parameter twice', { matches: [{ queryParams: ['1', '2'].map((value) => ({ name: 'x', value })) }], ...to }, 'spec.rules[0].matches[0].queryParams'],
  ['a header set twice', { filters: [set('x', 'x')], ...to }, 'spec.rules[0].filters[0].requestHeaderModifier.set'],
  ['a filter twice', { filters: [set('x'), set('y')], ...to }, 'spec.rules[0].filters[1]'],
  ['a redirect to many hosts', { filters: [redirect({ hostname: '*.x.test' })] }, 'spec.rules[0].filters[0].requestRedirect.hostname'],
  ['a redirect with backends', { filters: [redirect({})], ...to }, 'spec.rules[0].filters[0]'],
  ['a redirect beside a rewrite', { filters: [redirect({}), { type: 'URLRewrite', urlRewrite: {} }] }, 'spec.rules[0].filters[0]'],
  ['tries longer than the whole', { timeouts: { request: '1s', backendRequest: '2s' }, ...to }, 'spec.rules[0]'],
  ['a Service without port', { backendRefs: [{ name: 'a' }] }, 'spec.rules[0].backendRefs[0]'],
  ['a host as name of a Service', { backendRefs: [{ name: 'a.b', port: 80 }] }, 'spec.rules[0].backendRefs[0]'],
  ['a redirect of one backend', { backendRefs: [{ name: 'a', port: 80, filters: [redirect({})] }] }, 'spec.rules[0].backendRefs[0].filters[0].type'],
])('an HTTPRoute with %s is refused', (_, rule, path) => {
  expect(route(rule)).toEqual([expect.stringContaining(`${path}: `)]);
});

test('what looks like it and is none is taken', () => {
  expect(route({ matches: [{ path: { type: 'RegularExpression', value: '/a//.*' } }], ...to })).toEqual([]);
  expect(route({ timeouts: { request: '0s', backendRequest: '2s' }, filters: [set('x', 'y')], ...to })).toEqual([]);
  expect(route({ backendRefs: [{ group: 'networking.istio.io', kind: 'Hostname', name: 'a.b', port: 80 }] })).toEqual([]);
  expect(gateway({ tls: { options: { 'gateway.istio.io/tls-terminate-mode': 'ISTIO_MUTUAL' } } })).toEqual([]);
});

test.each([
  ['HTTP with TLS', { protocol: 'HTTP', tls: { certificateRefs: [{ name: 'c' }] } }, 'spec.listeners[0].tls'],
  ['HTTPS passed through', { tls: { mode: 'Passthrough' } }, 'spec.listeners[0].tls.mode'],
  ['TLS without a mode', { protocol: 'TLS', tls: { certificateRefs: [{ name: 'c' }] } }, 'spec.listeners[0].tls.mode'],
  ['TCP with a host', { protocol: 'TCP', hostname: 'a.test' }, 'spec.listeners[0].hostname'],
  ['no certificate', { tls: { mode: 'Terminate' } }, 'spec.listeners[0].tls'],
  ['a port that is none', { port: 0 }, 'spec.listeners[0].port'],
])('a listener with %s is refused', (_, listener, path) => {
  expect(gateway(listener)).toEqual([expect.stringContaining(`${path}: `)]);
});

test('a Gateway has each listener once, by name and by what it listens for', () => {
  const twice = (second: object): string[] =>
    problems('Gateway', {
      gatewayClassName: 'istio',
      listeners: [
        { name: 'a', port: 80, protocol: 'HTTP' },
        { name: 'b', port: 80, protocol: 'HTTP', ...second },
      ],
    });
  expect(twice({})).toEqual([expect.stringContaining('spec.listeners[1]: ')]);
  expect(twice({ name: 'a', port: 81 })).toEqual([expect.stringContaining('spec.listeners[1].name: ')]);
  expect(twice({ hostname: 'b.test' })).toEqual([]);
});
