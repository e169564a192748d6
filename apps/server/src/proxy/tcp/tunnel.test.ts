// TCP inside HTTP/2 streams, half closes, and what a NACK says.

import { type Http2Server, createServer } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { type JsonObject, fromJson, toBinary } from '@bufbuild/protobuf';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { registry } from '@weft/mesh-core/translate';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { decodeListener } from '../config/decode.ts';
import type { ListenerConfig } from '../config/model.ts';
import { cluster, startRig } from '../listener/testing/rig.ts';

let server: Http2Server;
const heads: Record<string, unknown>[] = [];
beforeAll(async () => {
  server = createServer().on('stream', (stream, headers) => {
    heads.push({ ...headers });
    stream.respond({ ':status': headers['x-refuse'] === undefined ? 200 : 403 });
    stream.on('error', () => undefined).pipe(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => server.close());

function decoded(tunnelingConfig: JsonObject): ListenerConfig {
  const typedConfig = {
    ...{ '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', statPrefix: 't', cluster: 'app' },
    tunnelingConfig,
  };
  const json = { name: 'l', address: { socketAddress: { address: '127.0.0.1', portValue: 0 } }, filterChains: [{ filters: [{ name: 'tcp', typedConfig }] }] };
  return decodeListener(toBinary(ListenerSchema, fromJson(ListenerSchema, json, { registry })), 'l');
}

/** What comes back until the peer ends. */
async function exchange(tunneling: JsonObject, text: string): Promise<string> {
  const app = cluster([(server.address() as AddressInfo).port]);
  const rig = await startRig({ listener: decoded(tunneling), clusters: [{ ...app, http: { ...app.http, protocol: 'http2' } }] });
  onTestFinished(() => rig.close());
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host: '127.0.0.1', port: rig.port }, () => socket.end(text));
    socket.on('error', () => undefined).on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
  });
}

test('CONNECT and POST as streams of HTTP/2; the end of one half passes', async () => {
  const text = 'x'.repeat(200_000);
  heads.length = 0;
  expect((await exchange({ hostname: 'db.test:5432', headersToAdd: [{ header: { key: 'x-a', value: 'b' } }] }, text)).length).toBe(text.length);
  expect((await exchange({ hostname: 'db.test:5432', usePost: true, postPath: '/tunnel' }, text)).length).toBe(text.length);
  expect(heads).toMatchObject([
    { ':method': 'CONNECT', ':authority': 'db.test:5432', 'x-a': 'b' },
    { ':method': 'POST', ':path': '/tunnel', ':authority': 'db.test:5432' },
  ]);
  expect(Object.keys(heads[0] ?? {})).not.toContain(':path');
});

test('a refused tunnel ends the connection without a byte of the answer', async () => {
  expect(await exchange({ hostname: 'db.test:5432', headersToAdd: [{ header: { key: 'x-refuse', value: '1' } }] }, 'hello')).toBe('');
});

test('commands other than the SNI are refused', () => {
  expect(decoded({ hostname: '%REQUESTED_SERVER_NAME%:443' }).chains[0]?.tcp?.tunneling?.hostname).toBe('%REQUESTED_SERVER_NAME%:443');
  expect(() => decoded({ hostname: '%DYNAMIC_METADATA(a:b)%' })).toThrow('tunnelingConfig.hostname');
});
