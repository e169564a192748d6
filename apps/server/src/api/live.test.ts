import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { REVIEWS_YAML, type TestApi, startTestApi } from './testing/services.ts';

type Message = { type: string; id?: number; rev: number; prev?: number; topic?: string; data: Record<string, unknown>; code?: string };
let api: TestApi;
let url: string;
beforeEach(async () => {
  api = await startTestApi();
  await api.app.listen({ host: '127.0.0.1', port: 0 });
  url = `ws://127.0.0.1:${(api.app.server.address() as AddressInfo).port}/api/v1/live`;
});
afterEach(() => api.close());

async function connect(headers: Record<string, string> = {}) {
  const socket = new WebSocket(url, { headers });
  const waiting: Message[] = [];
  let wake: () => void = () => undefined;
  socket.on('message', (data: Buffer) => {
    waiting.push(JSON.parse(data.toString('utf8')) as Message);
    wake();
  });
  const next = async (wanted: (m: Message) => boolean): Promise<Message> => {
    for (;;) {
      const message = waiting.shift();
      if (message === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else if (wanted(message)) return message;
    }
  };
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return { socket, next, send: (message: unknown) => socket.send(JSON.stringify(message)) };
}
const applyYaml = (yaml: string) => api.app.inject({ method: 'POST', url: '/api/v1/config/apply', headers: { host: 'localhost' }, payload: { yaml } });

test('graph: hello, a snapshot, numbered deltas with changed rows, a snapshot when topology changed', async () => {
  const node = { id: 'wl:a/x', kind: 'workload' as const, namespace: 'a', label: 'x', badges: [], inMesh: true, proxies: [] };
  api.graph = { ...api.graph, nodes: [node], nodeRows: [[1, 0, 0, 0, 1, 2, 3, 2]] };
  const client = await connect();
  expect(await client.next(() => true)).toMatchObject({ type: 'hello', serverId: 'server-1' });
  client.send({ op: 'subscribe', id: 1, topic: 'graph' });
  const snapshot = await client.next((m) => m.type === 'snapshot');
  expect(snapshot.data['nodes']).toHaveLength(1);
  api.graph = { ...api.graph, at: 2, nodeRows: [[5, 0, 0, 0, 1, 2, 3, 2]] };
  const delta = await client.next((m) => m.type === 'delta');
  expect(delta.prev).toBe(delta.rev - 1);
  expect(delta.data['nodeRows']).toEqual([[0, 5, 0, 0, 0, 1, 2, 3, 2]]);
  api.graph = { ...api.graph, nodes: [], nodeRows: [] };
  const whole = await client.next((m) => m.type === 'snapshot');
  expect(whole.data['nodes']).toEqual([]);

  const second = await connect();
  second.send({ op: 'subscribe', id: 9, topic: 'graph', rev: whole.rev, serverId: 'server-1' });
  expect(await second.next((m) => m.topic === 'graph')).toMatchObject({ type: 'delta', id: 9, prev: whole.rev });
  client.socket.terminate();
  second.socket.terminate();
});

test('split and revisions come at once on a write; propagation follows', async () => {
  await applyYaml(REVIEWS_YAML);
  const client = await connect();
  client.send({ op: 'subscribe', id: 1, topic: 'split', namespace: 'bookinfo', service: 'reviews' });
  client.send({ op: 'subscribe', id: 2, topic: 'revisions' });
  expect((await client.next((m) => m.id === 2)).data).toHaveLength(1);
  await applyYaml(REVIEWS_YAML.replace('weight: 80', 'weight: 70').replace('weight: 20', 'weight: 30'));
  const moved = await client.next((m) => m.topic === 'split' && JSON.stringify(m.data['destinations']).includes('"weight":70'));
  expect(moved.data['resourceVersion']).toBe('2');
  api.propagation.set('2', { revision: '2', proxies: [], completeMs: 12 });
  api.changed({ proxies: [], revisions: ['2'] });
  expect((await client.next((m) => m.id === 2 && Array.isArray(m.data['propagation']) && m.data['propagation'].length > 0)).data).toEqual({
    added: [],
    propagation: [{ revision: '2', proxies: [], completeMs: 12 }],
  });
  client.socket.terminate();
});

test('unknown topics and services are told, a foreign Origin is not let in', async () => {
  const client = await connect();
  client.send({ op: 'subscribe', id: 1, topic: 'weather' });
  expect(await client.next((m) => m.type === 'error')).toMatchObject({ code: 'WEFT_BAD_MESSAGE' });
  client.send({ op: 'subscribe', id: 2, topic: 'split', namespace: 'a', service: 'b' });
  expect(await client.next((m) => m.type === 'error')).toMatchObject({ id: 2, code: 'WEFT_NOT_FOUND' });
  client.send({ op: 'subscribe', id: 3, topic: 'status' });
  expect((await client.next((m) => m.id === 3)).data).toMatchObject({ version: 'test' });
  client.socket.terminate();
  await expect(connect({ origin: 'http://evil.example' })).rejects.toThrow(/403/);
});

test('what a slow reader missed it gets when it reads again, though nothing more happens', async () => {
  const proxy = (workload: string) => [{ id: 'p', workload }] as unknown as TestApi['proxies'];
  const client = await connect();
  client.send({ op: 'subscribe', id: 1, topic: 'proxies' });
  await client.next((m) => m.type === 'snapshot');
  client.socket.pause();
  // More than the system's buffers take.
  api.proxies = proxy('x'.repeat(32 * 1024 * 1024));
  api.changed({ proxies: ['p'], revisions: [] });
  api.proxies = proxy('small');
  api.changed({ proxies: ['p'], revisions: [] });
  client.socket.resume();
  expect((await client.next((m) => m.type === 'snapshot')).data).toEqual(proxy('small'));
  client.socket.terminate();
});

test('a client hears something even when nothing happens', async () => {
  const client = await connect();
  expect(await client.next((m) => m.type === 'alive')).toEqual({ type: 'alive' });
  client.socket.terminate();
});
