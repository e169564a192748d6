import { findKind } from '@weft/mesh-core/model';
import { afterEach, expect, test, vi } from 'vitest';
import { deleteObject } from './delete-object.ts';

afterEach(() => vi.unstubAllGlobals());

/** What is asked of the server, whose answer is this. */
function answering(status: number, body: object): { url: string; options: unknown }[] {
  const asked: { url: string; options: unknown }[] = [];
  vi.stubGlobal('fetch', (url: string, { body: options }: { body: string }) => {
    asked.push({ url, options: JSON.parse(options) });
    return Promise.resolve(new Response(JSON.stringify(body), { status }));
  });
  return asked;
}
const kind = (name: string) => findKind(name) ?? expect.fail(name);
const ref = (name: string) => ({ kind: name, namespace: 'default', name: 'x' });

test('objects of the whole cluster have no namespace in their path', async () => {
  const asked = answering(200, {});
  for (const name of ['Namespace', 'GatewayClass', 'Service', 'VirtualService']) await deleteObject(kind(name), ref(name), '7');
  expect(asked.map((a) => a.url)).toEqual([
    '/api/v1/namespaces/x',
    '/apis/gateway.networking.k8s.io/v1/gatewayclasses/x',
    '/api/v1/namespaces/default/services/x',
    '/apis/networking.istio.io/v1/namespaces/default/virtualservices/x',
  ]);
  expect(asked[0]?.options).toMatchObject({ preconditions: { resourceVersion: '7' } });
});

test('what goes with an object is asked before, and a refusal is told', async () => {
  const asked = answering(200, { message: 'Service/a would be deleted with it' });
  expect(await deleteObject(kind('Namespace'), ref('Namespace'), '7', true)).toBe('Service/a would be deleted with it');
  expect(asked[0]?.options).toMatchObject({ dryRun: ['All'] });
  answering(409, { message: 'changed meanwhile' });
  await expect(deleteObject(kind('Namespace'), ref('Namespace'), '7')).rejects.toThrow('changed meanwhile');
});
