import { expect, test } from 'vitest';
import { TYPE_URL } from '@weft/mesh-core/xds';
import type { MeshObject, ProxyNode } from '@weft/mesh-core/model';
import { createPreparation } from './preparation.ts';
import { openDelta } from './testing/ads-client.ts';
import { fakeTranslator, nodeOf, startHarness, until, virtualService } from './testing/harness.ts';

const node = (namespace: string): ProxyNode => ({ role: 'sidecar', dataPlane: 'embedded', namespace }) as ProxyNode;

/** Longer than work may keep a turn. */
function busy(): void {
  const end = performance.now() + 9;
  while (performance.now() < end);
}

test('the pieces are worked out in turns, once for proxies that are alike', async () => {
  const turns: number[] = [];
  let turn = 0;
  let counting = true;
  const count = (): void => {
    turn += 1;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  const preparation = createPreparation(
    function* () {
      for (let i = 0; i < 4; i += 1) {
        turns.push(turn);
        busy();
        yield;
      }
    },
    () => 'mesh',
  );
  await Promise.all([preparation.of(node('a')), preparation.of(node('a'))]);
  expect(new Set(turns).size).toBe(4);
  preparation.reset();
  await preparation.of(node('a'));
  expect(turns).toHaveLength(8);
  counting = false;
});

test('when the mesh is another one, the work goes on in that', async () => {
  let mesh = 1;
  const worked: number[] = [];
  const preparation = createPreparation(
    function* () {
      const mine = mesh;
      for (let i = 0; i < 2; i += 1) {
        worked.push(mine);
        mesh = 2;
        busy();
        yield;
      }
    },
    () => mesh,
  );
  await preparation.of(node('a'));
  expect(worked).toEqual([1, 2, 2]);
});

test('a proxy is told of much at once when it has been prepared, together with what came meanwhile', async () => {
  const told: string[] = [];
  let meanwhile: () => void = () => undefined;
  const harness = await startHarness({
    translate: {
      ...fakeTranslator,
      *prepare(objects: readonly MeshObject[]) {
        told.push(`prepared ${objects.length}`);
        meanwhile();
        busy();
        yield;
      },
      translate: (objects, of, settings) => {
        told.push(`translated ${objects.length}`);
        return fakeTranslator.translate(objects, of, settings);
      },
    },
  });
  const stream = openDelta(harness.plane.ports().plain);
  stream.send({ node: nodeOf('client'), typeUrl: TYPE_URL.cluster });
  await until(() => harness.plane.proxies().length === 1);
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: (await stream.next()).nonce });
  told.length = 0;
  let small: ReturnType<typeof harness.put> | undefined;
  let pending: unknown;
  meanwhile = () => {
    small ??= harness.put(virtualService('small', {}));
    pending ??= harness.plane.propagation('1');
  };
  await harness.put(...Array.from({ length: 300 }, (_, i) => virtualService(`vs-${i}`, {})));
  const { resources, nonce } = await stream.next();
  expect(resources.length).toBeGreaterThanOrEqual(300);
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: nonce });
  if (resources.length === 300) stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: (await stream.next()).nonce });
  expect(told[0]).toBe('prepared 300');
  // It is on its way, though nobody has been told.
  expect(pending).toEqual({ revision: '1', proxies: [] });
  await until(() => harness.plane.propagation('1')?.completeMs !== undefined && harness.plane.propagation('2')?.completeMs !== undefined);
  expect(harness.plane.waiting()).toBe(0);
  await small;
  stream.close();
  await harness.close();
});
