// Two proxies, a real control plane, an application and an OTLP receiver, all over sockets.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { type IncomingHttpHeaders, type Server, createServer, get as httpGet } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MeshObject } from '@weft/mesh-core/model';
import { type OtlpResourceMetrics, type OtlpSpan, decodeMetrics, decodeTraces } from '@weft/mesh-core/telemetry';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHarness, until } from '../control-plane/testing/harness.ts';
import type { ProxySpec } from './config/proxy-spec.ts';
import { type ProxyHandle, startProxy } from './instance.ts';
import { createProxyRuntime } from './http/runtime.ts';
import { freePort } from './listener/testing/free-port.ts';

const HOST = 'reviews.bookinfo.svc.cluster.local';
const logs: string[] = [];
const received = { metrics: [] as OtlpResourceMetrics[], spans: [] as OtlpSpan[] };
let mesh: Awaited<ReturnType<typeof startHarness>>;
let stateDir: string;
let app: Server;
let otlp: Server;
let specs: Record<'client' | 'reviews', ProxySpec>;
const proxies: ProxyHandle[] = [];
const start = async (spec: ProxySpec): Promise<ProxyHandle> => {
  const proxy = await startProxy(spec, { createRuntime: createProxyRuntime, log: (line) => logs.push(line) });
  proxies.push(proxy);
  return proxy;
};

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
function fetchText(port: number, path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string; headers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    httpGet({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
      response.on('error', reject);
    }).on('error', reject);
  });
}

beforeAll(async () => {
  app = createServer((request, response) => response.end(JSON.stringify(request.headers)));
  const appPort = await listen(app);
  otlp = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.url === '/v1/metrics') received.metrics.push(...decodeMetrics(Buffer.concat(chunks)));
      else received.spans.push(...decodeTraces(Buffer.concat(chunks)).flatMap((r) => r.spans));
      response.end();
    });
  });
  const otlpPort = await listen(otlp);
  mesh = await startHarness({ realTranslator: true });
  stateDir = await mkdtemp(join(tmpdir(), 'weft-proxy-'));
  const inbound = await freePort();
  const objects: MeshObject[] = [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'reviews', namespace: 'bookinfo' },
      spec: { selector: { app: 'reviews' }, ports: [{ name: 'http', port: 9080 }] },
    },
    {
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: 'default', namespace: 'bookinfo' },
      spec: { mtls: { mode: 'STRICT' } },
    },
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: { name: 'reviews-v1', namespace: 'bookinfo' },
      spec: {
        address: '127.0.0.1',
        ports: { http: inbound },
        labels: { app: 'reviews', version: 'v1', 'security.istio.io/tlsMode': 'istio' },
        serviceAccount: 'reviews',
      },
    },
  ];
  await mesh.put(...objects);
  const spec = async (service: string, more: Pick<ProxySpec, 'inbound' | 'upstreams'>): Promise<ProxySpec> => ({
    workload: `${service}-v1`,
    namespace: 'bookinfo',
    serviceAccount: service,
    trustDomain: 'cluster.local',
    meshId: 'test',
    role: 'sidecar',
    labels: { app: service, version: 'v1' },
    ip: '127.0.0.1',
    httpProxyPort: await freePort(),
    adminPort: 0,
    xdsAddress: `127.0.0.1:${mesh.plane.ports().tls}`,
    rootCaPem: mesh.ca.rootCaPem,
    joinToken: mesh.ca.issueJoinToken({ namespace: 'bookinfo', workload: `${service}-v1`, serviceAccount: service }),
    otlpEndpoint: `http://127.0.0.1:${otlpPort}`,
    stateDir,
    ...more,
  });
  specs = {
    reviews: await spec('reviews', { inbound: [{ name: 'http', servicePort: 9080, listenPort: inbound, appPort }], upstreams: [] }),
    client: await spec('productpage', { inbound: [], upstreams: [{ host: HOST, port: 9080, listenPort: await freePort() }] }),
  };
  const [reviews, client] = await Promise.all([start(specs.reviews), start(specs.client)]);
  await Promise.all([reviews.ready, client.ready]);
}, 20_000);

afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.drain(100)));
  await mesh.close();
  for (const server of [app, otlp]) {
    server.closeAllConnections();
    server.close();
  }
  await rm(stateDir, { recursive: true });
});

const upstreamPort = (): number => specs.client.upstreams[0]?.listenPort ?? 0;

test('a request crosses two sidecars over mutual TLS and both sides report it', async () => {
  const response = await fetchText(upstreamPort(), '/reviews/0', {
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    // One in a hundred is recorded, and those whose id says so.
    'x-request-id': '8f0e0a5c-3d1b-9c77-9a63-0123456789ab',
  });
  expect(response.status, logs.join('\n')).toBe(200);
  const seenByApp = JSON.parse(response.body) as Record<string, string>;
  expect(seenByApp['x-weft-peer']).toBeUndefined();
  expect(seenByApp['traceparent']).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);

  const points = () =>
    received.metrics
      .flatMap((r) => r.metrics)
      .filter((m) => m.name === 'istio_requests_total')
      .flatMap((m) => m.points);
  const bySide = (reporter: string) => points().find((p) => p.attributes['reporter'] === reporter);
  await until(() => bySide('source') !== undefined && bySide('destination') !== undefined);
  const both = {
    source_workload: 'productpage-v1',
    source_principal: 'spiffe://cluster.local/ns/bookinfo/sa/productpage',
    destination_workload: 'reviews-v1',
    destination_principal: 'spiffe://cluster.local/ns/bookinfo/sa/reviews',
    destination_service: HOST,
    destination_service_name: 'reviews',
    response_code: '200',
    response_flags: '-',
  };
  expect(bySide('source')).toMatchObject({ value: 1, attributes: { ...both, connection_security_policy: 'unknown' } });
  expect(bySide('destination')).toMatchObject({ value: 1, attributes: { ...both, connection_security_policy: 'mutual_tls' } });

  await until(() => received.spans.length >= 2);
  const client = received.spans.find((s) => s.kind === 3);
  const server = received.spans.find((s) => s.kind === 2);
  expect(client?.parentSpanId).toBe('b7ad6b7169203331');
  expect(server).toMatchObject({ traceId: client?.traceId, parentSpanId: client?.spanId, name: `${HOST}:9080/*` });
  expect(client?.attributes).toMatchObject({ 'http.status_code': 200, 'istio.canonical_service': 'productpage', upstream_cluster: `outbound|9080||${HOST}` });
});

test('the admin port tells state, counters, configuration and metrics promtool accepts', async () => {
  const port = proxies[1]?.adminPort ?? 0;
  await fetchText(upstreamPort(), '/');
  expect(await fetchText(port, '/ready')).toMatchObject({ status: 200, body: 'LIVE\n' });
  expect((await fetchText(port, '/stats')).body).toContain(`cluster.outbound|9080||${HOST}.upstream_rq_total: `);
  expect((await fetchText(port, '/clusters')).body).toMatch(/::health_flags::healthy\n/);
  expect((await fetchText(port, '/listeners')).body).toContain(`:${upstreamPort()}\n`);
  const dump = await fetchText(port, '/config_dump');
  expect(dump.body).toContain('"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"');
  expect(dump.body).not.toContain('PRIVATE KEY');
  const { body } = await fetchText(port, '/stats/prometheus');
  expect(body).toMatch(/^istio_requests_total\{reporter="source",source_workload="productpage-v1",/m);
  expect(body).toMatch(/^istio_request_duration_milliseconds_bucket\{.*le="\+Inf".*\} [1-9]/m);
  if (existsSync('/usr/bin/promtool')) {
    const { stdout, stderr } = spawnSync('/usr/bin/promtool', ['check', 'metrics'], { input: body, encoding: 'utf8' });
    // Istio's own name for it; nothing else may be wrong.
    expect(`${stdout}${stderr}`.trim()).toBe('istio_request_duration_milliseconds use base unit "seconds" instead of "milliseconds"');
  } else process.stderr.write('promtool is not installed: the format was not checked by it\n');
  expect((await fetchText(port, '/ready', { host: 'evil.example' })).status).toBe(403);
  expect((await fetchText(port, '/quitquitquit')).status).toBe(405);
});

test('the admin port narrows, masks and resets as Envoy’s does, and changes things by POST only', async () => {
  const port = proxies[1]?.adminPort ?? 0;
  const page = async (path: string): Promise<unknown> => JSON.parse((await fetchText(port, path)).body) as unknown;
  const post = async (path: string): Promise<string> => (await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST' })).text();
  await fetchText(upstreamPort(), '/');
  const cluster = `outbound|9080||${HOST}`;
  expect(await page('/config_dump?resource=dynamic_active_clusters&mask=cluster.name&name_regex=reviews')).toEqual({
    configs: [
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster',
        cluster: { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: cluster },
      },
    ],
  });
  expect(await page('/config_dump?mask=dynamic_listeners.name')).toMatchObject({
    configs: [{ '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump' }],
  });
  expect(await fetchText(port, '/config_dump?resource=nothing')).toMatchObject({ status: 404, body: 'nothing not found in config dump' });
  expect(await page('/clusters?format=json')).toMatchObject({
    cluster_statuses: expect.arrayContaining([expect.objectContaining({ name: cluster })]) as unknown,
  });
  const address = { socket_address: { address: '127.0.0.1', port_value: upstreamPort() } };
  expect(await page('/listeners?format=json')).toMatchObject({
    listener_statuses: expect.arrayContaining([expect.objectContaining({ local_address: address })]) as unknown,
  });
  const certs = await fetchText(port, '/certs');
  expect(certs.body).toContain('"uri": "spiffe://cluster.local/ns/bookinfo/sa/');
  expect(certs.body).not.toContain('KEY');

  const total = /\.upstream_rq_total: ([1-9]\d*)\n/;
  expect((await fetchText(port, '/stats?usedonly&filter=upstream_rq_total$')).body).toMatch(total);
  expect((await fetchText(port, '/stats?filter=%5B')).status).toBe(400);
  expect(await fetchText(port, '/reset_counters')).toMatchObject({ status: 405, body: 'Method GET not allowed, POST required.' });
  expect(await post('/reset_counters')).toBe('OK\n');
  expect((await fetchText(port, '/stats?filter=upstream_rq_total$')).body).not.toMatch(total);
  expect(await page('/stats?format=json&filter=connected_state')).toEqual({ stats: [{ name: 'control_plane.connected_state', value: 1 }] });

  expect(await post('/healthcheck/fail')).toBe('OK\n');
  expect(await fetchText(port, '/ready')).toMatchObject({ status: 503, body: 'DRAINING\n' });
  await post('/healthcheck/ok');
  expect(await fetchText(port, '/ready')).toMatchObject({ status: 200 });
  expect(await page('/server_info')).toMatchObject({ state: 'LIVE', hot_restart_version: 'disabled' });
  expect((await fetchText(port, '/nothing')).body).toMatch(/^invalid path\. admin commands are:\n {2}\/certs: /);
});

test('a write reaches traffic without a restart', async () => {
  await mesh.put({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'reviews', namespace: 'bookinfo' },
    spec: { hosts: ['reviews'], http: [{ directResponse: { status: 418 } }] },
  });
  const statuses: number[] = [];
  const end = performance.now() + 5_000;
  while (statuses.at(-1) !== 418 && performance.now() < end) statuses.push((await fetchText(upstreamPort(), '/')).status);
  expect(new Set(statuses)).toEqual(new Set(statuses.length === 1 ? [418] : [200, 418]));
});

test('without the control plane it goes on, and starts again from the configuration of the last run', async () => {
  const [reviews, client] = proxies;
  expect(logs.filter((line) => line.includes('refused'))).toEqual([]);
  for (const name of ['reviews-v1.bookinfo', 'productpage-v1.bookinfo']) await waitForFile(name);
  await mesh.put({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'reviews', namespace: 'bookinfo' },
    spec: { hosts: ['reviews'], http: [{ headers: { response: { set: { 'x-kept': 'yes' } } }, route: [{ destination: { host: 'reviews' } }] }] },
  });
  const kept = async (): Promise<string> => {
    const { status, headers } = await fetchText(upstreamPort(), '/');
    return `${status} ${String(headers['x-kept'])}`;
  };
  const end = performance.now() + 5_000;
  while ((await kept()) !== '200 yes' && performance.now() < end);
  await mesh.plane.stop();
  expect(await kept()).toBe('200 yes');
  await Promise.all([reviews?.drain(100), client?.drain(100)]);
  expect((await readFile(join(stateDir, 'reviews-v1.bookinfo.xds.json'), 'utf8')).includes('PRIVATE KEY')).toBe(false);

  const again = await Promise.all([start(specs.reviews), start(specs.client)]);
  await Promise.all(again.map((proxy) => proxy.ready));
  // Through both sidecars and mutual TLS: the proxies' own identities serve it.
  expect(await kept(), logs.join('\n')).toBe('200 yes');
}, 15_000);

async function waitForFile(name: string): Promise<void> {
  const end = performance.now() + 5_000;
  while (!(await readdir(stateDir)).includes(`${name}.xds.json`)) {
    if (performance.now() > end) throw new Error(`${name} was not kept`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
