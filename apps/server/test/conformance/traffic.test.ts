// Istio's traffic tests (shared/corpus): the same requests through an embedded sidecar that is sent our translation.

import { existsSync, readFileSync } from 'node:fs';
import { type IncomingMessage, type Server, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { type MeshObject, type MeshSettings, type ProxyNode, DEFAULT_MESH_SETTINGS } from '@weft/mesh-core/model';
import { TYPE_URL } from '@weft/mesh-core/xds';
import { createProxyRuntime } from '../../src/proxy/http/runtime.ts';
import { createConfiguration } from '../../src/proxy/xds-client/configuration.ts';
import { proxy, readObjects, resourcesOf } from './objects.ts';
import { freePort } from '../../src/proxy/listener/testing/free-port.ts';

const corpus = process.env['WEFT_CORPUS'] ?? resolve(dirname(fileURLToPath(import.meta.url)), '../../../../../shared/corpus');
const present = existsSync(join(corpus, 'istio'));
if (!present) console.warn(`skipped: Istio's conformance corpus is not at ${corpus}; set WEFT_CORPUS`);

interface Expectation {
  status: number;
  backendSeesHost?: string;
  backendSeesUrl?: string;
  backendSeesHeader?: Record<string, string>;
  distinctBackends?: number | string;
}
interface Entry {
  file?: string | null;
  id?: string;
  mesh?: { pathNormalization?: { normalization: NonNullable<MeshSettings['pathNormalization']> } };
  requests: { to: string; method: string; path: string; count?: number; headers?: Record<string, string>; followRedirects?: boolean; expect: Expectation }[];
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** An application that answers with what it was asked. */
const echo = (name: string): Promise<number> =>
  listen(createServer((incoming, response) => response.end(JSON.stringify({ name, url: incoming.url, headers: incoming.headers }))));

interface Answer {
  status: number;
  location: string | undefined;
  seen: { name: string; url: string; headers: Record<string, string> } | undefined;
}

async function ask(port: number, method: string, path: string, headers: Record<string, string>): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((done, fail) => {
    request({ host: '127.0.0.1', port, method, path, headers, agent: false }, done).on('error', fail).end();
  });
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return {
    status: response.statusCode ?? 0,
    location: response.headers.location,
    seen: body.startsWith('{') ? (JSON.parse(body) as Answer['seen']) : undefined,
  };
}

const object = (apiVersion: string, kind: string, name: string, spec: unknown): MeshObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'default' },
  spec,
});

/** Echo services b (three endpoints), c and d. */
async function echoServices(): Promise<MeshObject[]> {
  const objects: MeshObject[] = [];
  for (const [service, count] of [
    ['b', 3],
    ['c', 1],
    ['d', 1],
  ] as const) {
    objects.push(object('v1', 'Service', service, { selector: { app: service }, ports: [{ name: 'http', port: 80 }] }));
    for (let i = 0; i < count; i++) {
      const name = `${service}-${i}`;
      objects.push(
        object('networking.istio.io/v1', 'WorkloadEntry', name, { address: '127.0.0.1', ports: { http: await echo(name) }, labels: { app: service } }),
      );
    }
  }
  return objects;
}

/** A sidecar with these objects in force; the port of its first listener. */
async function sidecar(objects: readonly MeshObject[], node: Partial<ProxyNode>, mesh: Entry['mesh']): Promise<number> {
  const runtime = createProxyRuntime({ clock: () => performance.now(), random: Math.random, onRequestEnd: () => undefined });
  onTestFinished(() => runtime.close());
  const configuration = createConfiguration(runtime, { changed: () => undefined, live: () => undefined });
  const { normalization } = mesh?.pathNormalization ?? {};
  const settings = { ...DEFAULT_MESH_SETTINGS, ...(normalization === undefined ? {} : { pathNormalization: normalization }) };
  const set = resourcesOf(objects, proxy({ ip: '127.0.0.1', httpProxyPort: 0, ...node }), settings);
  for (const type of [TYPE_URL.cluster, TYPE_URL.endpoint, TYPE_URL.route, TYPE_URL.listener])
    await configuration.apply(
      type,
      [...set[type]].map(([, resource]) => resource),
      [],
    );
  return runtime.stats().listeners[0]?.port ?? 0;
}

/** The same services, of which b is one application behind a sidecar with policies: nobody has a certificate here. */
async function guarded(services: readonly MeshObject[], objects: readonly MeshObject[]): Promise<MeshObject[]> {
  const plaintext = object('security.istio.io/v1', 'PeerAuthentication', 'off', { mtls: { mode: 'DISABLE' } });
  const inbound = [{ name: 'http', servicePort: 80, listenPort: await freePort(), appPort: await echo('b-0') }];
  const port = await sidecar([...services, ...objects, plaintext], { labels: { app: 'b' }, workload: 'b-0', inbound }, undefined);
  const entry = object('networking.istio.io/v1', 'WorkloadEntry', 'b-0', { address: '127.0.0.1', ports: { http: port }, labels: { app: 'b' } });
  return [...services.filter((o) => o.kind !== 'WorkloadEntry' || !o.metadata.name.startsWith('b-')), entry];
}

/** What is wrong with the answers to one request of the corpus. */
async function check(
  port: number,
  { to, method, path, count = 1, headers = {}, followRedirects = false, expect: wanted }: Entry['requests'][number],
): Promise<string[]> {
  const names = new Set<string>();
  const wrong: string[] = [];
  for (let i = 0; i < count; i++) {
    let answer = await ask(port, method, path, { ...headers, host: to });
    if (followRedirects && answer.location !== undefined)
      answer = await ask(port, method, answer.location.replace(/^https?:\/\/[^/]+/, ''), { ...headers, host: to });
    const { status, seen } = answer;
    if (seen !== undefined) names.add(seen.name);
    if (status !== wanted.status) wrong.push(`status ${status}, not ${wanted.status}`);
    if (wanted.backendSeesHost !== undefined && seen?.headers['host'] !== wanted.backendSeesHost)
      wrong.push(`Host ${seen?.headers['host']}, not ${wanted.backendSeesHost}`);
    if (wanted.backendSeesUrl !== undefined && seen?.url !== wanted.backendSeesUrl) wrong.push(`path ${seen?.url}, not ${wanted.backendSeesUrl}`);
    for (const [name, value] of Object.entries(wanted.backendSeesHeader ?? {}))
      if (seen?.headers[name] !== value) wrong.push(`${name}: ${seen?.headers[name]}, not ${value}`);
  }
  const spread = wanted.distinctBackends;
  if (spread !== undefined && (spread === '>1' ? names.size < 2 : names.size !== spread)) wrong.push(`${names.size} endpoints, not ${spread}`);
  return wrong.map((what) => `${method} ${path}: ${what}`);
}

test.skipIf(!present)("requests of Istio's traffic tests are answered as Istio says", async () => {
  const entries = JSON.parse(readFileSync(join(corpus, 'istio/traffic-index.json'), 'utf8')) as Entry[];
  const services = await echoServices();
  const wrong: string[] = [];
  const left: string[] = [];
  let agreed = 0;
  for (const { file, id, mesh, requests } of entries) {
    const name = file ?? id ?? 'no configuration';
    const { objects, unserved } =
      file === undefined || file === null ? { objects: [], unserved: [] } : readObjects(readFileSync(join(corpus, 'istio', file), 'utf8'));
    if (unserved.length > 0) {
      left.push(`  ${name}: kind ${unserved.join(', ')}`);
      continue;
    }
    const all = objects.some((o) => o.kind === 'AuthorizationPolicy') ? await guarded(services, objects) : services;
    const port = await sidecar([...all, ...objects], { labels: { app: 'a' }, workload: 'a', httpProxyPort: await freePort() }, mesh);
    // Istio tells its Envoys to cut fragments off; here they are refused, as Envoy by itself does.
    const found = (await Promise.all(requests.filter(({ path }) => !path.includes('#')).map((r) => check(port, r)))).flat();
    if (found.length === 0) agreed += 1;
    else wrong.push(...found.map((text) => `${name}: ${text}`));
  }
  console.log(`Istio's traffic: ${agreed} entries agree, ${wrong.length} answers differ; not served:\n${left.join('\n')}`);
  expect(wrong).toEqual([]);
  expect(agreed).toBeGreaterThanOrEqual(17);
});
