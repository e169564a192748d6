// Role based access control of requests, as the filter of Envoy has it, on both data planes.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { MeshObject } from '@weft/mesh-core/model';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type TestAuthority, testAuthority } from '../../src/proxy/listener/testing/certificates.ts';
import { PLANES, type RunningPlane, object, runPlane } from './planes.ts';
import { type Rule, any, policy } from './rbac-rules.ts';

const dir = mkdtempSync(join(tmpdir(), 'weft-rbac-'));
const asked: string[] = [];
const app = createServer((request, response) => {
  asked.push(request.url ?? '');
  response.end('ok');
});
let authority: TestAuthority;
beforeAll(async () => {
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  authority = await testAuthority();
});
afterEach(() => void (asked.length = 0));
afterAll(() => {
  app.close();
  rmSync(dir, { recursive: true, force: true });
});

const deny = (policies: Record<string, object>): object => ({ rules: { action: 'DENY', policies } });
const allow = (policies: Record<string, object>): object => ({ rules: { action: 'ALLOW', policies } });
const urlPath = (match: object): Rule => ({ url_path: { path: match } });
const header = (name: string, match: object): Rule => ({ header: { name, ...match } });
const exactly = (exact: string): object => ({ string_match: { exact } });
const template = (path_template: string): Rule => ({
  uri_template: {
    name: 'uri-template',
    typed_config: { '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', path_template },
  },
});
const RBAC = 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC';

/** Filters in this order, before all others. */
function inserted(filters: readonly object[]): MeshObject {
  return object('networking.istio.io/v1alpha3 EnvoyFilter', 'rbac', {
    configPatches: filters.toReversed().map((config) => ({
      applyTo: 'HTTP_FILTER',
      match: { listener: { filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager' } } } },
      patch: { operation: 'INSERT_FIRST', value: { name: 'envoy.filters.http.rbac', typed_config: { '@type': RBAC, ...config } } },
    })),
  });
}

const entry = (): MeshObject =>
  object('ServiceEntry', 'app', {
    ...{ hosts: ['app.test'], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
    endpoints: [{ address: '127.0.0.1', ports: { http: (app.address() as AddressInfo).port } }],
  });

interface Asked {
  headers?: readonly string[];
  host?: string;
  /** Comes before the request. */
  before?: string;
  tls?: { cert?: string; key?: string };
}

/** The answer as it comes, until the proxy closes. */
function ask(port: number, path: string, { headers = [], host = 'app.test', before = '', tls }: Asked = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const head = before + ['GET ' + path + ' HTTP/1.1', `host: ${host}`, 'connection: close', ...headers, '', ''].join('\r\n');
    const to = { port, host: '127.0.0.1' };
    const socket =
      tls === undefined
        ? connect(to, () => socket.write(head))
        : connectTls({ ...to, ...tls, servername: 'app.test', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }, () => socket.write(head));
    socket.on('data', (part: Buffer) => (text += part.toString('latin1'))).on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

const status = async (...question: Parameters<typeof ask>): Promise<number> => Number((await ask(...question)).split(' ')[1]);

describe.each(PLANES)('%s', (plane) => {
  const running: RunningPlane[] = [];
  afterEach(() => Promise.all(running.splice(0).map((one) => one.stop())));

  /** Port of a sidecar's listener for app.test. */
  const sidecar = async (filters: readonly object[], settings: object = {}): Promise<number> => {
    const started = await runPlane(plane, [entry(), inserted(filters)], { node: { upstreams: [{ host: 'app.test', port: 80, listenPort: 1 }] }, settings });
    running.push(started);
    return started.port('app.test_80');
  };
  const gateway = async (filters: readonly object[], server: object, listener: string, settings: object = {}): Promise<number> => {
    const objects = [
      ...[entry(), inserted(filters)],
      object('Gateway', 'gw', { selector: { istio: 'gw' }, servers: [{ hosts: ['*'], ...server }] }),
      object('VirtualService', 'a', {
        hosts: ['app.test'],
        gateways: ['gw'],
        http: [{ route: [{ destination: { host: 'app.test', port: { number: 80 } } }] }],
      }),
    ];
    const started = await runPlane(plane, objects, { node: { role: 'router', labels: { istio: 'gw' } }, settings });
    running.push(started);
    return started.port(listener);
  };

  test('who is refused learns so, and nobody behind the proxy hears of it; the log tells by which policy', async () => {
    const file = join(mkdtempSync(join(dir, plane)), 'log');
    const filters = [
      deny({ 'ns[shop]-policy[no admin]': policy(urlPath({ prefix: '/admin' })) }),
      allow({ ok: policy(urlPath({ prefix: '/' })) }),
      allow({ a: policy(urlPath({ suffix: 'a' })) }),
    ];
    const settings = {
      accessLogFile: file,
      accessLogFormat: '%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %BYTES_SENT% %GRPC_STATUS_NUMBER%\n',
    };
    const port = await sidecar(filters, settings);
    const refused = await ask(port, '/x/../admin/a?q');
    expect(refused).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(refused).toMatch(/content-type: text\/plain\r\n[^]*\r\n\r\nRBAC: access denied$/);
    expect([await status(port, '/b'), await status(port, '/a')]).toEqual([403, 200]);
    const grpc = await ask(port, '/b', { headers: ['content-type: application/grpc', 'te: trailers'] });
    expect(grpc).toMatch(/^HTTP\/1\.1 200 [^]*\r\ngrpc-status: 7\r\ngrpc-message: RBAC: access denied\r\n/);
    expect(asked).toEqual(['/a']);
    await Promise.all(running.splice(0).map((one) => one.stop()));
    expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toEqual([
      '/admin/a?q 403 - rbac_access_denied_matched_policy[ns[shop]-policy[no_admin]] 19 -',
      '/b 403 - rbac_access_denied_matched_policy[none] 19 -',
      '/a 200 - via_upstream 2 -',
      '/b 200 - rbac_access_denied_matched_policy[none] 0 7',
    ]);
  });

  test('rules that are empty let nobody in; none at all everybody, and so do those that only cast a shadow', async () => {
    const ports = [await sidecar([{ rules: {} }]), await sidecar([{}]), await sidecar([{ shadow_rules: {} }]), await sidecar([deny({})])];
    expect(await Promise.all(ports.map((port) => status(port, '/')))).toEqual([403, 200, 200, 200]);
  });

  test('headers as the proxy sees them, not as a client claims them', async () => {
    const port = await sidecar([
      deny({
        value: policy(header('X-Abc', exactly('b'))),
        joined: policy(header('x-abc', exactly('c,d'))),
        absent: policy(header('x-needed', { present_match: false })),
        certificate: policy(header('x-forwarded-client-cert', { present_match: true })),
        steering: policy(header('x-envoy-retry-on', { present_match: true })),
        authority: policy(header(':authority', { string_match: { exact: 'EVIL.test', ignore_case: true } })),
        method: policy(header(':method', exactly('POST'))),
        path: policy(header(':path', exactly('/q?x=1'))),
        scheme: policy(header(':scheme', exactly('https'))),
      }),
    ]);
    const at = (headers: string[], more: Asked = {}): Promise<number> => status(port, '/', { headers: ['x-needed: 1', ...headers], ...more });
    expect([await at([]), await at(['x-abc: a', 'x-abc: b']), await at(['x-abc: c', 'x-abc: d']), await at(['x-abc: c,d'])]).toEqual([200, 403, 200, 403]);
    expect([await status(port, '/'), await at(['x-forwarded-client-cert: By=me']), await at(['x-envoy-retry-on: 5xx'])]).toEqual([403, 200, 200]);
    expect([await at([], { host: 'evil.test' }), await at(['x-forwarded-proto: https'])]).toEqual([403, 403]);
    expect([await status(port, '/q?x=1', { headers: ['x-needed: 1'] }), await status(port, '/q?x=2', { headers: ['x-needed: 1'] })]).toEqual([403, 200]);
  });

  test('templates of paths', async () => {
    const port = await sidecar([allow({ a: policy(template('/a/*/x/**')), b: policy(template('/b/**/z')) })]);
    const paths = ['/a/1/x/', '/a/1/x/2/3?q', '/a/1/x', '/a/1/2/x/3', '/b//z', '/b/1/2/z', '/b/z', '/a/[/x/1'];
    expect(await Promise.all(paths.map((path) => status(port, path)))).toEqual([200, 200, 403, 403, 200, 200, 403, 403]);
  });

  test('addresses: inside the mesh the last of x-forwarded-for is the client, at the edge the one who connected', async () => {
    const cidr = (address_prefix: string): object => ({ address_prefix, prefix_len: 16 });
    const rules = deny({ remote: policy(any, { remote_ip: cidr('10.1.0.0') }), direct: policy(any, { direct_remote_ip: cidr('10.2.0.0') }) });
    const inside = await sidecar([rules]);
    const edge = await gateway([rules], { port: { number: 80, name: 'http', protocol: 'HTTP' } }, '127.0.0.1_80');
    const from = async (port: number, ...lines: string[]): Promise<number> => status(port, '/', { headers: lines.map((line) => `x-forwarded-for: ${line}`) });
    expect([await from(inside), await from(inside, '8.8.8.8, 10.1.2.3'), await from(inside, '10.1.2.3,8.8.8.8')]).toEqual([200, 403, 200]);
    expect([await from(inside, '8.8.8.8', '10.1.2.3'), await from(inside, '10.1.2.3, x'), await from(inside, '10.2.2.3')]).toEqual([403, 200, 200]);
    expect([await from(edge, '10.1.2.3'), await from(edge)]).toEqual([200, 200]);
    const self = await sidecar([deny({ me: policy({ destination_ip: cidr('127.0.0.0') }, { direct_remote_ip: cidr('127.0.0.0') }) })]);
    expect(await from(self)).toBe(403);
  });

  test('behind a PROXY header the client is whom it names, and who connected is who connected', async () => {
    const cidr = (address_prefix: string): object => ({ address_prefix, prefix_len: 16 });
    const of = (prefix: string): Record<string, object> => ({
      remote: policy(urlPath({ exact: '/remote' }), { remote_ip: cidr(prefix) }),
      source: policy(urlPath({ exact: '/source' }), { source_ip: cidr(prefix) }),
      direct: policy(urlPath({ exact: '/direct' }), { direct_remote_ip: cidr(prefix) }),
      to: policy({ and_rules: { rules: [urlPath({ exact: '/to' }), { destination_ip: cidr('10.9.0.0') }, { destination_port: 6 }] } }),
    });
    const settings = { gatewayTopology: { proxyProtocol: {} } };
    const port = await gateway([deny(of('10.1.0.0'))], { port: { number: 80, name: 'http', protocol: 'HTTP' } }, '127.0.0.1_80', settings);
    const before = 'PROXY TCP4 10.1.0.1 10.9.0.1 5 6\r\n';
    expect(await Promise.all(['/remote', '/source', '/direct', '/to'].map((path) => status(port, path, { before })))).toEqual([403, 403, 200, 403]);
  });

  test('who has no route is refused before that is told', async () => {
    const port = await gateway([allow({ a: policy(urlPath({ prefix: '/a' })) })], { port: { number: 80, name: 'http', protocol: 'HTTP' } }, '127.0.0.1_80');
    expect([await status(port, '/b', { host: 'none.test' }), await status(port, '/a', { host: 'none.test' })]).toEqual([403, 404]);
  });

  test('names of the certificate a client has shown, and none without', async () => {
    const [server, a, b] = await Promise.all(
      ['app.test', 'spiffe://cluster.local/ns/shop/sa/a', 'spiffe://cluster.local/ns/other/sa/b'].map((name) => authority.issue(name)),
    );
    if (server === undefined || a === undefined || b === undefined) throw new Error('no certificates');
    for (const [name, text] of [
      ['ca', authority.caPem],
      ['cert', server.chainPem],
      ['key', server.keyPem],
    ] as const)
      writeFileSync(join(dir, `${name}.pem`), text);
    const tls = { mode: 'OPTIONAL_MUTUAL', serverCertificate: join(dir, 'cert.pem'), privateKey: join(dir, 'key.pem'), caCertificates: join(dir, 'ca.pem') };
    const named = (match: object): Rule => ({ authenticated: { principal_name: match } });
    const port = await gateway(
      [
        deny({ other: policy(urlPath({ exact: '/deny' }), named({ safe_regex: { regex: '.*/ns/other/.*' } })) }),
        allow({
          shop: policy(urlPath({ exact: '/shop' }), named({ safe_regex: { regex: '.*/ns/shop/.*' } })),
          someone: policy(urlPath({ exact: '/some' }), named({ safe_regex: { regex: '.+' } })),
          tls: policy(urlPath({ exact: '/tls' }), { authenticated: {} }),
          not: policy(urlPath({ prefix: '/deny' }), { not_id: named({ exact: 'spiffe://cluster.local/ns/shop/sa/a' }) }),
        }),
      ],
      { port: { number: 443, name: 'https', protocol: 'HTTPS' }, tls },
      '127.0.0.1_443',
    );
    const paths = ['/shop', '/some', '/tls', '/deny', '/deny/not'];
    const seen = (client: { cert?: string; key?: string }): Promise<number[]> => Promise.all(paths.map((path) => status(port, path, { tls: client })));
    expect(await seen({ cert: a.chainPem, key: a.keyPem })).toEqual([200, 200, 200, 403, 403]);
    expect(await seen({ cert: b.chainPem, key: b.keyPem })).toEqual([403, 200, 200, 403, 200]);
    expect(await seen({})).toEqual([403, 403, 200, 200, 200]);
  });
});
