import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MeshObject } from '@weft/mesh-core/model';
import { TYPE_URL } from '@weft/mesh-core/xds';
import { openDelta, openSotw } from './testing/ads-client.ts';
import { nodeOf, startHarness, until, virtualService } from './testing/harness.ts';

let harness: Awaited<ReturnType<typeof startHarness>>;
const closers: (() => void)[] = [];

beforeEach(async () => {
  harness = await startHarness();
});
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await harness.close();
});

test('a delta proxy gets its edits, and each edit knows when it arrived', async () => {
  await harness.put(virtualService('reviews', { weight: 90 }));
  const stream = openDelta(harness.plane.ports().plain);
  closers.push(stream.close);
  stream.send({ node: nodeOf('client'), typeUrl: TYPE_URL.cluster });
  const clusters = await stream.next();
  expect(clusters.resources.map((r) => r.name)).toEqual(['reviews']);
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: clusters.nonce });
  stream.send({ typeUrl: TYPE_URL.route, resourceNamesSubscribe: ['reviews'] });
  const routes = await stream.next();
  stream.send({ typeUrl: TYPE_URL.route, responseNonce: routes.nonce });
  await until(() => harness.plane.proxies().some((p) => p.state === 'synced' && p.types.length === 2));

  const changes: string[] = [];
  const stop = harness.plane.onChange(({ revisions }) => changes.push(...revisions));
  let revision = '';
  for (const weight of [80, 70, 60, 50, 40]) {
    revision = (await harness.put(virtualService('reviews', { weight }))).revision;
    const edited = await stream.next();
    expect(edited.typeUrl).toBe(TYPE_URL.route);
    expect(harness.plane.propagation(revision)?.proxies[0]?.state).toBe('sent');
    stream.send({ typeUrl: TYPE_URL.route, responseNonce: edited.nonce });
    await until(() => harness.plane.propagation(revision)?.completeMs);
  }
  stop();
  expect(changes).toContain(revision);
  expect(harness.plane.propagation(revision)).toMatchObject({ proxies: [{ workload: 'client', state: 'acked', types: ['route'] }] });
});

test('a SotW proxy: full sets, an edit of another workload is not sent, deletion empties the set', async () => {
  await harness.put(virtualService('one', {}), virtualService('two', {}));
  const stream = openSotw(harness.plane.ports().plain);
  closers.push(stream.close);
  stream.send({ node: nodeOf('client'), typeUrl: TYPE_URL.cluster });
  const first = await stream.next();
  expect(first.resources.length).toBe(2);
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: first.nonce, versionInfo: first.versionInfo });
  const { revision: elsewhere } = await harness.put(virtualService('three', { only: 'other' }));
  await harness.remove('one');
  const second = await stream.next();
  expect(second.resources.length).toBe(1);
  expect(second.versionInfo).not.toBe(first.versionInfo);
  expect(harness.plane.propagation(elsewhere)?.proxies.length ?? 0).toBeLessThanOrEqual(1);
});

test('what a proxy has is told in one order, whatever it asked for first', async () => {
  const stream = openDelta(harness.plane.ports().plain);
  closers.push(stream.close);
  stream.send({ node: nodeOf('client'), typeUrl: TYPE_URL.listener });
  for (const typeUrl of [TYPE_URL.route, TYPE_URL.cluster]) stream.send({ typeUrl });
  const { types } = await until(() => harness.plane.proxies().find((p) => p.types.length === 3));
  expect(types.map((t) => t.type)).toEqual(['cluster', 'listener', 'route']);
});

test('a refusal shows with the words of the proxy, is not repeated, and an ACK heals it', async () => {
  await harness.put(virtualService('bad', { cluster: 1 }));
  const stream = openDelta(harness.plane.ports().plain);
  closers.push(stream.close);
  stream.send({ node: nodeOf('client'), typeUrl: TYPE_URL.cluster });
  const first = await stream.next();
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: first.nonce });
  await until(() => harness.plane.proxies()[0]?.state === 'synced');
  const { revision } = await harness.put(virtualService('bad', { cluster: 2 }));
  const second = await stream.next();
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: second.nonce, errorDetail: { code: 3, message: 'no such policy' } });
  const status = await until(() => harness.plane.proxies().find((p) => p.state === 'nacked'));
  expect(status.types[0]).toMatchObject({ type: 'cluster', nack: { message: 'no such policy' } });
  expect(status.types[0]?.ackedVersion).not.toBe(status.types[0]?.sentVersion);
  expect(harness.plane.propagation(revision)?.proxies[0]).toMatchObject({ state: 'nacked', error: 'no such policy' });
  expect(stream.waiting).toBe(0);
  await harness.put(virtualService('bad', { cluster: 3 }));
  const third = await stream.next();
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: third.nonce });
  await until(() => harness.plane.proxies()[0]?.state === 'synced');
});

test('a preview names who would change and sends nothing', async () => {
  await harness.put(virtualService('one', {}));
  const stream = openDelta(harness.plane.ports().plain);
  closers.push(stream.close);
  stream.send({ node: nodeOf('client'), typeUrl: TYPE_URL.cluster });
  const first = await stream.next();
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: first.nonce });
  await until(() => harness.plane.proxies()[0]?.state === 'synced');
  expect(harness.plane.preview([{ object: virtualService('one', { cluster: 9 }), deleted: false }])).toEqual([
    { proxyId: nodeOf('client').id, workload: 'client', namespace: 'a', types: ['cluster'] },
  ]);
  expect(harness.plane.preview([{ object: virtualService('one', { only: 'other' }), deleted: true }])).toHaveLength(1);
  expect(harness.plane.preview([{ object: virtualService('new', { only: 'other' }), deleted: false }])).toEqual([]);
  expect(stream.waiting).toBe(0);
});

test('a preview of a label of a Namespace names the gateway whose listener selects by it', async () => {
  await harness.close();
  harness = await startHarness({ realTranslator: true });
  const gatewayApi = (kind: string, spec: unknown, namespace = 'a'): MeshObject => ({
    ...{ apiVersion: 'gateway.networking.k8s.io/v1', kind, spec },
    metadata: { name: 'web', namespace },
  });
  const namespaces = { from: 'Selector', selector: { matchLabels: { team: 'web' } } };
  const listeners = [{ name: 'http', port: 80, protocol: 'HTTP', allowedRoutes: { namespaces } }];
  await harness.put(
    gatewayApi('KubernetesGateway', { gatewayClassName: 'istio', listeners }),
    gatewayApi('HTTPRoute', { parentRefs: [{ name: 'web', namespace: 'a' }], rules: [{ backendRefs: [{ name: 'shop', port: 80 }] }] }, 'shop'),
  );
  const stream = openDelta(harness.plane.ports().plain);
  closers.push(stream.close);
  const { id, metadata } = nodeOf('web');
  const labels = { 'gateway.networking.k8s.io/gateway-name': 'web' };
  stream.send({ node: { id: id.replace('sidecar', 'router'), metadata: { ...metadata, LABELS: labels } }, typeUrl: TYPE_URL.listener });
  expect((await stream.next()).resources).toHaveLength(1);
  stream.send({ typeUrl: TYPE_URL.route, resourceNamesSubscribe: ['http.80'] });
  expect((await stream.next()).resources).toHaveLength(1);
  const labelled = (team: string): MeshObject => ({
    ...{ apiVersion: 'v1', kind: 'Namespace', spec: {} },
    metadata: { name: 'shop', namespace: 'default', labels: { team } },
  });
  expect(harness.plane.preview([{ object: labelled('other'), deleted: false }])).toEqual([]);
  expect(harness.plane.preview([{ object: labelled('web'), deleted: false }])).toMatchObject([{ workload: 'web', types: ['route'] }]);
});

test('a lost proxy stays on the list as disconnected; its open edits say so, and end', async () => {
  await harness.put(virtualService('one', {}));
  const stream = openDelta(harness.plane.ports().plain);
  stream.send({ node: nodeOf('client'), typeUrl: TYPE_URL.cluster });
  const first = await stream.next();
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: first.nonce });
  await until(() => harness.plane.proxies()[0]?.state === 'synced');
  const { revision } = await harness.put(virtualService('one', { cluster: 2 }));
  await stream.next();
  stream.close();
  await until(() => harness.plane.proxies()[0]?.state === 'disconnected');
  await until(() => harness.plane.propagation(revision)?.proxies[0]?.state === 'disconnected');
  expect(harness.plane.propagation(revision)?.completeMs).toBeDefined();
});

test('a burst of commits is at most two pushes, and all of it is told', async () => {
  await harness.put(virtualService('one', {}));
  const stream = openDelta(harness.plane.ports().plain);
  closers.push(stream.close);
  stream.send({ node: nodeOf('client'), typeUrl: TYPE_URL.cluster });
  const first = await stream.next();
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: first.nonce });
  await until(() => harness.plane.proxies()[0]?.state === 'synced');
  const commits = await Promise.all([2, 3, 4, 5, 6].map((cluster) => harness.put(virtualService('one', { cluster }))));
  const spreadOf = (at: number) => harness.plane.propagation(commits[at]?.revision ?? '');
  // However slowly the burst came in: while the first push is unanswered the rest waits, and only then is it answered.
  await until(() => spreadOf(4));
  const second = await stream.next();
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: second.nonce });
  const complete = (): boolean => spreadOf(4)?.completeMs !== undefined;
  await until(() => complete() || stream.waiting > 0);
  if (!complete()) stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: (await stream.next()).nonce });
  await until(complete);
  expect(stream.waiting).toBe(0);
  for (const at of commits.keys()) expect(spreadOf(at)?.proxies[0]?.state).toBe('acked');
});

test('an edit is settled once, when the last of those it reached has answered', async () => {
  await harness.close();
  const settled: unknown[] = [];
  harness = await startHarness({ onSettled: () => settled.push(harness.plane.propagation(revision)) });
  let { revision } = await harness.put(virtualService('one', {}));
  const streams = ['first', 'second'].map((workload) => {
    const stream = openDelta(harness.plane.ports().plain);
    closers.push(stream.close);
    stream.send({ node: nodeOf(workload), typeUrl: TYPE_URL.cluster });
    return stream;
  });
  const answer = async (stream: (typeof streams)[number]): Promise<void> =>
    stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: (await stream.next()).nonce });
  const acked = (): number | undefined => harness.plane.propagation(revision)?.proxies.filter((p) => p.state === 'acked').length;
  for (const stream of streams) await answer(stream);
  await until(() => harness.plane.proxies().filter((p) => p.state === 'synced').length === 2);
  for (const cluster of [2, 3]) {
    ({ revision } = await harness.put(virtualService('one', { cluster })));
    for (const [i, stream] of streams.entries()) {
      await answer(stream);
      await until(() => acked() === i + 1);
    }
    await until(() => settled.length === cluster - 1);
  }
  for (const spread of settled) expect(spread).toMatchObject({ proxies: [{ state: 'acked' }, { state: 'acked' }] });
});

test('a stream that names no node, or changes its node, is refused', async () => {
  const { plain } = harness.plane.ports();
  const nameless = openSotw(plain);
  closers.push(nameless.close);
  nameless.send({ typeUrl: TYPE_URL.cluster });
  await expect(nameless.next()).rejects.toMatchObject({ code: 3 });
  const changing = openSotw(plain);
  closers.push(changing.close);
  changing.send({ node: nodeOf('client'), typeUrl: TYPE_URL.cluster });
  await changing.next();
  changing.send({ node: nodeOf('other'), typeUrl: TYPE_URL.cluster });
  await expect(changing.next()).rejects.toMatchObject({ code: 3 });
});
