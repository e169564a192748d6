import { expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../model/index.ts';
import { TYPE_URL } from '../xds/index.ts';
import { buildMesh } from './mesh.ts';
import { tagFormat } from './tag-expression.ts';
import { type TelemetrySettings, telemetryOf } from './telemetry.ts';
import { decoded } from './testing/static-envoy.ts';
import { proxiesOf } from './testing/corpus-world.ts';
import { translate } from './translate.ts';

const telemetry = (name: string, spec: object, namespace = 'default', creationTimestamp = '2026-01-01T00:00:00Z'): MeshObject => ({
  apiVersion: 'telemetry.istio.io/v1',
  kind: 'Telemetry',
  metadata: { name, namespace, creationTimestamp },
  spec,
});
const node = (dataPlane: ProxyNode['dataPlane'] = 'embedded'): ProxyNode => proxiesOf([], dataPlane)[0] as ProxyNode;
const settings = (mode: 'CLIENT' | 'SERVER', ...objects: MeshObject[]): TelemetrySettings =>
  telemetryOf(buildMesh(objects, DEFAULT_MESH_SETTINGS), node(), mode);
const sampling = (value: number, more: object = {}): object => ({ tracing: [{ randomSamplingPercentage: value, ...more }] });

test('root, namespace and selecting Telemetry in this order; of those for all only the oldest counts', () => {
  const root = telemetry('root', { ...sampling(1), accessLogging: [{ providers: [{ name: 'envoy' }] }] }, DEFAULT_MESH_SETTINGS.rootNamespace);
  const young = telemetry('young', sampling(3), 'default', '2026-02-01T00:00:00Z');
  const selecting = telemetry('one', { selector: { matchLabels: { app: 'w' } }, tracing: [{ customTags: { a: { literal: { value: 'b' } } } }] });
  const other = telemetry('other', { selector: { matchLabels: { app: 'x' } }, ...sampling(9) });
  expect(settings('CLIENT').tracing?.samplingPercent).toBe(DEFAULT_MESH_SETTINGS.tracingSamplingPercent);
  expect(settings('CLIENT', root, young, telemetry('old', sampling(2)), selecting, other)).toMatchObject({
    tracing: { samplingPercent: 2, customTags: { a: { literal: { value: 'b' } } } },
    accessLog: { path: '/dev/stdout', filter: '' },
  });
});

test('a mode limits an entry to one side', () => {
  const objects = [
    telemetry('t', {
      tracing: [{ match: { mode: 'SERVER' }, disableSpanReporting: true }],
      accessLogging: [{ match: { mode: 'CLIENT' }, filter: { expression: 'response.code >= 500' } }],
    }),
  ];
  expect(settings('CLIENT', ...objects)).toMatchObject({ accessLog: { filter: 'response.code >= 500' } });
  expect(settings('CLIENT', ...objects).tracing).toBeDefined();
  expect(settings('SERVER', ...objects)).toMatchObject({ accessLog: undefined, tracing: undefined });
});

test('metrics are switched off and lose or get tags; whatever follows a switch-off of all switches on again', () => {
  const overrides = [
    { match: { metric: 'REQUEST_SIZE' }, disabled: true },
    { tagOverrides: { source_app: { operation: 'REMOVE' }, host: { value: 'request.host' } } },
  ];
  const { metrics } = settings('CLIENT', telemetry('t', { metrics: [{ overrides }] }));
  expect([...metrics.disabled]).toEqual(['REQUEST_SIZE']);
  expect([...(metrics.tags.get('REQUEST_COUNT') ?? [])]).toEqual([
    ['source_app', undefined],
    ['host', 'request.host'],
  ]);
  const off = { disabled: true };
  expect(settings('CLIENT', telemetry('t', { metrics: [{ overrides: [off] }] })).metrics.disabled.size).toBe(10);
  expect(
    settings('CLIENT', telemetry('t', { metrics: [{ overrides: [off, { match: { metric: 'REQUEST_COUNT' }, disabled: false }] }] })).metrics.disabled.size,
  ).toBe(0);
});

test('both data planes are told: Envoy by its stats logger, embedded proxies by what differs', () => {
  const objects = [
    telemetry('t', {
      tracing: [{ disableSpanReporting: true }],
      metrics: [
        {
          overrides: [
            { match: { metric: 'REQUEST_DURATION' }, disabled: true },
            { tagOverrides: { source_app: { operation: 'REMOVE' }, team: { value: "'shop'" } } },
          ],
        },
      ],
    }),
  ];
  const manager = (dataPlane: ProxyNode['dataPlane']): string =>
    JSON.stringify(decoded(translate(buildMesh(objects, DEFAULT_MESH_SETTINGS), node(dataPlane), DEFAULT_MESH_SETTINGS), TYPE_URL.listener, 'http_proxy'));
  const envoy = manager('envoy');
  expect(envoy).toContain('"name":"requests_total"');
  expect(envoy).toContain('{"name":"team","value_format":"shop"}');
  for (const absent of ['"tracing"', '"name":"source_app"', 'request_duration_milliseconds']) expect(envoy).not.toContain(absent);
  expect(manager('embedded')).toContain('"istio_requests_total":{"remove":["source_app"],"set":{"team":"\'shop\'"}}');
  expect(manager('embedded')).toContain('"istio_request_duration_milliseconds":{"disabled":true}');
});

test('an access log to stdout is a file to embedded proxies and a stream to Envoy', () => {
  const objects = [telemetry('t', { accessLogging: [{ filter: { expression: 'response.code >= 500' } }] })];
  const manager = (dataPlane: ProxyNode['dataPlane']): string =>
    JSON.stringify(decoded(translate(buildMesh(objects, DEFAULT_MESH_SETTINGS), node(dataPlane), DEFAULT_MESH_SETTINGS), TYPE_URL.listener, 'http_proxy'));
  expect(manager('embedded')).toContain('"path":"/dev/stdout"');
  expect(manager('envoy')).toContain('StdoutAccessLog');
  expect(manager('envoy')).toContain('"expression":"response.code >= 500"');
});

test('expressions become formats where Envoy has words, else CEL where its version knows that, and where nobody knows better, unknown', () => {
  const formats = (version: string, ...expressions: string[]): string[] => expressions.map((expression) => tagFormat(expression, version));
  expect(formats('1.37.0', "'50%'", 'request.headers["x-a"]', 'response.code', 'string(destination.port)')).toEqual([
    '50%%',
    '%REQ(x-a)%',
    '%RESPONSE_CODE%',
    '%DOWNSTREAM_LOCAL_PORT%',
  ]);
  const chosen = "request.path.startsWith('/a') ? 'a' : 'other'";
  expect(formats('1.40.1', chosen, 'istio_operationId', "'a' + string(response.code)", "request.path == ')%'")).toEqual([
    `%CEL(${chosen})%`,
    'unknown',
    'unknown',
    'unknown',
  ]);
  expect(formats('1.39.2', chosen)).toEqual(['unknown']);
});

test('embedded proxies get no expression they would refuse: the tag is unknown then', () => {
  const objects = [
    telemetry('t', { metrics: [{ overrides: [{ tagOverrides: { operation: { value: 'istio_operationId' }, host: { value: 'request.host' } } }] }] }),
  ];
  const listener = decoded(translate(buildMesh(objects, DEFAULT_MESH_SETTINGS), node('embedded'), DEFAULT_MESH_SETTINGS), TYPE_URL.listener, 'http_proxy');
  expect(JSON.stringify(listener)).toContain('"set":{"operation":"\'unknown\'","host":"request.host"}');
});
