import { readFileSync, readdirSync } from 'node:fs';
import type { TrafficSplit } from '@weft/mesh-core/api';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { REVIEWS_YAML, type TestApi, startTestApi } from './testing/services.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api.close());

const call = async (method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, body?: unknown, headers: Record<string, string> = {}) => {
  const answer = await api.app.inject({
    method,
    url,
    headers: { host: '127.0.0.1:20001', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
  });
  return { status: answer.statusCode, body: String(answer.headers['content-type']).includes('json') ? answer.json() : answer.body, headers: answer.headers };
};
const apply = (yaml: string, more: object = {}) => call('POST', '/api/v1/config/apply', { yaml, ...more });
const split = async () => (await call('GET', '/api/v1/traffic-split/bookinfo/reviews')).body as TrafficSplit;
const VS = '/apis/networking.istio.io/v1/namespaces/bookinfo/virtualservices';

test('apply writes all objects in one revision; a second time nothing changes', async () => {
  expect((await apply(REVIEWS_YAML)).body).toMatchObject({
    revision: '1',
    applied: [{ verb: 'create' }, { verb: 'create' }, { verb: 'create', resourceVersion: '1' }],
  });
  expect((await apply(REVIEWS_YAML)).body).toMatchObject({ revision: '1', applied: [{ verb: 'unchanged' }, { verb: 'unchanged' }, { verb: 'unchanged' }] });
});

test('a list tells what is wrong with each object, and asks once for all of them', async () => {
  const service = (name: string) => `apiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: bookinfo }\nspec: { ports: [{ port: 80 }] }\n---\n`;
  await apply(`${REVIEWS_YAML}---\n${Array.from({ length: 50 }, (_, i) => service(`s${i}`)).join('')}`);
  const list = vi.spyOn(api.services.store, 'list');
  const { items } = (await call('GET', '/api/v1/config')).body as { items: { ref: { kind: string }; warnings: number }[] };
  expect(items).toHaveLength(53);
  expect(items.find((i) => i.ref.kind === 'DestinationRule')?.warnings).toBeGreaterThan(0);
  expect(list.mock.calls.length).toBeLessThan(5);
});

test('a text as long as a mesh is taken as one; lines are its own', async () => {
  const service = (i: number) => `apiVersion: v1\nkind: Service\nmetadata: { name: s${i}, namespace: bookinfo }\nspec: { ports: [{ port: 80 }] }\n---\n`;
  const text = `# ${'x'.repeat(300_000)}\n${Array.from({ length: 1_000 }, (_, i) => service(i)).join('')}`;
  expect((await apply(text)).body).toMatchObject({ revision: '1', applied: { length: 1_000 } });
  const refused = await apply(`${text}kind: Nothing\n`);
  expect([refused.status, refused.body.error.problems[0].line]).toEqual([422, 5_002]);
  const document = await apply(`${service(0)}kind: List\n# ${'x'.repeat(1_048_576)}\n`);
  expect(document.body.error.problems[0]).toMatchObject({ line: 5, message: expect.stringContaining('at most 1048576 are taken') });
});

test('apply refuses everything for one bad field, with line and path', async () => {
  const answer = await apply(REVIEWS_YAML.replace('weight: 20', 'weight: many'));
  expect(answer.status).toBe(422);
  expect(answer.body.error.problems[0]).toMatchObject({ path: 'spec.http[0].route[1].weight', line: 28 });
  expect(api.services.store.list().items).toEqual([]);
});

test('a dangling subset refuses an apply unless it is forced', async () => {
  const dangling = REVIEWS_YAML.replace('host: reviews, subset: v2', 'host: reviews, subset: v9');
  const refused = await apply(dangling);
  expect(refused.status).toBe(422);
  expect(refused.body.error.message).toContain('v9');
  expect((await call('POST', '/api/v1/config/apply?force=true', { yaml: dangling })).status).toBe(200);
});

test('objects may come before what they refer to: the seed examples apply one by one to an empty mesh', async () => {
  const seed = new URL('../../../../examples/seed/', import.meta.url);
  for (const file of readdirSync(seed)) {
    const answer = await apply(readFileSync(new URL(file, seed), 'utf8'));
    expect([file, answer.status]).toEqual([file, 200]);
    expect(answer.body.problems.every((p: { unresolved?: true }) => p.unresolved)).toBe(true);
  }
});

test('a stale resourceVersion answers 409 with the object as it is', async () => {
  await apply(REVIEWS_YAML);
  const answer = await apply(REVIEWS_YAML.replace('weight: 80', 'weight: 79').replace('weight: 20', 'weight: 21'), {
    resourceVersions: { 'VirtualService/bookinfo/reviews': '77' },
  });
  expect(answer.status).toBe(409);
  expect(answer.body.error.current).toMatchObject({ resourceVersion: '1' });
  expect(answer.body.error.current.yaml).toContain('# the old one');
});

test('a split edit keeps the comments, moves only the weights, and a stale one is refused', async () => {
  await apply(REVIEWS_YAML);
  const before = await split();
  expect(before.destinations.map((d) => [d.subset, d.weight, d.observed])).toEqual([
    ['v1', 80, -1],
    ['v2', 20, -1],
  ]);
  const answer = await call('PUT', '/api/v1/traffic-split/bookinfo/reviews', { weights: { v1: 50, v2: 50 }, resourceVersion: before.resourceVersion });
  expect(answer.status).toBe(200);
  expect((answer.body as TrafficSplit).destinations.map((d) => d.weight)).toEqual([50, 50]);
  const { yaml } = (await call('GET', '/api/v1/config/VirtualService/bookinfo/reviews')).body;
  expect(yaml).toContain('# the old one');
  expect((await call('PUT', '/api/v1/traffic-split/bookinfo/reviews', { weights: { v1: 10, v2: 90 }, resourceVersion: before.resourceVersion })).status).toBe(
    409,
  );
  expect((await call('PUT', '/api/v1/traffic-split/bookinfo/reviews', { weights: { v1: 10, v2: 80 }, resourceVersion: '2' })).body.error.code).toBe(
    'WEFT_WEIGHTS_SUM',
  );
  expect((await call('PUT', '/api/v1/traffic-split/bookinfo/reviews', { weights: { v1: 10, v7: 90 }, resourceVersion: '2' })).body.error.code).toBe(
    'WEFT_UNKNOWN_SUBSET',
  );
});

test('a split edit makes the VirtualService when there is none, and its undo takes it away', async () => {
  await apply(REVIEWS_YAML.split('---\n').slice(0, 2).join('---\n'));
  const before = await split();
  expect(before).toMatchObject({ resourceVersion: '', destinations: [{ weight: 50 }, { weight: 50 }] });
  await call('PUT', '/api/v1/traffic-split/bookinfo/reviews', { weights: { v1: 90, v2: 10 }, resourceVersion: '' });
  expect((await split()).destinations.map((d) => d.weight)).toEqual([90, 10]);
  expect((await call('POST', '/api/v1/revisions/2/undo')).status).toBe(200);
  expect((await split()).virtualService).toBeUndefined();
});

test('where a route of the Gateway API decides, the split is what it says, by backend, and is not edited here', async () => {
  const service = (name: string): string =>
    `apiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: bookinfo }\nspec: { selector: { app: reviews, v: ${name} }, ports: [{ name: http, port: 9080 }] }\n---\n`;
  const workload = `apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: one, namespace: bookinfo }\nspec: { address: 127.0.0.1, labels: { app: reviews, v: reviews-a } }\n---\n`;
  const route = (weight: number): string => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: canary, namespace: bookinfo }
spec:
  parentRefs: [{ group: '', kind: Service, name: reviews, port: 9080 }]
  rules:
    - matches: [{ headers: [{ name: x, value: y }] }]
      backendRefs: [{ name: reviews-b, port: 9080 }]
    - backendRefs: [{ name: reviews-a, port: 9080, weight: ${weight} }, { name: reviews-b, port: 9080, weight: 1 }]
`;
  await apply(`${REVIEWS_YAML.split('---\n').slice(0, 2).join('---\n')}---\n${service('reviews-a')}${service('reviews-b')}${workload}${route(9)}`);
  const { destinations, blocked, virtualService } = await split();
  expect(destinations.map((d) => [d.subset, d.weight, d.workloads])).toEqual([
    ['reviews-a', 90, ['one']],
    ['reviews-b', 10, []],
  ]);
  expect(blocked).toBe('decided by HTTPRoute bookinfo/canary; edit its YAML');
  expect(virtualService).toBeUndefined();
  const { body } = await call('POST', '/api/v1/config/check', { yaml: route(3) });
  expect(body.traffic.map((t: { destinations: unknown }) => t.destinations)).toEqual([
    [
      { subset: 'reviews-a', before: 90, after: 75 },
      { subset: 'reviews-b', before: 10, after: 25 },
    ],
  ]);
});

test('undo restores text and weights as a new revision; a later edit is not thrown away', async () => {
  await apply(REVIEWS_YAML);
  await call('PUT', '/api/v1/traffic-split/bookinfo/reviews', { weights: { v1: 50, v2: 50 }, resourceVersion: '1' });
  expect((await call('POST', '/api/v1/revisions/2/undo')).body).toMatchObject({ revision: '3' });
  expect((await call('GET', '/api/v1/config/vs/bookinfo/reviews')).body.yaml).toContain('# the old one');
  expect((await split()).destinations.map((d) => d.weight)).toEqual([80, 20]);
  expect((await call('POST', '/api/v1/revisions/2/undo')).status).toBe(409);
  const { items } = (await call('GET', '/api/v1/revisions')).body;
  expect(items.map((r: { summary: string }) => r.summary).slice(0, 2)).toEqual(['reviews v1=80 v2=20', 'reviews v1=50 v2=50']);
});

test('check tells problems, proxies and traffic, and writes nothing', async () => {
  await apply(REVIEWS_YAML);
  const { body } = await call('POST', '/api/v1/config/check', { yaml: REVIEWS_YAML.replace('weight: 80', 'weight: 40').replace('weight: 20', 'weight: 60') });
  expect(body.traffic).toEqual([
    {
      host: 'reviews.bookinfo.svc.cluster.local',
      rps: 10,
      destinations: [
        { subset: 'v1', before: 80, after: 40 },
        { subset: 'v2', before: 20, after: 60 },
      ],
    },
  ]);
  expect(body.proxies).toHaveLength(1);
  expect(api.services.store.list().revision).toBe('1');
});

test('Kubernetes-style: create, conflict, invalid, patch, delete, each with its Status', async () => {
  const object = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'x' },
    spec: { hosts: ['x'], http: [{ route: [{ destination: { host: 'x' } }] }] },
  };
  expect(await call('POST', VS, object)).toMatchObject({ status: 201, body: { metadata: { resourceVersion: '1', generation: 1, namespace: 'bookinfo' } } });
  expect(await call('POST', VS, object)).toMatchObject({ status: 409, body: { kind: 'Status', reason: 'AlreadyExists' } });
  expect(await call('PUT', `${VS}/x`, { ...object, metadata: { name: 'x', resourceVersion: '9' } })).toMatchObject({
    status: 409,
    body: { reason: 'Conflict' },
  });
  expect(await call('PUT', `${VS}/x`, { ...object, spec: { hosts: ['x'], htp: [] } })).toMatchObject({
    status: 422,
    body: { reason: 'Invalid', details: { causes: expect.arrayContaining([expect.objectContaining({ field: 'spec.htp' })]) } },
  });
  expect(await call('GET', `${VS}/nope`)).toMatchObject({ status: 404, body: { reason: 'NotFound' } });
  const merge = { 'content-type': 'application/merge-patch+json' };
  expect(await call('PATCH', `${VS}/x`, { spec: { hosts: ['y'] } }, merge)).toMatchObject({
    status: 200,
    body: { spec: { hosts: ['y'], http: [{}] }, metadata: { generation: 2 } },
  });
  expect(await call('PATCH', `${VS}/x?dryRun=All`, { spec: { hosts: ['z'] } }, merge)).toMatchObject({ status: 200, body: { spec: { hosts: ['z'] } } });
  const json = { 'content-type': 'application/json-patch+json' };
  expect(await call('PATCH', `${VS}/x?dryRun=All`, [{ op: 'replace', path: '/spec/hosts/0', value: 'z' }], json)).toMatchObject({
    status: 200,
    body: { spec: { hosts: ['z'] } },
  });
  expect(await call('PATCH', `${VS}/x`, [{ op: 'remove', path: '/spec/nope' }], json)).toMatchObject({ status: 422, body: { reason: 'Invalid' } });
  expect(await call('PATCH', `${VS}/x`, [], { 'content-type': 'application/yaml' })).toMatchObject({ status: 415 });
  expect(await call('GET', VS.replace('/v1/', '/v1beta1/'))).toMatchObject({
    body: { kind: 'VirtualServiceList', items: [{ apiVersion: 'networking.istio.io/v1beta1', spec: { hosts: ['y'] } }] },
  });
  expect(await call('DELETE', `${VS}/x`)).toMatchObject({ status: 200, body: { status: 'Success' } });
  expect(await call('DELETE', `${VS}/x`)).toMatchObject({ status: 404 });
  expect(await call('GET', '/apis/nope.io/v1')).toMatchObject({ status: 404, body: { kind: 'Status' } });
});

test('lists by selectors; a field nothing is selected by is told', async () => {
  await apply(REVIEWS_YAML);
  const list = async (query: string) => call('GET', `${VS}?${query}`);
  expect((await list('fieldSelector=metadata.name=reviews')).body.items).toHaveLength(1);
  expect((await list('fieldSelector=metadata.name!=reviews')).body.items).toEqual([]);
  expect((await list('labelSelector=app=other')).body.items).toEqual([]);
  expect(await list('fieldSelector=status.phase=Running')).toMatchObject({ status: 400, body: { kind: 'Status', message: /status\.phase/ } });
});

test('a foreign Host, a foreign Origin, text bodies and large bodies are refused', async () => {
  expect((await call('GET', '/api/v1/status', undefined, { host: 'evil.example' })).status).toBe(403);
  expect((await call('POST', '/api/v1/config/check', { yaml: '' }, { origin: 'http://evil.example' })).status).toBe(403);
  expect((await call('POST', '/api/v1/config/check', { yaml: 'a: 1' }, { origin: 'http://127.0.0.1:20001' })).status).toBe(200);
  expect((await call('POST', '/api/v1/config/check', { yaml: '' }, { 'content-type': 'text/plain' })).status).toBe(415);
  expect((await call('POST', '/api/v1/config/check', { yaml: 'x'.repeat(9_000_000) })).status).toBe(413);
  expect((await call('POST', '/api/v1/config/check', { yaml: '', more: 1 })).status).toBe(400);
  const { headers } = await call('GET', '/api/v1/status');
  expect(headers['content-security-policy']).toContain("script-src 'self';");
  expect(headers['x-content-type-options']).toBe('nosniff');
});

test('status, metrics, OpenAPI, proxies, join tokens and a missing demo answer', async () => {
  await apply(REVIEWS_YAML);
  expect((await call('GET', '/api/v1/status')).body).toMatchObject({ revision: '1', namespaces: ['bookinfo'], serverId: 'server-1' });
  expect((await call('GET', '/metrics')).body).toContain('weft_api_requests_total');
  expect(Object.keys((await call('GET', '/api/openapi.json')).body.paths)).toContain('/api/v1/graph');
  expect((await call('GET', '/api/v1/mesh/services')).body.items[0]).toMatchObject({ name: 'reviews', health: 'healthy' });
  expect((await call('GET', '/api/v1/services')).body).toMatchObject({ kind: 'ServiceList' });
  expect((await call('GET', '/api/v1/proxies/sidecar~1/config')).body).toEqual({ route: [{ name: '9080' }] });
  expect((await call('GET', '/api/v1/proxies/none/config')).status).toBe(404);
  expect((await call('GET', '/api/v1/load')).body.error.code).toBe('WEFT_NO_DEMO');
  expect((await call('POST', '/api/v1/join-tokens', { namespace: 'a', workload: 'w', serviceAccount: 's' })).body).toEqual({ token: 'for w' });
  expect((await call('GET', '/api/v1/graph?windowSec=1')).status).toBe(400);
  expect((await call('GET', '/api/v1/traffic-split/a/b')).status).toBe(404);
});

test('a Gateway is told of by the gateway proxies there are: one that none opens, and a certificate that none finds', async () => {
  const router = {
    id: 'router~1',
    workload: 'edge',
    namespace: 'ingress',
    role: 'router',
    dataPlane: 'envoy',
    version: '1.40.0',
    address: '127.0.0.1',
  } as const;
  const status = { adminPort: 1, state: 'synced', lastSeenAt: 1, identity: 'x', types: [], labels: { istio: 'ingressgateway' } } as const;
  const gateway = (istio: string): string =>
    `apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: gw }\nspec:\n  selector: { istio: ${istio} }\n  servers:\n    - { port: { number: 443, name: a, protocol: HTTPS }, hosts: ["*"], tls: { mode: SIMPLE, credentialName: c } }\n`;
  const told = async (yaml: string): Promise<unknown> => (await apply(yaml)).body.problems;
  expect(await told(gateway('ingressgateway'))).toEqual([]);
  api.proxies.push({ ...router, ...status, types: [] });
  expect(await told(gateway('ingressgateway'))).toMatchObject([{ code: 'IST0101', path: 'spec.servers[0].tls.credentialName', line: 7, severity: 'error' }]);
  expect(await told(gateway('egressgateway'))).toMatchObject([{ code: 'IST0101', path: 'spec.selector', line: 5, severity: 'warning' }]);
  expect((await call('GET', '/api/v1/config/Gateway/default/gw')).body.problems).toMatchObject([{ code: 'IST0101' }]);
});

test('what is wrong with stored objects is listed with the object, and counted where a service shows it', async () => {
  await apply(REVIEWS_YAML);
  await call('POST', '/api/v1/config/apply?force=true', { yaml: REVIEWS_YAML.replace('host: reviews, subset: v2', 'host: reviews, subset: v9') });
  const { items } = (await call('GET', '/api/v1/problems')).body as { items: { severity: string; ref: object; message: string }[] };
  expect(items.filter((p) => p.severity === 'error')).toMatchObject([
    { ref: { kind: 'VirtualService', name: 'reviews' }, message: expect.stringContaining('v9') },
  ]);
  const detail = (await call('GET', '/api/v1/mesh/services/bookinfo/reviews?windowSec=60')).body;
  expect(detail).toMatchObject({
    service: { name: 'reviews', health: 'healthy' },
    objects: [
      { ref: { kind: 'DestinationRule' }, role: 'policy', errors: 0 },
      { ref: { kind: 'Service' }, role: 'self' },
      { ref: { kind: 'VirtualService' }, role: 'routes', errors: 1 },
    ],
  });
  expect((await call('GET', '/api/v1/mesh/services/bookinfo/nosuch')).status).toBe(404);
});

test('what depends on connected proxies is looked at again when one of them has other labels', async () => {
  await apply('apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: { name: t }\nspec: { selector: { matchLabels: { app: curl } } }\n');
  const codesWith = async (app: string): Promise<string[]> => {
    api.proxies = [
      { id: 'sidecar~1', workload: 'curl', namespace: 'default', role: 'sidecar', state: 'synced', identity: 'x', labels: { app }, types: [] },
    ] as never;
    return (await call('GET', '/api/v1/problems')).body.items.map((p: { code: string }) => p.code);
  };
  expect(await codesWith('sleep')).toEqual(['KIA0004']);
  expect(await codesWith('curl')).toEqual([]);
});

test('namespaces are those of objects and those of proxies: a gateway often stands where there is no object', async () => {
  await apply(REVIEWS_YAML);
  api.proxies.push({ id: 'router~1', workload: 'gw', namespace: 'ingress', role: 'router', state: 'synced', types: [] } as never);
  expect((await call('GET', '/api/v1/status')).body.namespaces).toEqual(['bookinfo', 'ingress']);
});
