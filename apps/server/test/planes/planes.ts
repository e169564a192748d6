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
import { buildMesh, registry, translate } from '@weft/mesh-core/translate';
import { type ResourceSet, TYPE_URL } from '@weft/mesh-core/xds';
import { expect, onTestFinished, vi } from 'vitest';
import { validateObject } from '@weft/mesh-core/config';
import { openAccessLogs } from '../../src/proxy/access-log/access-log.ts';
import { decodeCluster, decodeEndpoints, decodeListener, decodeRouteConfig, decodeSecret } from '../../src/proxy/config/decode.ts';
import { createProxyRuntime } from '../../src/proxy/http/runtime.ts';
import { createTracer } from '../../src/proxy/tracing/tracer.ts';

// Of another project's tests, which TypeScript does not let this one import.
const { decoded, envoyBinary, staticBootstrap } = (await import(
  String(new URL('../../../../packages/mesh-core/src/translate/testing/static-envoy.ts', import.meta.url))
)) as {
  envoyBinary(): string | undefined;
  decoded(set: ResourceSet, typeUrl: string, name: string): JsonObject;
  staticBootstrap(set: ResourceSet, secrets: readonly object[]): { static_resources: { listeners: { address: { socketAddress: { portValue: number } } }[] } };
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
  secrets?: readonly object[];
}

/** Runs until the end of the test. Gives a listener's port by its name. */
export async function startPlane(
  plane: 'embedded' | 'envoy',
  objects: readonly MeshObject[],
  { node, settings, routes, secrets = [] }: PlaneOptions = {},
): Promise<(listener: string) => number> {
  const all = { ...DEFAULT_MESH_SETTINGS, ...settings };
  const translated = translate(buildMesh(objects, all), nodeOf(plane, node), all);
  const set = routes === undefined ? translated : { ...translated, [TYPE_URL.route]: withRoutes(translated, routes) };
  return plane === 'embedded' ? startEmbedded(set) : startEnvoy(set, secrets);
}

function withRoutes(set: ResourceSet, change: (table: JsonObject) => void): ResourceSet[typeof TYPE_URL.route] {
  return new Map(
    [...set[TYPE_URL.route]].map(([name, resource]) => {
      const table = decoded(set, TYPE_URL.route, name);
      change(table);
      return [name, { ...resource, body: toBinary(RouteConfigurationSchema, fromJson(RouteConfigurationSchema, table, { registry })) }];
    }),
  );
}

async function startEmbedded(set: ResourceSet): Promise<(listener: string) => number> {
  const logs = openAccessLogs(() => undefined);
  const runtime = createProxyRuntime({
    clock: () => performance.now(),
    random: Math.random,
    tracer: createTracer(Math.random),
    onRequestEnd: (record, source) => logs.onRequest(record.manager.accessLog, source),
    onTcp: (record) => record.phase === 'closed' && logs.onTcp(record),
  });
  onTestFinished(async () => {
    await runtime.close();
    await logs.close();
  });
  for (const { body, name } of set[TYPE_URL.cluster].values()) runtime.applyCluster(decodeCluster(body, name));
  for (const { body, name } of set[TYPE_URL.endpoint].values()) runtime.applyEndpoints(decodeEndpoints(body, name));
  for (const { body, name } of set[TYPE_URL.route].values()) runtime.applyRoutes(decodeRouteConfig(body, name));
  for (const { body, name } of set[TYPE_URL.secret].values()) runtime.applySecret(decodeSecret(body, name));
  await runtime.applyListeners([...set[TYPE_URL.listener].values()].map(({ body, name }) => ({ ...decodeListener(body, name), port: 0 })));
  return (name) => named(name, new Map(runtime.stats().listeners.map((l) => [l.name, l.port])));
}

async function startEnvoy(set: ResourceSet, more: readonly object[]): Promise<(listener: string) => number> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-plane-'));
  const secrets = [...set[TYPE_URL.secret].values()].map(({ body }) => toJson(SecretSchema, fromBinary(SecretSchema, body)) as object);
  const bootstrap = staticBootstrap(set, [...secrets, ...more]);
  for (const { address } of bootstrap.static_resources.listeners) address.socketAddress.portValue = 0;
  writeFileSync(join(dir, 'envoy.json'), JSON.stringify(bootstrap));
  const args = ['-c', join(dir, 'envoy.json'), '--disable-hot-restart', '--concurrency', '1', '--admin-address-path', join(dir, 'admin')];
  const child = spawn(envoy ?? '', [...args, '-l', 'warning', '--file-flush-interval-msec', '50'], { stdio: ['ignore', 'ignore', 'pipe'] });
  onTestFinished(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(dir, { recursive: true, force: true });
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const admin = async (path: string): Promise<string> => (await fetch(`http://${readFileSync(join(dir, 'admin'), 'utf8')}${path}`)).text();
  await vi.waitFor(async () => {
    if (child.exitCode !== null) throw new Error(log);
    expect(await admin('/ready')).toContain('LIVE');
  }, PATIENT.timeout);
  const listing = JSON.parse(await admin('/listeners?format=json')) as {
    listener_statuses: { name: string; local_address: { socket_address: { port_value: number } } }[];
  };
  return (name) => named(name, new Map(listing.listener_statuses.map((l) => [l.name, l.local_address.socket_address.port_value])));
}

function named(name: string, ports: ReadonlyMap<string, number>): number {
  const port = ports.get(name);
  if (port === undefined) throw new Error(`no listener ${name}; there are ${[...ports.keys()].join(', ')}`);
  return port;
}
