import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TimerWheel, WheelTimer } from './timer-wheel.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a timer fires once, never early and within two ticks, however the wheel was read before', () => {
  const wheel = new TimerWheel(() => performance.now());
  const fired: number[] = [];
  const timer = new WheelTimer({ onTimer: () => fired.push(performance.now()) });
  const keeper = new WheelTimer({ onTimer: () => undefined });
  wheel.set(keeper, 60_000);
  for (const [pause, ms] of [
    [0, 25],
    [3, 1],
    [7_001, 100],
    [2, 6_000],
  ] as const) {
    vi.advanceTimersByTime(pause);
    const setAt = performance.now();
    wheel.set(timer, ms);
    vi.advanceTimersByTime(ms + 10);
    expect(fired).toHaveLength(1);
    expect(fired[0]).toBeGreaterThanOrEqual(setAt + ms);
    fired.length = 0;
  }
});

test('a timer set again fires for its last time only, a cleared one not at all', () => {
  const wheel = new TimerWheel(() => performance.now());
  let count = 0;
  const timer = new WheelTimer({ onTimer: () => count++ });
  wheel.set(timer, 20);
  vi.advanceTimersByTime(15);
  wheel.set(timer, 20);
  vi.advanceTimersByTime(15);
  expect(count).toBe(0);
  vi.advanceTimersByTime(20);
  expect(count).toBe(1);
  wheel.set(timer, 20);
  wheel.clear(timer);
  vi.advanceTimersByTime(100);
  expect(count).toBe(1);
});

test('a wheel without traffic rests until a timer is due, its own intervals included, and tells the time meanwhile', () => {
  let readings = 0;
  const wheel = new TimerWheel(() => {
    readings++;
    return performance.now();
  });
  const start = performance.now();
  const fired: number[] = [];
  const interval = new WheelTimer({
    onTimer: (timer) => {
      fired.push(performance.now() - start);
      wheel.set(timer, 10_000);
    },
  });
  wheel.set(interval, 10_000);
  const hour = new WheelTimer({ onTimer: () => fired.push(performance.now() - start) });
  wheel.set(hour, 3_600_000);
  vi.advanceTimersByTime(29_000);
  expect(fired.map((at) => Math.floor(at / 100))).toEqual([100, 200]);
  expect(readings).toBeLessThan(60);
  expect(wheel.recent).toBe(performance.now());
  wheel.clear(interval);
  vi.advanceTimersByTime(3_600_000);
  expect(fired).toHaveLength(3);
  expect(vi.getTimerCount()).toBe(0);
});

test('a timer set while the wheel rests fires in time, before and after the one it rests for', () => {
  const wheel = new TimerWheel(() => performance.now());
  wheel.set(new WheelTimer({ onTimer: () => undefined }), 2_000);
  for (const ms of [30, 5_000]) {
    vi.advanceTimersByTime(1_000);
    const setAt = performance.now();
    let firedAt = 0;
    wheel.set(new WheelTimer({ onTimer: () => (firedAt = performance.now()) }), ms);
    vi.advanceTimersByTime(ms + 15);
    expect(firedAt).toBeGreaterThanOrEqual(setAt + ms);
  }
});
