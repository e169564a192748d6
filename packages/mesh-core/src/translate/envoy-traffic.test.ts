// Two stock Envoys that speak mutual TLS with what we translate: who called whom must come out in Istio's labels.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, createServer, get } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../model/index.ts';
import { buildMesh } from './mesh.ts';
import { proxyNode } from './testing/proxy-node.ts';
import { envoyBinary, staticBootstrap } from './testing/static-envoy.ts';
import { translate } from './translate.ts';

const HOST = 'reviews.shop.svc.cluster.local';
const OPENSSL = process.env['OPENSSL_BIN'] ?? 'openssl';
const envoy = envoyBinary();

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Certificates of a CA made on the spot, as Envoy's static secrets. */
function secretsOf(dir: string, account: string): JsonObject[] {
  const run = (...args: string[]): unknown => execFileSync(OPENSSL, args, { cwd: dir, stdio: 'pipe' });
  if (!existsSync(join(dir, 'ca.pem')))
    run(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-days',
      '2',
      '-subj',
      '/O=test',
    );
  writeFileSync(join(dir, `${account}.ext`), `subjectAltName=critical,URI:spiffe://cluster.local/ns/shop/sa/${account}\n`);
  run('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${account}.key`, '-out', `${account}.csr`, '-subj', '/');
  run(
    'x509',
    '-req',
    '-in',
    `${account}.csr`,
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '1',
    '-extfile',
    `${account}.ext`,
    '-out',
    `${account}.pem`,
  );
  const inline = (file: string): JsonObject => ({ inline_string: readFileSync(join(dir, file), 'utf8') });
  return [
    { name: 'default', tls_certificate: { certificate_chain: inline(`${account}.pem`), private_key: inline(`${account}.key`) } },
    { name: 'ROOTCA', validation_context: { trusted_ca: inline('ca.pem') } },
  ];
}

function fetchText(url: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string; headers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    get(url, { headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
    }).on('error', reject);
  });
}

async function eventually<T>(probe: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const found = await probe().catch(() => undefined);
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error('not within 15 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test.skipIf(envoy === undefined)(
  'two Envoys over mutual TLS: identity checked, peer header lifted and removed, both reporters agree',
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'weft-envoy-'));
    const children: ChildProcess[] = [];
    const seen: IncomingHttpHeaders[] = [];
    const app = createServer((request, response) => {
      seen.push(request.headers);
      response.end('reviews');
    }).listen(0, '127.0.0.1');
    await once(app, 'listening');
    try {
      const [upstreamPort, inboundPort, httpProxyPort] = [await freePort(), await freePort(), await freePort()];
      const node = (workload: string, changes: Partial<ProxyNode>): ProxyNode =>
        proxyNode(workload, 'shop', { dataPlane: 'envoy', labels: { app: workload, version: 'v1' }, ...changes });
      const objects: MeshObject[] = [
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'reviews', namespace: 'shop' },
          spec: { selector: { app: 'reviews' }, ports: [{ name: 'http', port: 9080 }] },
        },
        {
          apiVersion: 'networking.istio.io/v1',
          kind: 'WorkloadEntry',
          metadata: { name: 'reviews', namespace: 'shop' },
          spec: {
            address: '127.0.0.1',
            ports: { http: inboundPort },
            labels: { app: 'reviews', version: 'v1', 'security.istio.io/tlsMode': 'istio' },
            serviceAccount: 'reviews',
          },
        },
        {
          apiVersion: 'security.istio.io/v1',
          kind: 'PeerAuthentication',
          metadata: { name: 'default', namespace: 'shop' },
          spec: { mtls: { mode: 'STRICT' } },
        },
        {
          apiVersion: 'networking.istio.io/v1',
          kind: 'Sidecar',
          metadata: { name: 'default', namespace: 'shop' },
          spec: { egress: [{ hosts: ['./*'] }], outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } },
        },
      ];
      const mesh = buildMesh(objects, DEFAULT_MESH_SETTINGS);
      const start = async (proxy: ProxyNode): Promise<string> => {
        const file = (name: string): string => join(dir, `${proxy.workload}.${name}`);
        writeFileSync(file('json'), JSON.stringify(staticBootstrap(translate(mesh, proxy, DEFAULT_MESH_SETTINGS), secretsOf(dir, proxy.workload))));
        const log = { text: '' };
        const child = spawn(
          envoy ?? '',
          ['-c', file('json'), '--disable-hot-restart', '--concurrency', '1', '--admin-address-path', file('admin'), '-l', 'warning'],
          { stdio: ['ignore', 'ignore', 'pipe'] },
        );
        child.stderr.on('data', (chunk: Buffer) => (log.text += chunk.toString()));
        children.push(child);
        return eventually(async () => {
          if (child.exitCode !== null) throw new Error(log.text);
          const admin = `http://${readFileSync(file('admin'), 'utf8')}`;
          return (await fetchText(`${admin}/ready`)).text.startsWith('LIVE') ? admin : undefined;
        }).catch((error: unknown) => {
          throw new Error(`Envoy did not start: ${log.text}`, { cause: error });
        });
      };
      const server = await start(
        node('reviews', { inbound: [{ name: 'http', servicePort: 9080, listenPort: inboundPort, appPort: (app.address() as AddressInfo).port }] }),
      );
      const client = await start(node('web', { httpProxyPort, upstreams: [{ host: HOST, port: 9080, listenPort: upstreamPort }] }));

      const answer = await fetchText(`http://127.0.0.1:${upstreamPort}/reviews/0`, { 'x-weft-peer': 'forged;x;x;x;x;x;x' });
      expect([answer.status, answer.text]).toEqual([200, 'reviews']);
      expect(seen[0]).toMatchObject({ host: `${HOST}:9080`, 'x-envoy-attempt-count': '1' });
      expect(seen[0]).not.toHaveProperty('x-weft-peer');
      expect(seen[0]?.['x-forwarded-client-cert']).toContain('spiffe://cluster.local/ns/shop/sa/web');
      await expect(fetchText(`http://127.0.0.1:${inboundPort}/`)).rejects.toThrow();
      // By ALPN on the leg between them, HTTP/1.1 to the application.
      expect((await fetchText(`${client}/stats?filter=upstream_cx_http2_total`)).text).toMatch(/outbound\|9080\|\|.*upstream_cx_http2_total: 1/);
      expect((await fetchText(`${server}/stats?filter=upstream_cx_http1_total`)).text).toMatch(/inbound\|9080\|\|.*upstream_cx_http1_total: 1/);

      expect((await fetchText(`http://127.0.0.1:${httpProxyPort}/`, { host: 'nobody.test' })).status).toBe(502);

      const series = (admin: string, code = '200'): Promise<string> =>
        eventually(async () =>
          (await fetchText(`${admin}/stats/prometheus`)).text
            .split('\n')
            .find((l) => l.startsWith('envoy_istio_requests_total{') && l.includes(`response_code="${code}"`)),
        );
      const shared = [
        'source_workload="web"',
        'source_canonical_service="web"',
        'source_workload_namespace="shop"',
        'source_principal="spiffe://cluster.local/ns/shop/sa/web"',
        'destination_workload="reviews"',
        'destination_principal="spiffe://cluster.local/ns/shop/sa/reviews"',
        `destination_service="${HOST}"`,
        'destination_service_name="reviews"',
        'destination_service_namespace="shop"',
        'destination_canonical_revision="v1"',
        'source_cluster="weft"',
        'destination_cluster="weft"',
        'request_protocol="http"',
        'response_code="200"',
        'response_flags="-"',
      ];
      const refused = await series(client, '502');
      for (const tag of ['destination_service', 'destination_service_name']) expect(refused).toContain(`${tag}="BlackHoleCluster"`);
      const fromClient = await series(client);
      const fromServer = await series(server);
      for (const label of [...shared, 'reporter="source"', 'connection_security_policy="unknown"']) expect(fromClient).toContain(label);
      for (const label of [...shared, 'reporter="destination"', 'connection_security_policy="mutual_tls"']) expect(fromServer).toContain(label);
    } finally {
      for (const child of children) child.kill('SIGKILL');
      app.close();
      rmSync(dir, { recursive: true, force: true });
    }
  },
  40_000,
);
