import { type JsonObject, fromJson, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { ClusterLoadAssignmentSchema } from '@weft/mesh-core/gen/envoy/config/endpoint/v3/endpoint_pb';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { RouteConfigurationSchema } from '@weft/mesh-core/gen/envoy/config/route/v3/route_pb';
import { SecretSchema } from '@weft/mesh-core/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb';
import { registry } from '@weft/mesh-core/translate';
import { TYPE_URL } from '@weft/mesh-core/xds';
import { expect, test } from 'vitest';
import type { ProxyRuntime } from '../http/hooks.ts';
import { createProxyRuntime } from '../http/runtime.ts';
import { testAuthority } from '../listener/testing/certificates.ts';
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

test('a changed cluster is used together with its endpoints, which come again; without them it has not been heard of when the stream ends', async () => {
  const applied: string[] = [];
  const configuration = createConfiguration(
    {
      ...runtime,
      applyCluster: ({ name, connectTimeoutMs }) => applied.push(`${name} ${connectTimeoutMs}`),
      removeCluster: (name) => applied.push(`-${name}`),
      applyEndpoints: ({ clusterName }) => applied.push(`endpoints of ${clusterName}`),
    },
    { changed: nothing, live: nothing },
  );
  const cluster = (seconds: number) => {
    const json = { name: 'c', type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} } }, connectTimeout: `${seconds}s` };
    return configuration.apply(TYPE_URL.cluster, [{ name: 'c', version: `of ${seconds}`, body: toBinary(ClusterSchema, fromJson(ClusterSchema, json)) }], []);
  };
  const body = toBinary(ClusterLoadAssignmentSchema, fromJson(ClusterLoadAssignmentSchema, { clusterName: 'c' }));
  const endpoints = () => configuration.apply(TYPE_URL.endpoint, [{ name: 'c', version: '', body }], []);

  await cluster(1);
  await endpoints();
  expect(applied.splice(0)).toEqual(['c 1000', 'endpoints of c']);
  await cluster(2);
  await cluster(3);
  expect(applied).toEqual([]);
  await endpoints();
  expect(applied.splice(0)).toEqual(['c 3000', 'endpoints of c']);
  await cluster(4);
  configuration.disconnected();
  expect(configuration.versions(TYPE_URL.cluster)).toEqual({ c: 'of 3' });
  await endpoints();
  expect(applied.splice(0)).toEqual(['endpoints of c']);
  await cluster(5);
  await configuration.apply(TYPE_URL.cluster, [], ['c']);
  await endpoints();
  expect(applied).toEqual(['-c', 'endpoints of c']);
});

test('what cannot be put to use is refused by its name, and keeps nothing else from being used', async () => {
  const configuration = createConfiguration(createProxyRuntime({ clock: () => 0, random: () => 0, onRequestEnd: nothing }), {
    changed: nothing,
    live: nothing,
  });
  const authority = await testAuthority();
  const [one, other] = [await authority.issue('spiffe://a/ns/a/sa/a'), await authority.issue('spiffe://a/ns/a/sa/b')];
  const secret = (name: string, chainPem: string, keyPem: string) => {
    const tlsCertificate = { certificateChain: { inlineString: chainPem }, privateKey: { inlineString: keyPem } };
    return { name, version: '1', body: toBinary(SecretSchema, fromJson(SecretSchema, { name, tlsCertificate })) };
  };
  const secrets = [secret('mixed', one.chainPem, other.keyPem), secret('good', one.chainPem, one.keyPem)];
  await expect(configuration.apply(TYPE_URL.secret, secrets, [])).rejects.toThrow(/^mixed: .*key values mismatch/);

  const table = (name: string, regex: string) => {
    const routes = [{ match: { safeRegex: { regex } }, directResponse: { status: 200 } }];
    const json = { name, virtualHosts: [{ name: 'v', domains: ['*'], routes }] };
    return { name, version: '1', body: toBinary(RouteConfigurationSchema, fromJson(RouteConfigurationSchema, json)) };
  };
  await expect(configuration.apply(TYPE_URL.route, [table('broken', '['), table('fine', '/a.*')], [])).rejects.toThrow(/^broken: /);
  expect([TYPE_URL.secret, TYPE_URL.route].map((type) => configuration.raw(type).map(({ name }) => name))).toEqual([['good'], ['fine']]);
});
