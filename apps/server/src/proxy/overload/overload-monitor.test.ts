import { expect, onTestFinished, test, vi } from 'vitest';
import { chain, cluster, exchangeRaw, listener, manager, route, routes, startRaw, startRig, type Rig } from '../listener/testing/rig.ts';
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

test('of this process: one turn longer than a second refuses nobody, another right behind it does', { timeout: 30_000 }, async () => {
  const { observe } = OverloadMonitor.prototype;
  const spy = vi.spyOn(OverloadMonitor.prototype, 'observe');
  onTestFinished(() => spy.mockRestore());
  const turn = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_200);
  const longTurnAfter = [true, false, true, true, false];
  const seen: [late: boolean, admits: boolean][] = [];
  await new Promise<void>((resolve) => {
    spy.mockImplementation(function (this: OverloadMonitor, sample) {
      observe.call(this, sample);
      seen.push([sample.loopDelayMs > 500, this.admit()]);
      // The next sample is taken as the turn ends.
      if (longTurnAfter[seen.length - 1] === true) setImmediate(turn);
      if (seen.length === longTurnAfter.length + 1) resolve();
    });
    const { stop } = startOverloadMonitor({ ...defaultOverloadLimits, maxLoopDelayMs: 500 }, () => undefined);
    onTestFinished(stop);
  });
  const idleOne = [false, true];
  expect(seen).toEqual([idleOne, [true, true], idleOne, [true, true], [true, false], idleOne]);
});
