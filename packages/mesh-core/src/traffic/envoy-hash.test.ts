// The same keys, the same hosts: our ring and maglev table against those of a real Envoy.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { envoyBinary } from '../translate/testing/static-envoy.ts';
import { type BalancedHost, buildBalancer, type LbPolicy, PeakEwma, xxHash64 } from './index.ts';

const envoy = envoyBinary();
const HCM = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const POLICIES: readonly { name: string; lb: LbPolicy; config: object }[] = [
  {
    name: 'ring',
    lb: { kind: 'ring-hash', minimumRingSize: 1_024, maximumRingSize: 8_388_608 },
    config: { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: 1_024 } },
  },
  {
    name: 'small',
    lb: { kind: 'ring-hash', minimumRingSize: 1, maximumRingSize: 7 },
    config: { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: 1, maximum_ring_size: 7 } },
  },
  { name: 'maglev', lb: { kind: 'maglev', tableSize: 65_537 }, config: { lb_policy: 'MAGLEV' } },
  { name: 'short', lb: { kind: 'maglev', tableSize: 251 }, config: { lb_policy: 'MAGLEV', maglev_lb_config: { table_size: 251 } } },
];
const LOCALITIES = [
  { weight: 3, hosts: [5, 1] },
  { weight: 1, hosts: [1, 2, 2] },
];

function bootstrap(ports: readonly number[]): object {
  let next = 0;
  const endpoints = LOCALITIES.map(({ weight, hosts }, i) => ({
    locality: { zone: `z${i}` },
    load_balancing_weight: weight,
    lb_endpoints: hosts.map((load_balancing_weight) => ({
      load_balancing_weight,
      endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: ports[next++] } } },
    })),
  }));
  return {
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    static_resources: {
      clusters: POLICIES.map(({ name, config }) => ({
        name,
        ...config,
        common_lb_config: { locality_weighted_lb_config: {} },
        load_assignment: { cluster_name: name, endpoints },
      })),
      listeners: [
        {
          name: 'hash',
          address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
          filter_chains: [
            {
              filters: [
                {
                  name: 'http',
                  typed_config: {
                    '@type': HCM,
                    stat_prefix: 'http',
                    http_filters: [{ name: 'router', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } }],
                    route_config: {
                      virtual_hosts: [
                        {
                          name: 'all',
                          domains: ['*'],
                          routes: POLICIES.map(({ name }) => ({
                            match: { path: `/${name}` },
                            route: { cluster: name, hash_policy: [{ header: { header_name: 'x-key' } }] },
                          })),
                        },
                      ],
                    },
                  },
                },
              ],
            },
          ],
        },
      ],
    },
  };
}

function fetchText(url: string, key: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { 'x-key': key } }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

async function startEnvoy(dir: string, ports: readonly number[]): Promise<{ address: string; stop: () => void }> {
  writeFileSync(join(dir, 'envoy.json'), JSON.stringify(bootstrap(ports)));
  const admin = join(dir, 'admin');
  const child = spawn(envoy ?? '', [
    '-c',
    join(dir, 'envoy.json'),
    '--disable-hot-restart',
    '--concurrency',
    '1',
    '--admin-address-path',
    admin,
    '-l',
    'error',
  ]);
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  for (let tries = 0; tries < 300 && child.exitCode === null; tries++) {
    const address = existsSync(admin)
      ? await fetchText(`http://${readFileSync(admin, 'utf8')}/listeners`, '').then(
          (text) => /127\.0\.0\.1:\d+/.exec(text)?.[0],
          () => undefined,
        )
      : undefined;
    if (address !== undefined) return { address, stop: () => child.kill() };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill();
  throw new Error(`Envoy did not start: ${log}`);
}

test.skipIf(envoy === undefined)(
  'ring hash and maglev choose the hosts Envoy chooses, with weights of hosts and localities',
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'weft-hash-'));
    const servers: Server[] = [];
    for (let i = 0; i < LOCALITIES.flatMap((l) => l.hosts).length; i++) {
      const server: Server = createServer((_, response) => response.end(String((server.address() as AddressInfo).port))).listen(0, '127.0.0.1');
      await once(server, 'listening');
      servers.push(server);
    }
    const ports = servers.map((server) => (server.address() as AddressInfo).port);
    const { address, stop } = await startEnvoy(dir, ports);
    try {
      let next = 0;
      const localities = LOCALITIES.map(({ weight, hosts }) => ({
        weight,
        priority: 0,
        hosts: hosts.map((hostWeight): BalancedHost => {
          const hashKey = `127.0.0.1:${ports[next++]}`;
          return { weight: hostWeight, active: 0, hashKey, health: 'healthy', healthySince: 0, ewma: new PeakEwma() };
        }),
      }));
      const keys = Array.from({ length: 100 }, (_, i) => `user-${i * 7919}${'-long'.repeat(i % 9)}`);
      for (const { name, lb } of POLICIES) {
        const rules = { policy: lb, panicPercent: 50, overprovisioning: 140, localityWeighted: true, weightedPriorityHealth: false, clock: () => 0 };
        const balancer = buildBalancer(rules, localities);
        const ours = keys.map((key) => balancer.pick({ random: () => 0, hash: xxHash64(key), avoid: [], attempts: 0 })?.hashKey);
        const theirs = await Promise.all(keys.map(async (key) => `127.0.0.1:${await fetchText(`http://${address}/${name}`, key)}`));
        expect(ours, name).toEqual(theirs);
      }
    } finally {
      stop();
      for (const server of servers) server.close();
      rmSync(dir, { recursive: true, force: true });
    }
  },
  30_000,
);
