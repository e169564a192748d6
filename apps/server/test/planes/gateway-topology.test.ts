// What MeshConfig says of the proxies in front of gateways, and of the access log's format, on both data planes.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MeshSettings } from '@weft/mesh-core/model';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PATIENT, PLANES, object, startPlane } from './planes.ts';

const dir = mkdtempSync(join(tmpdir(), 'weft-topology-'));
const app = createServer((asked, response) => response.end(JSON.stringify(asked.headers)));
beforeAll(() => new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve)));
afterAll(() => {
  app.close();
  rmSync(dir, { recursive: true, force: true });
});

/** The headers that reach the application. */
function ask(port: number, headers: Record<string, string>, before = ''): Promise<Record<string, string>> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ host: '127.0.0.1', port }, () =>
      socket.write(`${before}GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n${lines.join('')}\r\n`),
    );
    socket.on('error', reject).on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('close', () => {
      const json = /\{.*\}/.exec(text)?.[0];
      if (json === undefined) reject(new Error(text));
      else resolve(JSON.parse(json) as Record<string, string>);
    });
  });
}

/** For a client on loopback the first other address of its machine is written. */
const own = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
const APPENDED = `1.1.1.1, 2.2.2.2,${own ?? '127.0.0.1'}`;

describe.each(PLANES)('%s', (plane) => {
  const gateway = async (settings: Partial<MeshSettings>): Promise<number> => {
    const objects = [
      object('Gateway', 'gw', { selector: { istio: 'gw' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] }),
      object('VirtualService', 'a', { hosts: ['a.test'], gateways: ['gw'], http: [{ route: [{ destination: { host: 'a.test', port: { number: 80 } } }] }] }),
      object('ServiceEntry', 'a', {
        ...{ hosts: ['a.test'], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
        endpoints: [{ address: '127.0.0.1', ports: { http: (app.address() as AddressInfo).port } }],
      }),
    ];
    return (await startPlane(plane, objects, { node: { role: 'router', labels: { istio: 'gw' } }, settings }))('127.0.0.1_80');
  };
  const told = { 'x-forwarded-for': '1.1.1.1, 2.2.2.2', 'x-forwarded-proto': 'https', 'x-forwarded-client-cert': 'Hash=forged' };

  test('httpsRedirect believes the proxy in front that the client came by TLS', async () => {
    const objects = [
      object('Gateway', 'gw', {
        selector: { istio: 'gw' },
        servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'], tls: { httpsRedirect: true } }],
      }),
      object('VirtualService', 'a', { hosts: ['a.test'], gateways: ['gw'], http: [{ directResponse: { status: 200 } }] }),
    ];
    const settings = { gatewayTopology: { numTrustedProxies: 1 } } as Partial<MeshSettings>;
    const port = (await startPlane(plane, objects, { node: { role: 'router', labels: { istio: 'gw' } }, settings }))('127.0.0.1_80');
    const status = async (proto: string): Promise<number> =>
      new Promise((resolve, reject) => {
        get({ host: '127.0.0.1', port, agent: false, headers: { host: 'a.test', 'x-forwarded-proto': proto } }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        }).on('error', reject);
      });
    expect([await status('https'), await status('http')]).toEqual([200, 301]);
  });

  test('nobody in front: what clients say of themselves does not count', async () => {
    const file = join(mkdtempSync(join(dir, plane)), 'log');
    const port = await gateway({ accessLogFile: file, accessLogFormat: '%REQ(X-FORWARDED-FOR)%' });
    const seen = await ask(port, told);
    await ask(port, {});
    await expect.poll(() => readFileSync(file, 'utf8'), PATIENT).toBe(`${APPENDED}\n${own}\n`);
    expect(seen).toMatchObject({ 'x-forwarded-proto': 'http', 'x-envoy-external-address': '127.0.0.1', 'x-forwarded-for': APPENDED });
    expect(seen['x-forwarded-client-cert']).toBeUndefined();
  });

  test('numTrustedProxies: the client is so many from the right; an answer to that in the log and the certificate as forwarded', async () => {
    const file = join(mkdtempSync(join(dir, plane)), 'log');
    const log = { accessLogFile: file, accessLogFormat: 'from %DOWNSTREAM_REMOTE_ADDRESS% %REQ(:METHOD)% %REQ(X-FORWARDED-FOR)%' };
    const port = await gateway({ ...log, gatewayTopology: { numTrustedProxies: 2, forwardClientCertDetails: 'ALWAYS_FORWARD_ONLY' } });
    expect(await ask(port, told)).toMatchObject({
      ...{ 'x-forwarded-proto': 'https', 'x-envoy-external-address': '1.1.1.1', 'x-forwarded-for': APPENDED },
      'x-forwarded-client-cert': 'Hash=forged',
    });
    // One proxy of two has not written its line: the connection itself is believed.
    expect(await ask(port, { 'x-forwarded-for': '3.3.3.3' })).toMatchObject({ 'x-envoy-external-address': '127.0.0.1', 'x-forwarded-proto': 'http' });
    await expect.poll(() => readFileSync(file, 'utf8').split('\n')[0], PATIENT).toBe(`from 1.1.1.1:0 GET ${APPENDED}`);
  });

  test('proxyProtocol: the header of the balancer tells the client', async () => {
    const file = join(mkdtempSync(join(dir, plane)), 'log');
    const log = { accessLogFile: file, accessLogFormat: '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_PORT%' };
    const port = await gateway({ ...log, gatewayTopology: { proxyProtocol: {} } });
    const seen = await ask(port, {}, 'PROXY TCP4 9.9.9.9 10.0.0.1 1234 80\r\n');
    expect(seen).toMatchObject({ 'x-forwarded-for': '9.9.9.9', 'x-envoy-external-address': '9.9.9.9' });
    await ask(port, {}, 'PROXY TCP6 2001:db8::1 2001:db8::2 1234 80\r\n');
    const direct = `127.0.0.1:${port} ${port}`;
    await expect.poll(() => readFileSync(file, 'utf8'), PATIENT).toBe(`10.0.0.1:80 ${direct}\n[2001:db8::2]:80 ${direct}\n`);
  });

  test('accessLogFormat with JSON encoding', async () => {
    const file = join(mkdtempSync(join(dir, plane)), 'log');
    const port = await gateway({ accessLogFile: file, accessLogEncoding: 'JSON', accessLogFormat: '{"code": "%RESPONSE_CODE%", "host": "%REQ(:authority)%"}' });
    await ask(port, {});
    await expect.poll(() => readFileSync(file, 'utf8'), PATIENT).toBe('{"code":200,"host":"a.test"}\n');
  });
});
