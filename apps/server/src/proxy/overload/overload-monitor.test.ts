import { expect, onTestFinished, test } from 'vitest';
import { chain, cluster, exchangeRaw, listener, manager, route, routes, startRaw, startRig, type Rig } from '../listener/testing/rig.ts';
import { createTracer } from '../tracing/tracer.ts';
import { defaultOverloadLimits, OverloadMonitor, startOverloadMonitor } from './overload-monitor.ts';

const idle = { heapFraction: 0.2, loopDelayMs: 1 };

test.each([
  ['the heap', { heapFraction: 0.96, loopDelayMs: 1 }],
  ['the event loop', { heapFraction: 0.2, loopDelayMs: 1500 }],
])('%s closes the door, and its recovery opens it; both are told once', (_, sample) => {
  const told: string[] = [];
  const monitor = new OverloadMonitor(defaultOverloadLimits, (message) => told.push(message));
  monitor.observe(idle);
  expect(monitor.admit()).toBe(true);
  monitor.observe(sample);
  monitor.observe(sample);
  expect([monitor.admit(), monitor.shed]).toEqual([false, 1]);
  monitor.observe(idle);
  expect(monitor.admit()).toBe(true);
  expect(told).toHaveLength(2);
});

test('one long turn of the event loop refuses nobody', () => {
  const monitor = new OverloadMonitor(defaultOverloadLimits, () => undefined);
  for (const loopDelayMs of [1, 5_000, 1, 5_000, 1]) {
    monitor.observe({ heapFraction: 0.2, loopDelayMs });
    expect(monitor.admit()).toBe(true);
  }
});

async function serve(monitor: OverloadMonitor, appendLocalOverload: boolean): Promise<Rig> {
  const upstream = await startRaw((_, socket) => void setImmediate(() => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')));
  onTestFinished(() => upstream.close());
  const rig = await startRig({
    listener: listener({ chains: [chain({ http: manager({ appendLocalOverload }) })] }),
    routes: routes([route({})]),
    clusters: [cluster([upstream.port])],
    deps: { overload: monitor },
  });
  onTestFinished(() => rig.close());
  return rig;
}

test('requests above the limit get 503; the place of those that ended is free again', async () => {
  const monitor = new OverloadMonitor({ ...defaultOverloadLimits, maxActiveRequests: 1 }, () => undefined);
  const rig = await serve(monitor, true);
  const ask = (): Promise<string> => exchangeRaw(rig.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', (text) => /(?:ok|overloaded)$/.test(text));
  expect(await ask()).toMatch(/^HTTP\/1.1 200/);
  expect(monitor.admit()).toBe(true);
  expect(await ask()).toMatch(/^HTTP\/1.1 503 [\s\S]*x-envoy-local-overloaded: true\r\n[\s\S]*envoy overloaded$/);
  expect(rig.records[1]).toMatchObject({ status: 503, responseFlags: '-', details: 'overload', attempts: 0 });
  monitor.release();
  expect(await ask()).toMatch(/^HTTP\/1.1 200/);
  expect(await ask()).toMatch(/^HTTP\/1.1 200/);
});

test('a process that does nothing is not overloaded', async () => {
  const { monitor, stop } = startOverloadMonitor(defaultOverloadLimits, () => undefined);
  onTestFinished(stop);
  expect(monitor.admit()).toBe(true);
});

// As seen beside Envoy 1.40.
test('what is refused before anybody looks at who asks has no trace, id, or client of its own; overload asks for no body', async () => {
  const monitor = new OverloadMonitor(defaultOverloadLimits, () => undefined);
  const tracing = { samplingPercent: 100, direction: 'egress' as const, customTags: [], always: true };
  const rig = await startRig({
    listener: listener({ chains: [chain({ http: manager({ tracing }) })] }),
    deps: { overload: monitor, tracer: createTracer(() => 0) },
  });
  onTestFinished(() => rig.close());
  const fields = 'x-forwarded-for: 10.0.0.1\r\nconnection: close\r\n';
  const expecting = `POST / HTTP/1.1\r\n${fields}expect: 100-continue\r\ncontent-length: 3\r\n\r\n`;
  expect(await exchangeRaw(rig.port, expecting)).toMatch(/^HTTP\/1.1 100 [\s\S]*HTTP\/1.1 400 /);
  await exchangeRaw(rig.port, `GET /#a HTTP/1.1\r\nhost: a\r\nx-request-id: mine\r\n${fields}\r\n`);
  await exchangeRaw(rig.port, `OPTIONS * HTTP/1.1\r\nhost: a\r\n${fields}\r\n`);
  monitor.observe({ ...idle, heapFraction: 1 });
  expect(await exchangeRaw(rig.port, expecting)).toMatch(/^HTTP\/1.1 503 /);
  expect(rig.records.map(({ details, requestId, downstreamAddress, trace }) => [details, requestId, downstreamAddress.split(':')[0], trace])).toEqual([
    ['missing_host_header', '', '127.0.0.1', undefined],
    ['path_normalization_failed', 'mine', '127.0.0.1', undefined],
    ['absolute_path_rejected', '', '127.0.0.1', undefined],
    ['overload', '', '127.0.0.1', undefined],
  ]);
});
