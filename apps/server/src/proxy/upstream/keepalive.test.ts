import { existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { expect, onTestFinished, test } from 'vitest';
import { decodeCluster } from '../config/decode.ts';
import type { ClusterConfig, FilterChain } from '../config/model.ts';
import { chain, cluster, listener, startRig } from '../listener/testing/rig.ts';
import { takesProbes } from './keepalive.ts';

const decode = (tcpKeepalive: JsonObject): ClusterConfig =>
  decodeCluster(toBinary(ClusterSchema, fromJson(ClusterSchema, { name: 'c', upstreamConnectionOptions: { tcpKeepalive } })), 'c');

test('what is not said is the system’s own; probes and interval are refused by name where Node cannot set them', () => {
  expect(decode({}).tcpKeepalive).toEqual({ timeMs: 7_200_000, intervalMs: 75_000, probes: 9 });
  const all = { keepaliveTime: 60, keepaliveInterval: 10, keepaliveProbes: 3 };
  if (takesProbes) expect(decode(all).tcpKeepalive).toEqual({ timeMs: 60_000, intervalMs: 10_000, probes: 3 });
  else
    expect(() => decode(all)).toThrow(/tcpKeepalive\.keepaliveProbes: Node v\d.* cannot set it[^]*tcpKeepalive\.keepaliveInterval: Node v\d.* cannot set it/);
});

/** Seconds until the kernel asks on its connection to that port, from its list of connections; undefined = never. */
function secondsLeft(port: number): number | undefined {
  const to = port.toString(16).toUpperCase().padStart(4, '0');
  const [, ...sockets] = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n');
  const [, , , , , timer = ''] =
    sockets.map((line) => line.trim().split(/\s+/)).find(([, , remote, state]) => remote?.endsWith(`:${to}`) && state === '01') ?? [];
  // 2 = keepalive, and hundredths of a second.
  return timer.startsWith('02:') ? Number.parseInt(timer.slice(3), 16) / 100 : undefined;
}

const { http: _, ...bare } = chain();
const to = { name: 'app', weight: 1, requestHeaders: { add: [], remove: [] }, responseHeaders: { add: [], remove: [] } };
test.skipIf(!existsSync('/proc/net/tcp')).each<[string, FilterChain]>([
  ['HTTP', chain()],
  ['TCP', { ...bare, tcp: { statPrefix: 'tcp', clusters: [to], idleTimeoutMs: 0 } }],
])('the kernel asks for connections of %s', async (_name, made) => {
  const app = createServer((socket) => socket.on('error', () => undefined).write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const { port } = app.address() as AddressInfo;
  const tcpKeepalive = { timeMs: 3_000_000, intervalMs: 75_000, probes: 9 };
  const rig = await startRig({ listener: listener({ chains: [made] }), clusters: [{ ...cluster([port]), tcpKeepalive }] });
  onTestFinished(async () => {
    await rig.close();
    app.close();
  });
  const socket = connect(rig.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
  onTestFinished(() => void socket.destroy());
  await new Promise((resolve) => socket.once('data', resolve));
  await expect.poll(() => secondsLeft(port)).toBeGreaterThan(2_000);
  expect(secondsLeft(port)).toBeLessThanOrEqual(3_000);
});
