// Role based access control of connections, before a TCP proxy and before a connection manager, on both data planes.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MeshObject } from '@weft/mesh-core/model';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PLANES, type RunningPlane, object, runPlane } from './planes.ts';
import { any, policy } from './rbac-rules.ts';

const dir = mkdtempSync(join(tmpdir(), 'weft-network-rbac-'));
let heard = '';
/** Echoes, in HTTP where it is asked so. */
const app = createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    heard += bytes.toString('latin1');
    socket.write(bytes.includes('HTTP/1.1') ? 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok' : bytes);
  });
});
beforeAll(() => new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve)));
afterEach(() => void (heard = ''));
afterAll(() => {
  app.close();
  rmSync(dir, { recursive: true, force: true });
});

const loopback = { address_prefix: '127.0.0.0', prefix_len: 8 };

/** Filters in this order before the last of every chain. */
function inserted(filters: readonly object[]): MeshObject {
  return object('networking.istio.io/v1alpha3 EnvoyFilter', 'rbac', {
    configPatches: filters.toReversed().map((config) => ({
      applyTo: 'NETWORK_FILTER',
      patch: {
        operation: 'INSERT_FIRST',
        value: {
          name: 'envoy.filters.network.rbac',
          typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC', stat_prefix: 'tcp.', ...config },
        },
      },
    })),
  });
}

/** What comes back until the proxy closes, or up to `wanted`. */
function say(port: number, text: string, wanted: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(text));
    socket.on('data', (part: Buffer) => {
      answer += part.toString('latin1');
      if (answer.endsWith(wanted)) socket.destroy();
    });
    socket.on('error', reject).on('close', () => resolve(answer));
  });
}

describe.each(PLANES)('%s', (plane) => {
  const running: RunningPlane[] = [];
  afterEach(() => Promise.all(running.splice(0).map((one) => one.stop())));

  const start = async (filters: readonly object[], settings: object = {}): Promise<{ tcp: number; http: number }> => {
    const entry = (name: string, number: number, protocol: string): MeshObject =>
      object('ServiceEntry', name, {
        ...{ hosts: [`${name}.test`], resolution: 'STATIC', ports: [{ number, name: 'p', protocol }] },
        endpoints: [{ address: '127.0.0.1', ports: { p: (app.address() as AddressInfo).port } }],
      });
    const upstreams = [
      { host: 'db.test', port: 5432, listenPort: 1 },
      { host: 'app.test', port: 80, listenPort: 2 },
    ];
    const objects = [entry('db', 5432, 'TCP'), entry('app', 80, 'HTTP'), inserted(filters)];
    const started = await runPlane(plane, objects, { node: { upstreams }, settings });
    running.push(started);
    return { tcp: started.port('db.test_5432'), http: started.port('app.test_80') };
  };
  const ask = ({ http }: { http: number }): Promise<string> => say(http, 'GET / HTTP/1.1\r\nhost: app.test\r\n\r\n', 'ok');

  test('who is refused is closed on its first bytes, and no upstream hears them; the log tells by which policy', async () => {
    const file = join(mkdtempSync(join(dir, plane)), 'log');
    const settings = {
      accessLogFile: file,
      accessLogFormat: '%RESPONSE_CODE% %RESPONSE_FLAGS% %CONNECTION_TERMINATION_DETAILS% %UPSTREAM_CLUSTER% %BYTES_RECEIVED%\n',
    };
    const filters = [
      { rules: { action: 'DENY', policies: { 'no one': policy(any, { direct_remote_ip: loopback }) } } },
      { rules: { action: 'ALLOW', policies: { all: policy(any) } } },
    ];
    const ports = await start(filters, settings);
    expect([await say(ports.tcp, 'hello', 'hello'), await ask(ports)]).toEqual(['', '']);
    expect(heard).toBe('');
    await Promise.all(running.splice(0).map((one) => one.stop()));
    expect(readFileSync(file, 'utf8')).toBe('0 - rbac_access_denied_matched_policy[no_one] outbound|5432||db.test 5\n');
  });

  test('who is allowed goes on; what only casts a shadow refuses nobody', async () => {
    const local = policy(
      { not_rule: { destination_port_range: { start: 0, end: 1 } } },
      { and_ids: { ids: [{ remote_ip: loopback }, { not_id: { authenticated: {} } }] } },
    );
    const ports = await start([
      { rules: { action: 'DENY', policies: { sni: policy({ requested_server_name: { exact: 'a.test' } }) } } },
      { rules: { action: 'ALLOW', policies: { local } }, shadow_rules: { action: 'ALLOW' }, shadow_rules_stat_prefix: 'istio_dry_run_allow_' },
    ]);
    expect([await say(ports.tcp, 'hello', 'hello'), await ask(ports)]).toEqual(['hello', expect.stringMatching(/^HTTP\/1\.1 200 [^]*ok$/)]);
  });

  test('allow without policies lets nobody in', async () => {
    const ports = await start([{ rules: {} }]);
    expect([await say(ports.tcp, 'hello', 'hello'), await ask(ports)]).toEqual(['', '']);
  });
});
