// How often an Envoy is asked for its metrics: every second, unless that is too much for it.

import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { ProxySpec } from '../proxy/config/proxy-spec.ts';
import { pauseAfter, startStatsForwarder } from './envoy-stats.ts';

test('a scrape a second, or after a pause of twice what the last one took', () => {
  expect(pauseAfter(5)).toBe(995);
  expect(pauseAfter(1_500)).toBe(3_000);
});

test('counters and histograms are asked for apart, each once at a time, and both at the end', async () => {
  const asked = new Map<string, number>();
  const running = new Set<string>();
  const admin = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://admin');
    expect(searchParams.has('usedonly')).toBe(true);
    const filter = searchParams.get('filter') ?? '';
    asked.set(filter, (asked.get(filter) ?? 0) + 1);
    expect(running.has(filter)).toBe(false);
    running.add(filter);
    setImmediate(() => response.end('', () => running.delete(filter)));
  });
  await new Promise<void>((resolve) => admin.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void admin.close());
  const spec: Partial<ProxySpec> = { workload: 'web', namespace: 'shop', labels: {}, ip: '127.0.0.1', role: 'sidecar' };
  const stop = startStatsForwarder({ ...(spec as ProxySpec), adminPort: (admin.address() as AddressInfo).port });
  await expect.poll(() => Math.min(asked.size, ...asked.values()), { timeout: 20_000 }).toBe(2);
  const names = ['istio_requests_total', 'istio_tcp_sent_bytes_total', 'istio_request_bytes', 'istio_request_duration_milliseconds.reporter.source'];
  expect([...asked.keys()].map((filter) => names.map((name) => new RegExp(filter).test(name)))).toEqual([
    [true, true, false, false],
    [false, false, true, true],
  ]);
  const before = new Map(asked);
  await stop();
  expect([...asked]).toEqual([...before].map(([filter, count]) => [filter, count + 1]));
});
