import { expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS } from '../model/index.ts';
import { analyzeObjects } from './analyze.ts';
import { effectiveSettings } from './mesh-config.ts';
import { validateObject } from './validate.ts';

const configMap = (mesh: string, name = 'istio') => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'istio-system' }, data: { mesh } });
const checked = (mesh: string, name?: string) => validateObject(configMap(mesh, name));
const told = (mesh: string, name?: string) => {
  const { object } = checked(mesh, name);
  return object === undefined ? [] : analyzeObjects([object]);
};

test('the MeshConfig of the ConfigMap istio is in force for the keys Weft reads', () => {
  const { object, problems } = checked(
    'outboundTrafficPolicy: { mode: REGISTRY_ONLY }\naccessLogFile: /dev/stdout\nprotocolDetectionTimeout: 5s\nconnectTimeout: 1s\ndefaultConfig: { tracing: { sampling: 10 } }\n',
  );
  expect(problems).toEqual([]);
  expect(effectiveSettings(DEFAULT_MESH_SETTINGS, object === undefined ? [] : [object])).toEqual({
    ...DEFAULT_MESH_SETTINGS,
    outboundTrafficPolicy: 'REGISTRY_ONLY',
    accessLogFile: '/dev/stdout',
    protocolDetectionTimeoutMs: 5_000,
    connectTimeoutMs: 1_000,
    tracingSamplingPercent: 10,
  });
  expect(effectiveSettings(DEFAULT_MESH_SETTINGS, [])).toBe(DEFAULT_MESH_SETTINGS);
});

test('numbers may be quoted, as on Istio’s page on external authorization', () => {
  const provider = (port: string) => `extensionProviders: [{ name: a, envoyExtAuthzHttp: { service: a.b.svc.cluster.local, port: ${port} } }]\n`;
  const { object, problems } = checked(`${provider('"8000"')}defaultConfig: { gatewayTopology: { numTrustedProxies: "2" } }`);
  expect(problems).toEqual([]);
  expect(effectiveSettings(DEFAULT_MESH_SETTINGS, object === undefined ? [] : [object])).toMatchObject({
    extensionProviders: [{ envoyExtAuthzHttp: { port: 8000 } }],
    gatewayTopology: { numTrustedProxies: 2 },
  });
  expect(checked(provider('http')).problems).toMatchObject([{ severity: 'error' }]);
});

test('what stands in front of gateways, and the access log, are read; other defaults of proxies are told', () => {
  const mesh =
    'accessLogEncoding: JSON\naccessLogFormat: \'{"a": "%PROTOCOL%"}\'\ndefaultConfig: { concurrency: 2, gatewayTopology: { numTrustedProxies: 1 } }';
  const { object } = checked(mesh);
  expect(told(mesh).map((p) => p.message)).toEqual(['defaultConfig.concurrency of MeshConfig has no effect here']);
  expect(effectiveSettings(DEFAULT_MESH_SETTINGS, object === undefined ? [] : [object])).toMatchObject({
    ...{ accessLogEncoding: 'JSON', accessLogFormat: '{"a": "%PROTOCOL%"}', gatewayTopology: { numTrustedProxies: 1 } },
  });
  expect(checked('accessLogEncoding: JSON\naccessLogFormat: "[%PROTOCOL%]"').problems).toMatchObject([{ severity: 'error' }]);
});

test('path normalization is read; its default is none of ours', () => {
  const normalization = (mesh: string) => {
    const { object } = checked(mesh);
    return effectiveSettings(DEFAULT_MESH_SETTINGS, object === undefined ? [] : [object]).pathNormalization;
  };
  expect(normalization('pathNormalization: { normalization: DECODE_AND_MERGE_SLASHES }')).toBe('DECODE_AND_MERGE_SLASHES');
  expect(['pathNormalization: {}', 'pathNormalization: { normalization: DEFAULT }'].map(normalization)).toEqual([undefined, undefined]);
  expect(checked('pathNormalization: { normalization: SOME }').problems).toMatchObject([{ severity: 'error' }]);
});

test('preferences of localities are read, with the checks a DestinationRule has', () => {
  const localityLbSetting = { failover: [{ from: 'eu', to: 'us' }] };
  const { object, problems } = checked(JSON.stringify({ localityLbSetting }));
  expect(problems).toEqual([]);
  expect(effectiveSettings(DEFAULT_MESH_SETTINGS, object === undefined ? [] : [object])).toMatchObject({ localityLbSetting });
  expect(checked('localityLbSetting: { failover: [{ from: eu, to: eu }] }').problems).toMatchObject([{ severity: 'error' }]);
});

test('as in Istio a policy without mode is REGISTRY_ONLY', () => {
  const { object } = checked('outboundTrafficPolicy: {}');
  expect(effectiveSettings(DEFAULT_MESH_SETTINGS, object === undefined ? [] : [object]).outboundTrafficPolicy).toBe('REGISTRY_ONLY');
});

test("a value that does not fit is refused, a key without effect is a warning, other ConfigMaps are nobody's business", () => {
  const refused = checked('connectTimeout: fast');
  expect(refused.object).toBeUndefined();
  expect(refused.problems).toMatchObject([{ severity: 'error', path: 'data.mesh', message: expect.stringContaining('connectTimeout') as string }]);
  expect(told('mixerCheckServer: x')).toMatchObject([{ severity: 'warning', code: 'WEFT_MESH_CONFIG_UNREAD', path: 'data.mesh', ref: { name: 'istio' } }]);
  expect(told('mixerCheckServer: x', 'other')).toEqual([]);
  expect(checked('connectTimeout: fast', 'other').problems).toEqual([]);
});

test('extension providers that are asked about requests are read, bad ones too; other kinds are told', () => {
  const asked = { name: 'a', envoyExtAuthzHttp: { service: 'authz.shop.svc.cluster.local', port: 8000, timeout: '0.5s' } };
  const bad = { name: 'B', envoyExtAuthzGrpc: { service: 'short' } };
  const mesh = JSON.stringify({ extensionProviders: [{ name: 'z', zipkin: { service: 'z', port: 1 } }, { ...bad, name: 'a' }, asked, bad] });
  const { object, problems } = checked(mesh);
  expect(problems).toEqual([]);
  expect(effectiveSettings(DEFAULT_MESH_SETTINGS, object === undefined ? [] : [object]).extensionProviders).toEqual([
    asked,
    { name: 'B', envoyExtAuthzGrpc: { service: 'short', port: 0 } },
  ]);
  expect(told(mesh).map((p) => p.message)).toEqual(
    expect.arrayContaining(['[0].zipkin', '[1] (a is there again)'].map((which) => `extensionProviders${which} of MeshConfig has no effect here`)),
  );
  for (const check of [{ timeout: 'soon' }, { port: 'http' }, { failopen: true }])
    expect(checked(JSON.stringify({ extensionProviders: [{ name: 'a', envoyExtAuthzGrpc: check }] })).problems).toMatchObject([{ severity: 'error' }]);
  expect(checked(JSON.stringify({ extensionProviders: [{ ...bad, ...asked }] })).problems).toMatchObject([{ severity: 'error' }]);
});
