import { expect, test } from 'vitest';
import type { MeshObject } from './object.ts';
import { byAge, byAgeAndPath } from './precedence.ts';

function object(path: string, creationTimestamp?: string): MeshObject {
  const [namespace = '', name = ''] = path.split('/');
  return { apiVersion: 'v1', kind: 'Service', metadata: { namespace, name, ...(creationTimestamp === undefined ? {} : { creationTimestamp }) }, spec: {} };
}

const sorted = (objects: MeshObject[], order: typeof byAge): string[] =>
  objects.toSorted(order).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);

test('the oldest comes first; of one age, by name in Istio, by namespace in the Gateway API', () => {
  const objects = [object('b/a'), object('a/b'), object('z/z', '2020-01-01T00:00:00Z'), object('y/y', '2019-01-01T00:00:00Z')];
  expect(sorted(objects, byAge)).toEqual(['b/a', 'a/b', 'y/y', 'z/z']);
  expect(sorted(objects, byAgeAndPath)).toEqual(['a/b', 'b/a', 'y/y', 'z/z']);
});

test('a name comes before those that go on from it', () => {
  expect(sorted([object('n/a-b'), object('n/a.b'), object('n/a')], byAge)).toEqual(['n/a', 'n/a-b', 'n/a.b']);
});
