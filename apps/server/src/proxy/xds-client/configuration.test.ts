import { type JsonObject, fromJson, toBinary } from '@bufbuild/protobuf';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { RouteConfigurationSchema } from '@weft/mesh-core/gen/envoy/config/route/v3/route_pb';
import { registry } from '@weft/mesh-core/translate';
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

test('a listener that comes back waits for its routes again, also when their end was told after nobody named them', async () => {
  const configuration = createConfiguration(runtime, { changed: nothing, live: nothing });
  const manager: JsonObject = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    ...{ statPrefix: 's', rds: { routeConfigName: 'r', configSource: { ads: {} } } },
    httpFilters: [{ name: 'router', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } }],
  };
  const address = { socketAddress: { address: '127.0.0.1', portValue: 1 } };
  const json = { name: 'l', address, filterChains: [{ filters: [{ name: 'http', typedConfig: manager }] }] };
  const listener = { name: 'l', version: '1', body: toBinary(ListenerSchema, fromJson(ListenerSchema, json, { registry })) };
  const routes = { name: 'r', version: '1', body: toBinary(RouteConfigurationSchema, fromJson(RouteConfigurationSchema, { name: 'r' })) };
  const named = (): string[] => configuration.listeners().map(({ name }) => name);

  await configuration.apply(TYPE_URL.listener, [listener], []);
  expect(named()).toEqual([]);
  await configuration.apply(TYPE_URL.route, [routes], []);
  expect(named()).toEqual(['l']);

  await configuration.apply(TYPE_URL.listener, [], ['l']);
  configuration.forget(TYPE_URL.route, ['r']);
  await configuration.apply(TYPE_URL.route, [], ['r']);
  await configuration.apply(TYPE_URL.listener, [listener], []);
  expect(named()).toEqual([]);
  await configuration.apply(TYPE_URL.route, [routes], []);
  expect(named()).toEqual(['l']);
});
