// One proxy with what the translator makes of some objects, embedded or stock Envoy, without a control plane: what would come over
// ADS is given at the start. Listeners get ports of the system's choosing and are asked for by name.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary, fromJson, type JsonObject, toBinary, toJson } from '@bufbuild/protobuf';
import { RouteConfigurationSchema } from '@weft/mesh-core/gen/envoy/config/route/v3/route_pb';
import { SecretSchema } from '@weft/mesh-core/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type MeshSettings, type ProxyNode } from '@weft/mesh-core/model';
import type { OtlpSpan } from '@weft/mesh-core/telemetry';
import { type Mesh, buildMesh, registry, translate } from '@weft/mesh-core/translate';
import { type ResourceSet, TYPE_URL, bytesOf } from '@weft/mesh-core/xds';
import { onTestFinished } from 'vitest';
import { validateObject } from '@weft/mesh-core/config';
import { openAccessLogs } from '../../src/proxy/access-log/access-log.ts';
import { decodeCluster, decodeEndpoints, decodeListener, decodeRouteConfig, decodeSecret } from '../../src/proxy/config/decode.ts';
import { createProxyRuntime } from '../../src/proxy/http/runtime.ts';
import { createPrometheus } from '../../src/proxy/telemetry/prometheus.ts';
import { createRequestMetrics } from '../../src/proxy/telemetry/request-metrics.ts';
import { selfLabels } from '../../src/proxy/telemetry/self-labels.ts';
import { createTcpMetrics } from '../../src/proxy/telemetry/tcp-metrics.ts';
import { createTracer, spanOf } from '../../src/proxy/tracing/tracer.ts';

// Of another project's tests, which TypeScript does not let this one import.
const translateDir = new URL('../../../../packages/mesh-core/src/translate/', import.meta.url);
const { decoded, envoyBinary, staticBootstrap } = (await import(String(new URL('testing/static-envoy.ts', translateDir)))) as {
  envoyBinary(): string | undefined;
  decoded(set: ResourceSet, typeUrl: string, name: string): JsonObject;
  staticBootstrap(set: ResourceSet, secrets: readonly object[]): { static_resources: { listeners: { address: { socketAddress: { portValue: number } } }[] } };
};
const { applyEnvoyFilters } = (await import(String(new URL('envoy-filter/apply.ts', translateDir)))) as {
  applyEnvoyFilters(
    mesh: Mesh,
    node: ProxyNode,
    set: ResourceSet,
  ): { resources: ResourceSet; outcomes: { filter: string; applied: boolean; reason?: string }[] };
};
const envoy = envoyBinary();

/** For what comes soon on a quiet machine. */
export const PATIENT = { timeout: 25_000 };

/** Embedded, and Envoy where there is one. */
export const PLANES: readonly ('embedded' | 'envoy')[] = envoy === undefined ? ['embedded'] : ['embedded', 'envoy'];

/** A valid object; `kind` may begin with a group version (`v1 Service`, default `networking.istio.io/v1`). */
export function object(kind: string, name: string, spec: unknown, namespace = 'shop'): MeshObject {
  const [version, short] = kind.includes(' ') ? (kind.split(' ') as [string, string]) : ['networking.istio.io/v1', kind];
  const { object: valid, problems } = validateObject({ apiVersion: version, kind: short, metadata: { name, namespace }, spec });
  if (valid === undefined) throw new Error(JSON.stringify(problems));
  return valid;
}

/** A patch of the connection manager, by EnvoyFilter: Istio has no word for these fields. */
export function onManager(fields: object): object {
  return {
    applyTo: 'NETWORK_FILTER',
    match: { listener: { filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager' } } } },
    patch: {
      operation: 'MERGE',
      value: { typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', ...fields } },
    },
  };
}

export function nodeOf(dataPlane: ProxyNode['dataPlane'], changes: Partial<ProxyNode> = {}): ProxyNode {
  return {
    id: 'sidecar~127.0.0.1~web.shop~shop.svc.cluster.local',
    role: 'sidecar',
    dataPlane,
    ip: '127.0.0.1',
    workload: 'web',
    namespace: 'shop',
    identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'web' },
    labels: { app: 'web' },
    locality: '',
    httpProxyPort: 0,
    inbound: [],
    upstreams: [],
    adminPort: 0,
    version: '0',
    ...changes,
  };
}

export interface PlaneOptions {
  node?: Partial<ProxyNode>;
  settings?: Partial<MeshSettings>;
  /** Changes route tables to what Istio's objects cannot say. */
  routes?: (table: JsonObject) => void;
  /** SDS by name, beside what Secrets of the objects make. */
  secrets?: readonly JsonObject[];
  /** Has more than it can carry. */
  overloaded?: boolean;
  /** Told each span of an embedded proxy; Envoy sends its own to the OTLP port of the settings. */
  onSpan?: (span: OtlpSpan) => void;
}

/** A listener's port by its name. */
type PortOf = (listener: string) => number;

export interface RunningPlane {
  port: PortOf;
  /** Its `/stats/prometheus`. */
  prometheus(): Promise<string>;
  stop(): Promise<void>;
}

/** Runs until the end of the test. */
export async function startPlane(plane: 'embedded' | 'envoy', objects: readonly MeshObject[], options: PlaneOptions = {}): Promise<PortOf> {
  const { port, stop } = await runPlane(plane, objects, options);
  onTestFinished(stop);
  return port;
}

/** EnvoyFilters are applied on both: what the control plane keeps from embedded proxies they can do nonetheless. */
export async function runPlane(
  plane: 'embedded' | 'envoy',
  objects: readonly MeshObject[],
  { node: changes, settings, routes, secrets = [], overloaded = false, onSpan = () => undefined }: PlaneOptions = {},
): Promise<RunningPlane> {
  // Nobody listens there: a mesh of the user's own on this machine, with the usual ports, is not told of tests.
  const otlp = { host: '127.0.0.1', grpcPort: 9, httpPort: 9 };
  const all = { ...DEFAULT_MESH_SETTINGS, otlp, ...settings };
  const mesh = buildMesh(objects, all);
  const node = nodeOf(plane, changes);
  const translated = translate(mesh, node, all);
  const set = routes === undefined ? translated : { ...translated, [TYPE_URL.route]: withRoutes(translated, routes) };
  if (plane === 'envoy') return startEnvoy(set, secrets, overloaded);
  const { resources, outcomes } = applyEnvoyFilters(mesh, node, set);
  for (const { filter, applied, reason } of outcomes) if (!applied) throw new Error(`${filter}: ${reason}`);
  return startEmbedded(node, resources, secrets, overloaded, onSpan);
}

function withRoutes(set: ResourceSet, change: (table: JsonObject) => void): ResourceSet[typeof TYPE_URL.route] {
  return new Map(
    [...set[TYPE_URL.route]].map(([name, { typeUrl, version }]) => {
      const table = decoded(set, TYPE_URL.route, name);
      change(table);
      return [name, { typeUrl, name, version, body: toBinary(RouteConfigurationSchema, fromJson(RouteConfigurationSchema, table, { registry })) }];
    }),
  );
}

async function startEmbedded(
  node: ProxyNode,
  set: ResourceSet,
  more: readonly JsonObject[],
  overloaded: boolean,
  onSpan: (span: OtlpSpan) => void,
): Promise<RunningPlane> {
  const logs = openAccessLogs(() => undefined);
  const self = selfLabels({ ...node, ...node.identity });
  const metrics = createRequestMetrics(self, Date.now);
  const tcpMetrics = createTcpMetrics(self, Date.now);
  const runtime = createProxyRuntime({
    clock: () => performance.now(),
    random: Math.random,
    tracer: createTracer(Math.random),
    onRequestEnd: (record, source) => {
      metrics.onRequest(record, source);
      logs.onRequest(record.manager.accessLog, source);
      const span = spanOf(record, source, node.id, performance.timeOrigin);
      if (span !== undefined) onSpan(span);
    },
    onTcp: (record) => {
      tcpMetrics.onTcp(record);
      logs.onTcp(record);
    },
    ...(overloaded ? { overload: { admit: () => false, release: () => undefined } } : {}),
  });
  const stop = async (): Promise<void> => {
    await runtime.close();
    await logs.close();
  };
  try {
    for (const { body, name } of set[TYPE_URL.cluster].values()) runtime.applyCluster(decodeCluster(body, name));
    for (const { body, name } of set[TYPE_URL.endpoint].values()) runtime.applyEndpoints(decodeEndpoints(body, name));
    for (const resource of set[TYPE_URL.route].values()) runtime.applyRoutes(decodeRouteConfig(bytesOf(resource), resource.name));
    for (const { body, name } of set[TYPE_URL.secret].values()) runtime.applySecret(decodeSecret(body, name));
    for (const secret of more) runtime.applySecret(decodeSecret(toBinary(SecretSchema, fromJson(SecretSchema, secret)), String(secret['name'])));
    await runtime.applyListeners([...set[TYPE_URL.listener].values()].map(({ body, name }) => ({ ...decodeListener(body, name), port: 0 })));
  } catch (error) {
    await stop();
    throw error;
  }
  const ports = new Map(runtime.stats().listeners.map((l) => [l.name, l.port]));
  const scrape = createPrometheus(metrics, tcpMetrics);
  return { port: (name) => named(name, ports), prometheus: async () => (await scrape()).body, stop };
}

/** Spans are sent soon. */
const RUNTIME = {
  layered_runtime: {
    layers: [{ name: 'static', static_layer: { 'tracing.opentelemetry.flush_interval_ms': 50, 'tracing.opentelemetry.min_flush_spans': 1 } }],
  },
};

/** Every heap is too big. */
const OVERLOADED = {
  refresh_interval: '0.05s',
  resource_monitors: [
    {
      name: 'envoy.resource_monitors.fixed_heap',
      typed_config: { '@type': 'type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig', max_heap_size_bytes: 1 },
    },
  ],
  actions: [{ name: 'envoy.overload_actions.stop_accepting_requests', triggers: [{ name: 'envoy.resource_monitors.fixed_heap', threshold: { value: 0.9 } }] }],
};

async function startEnvoy(set: ResourceSet, more: readonly JsonObject[], overloaded: boolean): Promise<RunningPlane> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-plane-'));
  const secrets = [...set[TYPE_URL.secret].values()].map(({ body }) => toJson(SecretSchema, fromBinary(SecretSchema, body)) as object);
  const bootstrap = staticBootstrap(set, [...secrets, ...more]);
  for (const { address } of bootstrap.static_resources.listeners) address.socketAddress.portValue = 0;
  writeFileSync(join(dir, 'envoy.json'), JSON.stringify({ ...bootstrap, ...RUNTIME, ...(overloaded ? { overload_manager: OVERLOADED } : {}) }));
  const args = ['-c', join(dir, 'envoy.json'), '--disable-hot-restart', '--concurrency', '1', '--admin-address-path', join(dir, 'admin')];
  const child = spawn(envoy ?? '', [...args, '-l', 'warning', '--file-flush-interval-msec', '50'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const stop = async (): Promise<void> => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    // Asked, so that what it has logged is written.
    if (child.exitCode === null && child.kill('SIGTERM')) await gone;
    rmSync(dir, { recursive: true, force: true });
  };
  const admin = async (path: string): Promise<string> => (await fetch(`http://${readFileSync(join(dir, 'admin'), 'utf8')}${path}`)).text();
  const deadline = performance.now() + PATIENT.timeout;
  // The monitors of the overload manager are read for the first time a moment after the listeners are up.
  const [path, sign] = overloaded ? ['/stats?filter=stop_accepting_requests.active', ': 1'] : ['/ready', 'LIVE'];
  while (!(await admin(path).catch(() => '')).includes(sign)) {
    if (child.exitCode === null && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      continue;
    }
    await stop();
    throw new Error(`Envoy does not start: ${log.replaceAll(/^.*\[warning\].*\n/gm, '')}`);
  }
  const listing = JSON.parse(await admin('/listeners?format=json')) as {
    listener_statuses?: { name: string; local_address: { socket_address: { port_value: number } } }[];
  };
  const ports = new Map((listing.listener_statuses ?? []).map((l) => [l.name, l.local_address.socket_address.port_value]));
  return { port: (name) => named(name, ports), prometheus: () => admin('/stats/prometheus'), stop };
}

function named(name: string, ports: ReadonlyMap<string, number>): number {
  const port = ports.get(name);
  if (port === undefined) throw new Error(`no listener ${name}; there are ${[...ports.keys()].join(', ')}`);
  return port;
}
