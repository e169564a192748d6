// EnvoyFilter: every applyTo and operation on what stock Envoy is sent, refused patches, and Envoy's own verdict on the result.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { parseYaml, validateObject } from '../../config/index.ts';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../../model/index.ts';
import { TYPE_URL } from '../../xds/index.ts';
import { buildMesh } from '../mesh.ts';
import { proxyNode } from '../testing/proxy-node.ts';
import { decoded, envoyBinary, staticBootstrap } from '../testing/static-envoy.ts';
import { envoyFilterOutcomes, translate } from '../translate.ts';
import { patchBootstrap } from './bootstrap.ts';
import { patchValueProblems } from './problems.ts';

const envoy = envoyBinary();
const HOST = 'reviews.shop.svc.cluster.local';
const CLUSTER = `outbound|9080||${HOST}`;

const object = (kind: string, apiVersion: string, name: string, spec: unknown): MeshObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'shop' },
  spec,
});
const MESH = [
  object('Service', 'v1', 'web', { selector: { app: 'web' }, ports: [{ name: 'http', port: 9080 }] }),
  object('Service', 'v1', 'reviews', { selector: { app: 'reviews' }, ports: [{ name: 'http', port: 9080 }] }),
  object('WorkloadEntry', 'networking.istio.io/v1', 'web-v1', { address: '127.0.0.1', ports: { http: 21_001 }, labels: { app: 'web' } }),
  object('WorkloadEntry', 'networking.istio.io/v1', 'reviews-v1', { address: '127.0.0.1', ports: { http: 21_002 }, labels: { app: 'reviews' } }),
];
const NODE = proxyNode('web-v1', 'shop', {
  dataPlane: 'envoy',
  labels: { app: 'web' },
  inbound: [{ name: 'http', servicePort: 9080, listenPort: 21_001, appPort: 9_999 }],
  upstreams: [{ host: HOST, port: 9080, listenPort: 21_010 }],
  adminPort: 15_000,
});
const INBOUND = 'virtualInbound_21001';
const OUTBOUND = `${HOST}_9080`;

/** An EnvoyFilter from the YAML of its `configPatches`. */
function filter(name: string, patches: string, more = ''): MeshObject {
  const indent = patches.trim().replaceAll('\n', '\n    ');
  const text = `apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: ${name}, namespace: shop}\nspec:\n${more}  configPatches:\n    ${indent}\n`;
  const [document] = parseYaml(text).documents;
  const { object: checked, problems } = validateObject(document?.value, document);
  if (checked === undefined) throw new Error(JSON.stringify(problems));
  return checked;
}

function apply(...filters: MeshObject[]) {
  const mesh = buildMesh([...MESH, ...filters], DEFAULT_MESH_SETTINGS);
  return { set: translate(mesh, NODE, DEFAULT_MESH_SETTINGS), outcomes: envoyFilterOutcomes(mesh, NODE, DEFAULT_MESH_SETTINGS) };
}

const managers = (listener: JsonObject): { httpFilters: { name: string }[]; [key: string]: unknown }[] =>
  (listener['filterChains'] as { filters: { typedConfig: { httpFilters: { name: string }[] } }[] }[]).flatMap((chain) =>
    chain.filters.filter((f) => f.typedConfig.httpFilters !== undefined).map((f) => f.typedConfig as { httpFilters: { name: string }[] }),
  );
const httpFilters = (listener: JsonObject): string[][] => managers(listener).map((m) => m.httpFilters.map((f) => f.name));

const LUA = `
- applyTo: HTTP_FILTER
  match:
    context: SIDECAR_INBOUND
    listener: {portNumber: 9080, filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}
  patch:
    operation: INSERT_BEFORE
    value:
      name: lua
      typed_config:
        '@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
        default_source_code: {inline_string: 'function envoy_on_request(h) h:headers():add("x-lua", "yes") end'}`;

test('a Lua filter goes before the router of inbound listeners, and nowhere else', () => {
  const { set, outcomes } = apply(filter('lua', LUA));
  for (const names of httpFilters(decoded(set, TYPE_URL.listener, INBOUND))) expect(names.slice(-2)).toEqual(['lua', 'envoy.filters.http.router']);
  expect(httpFilters(decoded(set, TYPE_URL.listener, OUTBOUND)).flat()).not.toContain('lua');
  expect(outcomes).toEqual([{ filter: 'EnvoyFilter/shop/lua', applied: true }]);
});

test('embedded proxies are left alone, and say so', () => {
  const mesh = buildMesh([...MESH, filter('lua', LUA)], DEFAULT_MESH_SETTINGS);
  const node: ProxyNode = { ...NODE, dataPlane: 'embedded' };
  expect(httpFilters(decoded(translate(mesh, node, DEFAULT_MESH_SETTINGS), TYPE_URL.listener, INBOUND)).flat()).not.toContain('lua');
  expect(envoyFilterOutcomes(mesh, node, DEFAULT_MESH_SETTINGS)).toEqual([
    { filter: 'EnvoyFilter/shop/lua', applied: false, reason: 'EnvoyFilter patches stock Envoy only' },
  ]);
});

test('selectors, versions and priorities decide who is patched and in which order', () => {
  const named = (name: string): string => LUA.replace('name: lua', `name: ${name}`);
  const { set, outcomes } = apply(
    filter('b-late', named('late'), '  priority: 10\n'),
    filter('c-early', named('early'), '  priority: -10\n'),
    filter('d-others', named('others'), '  workloadSelector: {labels: {app: reviews}}\n'),
    filter('e-old', named('old').replace('context: SIDECAR_INBOUND', "context: SIDECAR_INBOUND\n    proxy: {proxyVersion: '^1\\.2.*'}")),
  );
  expect(httpFilters(decoded(set, TYPE_URL.listener, INBOUND))[0]?.slice(-3)).toEqual(['early', 'late', 'envoy.filters.http.router']);
  expect(outcomes.map((o) => o.filter)).toEqual(['EnvoyFilter/shop/c-early', 'EnvoyFilter/shop/e-old', 'EnvoyFilter/shop/b-late']);
});

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

test('MERGE reaches inside typed configuration, and a list can be replaced', () => {
  const { set } = apply(
    filter(
      'merge',
      `
- applyTo: NETWORK_FILTER
  match: {context: SIDECAR_OUTBOUND, listener: {filterChain: {filter: {name: envoy.http_connection_manager}}}}
  patch:
    operation: MERGE
    value:
      typed_config: {'@type': type.googleapis.com/${HCM}, server_name: patched, common_http_protocol_options: {idle_timeout: 7s}, upgrade_configs: [{upgrade_type: spdy}]}
- applyTo: NETWORK_FILTER
  match: {context: SIDECAR_INBOUND}
  patch:
    operation: MERGE_AND_REPLACE_LIST
    value:
      typed_config: {'@type': type.googleapis.com/${HCM}, upgrade_configs: [{upgrade_type: spdy}]}`,
    ),
  );
  const [outbound] = managers(decoded(set, TYPE_URL.listener, OUTBOUND));
  expect(outbound).toMatchObject({ serverName: 'patched', commonHttpProtocolOptions: { idleTimeout: '7s' }, generateRequestId: true });
  expect(outbound?.['upgradeConfigs']).toEqual([{ upgradeType: 'websocket' }, { upgradeType: 'spdy' }]);
  expect(managers(decoded(set, TYPE_URL.listener, INBOUND))[0]?.['upgradeConfigs']).toEqual([{ upgradeType: 'spdy' }]);
});

test('routes, virtual hosts and route configurations are patched, over RDS and inline', () => {
  const { set } = apply(
    filter(
      'routes',
      `
- applyTo: ROUTE_CONFIGURATION
  match: {context: SIDECAR_OUTBOUND, routeConfiguration: {portNumber: 9080}}
  patch: {operation: MERGE, value: {response_headers_to_add: [{header: {key: x-config, value: 'yes'}}]}}
- applyTo: VIRTUAL_HOST
  match: {context: SIDECAR_OUTBOUND, routeConfiguration: {name: '9080'}}
  patch: {operation: MERGE, value: {request_headers_to_remove: [x-secret]}}
- applyTo: HTTP_ROUTE
  match: {context: SIDECAR_OUTBOUND}
  patch: {operation: INSERT_FIRST, value: {name: teapot, match: {path: /teapot}, direct_response: {status: 418}}}
- applyTo: HTTP_ROUTE
  match: {context: SIDECAR_INBOUND, routeConfiguration: {name: 'inbound|9080||', vhost: {route: {action: ROUTE}}}}
  patch: {operation: MERGE, value: {route: {timeout: 3s}}}`,
    ),
  );
  const outbound = decoded(set, TYPE_URL.route, `${HOST}:9080`) as { virtualHosts: { requestHeadersToRemove: string[]; routes: { name: string }[] }[] };
  expect(outbound).toMatchObject({ responseHeadersToAdd: [{ header: { key: 'x-config' } }] });
  expect(outbound.virtualHosts[0]?.requestHeadersToRemove).toContain('x-secret');
  expect(outbound.virtualHosts[0]?.routes[0]?.name).toBe('teapot');
  expect(JSON.stringify(decoded(set, TYPE_URL.listener, INBOUND))).toContain('"timeout":"3s"');
});

test('clusters are merged, added and removed', () => {
  const { set } = apply(
    filter(
      'clusters',
      `
- applyTo: CLUSTER
  match: {cluster: {service: ${HOST}, portNumber: 9080}}
  patch: {operation: MERGE, value: {connect_timeout: 1.5s, dns_lookup_family: V4_ONLY}}
- applyTo: CLUSTER
  match: {cluster: {name: BlackHoleCluster}}
  patch: {operation: REMOVE}
- applyTo: CLUSTER
  patch: {operation: ADD, value: {name: extra, type: STATIC, connect_timeout: 1s}}`,
    ),
  );
  expect(decoded(set, TYPE_URL.cluster, CLUSTER)).toMatchObject({ connectTimeout: '1.500s', dnsLookupFamily: 'V4_ONLY', type: 'EDS' });
  expect(set[TYPE_URL.cluster].has('BlackHoleCluster')).toBe(false);
  expect(set[TYPE_URL.cluster].has('extra')).toBe(true);
});

test('listeners, their filters and chains are patched, and extensions put where they are asked for', () => {
  const { set, outcomes } = apply(
    filter(
      'listeners',
      `
- applyTo: LISTENER
  match: {listener: {name: virtualInbound}}
  patch: {operation: MERGE, value: {per_connection_buffer_limit_bytes: 65536}}
- applyTo: LISTENER_FILTER
  match: {context: SIDECAR_INBOUND}
  patch: {operation: INSERT_FIRST, value: {name: envoy.filters.listener.original_src, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc}}}
- applyTo: FILTER_CHAIN
  match: {context: SIDECAR_INBOUND, listener: {filterChain: {transportProtocol: raw_buffer}}}
  patch: {operation: MERGE, value: {transport_socket_connect_timeout: 9s}}
- applyTo: HTTP_FILTER
  match: {context: SIDECAR_OUTBOUND}
  patch: {operation: INSERT_FIRST, value: {name: slow, config_discovery: {config_source: {ads: {}}, type_urls: [type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer]}}}
- applyTo: EXTENSION_CONFIG
  patch: {operation: ADD, value: {name: slow, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 9}}}
- applyTo: LISTENER
  patch: {operation: ADD, value: {name: own, address: {socket_address: {address: 127.0.0.1, port_value: 21099}}, filter_chains: [{filters: [{name: echo, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}]}]}}`,
    ),
  );
  expect(outcomes).toEqual([{ filter: 'EnvoyFilter/shop/listeners', applied: true }]);
  const inbound = decoded(set, TYPE_URL.listener, INBOUND) as { listenerFilters: { name: string }[]; filterChains: JsonObject[] };
  expect(inbound).toMatchObject({ perConnectionBufferLimitBytes: 65_536 });
  expect(inbound.listenerFilters[0]?.name).toBe('envoy.filters.listener.original_src');
  expect(inbound.filterChains.map((c) => c['transportSocketConnectTimeout'])).toEqual([undefined, '9s']);
  expect(JSON.stringify(decoded(set, TYPE_URL.listener, OUTBOUND))).toContain('"max_request_bytes":9');
  expect(set[TYPE_URL.listener].has('own')).toBe(true);
});

test('the bootstrap is patched before Envoy starts, for the proxies selected', () => {
  const patch = filter('bootstrap', `- applyTo: BOOTSTRAP\n  patch: {operation: MERGE, value: {stats_flush_interval: 7s, node: {metadata: {EXTRA: 'yes'}}}}`);
  const bootstrap = { node: { id: 'x', metadata: { OWN: 'yes' } }, stats_flush_interval: '1s' };
  expect(patchBootstrap(bootstrap, [patch], NODE, 'istio-system')).toMatchObject({
    statsFlushInterval: '7s',
    node: { id: 'x', metadata: { OWN: 'yes', EXTRA: 'yes' } },
  });
  expect(patchBootstrap(bootstrap, [patch], { ...NODE, namespace: 'other' }, 'istio-system')).toBe(bootstrap);
});

test('a patch that makes a resource invalid keeps its whole EnvoyFilter out and is named', () => {
  const { set, outcomes } = apply(
    filter(
      'bad',
      `${LUA}\n- applyTo: HTTP_FILTER\n  match: {context: SIDECAR_OUTBOUND}\n  patch: {operation: ADD, value: {name: last, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer}}}`,
    ),
    filter('good', LUA),
  );
  expect(outcomes).toEqual([
    {
      filter: 'EnvoyFilter/shop/bad',
      applied: false,
      reason: `spec.configPatches[1]: listener ${OUTBOUND}: HTTP filter last stands after the router, which must be the last`,
    },
    { filter: 'EnvoyFilter/shop/good', applied: true },
  ]);
  expect(httpFilters(decoded(set, TYPE_URL.listener, INBOUND))[0]?.filter((name) => name === 'lua')).toHaveLength(1);
});

test.each([
  ['CLUSTER', 'connect_timeut: 1s', 'spec.configPatches[0].patch.value.connect_timeut', 'has no field connect_timeut'],
  ['CLUSTER', 'connect_timeout: soon', 'spec.configPatches[0].patch.value.connect_timeout', 'soon'],
  [
    'CLUSTER',
    'circuit_breakers: {thresholds: [{max_connections: many}]}',
    'spec.configPatches[0].patch.value.circuit_breakers.thresholds[0].max_connections',
    'many',
  ],
  ['HTTP_FILTER', 'name: x\n      typed_config: {name: y}', 'spec.configPatches[0].patch.value.typed_config["@type"]', 'is required'],
  [
    'NETWORK_FILTER',
    `typed_config: {'@type': type.googleapis.com/${HCM}, stat_prefx: a}`,
    'spec.configPatches[0].patch.value.typed_config.stat_prefx',
    'has no field',
  ],
])('%s with %s is refused at its path', (applyTo, value, path, message) => {
  const problems = patchValueProblems(filter('x', `- applyTo: ${applyTo}\n  patch:\n    operation: MERGE\n    value:\n      ${value}`));
  expect(problems).toHaveLength(1);
  expect(problems[0]?.path).toBe(path);
  expect(problems[0]?.message).toContain(message);
});

test.skipIf(envoy === undefined)('Envoy takes what comes out', () => {
  const { set } = apply(filter('lua', LUA));
  const dir = mkdtempSync(join(tmpdir(), 'weft-filter-'));
  try {
    const file = join(dir, 'envoy.json');
    writeFileSync(file, JSON.stringify(staticBootstrap(set)));
    expect(execFileSync(envoy ?? '', ['--mode', 'validate', '-c', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })).toContain('OK');
  } finally {
    rmSync(dir, { recursive: true });
  }
});
