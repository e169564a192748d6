import { afterEach, beforeEach, expect, test } from 'vitest';
import { type TestApi, startTestApi } from './testing/services.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api.close());

const KEY = Buffer.from('very private').toString('base64');
// Clients of Kubernetes read base64.
const HIDDEN = Buffer.from('[redacted]').toString('base64');
const ref = { kind: 'Secret', namespace: 'edge', name: 'cert' };
const body = (data: Record<string, string>): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'cert', namespace: 'edge' },
  type: 'kubernetes.io/tls',
  data,
});
const at = '/api/v1/namespaces/edge/secrets';
const stored = (): Record<string, string> => (api.services.store.get(ref)?.spec as { data: Record<string, string> }).data;

test('a Secret goes in and its values never come out, in no form', async () => {
  const made = await api.app.inject({ method: 'POST', url: at, payload: body({ 'tls.crt': 'QQ==', 'tls.key': KEY }) });
  expect(made.statusCode).toBe(201);
  expect(made.json()).toMatchObject({ kind: 'Secret', type: 'kubernetes.io/tls', data: { 'tls.crt': HIDDEN, 'tls.key': HIDDEN } });
  expect(stored()).toEqual({ 'tls.crt': 'QQ==', 'tls.key': KEY });
  const revision = api.services.store.list().revision;
  const urls = [at, `${at}/cert`, '/api/v1/secrets', '/api/v1/config', '/api/v1/config/Secret/edge/cert', '/api/v1/revisions', `/api/v1/revisions/${revision}`];
  for (const url of urls) {
    const { body: text, statusCode } = await api.app.inject({ url });
    expect([url, statusCode, text.includes(KEY)]).toEqual([url, 200, false]);
  }
  const table = await api.app.inject({ url: at, headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } });
  expect(table.body).not.toContain(KEY);
  expect(table.json()).toMatchObject({ rows: [{ cells: ['cert', 'kubernetes.io/tls', '2', expect.any(String)] }] });
});

test('what was read can be written back: hidden values stay, new ones count, unknown ones are refused', async () => {
  await api.app.inject({ method: 'POST', url: at, payload: body({ 'tls.crt': 'QQ==', 'tls.key': KEY }) });
  const read: { data: Record<string, string> } = (await api.app.inject({ url: `${at}/cert` })).json();
  const put = (data: Record<string, string>) => api.app.inject({ method: 'PUT', url: `${at}/cert`, payload: { ...read, data } });
  expect((await put({ ...read.data, 'tls.crt': 'Qg==' })).statusCode).toBe(200);
  expect(stored()).toEqual({ 'tls.crt': 'Qg==', 'tls.key': KEY });
  for (const hidden of ['[redacted]', HIDDEN]) expect((await put({ ...read.data, 'ca.crt': hidden })).statusCode).toBe(422);
});

test('a refusal names the key and not its value', async () => {
  const answer = await api.app.inject({ method: 'POST', url: at, payload: body({ 'tls.crt': 'QQ==', 'tls.key': 'not base64, and private' }) });
  expect(answer.statusCode).toBe(422);
  expect(answer.body).toContain('tls.key must be base64');
  expect(answer.body).not.toContain('private');
});

test('what kubectl apply keeps of a Secret is shown without its values', async () => {
  const key = 'kubectl.kubernetes.io/last-applied-configuration';
  const plain = body({ 'tls.crt': 'QQ==', 'tls.key': KEY }) as { metadata: object };
  const annotated = { ...plain, metadata: { ...plain.metadata, annotations: { [key]: JSON.stringify(plain) } } };
  const made = await api.app.inject({ method: 'POST', url: at, payload: annotated });
  expect(made.body).not.toContain(KEY);
  expect((made.json() as { metadata: { annotations: Record<string, string> } }).metadata.annotations[key]).toContain('kubernetes.io/tls');
});
