import { expect, test } from 'vitest';
import { goneLines, nackLines, refusalLines, silentLines } from './refusals.ts';

const said = (resource: string): string => `${resource}.filterChains[0].filters[0].typedConfig: this proxy cannot evaluate x`;
const proxy = (workload: string, state: 'sent' | 'acked' | 'nacked' | 'disconnected', error?: string) => ({
  ...{ proxyId: `sidecar~1~${workload}.foo~foo`, workload, namespace: 'foo', state, types: ['listener'] },
  ...(error === undefined ? {} : { error }),
});

test('a reason is told once, with who says it and of how much', () => {
  const proxies = [
    proxy('a', 'nacked', `${said('http_proxy')}; ${said('virtualInbound_1')}`),
    proxy('b', 'nacked', said('a.foo.svc.cluster.local_9080')),
    proxy('c', 'acked'),
  ];
  expect(refusalLines({ revision: '1', proxies })).toEqual([`refused by a.foo and 1 more: ${said('http_proxy')} (one of 3 resources)`]);
  expect(refusalLines({ revision: '1', proxies: [...proxies, proxy('d', 'nacked', 'x.loadAssignment: other')] })).toHaveLength(2);
  expect(refusalLines({ revision: '1', proxies: [proxy('c', 'acked')] })).toEqual([]);
  expect(refusalLines(undefined)).toEqual([]);
});

test('who has not answered is named', () => {
  expect(silentLines({ revision: '1', proxies: [proxy('a', 'sent'), proxy('b', 'nacked', 'x: y'), proxy('c', 'acked'), proxy('d', 'sent')] })).toEqual([
    'no answer yet from a.foo, d.foo: weft proxy status',
  ]);
  expect(silentLines({ revision: '1', proxies: [proxy('c', 'acked')] })).toEqual([]);
});

test('who left without an answer is named', () => {
  const proxies = [proxy('a', 'disconnected'), proxy('b', 'acked'), proxy('c', 'disconnected')];
  expect(goneLines({ revision: '1', proxies })).toEqual(['disconnected before an answer: a.foo, c.foo; a proxy that connects again is told anew']);
  expect(silentLines({ revision: '1', proxies })).toEqual([]);
  expect(goneLines({ revision: '1', proxies: [proxy('b', 'acked')] })).toEqual([]);
});

test('what was refused once and taken since is not told', () => {
  const type = { type: 'listener', sentVersion: '2', sentAt: 1, resources: 1, nack: { at: 1, message: said('http_proxy') } };
  const status = (ackedVersion: string) =>
    [{ id: 'sidecar~127.0.0.1~a.foo~foo.svc.cluster.local', workload: 'a', namespace: 'foo', types: [{ ...type, ackedVersion }] }] as unknown as Parameters<
      typeof nackLines
    >[0];
  expect(nackLines(status('1'))).toEqual([`a.foo: ${said('http_proxy')}`]);
  expect(nackLines(status('2'))).toEqual([]);
});
