import { TYPE_URL } from '@weft/mesh-core/xds';
import { expect, test } from 'vitest';
import type { ProxyRuntime } from '../http/hooks.ts';
import { createConfiguration } from './configuration.ts';

const nothing = (): void => undefined;
const runtime: ProxyRuntime = {
  ...{ applyRoutes: nothing, removeRoutes: nothing, applyCluster: nothing, removeCluster: nothing, applyEndpoints: nothing, removeEndpoints: nothing },
  ...{ applySecret: nothing, failHealth: nothing, applyListeners: () => Promise.resolve(), drain: () => Promise.resolve(), close: () => Promise.resolve() },
  stats: () => ({ clusters: [], listeners: [], counters: {} }),
};

test('told that there are no listeners, as of a gateway without Gateways, a proxy is ready: once, and not before', async () => {
  const live: unknown[] = [];
  const configuration = createConfiguration(runtime, { changed: nothing, live: (error) => live.push(error) });
  await configuration.apply(TYPE_URL.cluster, [], []);
  expect(live).toEqual([]);
  await configuration.apply(TYPE_URL.listener, [], []);
  await configuration.apply(TYPE_URL.listener, [], ['gone']);
  expect(live).toEqual([undefined]);
});
