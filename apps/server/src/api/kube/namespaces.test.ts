import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MeshObject } from '@weft/mesh-core/model';
import type { Change, ConfigStore } from '../../config-store/config-store.ts';
import { type TestApi, startTestApi } from '../testing/services.ts';
import { withNamespaces } from './namespaces.ts';

let api: TestApi;
let namespaces: ConfigStore;
beforeEach(async () => {
  api = await startTestApi();
  namespaces = withNamespaces(api.services.store);
});
afterEach(() => api.close());

const context = { actor: 'test' };
const ref = (name: string) => ({ kind: 'Namespace', namespace: 'default', name });
const object = (kind: string, namespace: string, name: string, labels: Record<string, string> = {}): MeshObject => ({
  ...{ apiVersion: 'v1', kind, spec: {} },
  metadata: { name, namespace, labels },
});
const put = (...objects: MeshObject[]) =>
  api.services.store.write(
    objects.map((o) => ({ op: 'put', object: o })),
    context,
  );
const names = (): string[] => namespaces.list({ kind: 'Namespace' }).items.map((n) => n.metadata.name);

test('a namespace is there by its object, or by what is in it; objects of the whole cluster are in none', async () => {
  await put(object('Service', 'shop', 'web'), object('Namespace', 'default', 'empty', { team: 'x' }), object('GatewayClass', 'default', 'mine'));
  expect(names()).toEqual(['empty', 'shop']);
  expect(namespaces.get(ref('shop'))).toMatchObject({ metadata: { labels: { 'kubernetes.io/metadata.name': 'shop' } }, status: { phase: 'Active' } });
  expect(namespaces.get(ref('empty'))?.metadata.labels).toEqual({ team: 'x', 'kubernetes.io/metadata.name': 'empty' });
  expect(namespaces.get(ref('default'))).toBeUndefined();
});

test('it goes with all that is in it, in one revision that can be undone, and never what is of the whole cluster', async () => {
  await put(
    object('Namespace', 'default', 'shop', { team: 'x' }),
    object('Service', 'shop', 'a'),
    object('ConfigMap', 'shop', 'b'),
    object('Service', 'other', 'a'),
  );
  const asked = await api.app.inject({ method: 'DELETE', url: '/api/v1/namespaces/shop', headers: { host: 'localhost' } });
  expect(asked.json()).toMatchObject({
    status: 'Success',
    message: expect.stringMatching(/^deleted with it: ConfigMap\/b, Service\/a; undoing revision 2 /) as unknown,
  });
  expect(api.services.store.list().items.map((o) => o.metadata.namespace)).toEqual(['other']);
  expect((await api.app.inject({ method: 'GET', url: '/api/v1/namespaces/shop', headers: { host: 'localhost' } })).statusCode).toBe(404);
  await api.app.inject({ method: 'POST', url: '/api/v1/revisions/2/undo', headers: { host: 'localhost' } });
  expect(names()).toEqual(['other', 'shop']);
  expect(namespaces.get(ref('shop'))?.metadata.labels).toMatchObject({ team: 'x' });
});

test('what goes meanwhile does not keep a namespace', async () => {
  await put(object('Service', 'shop', 'a'), object('Service', 'shop', 'b'));
  const first = api.services.store.write([{ op: 'delete', ref: { kind: 'Service', namespace: 'shop', name: 'a' } }], context);
  await Promise.all([first, namespaces.write([{ op: 'delete', ref: ref('shop') }], context)]);
  expect(names()).toEqual([]);
});

test('default stays, and they are deleted one by one', async () => {
  await put(object('Service', 'default', 'web'));
  const answers = await Promise.all(
    ['/default', ''].map((path) => api.app.inject({ method: 'DELETE', url: `/api/v1/namespaces${path}`, headers: { host: 'localhost' } })),
  );
  expect(answers.map((a) => [a.statusCode, a.json<{ reason: string }>().reason])).toEqual([
    [403, 'Forbidden'],
    [405, 'MethodNotAllowed'],
  ]);
  expect(names()).toEqual(['default']);
});

test('who watches from a revision is told of every namespace that came, changed or went since, each once', async () => {
  await put(object('Service', 'old', 'a'), object('Service', 'old', 'b'));
  const { revision } = namespaces.list({ kind: 'Namespace' });
  await put(object('Service', 'shop', 'web'));
  await put(object('Service', 'old', 'c'));
  const told: string[] = [];
  const labels = ({ metadata }: NonNullable<Change['after']>): string => Object.keys(metadata.labels ?? {}).join();
  const stop = namespaces.watch(revision, (event) => {
    if (event.type === 'commit')
      for (const {
        verb,
        ref: { name },
        after,
      } of event.commit.changes)
        told.push(`${verb} ${name}${after === undefined ? '' : ` ${labels(after)}`}`);
  });
  const named = 'kubernetes.io/metadata.name';
  expect(told).toEqual([`create shop ${named}`]);
  await put(object('Namespace', 'default', 'shop', { team: 'x' }), object('ConfigMap', 'shop', 's'));
  await api.services.store.write([{ op: 'delete', ref: ref('shop') }], context);
  await namespaces.write([{ op: 'delete', ref: ref('old') }], context);
  expect(told.slice(1)).toEqual([`update shop team,${named}`, `update shop ${named}`, 'delete old']);
  stop();
});
