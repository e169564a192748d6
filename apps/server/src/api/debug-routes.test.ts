import { afterEach, beforeEach, expect, test } from 'vitest';
import { REVIEWS_YAML, type TestApi, startTestApi } from './testing/services.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
  api.proxies.push({
    id: 'sidecar~1',
    workload: 'reviews-v1',
    namespace: 'bookinfo',
    role: 'sidecar',
    dataPlane: 'embedded',
    version: '0.1.0',
    address: '127.0.0.1',
    adminPort: 0,
    state: 'nacked',
    connectedAt: 1_000,
    lastSeenAt: 1_000,
    identity: 'spiffe://cluster.local/ns/bookinfo/sa/reviews',
    types: [{ type: 'route', sentVersion: 'b', ackedVersion: 'a', nack: { at: 2_000, message: 'no such cluster' }, resources: 3 }],
    protocol: 'delta',
  });
});
afterEach(() => api.close());

const get = async (url: string, remoteAddress = '127.0.0.1') => {
  const answer = await api.app.inject({ method: 'GET', url, remoteAddress, headers: { host: '127.0.0.1:20001' } });
  return { status: answer.statusCode, body: String(answer.headers['content-type']).includes('json') ? answer.json() : answer.body };
};

test('every page of the index answers', async () => {
  const { body } = await get('/debug');
  const paths = Object.keys(body as object);
  expect(paths.length).toBeGreaterThan(10);
  for (const path of paths) expect([path, (await get(path.replace(/=$/, '=sidecar~1'))).status]).toEqual([path, 200]);
});

test('syncz has istioctl’s fields, push_status what was refused', async () => {
  expect((await get('/debug/syncz')).body).toMatchObject([
    { proxy: 'reviews-v1.bookinfo', proxy_type: 'sidecar', cluster_sent: '', cluster_acked: '', route_sent: '2', route_acked: '1' },
  ]);
  expect((await get('/debug/push_status')).body).toMatchObject({ waiting: 0, rejected: [{ proxy: 'sidecar~1', type: 'route', message: 'no such cluster' }] });
  expect((await get('/debug/adsz')).body).toMatchObject({ totalClients: 1, clients: [{ watches: { route: { resources: 3, nonceSent: '2' } } }] });
});

test('a proxy is found by name or node id; another is not', async () => {
  for (const id of ['sidecar~1', 'reviews-v1.bookinfo'])
    expect((await get(`/debug/config_dump?proxyID=${encodeURIComponent(id)}`)).body).toEqual({ route: [{ name: '9080' }] });
  expect((await get('/debug/config_dump')).status).toBe(400);
  expect((await get('/debug/config_dump?proxyID=x')).status).toBe(404);
  expect((await get('/debug/none')).status).toBe(404);
});

test('registryz and endpointz show services as they are translated', async () => {
  await api.app.inject({ method: 'POST', url: '/api/v1/config/apply', headers: { host: '127.0.0.1:20001' }, payload: { yaml: REVIEWS_YAML } });
  expect((await get('/debug/registryz')).body).toMatchObject([{ host: 'reviews.bookinfo.svc.cluster.local' }]);
  expect((await get('/debug/configz')).body).toHaveLength(3);
});

test('debug pages are for this machine only', async () => {
  expect((await get('/debug/syncz', '192.0.2.1')).status).toBe(403);
  expect((await get('/debug/syncz', '::ffff:127.0.0.1')).status).toBe(200);
});

test('pilot_* metrics stand beside the process’ own', async () => {
  const { body } = await get('/metrics');
  expect(body).toContain('pilot_xds_pushes{type="cds"} 1');
  expect(body).toContain('process_cpu_seconds_total');
});
