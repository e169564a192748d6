// What every MetricStore must do, run by each implementation's test.

import { describe, expect, test } from 'vitest';
import type { MetricPoint, MetricStore } from '../stores.ts';

/** When the stores under test start to listen, Unix ms. */
export const STARTED_AT = 1_700_000_000_000;

export function requestsPoint(value: number, over: Partial<MetricPoint> & { code?: string } = {}): MetricPoint {
  const { code = '200', ...rest } = over;
  return {
    metric: 'istio_requests_total',
    resource: 'sidecar~1',
    labels: { reporter: 'destination', source_workload: 'a', destination_workload: 'b', response_code: code },
    startMs: STARTED_AT + 1,
    timeMs: STARTED_AT,
    delta: false,
    value,
    ...rest,
  };
}

export function metricStoreContract(name: string, create: () => MetricStore): void {
  const at = (second: number): number => STARTED_AT + second * 1_000;
  const total = (store: MetricStore, from: number, to: number): number =>
    store.increases({ from: at(from), to: at(to) }).reduce((sum, row) => sum + row.requests, 0);
  const feed = (store: MetricStore, second: number, point: MetricPoint): void => store.append([{ ...point, timeMs: at(second) }], at(second));

  describe(`${name} keeps the contract of a metric store`, () => {
    test('a series that begins while it listens counts from zero', () => {
      const store = create();
      feed(store, 10, requestsPoint(7));
      feed(store, 11, requestsPoint(9));
      expect(total(store, 0, 11)).toBe(9);
      expect(total(store, 10, 11)).toBe(2);
      expect(total(store, 11, 60)).toBe(0);
    });

    test('a history older than the store is a baseline, not a burst', () => {
      const store = create();
      feed(store, 10, requestsPoint(1_000_000, { startMs: STARTED_AT - 3_600_000 }));
      expect(total(store, 0, 10)).toBe(0);
      feed(store, 11, requestsPoint(1_000_003, { startMs: STARTED_AT - 3_600_000 }));
      expect(total(store, 0, 11)).toBe(3);
    });

    test('a series without a start time begins with a baseline', () => {
      const store = create();
      feed(store, 10, requestsPoint(50, { startMs: 0 }));
      feed(store, 11, requestsPoint(51, { startMs: 0 }));
      expect(total(store, 0, 11)).toBe(1);
    });

    test('a series that began just before the store counts from zero', () => {
      const store = create();
      feed(store, 1, requestsPoint(4, { startMs: STARTED_AT - 2_000 }));
      expect(total(store, 0, 1)).toBe(4);
    });

    test('a restarted proxy adds its new count to the old', () => {
      const store = create();
      feed(store, 1, requestsPoint(100));
      feed(store, 2, requestsPoint(8, { startMs: at(1) + 500 }));
      expect(total(store, 0, 2)).toBe(108);
      // Even when the new count is already higher than the old one.
      feed(store, 3, requestsPoint(200, { startMs: at(2) + 500 }));
      expect(total(store, 2, 3)).toBe(200);
    });

    test('a late copy of an earlier export changes nothing', () => {
      const store = create();
      feed(store, 1, requestsPoint(10));
      feed(store, 3, requestsPoint(30));
      store.append([requestsPoint(20, { timeMs: at(2) })], at(4));
      feed(store, 5, requestsPoint(31));
      expect(total(store, 0, 5)).toBe(31);
    });

    test('delta points are added as they are', () => {
      const store = create();
      feed(store, 1, requestsPoint(5, { delta: true }));
      feed(store, 2, requestsPoint(5, { delta: true }));
      expect(total(store, 0, 2)).toBe(10);
    });

    test('two proxies of one label set are two counters', () => {
      const store = create();
      feed(store, 1, requestsPoint(5));
      feed(store, 2, requestsPoint(3, { resource: 'sidecar~2' }));
      feed(store, 3, requestsPoint(6));
      expect(total(store, 0, 3)).toBe(9);
    });

    test('buckets come back as their increase', () => {
      const store = create();
      const duration = (value: number, buckets: number[]): MetricPoint => ({
        ...requestsPoint(value),
        metric: 'istio_request_duration_milliseconds',
        buckets,
        bounds: [1, 5],
      });
      store.append([{ ...requestsPoint(3), timeMs: at(1) }, { ...duration(9, [1, 2, 0]), timeMs: at(1) }], at(1)); // prettier-ignore
      store.append([{ ...requestsPoint(8), timeMs: at(2) }, { ...duration(30, [1, 4, 3]), timeMs: at(2) }], at(2)); // prettier-ignore
      const [row] = store.increases({ from: at(1), to: at(2) });
      expect({ requests: row?.requests, buckets: Array.from(row?.buckets ?? []), bounds: row?.bounds }).toEqual({
        requests: 5,
        buckets: [0, 2, 3],
        bounds: [1, 5],
      });
    });

    test('points that cannot be are ignored and counted', () => {
      const store = create();
      store.append(
        [
          requestsPoint(Number.NaN),
          requestsPoint(-1),
          { ...requestsPoint(1), metric: 'istio_build' },
          { ...requestsPoint(1), metric: 'istio_request_duration_milliseconds' },
        ],
        at(1),
      );
      expect(store.increases({ from: 0, to: at(2), idleMs: 60_000 })).toEqual([]);
      expect(store.stats().ignored).toBe(4);
    });

    test('an idle label set is told only when asked for', () => {
      const store = create();
      feed(store, 1, requestsPoint(5));
      feed(store, 60, requestsPoint(5));
      expect(store.increases({ from: at(30), to: at(61) })).toEqual([]);
      expect(store.increases({ from: at(30), to: at(61), idleMs: 30_000 }).map((row) => row.requests)).toEqual([0]);
    });
  });
}
