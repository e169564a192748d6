import { expect, test } from 'vitest';
import { EmbeddedMetricStore } from './embedded-metric-store.ts';
import { metricStoreContract, requestsPoint, STARTED_AT } from './testing/metric-store-contract.ts';

metricStoreContract('the embedded metric store', () => new EmbeddedMetricStore({ startedAt: STARTED_AT }));

/** A small generator with a seed, so that a failure can be repeated. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test.each([1, 2, 3, 4, 5])('agrees with a plain list of events whatever restarts (seed %d)', (seed) => {
  const random = randomOf(seed);
  const store = new EmbeddedMetricStore({ startedAt: STARTED_AT });
  const events: { at: number; code: string; count: number }[] = [];
  const streams = ['p', 'q', 'r'].flatMap((resource) => ['200', '503'].map((code) => ({ resource, code, value: 0, startMs: STARTED_AT + 1 })));
  const seconds = 590;
  for (let second = 1; second <= seconds; second++) {
    const at = STARTED_AT + second * 1_000;
    const points = [];
    for (const stream of streams) {
      if (random() < 0.3) continue;
      if (random() < 0.02) Object.assign(stream, { value: 0, startMs: at - 100 });
      const count = Math.floor(random() * 50);
      stream.value += count;
      if (count > 0) events.push({ at, code: stream.code, count });
      points.push(requestsPoint(stream.value, { resource: stream.resource, code: stream.code, startMs: stream.startMs, timeMs: at }));
    }
    store.append(points, at);
  }
  for (let i = 0; i < 200; i++) {
    const from = STARTED_AT + Math.floor(random() * seconds) * 1_000;
    const to = from + Math.floor(random() * 120) * 1_000;
    for (const code of ['200', '503']) {
      const wanted = events.filter((e) => e.code === code && e.at > from && e.at <= to).reduce((sum, e) => sum + e.count, 0);
      const got = store.increases({ from, to, match: (labels) => labels['response_code'] === code }).reduce((sum, row) => sum + row.requests, 0);
      expect(got).toBe(wanted);
    }
  }
});

test('remembers a day in coarse steps', () => {
  const store = new EmbeddedMetricStore({ startedAt: STARTED_AT });
  const hours = 23;
  for (let minute = 1; minute <= hours * 60; minute++) {
    const at = STARTED_AT + minute * 60_000;
    store.append([requestsPoint(minute * 60, { timeMs: at })], at);
  }
  const end = STARTED_AT + hours * 3_600_000;
  const requests = (from: number, to: number): number | undefined => store.increases({ from, to })[0]?.requests;
  expect(requests(STARTED_AT, end)).toBe(hours * 3_600);
  expect(requests(end - 20 * 3_600_000, end - 19 * 3_600_000)).toBe(3_600);
});

test('folds label sets beyond the limit into one and keeps the count of requests', () => {
  const store = new EmbeddedMetricStore({ startedAt: STARTED_AT, maxLabelSets: 100 });
  for (let i = 0; i < 5_000; i++) store.append([requestsPoint(1, { labels: { reporter: 'source', source_workload: `attacker-${i}` } })], STARTED_AT + 1_000);
  const rows = store.increases({ from: STARTED_AT, to: STARTED_AT + 2_000 });
  expect(rows.length).toBeLessThanOrEqual(102);
  expect(rows.reduce((sum, row) => sum + row.requests, 0)).toBe(5_000);
  expect(rows.find((row) => row.labels['source_workload'] === 'other')?.requests).toBe(4_900);
  expect(store.stats().folded).toBe(4_900);
});

test('stays inside its budget by keeping shorter histories', () => {
  const maxBytes = 2_000_000;
  const store = new EmbeddedMetricStore({ startedAt: STARTED_AT, maxBytes });
  for (let second = 1; second <= 900; second++) {
    const at = STARTED_AT + second * 1_000;
    store.append(Array.from({ length: 100 }, (_, i) => requestsPoint(second, { labels: { reporter: 'source', source_workload: `w${i}` }, timeMs: at })), at); // prettier-ignore
  }
  expect(store.stats().bytes).toBeLessThanOrEqual(maxBytes * 1.2);
  const now = STARTED_AT + 900_000;
  expect(store.increases({ from: now - 10_000, to: now }).map((row) => row.requests)).toEqual(Array.from({ length: 100 }, () => 10));
});

test('a series that was silent for hours does not come back as a burst', () => {
  const store = new EmbeddedMetricStore({ startedAt: STARTED_AT });
  const at = (hours: number): number => STARTED_AT + hours * 3_600_000 + 1_000;
  store.append([requestsPoint(100, { timeMs: at(0) })], at(0));
  // Another series keeps the store busy, so that it has reason to forget.
  for (const hour of [1, 2, 3]) store.append([requestsPoint(hour, { code: '404', startMs: at(hour) - 100, timeMs: at(hour) })], at(hour));
  store.append([requestsPoint(105, { timeMs: at(3) })], at(3));
  store.append([requestsPoint(107, { timeMs: at(3) + 1_000 })], at(3) + 1_000);
  const [row] = store.increases({ from: at(1), to: at(4), match: (labels) => labels['response_code'] === '200' });
  expect(row?.requests).toBe(2);
});
