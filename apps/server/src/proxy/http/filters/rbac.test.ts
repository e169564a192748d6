import type { RbacRuleSpec, RbacSpec } from '@weft/mesh-core/traffic';
import { expect, onTestFinished, test } from 'vitest';
import type { HttpFilter, Route } from '../../config/model.ts';
import type { RbacFilterConfig } from '../../config/rbac-model.ts';
import { chain, cluster, exchangeRaw, listener, manager, route, routes, startRaw, startRig, type Rig } from '../../listener/testing/rig.ts';
import { Counters } from '../counters.ts';
import type { FilteredRequest } from './chain.ts';
import { rbacFilter } from './rbac.ts';

const any: RbacRuleSpec = { kind: 'any' };
const at = (value: string): RbacRuleSpec => ({ kind: 'url-path', match: { kind: 'prefix', value, ignoreCase: false } });
const rules = (action: RbacSpec['action'], permission: RbacRuleSpec): RbacSpec => ({
  action,
  policies: [{ name: 'p', permissions: [permission], principals: [any] }],
});
const config = (parts: Partial<RbacFilterConfig>): RbacFilterConfig => ({ statPrefix: '', shadowStatPrefix: '', ...parts });
const filter = (parts: Partial<RbacFilterConfig>): Extract<HttpFilter, { kind: 'rbac' }> => ({ kind: 'rbac', name: 'rbac', config: config(parts) });

async function serve(filters: readonly HttpFilter[], list: readonly Route[] = [route({})]): Promise<Rig> {
  const upstream = await startRaw((_, socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
  onTestFinished(() => upstream.close());
  const rig = await startRig({
    listener: listener({ chains: [chain({ http: manager({ filters }) })] }),
    clusters: [cluster([upstream.port])],
    routes: routes(list),
  });
  onTestFinished(() => rig.close());
  return rig;
}

async function ask({ port }: Rig, path: string): Promise<number> {
  return Number((await exchangeRaw(port, `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`)).split(' ')[1]);
}

test('decisions are counted under Envoy’s names, and refused requests told as 403', async () => {
  const rig = await serve([
    filter({ rules: rules('deny', at('/deny')), statPrefix: 'mine_' }),
    filter({ shadow: rules('allow', at('/shadow')), shadowStatPrefix: 'istio_dry_run_allow_' }),
  ]);
  expect([await ask(rig, '/deny'), await ask(rig, '/shadow'), await ask(rig, '/a')]).toEqual([403, 200, 200]);
  expect(rig.runtime.stats().counters).toEqual({
    'http.test.rbac.mine_.allowed': 2,
    'http.test.rbac.mine_.denied': 1,
    'http.test.rbac.istio_dry_run_allow_.shadow_allowed': 1,
    'http.test.rbac.istio_dry_run_allow_.shadow_denied': 1,
  });
  expect(rig.records[0]).toMatchObject({ status: 403, responseFlags: '-', attempts: 0, details: 'rbac_access_denied_matched_policy[p]' });
});

test('what a route says holds for every filter of that name', async () => {
  const match = (value: string): Partial<Route> => ({ match: { path: { kind: 'prefix', value }, caseSensitive: true, headers: [], query: [] } });
  const rig = await serve(
    [filter({ rules: rules('deny', any) }), filter({ rules: rules('allow', at('/none')) })],
    [
      route({}, { ...match('/off'), filters: { rbac: { rbac: 'off' } } }),
      route({}, { ...match('/own'), filters: { rbac: { rbac: config({ rules: rules('deny', at('/own/not')) }) } } }),
      route({}, { ...match('/other'), filters: { rbac: { someone: 'off' } } }),
    ],
  );
  expect([await ask(rig, '/off'), await ask(rig, '/own'), await ask(rig, '/own/not'), await ask(rig, '/other')]).toEqual([200, 200, 403, 403]);
});

test('filters before are heard: their metadata, and the headers they have taken away or put there', () => {
  const is = (value: string) => ({ kind: 'exact', value, ignoreCase: false }) as const;
  const header = (name: string, value: string): RbacRuleSpec => ({
    kind: 'header',
    header: { name, match: is(value), invert: false, treatMissingAsEmpty: false },
  });
  const asks = (rule: RbacRuleSpec, changes: Partial<FilteredRequest>): string => {
    const came: Record<string, string> = { authorization: 'mine', 'x-claim': 'forged' };
    const request = {
      context: { manager: manager(), access: {}, remoteAddress: '127.0.0.1' },
      record: { route: undefined },
      get: (name: string) => came[name],
      some: (name: string, passes: (value: string) => boolean) => (came[name] === undefined ? undefined : passes(came[name])),
      requestLinesAdded: '',
      answer: () => undefined,
      ...changes,
    } as unknown as FilteredRequest;
    return rbacFilter(filter({ rules: rules('allow', rule) }), '', new Counters()).onRequest?.(request) ?? '';
  };
  const changes = { requestDrop: new Set(['authorization', 'x-claim']), requestLinesAdded: 'x-other: mine\r\nx-claim: true\r\n' };
  expect([asks(header('authorization', 'mine'), {}), asks(header('authorization', 'mine'), changes)]).toEqual(['next', 'stop']);
  expect([asks(header('x-claim', 'true'), changes), asks(header('x-claim', 'forged'), changes), asks(header('x-other', 'mine'), changes)]).toEqual([
    ...['next', 'stop', 'next'],
  ]);
  const metadata: RbacRuleSpec = { kind: 'metadata', match: { namespace: 'jwt', path: ['iss'], value: { kind: 'string', match: is('i') }, invert: false } };
  expect([asks(metadata, { metadata: { jwt: { iss: 'i' } } }), asks(metadata, {})]).toEqual(['next', 'stop']);
});
