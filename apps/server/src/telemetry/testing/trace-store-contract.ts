// What every TraceStore must do, run by each implementation's test.

import { traceQuerySchema, type TraceQuery } from '@weft/mesh-core/api';
import { describe, expect, test } from 'vitest';
import type { StoredSpan, TraceStore } from '../stores.ts';

export const traceIdOf = (n: number): string => n.toString(16).padStart(32, '0');
const spanIdOf = (n: number): string => n.toString(16).padStart(16, '0');
export const query = (over: Partial<TraceQuery> = {}): TraceQuery => traceQuerySchema.parse(over);
const T0 = 1_700_000_000_000_000;

/** gateway (0-100 ms) -> productpage (10-90) -> reviews (20-50) and details (60-70); trace `n` starts n seconds after T0. */
export function bookinfoTrace(n: number, over: { reviewsFails?: boolean; code?: number } = {}): StoredSpan[] {
  const base = T0 + n * 1_000_000;
  const span = (id: number, parent: number, service: string, from: number, to: number, error = false): StoredSpan => ({
    traceId: traceIdOf(n),
    spanId: spanIdOf(n * 16 + id),
    parentId: parent === 0 ? '' : spanIdOf(n * 16 + parent),
    service: `${service}.bookinfo`,
    name: `${service}:9080/*`,
    kind: parent === 0 ? 'client' : 'server',
    startUs: base + from * 1_000,
    durationUs: (to - from) * 1_000,
    error,
    attributes: { 'http.status_code': error ? 503 : (over.code ?? 200), 'guid:x-request-id': `request-${n}-${id}`, component: 'proxy' },
    resource: { 'service.name': `${service}.bookinfo` },
    events: error ? [{ atUs: base + 25_000, name: 'retry', attributes: { attempt: 2 } }] : [],
  });
  return [
    span(1, 0, 'gateway', 0, 100),
    span(2, 1, 'productpage', 10, 90),
    span(3, 2, 'reviews', 20, 50, over.reviewsFails ?? false),
    span(4, 2, 'details', 60, 70),
  ];
}

export function traceStoreContract(name: string, create: () => TraceStore): void {
  describe(`${name} keeps the contract of a trace store`, () => {
    test('gives back a trace as it came, by start time', () => {
      const store = create();
      const spans = bookinfoTrace(1, { reviewsFails: true });
      store.append(spans.toReversed());
      expect(store.get(traceIdOf(1))).toEqual({ traceId: traceIdOf(1), spans: spans.map(({ traceId: _, ...span }) => span) });
      expect(store.get(traceIdOf(2))).toBeUndefined();
    });

    test('summarises: root, self time per service, errors that were recovered', () => {
      const store = create();
      store.append(bookinfoTrace(1, { reviewsFails: true }));
      expect(store.find(query()).traces).toEqual([
        {
          traceId: traceIdOf(1),
          name: 'gateway:9080/*',
          rootService: 'gateway.bookinfo',
          startUs: T0 + 1_000_000,
          durationUs: 100_000,
          spans: 4,
          errors: 1,
          recovered: true,
          services: [
            { service: 'productpage.bookinfo', spans: 1, selfUs: 40_000 },
            { service: 'reviews.bookinfo', spans: 1, selfUs: 30_000 },
            { service: 'gateway.bookinfo', spans: 1, selfUs: 20_000 },
            { service: 'details.bookinfo', spans: 1, selfUs: 10_000 },
          ],
        },
      ]);
    });

    test('finds newest first and says when it cut', () => {
      const store = create();
      for (const n of [3, 1, 5, 2, 4]) store.append(bookinfoTrace(n));
      const found = store.find(query({ limit: 2 }));
      expect(found.traces.map((t) => t.traceId)).toEqual([traceIdOf(5), traceIdOf(4)]);
      expect([found.total, found.truncated]).toEqual([5, true]);
    });

    test.each<[string, Partial<TraceQuery>, number[]]>([
      ['service', { service: 'reviews.bookinfo' }, [3, 2, 1]],
      ['a service that is not there', { service: 'ratings.bookinfo' }, []],
      ['operation of that service', { service: 'reviews.bookinfo', operation: 'details:9080/*' }, []],
      ['number tag', { tags: 'http.status_code=503' }, [2]],
      ['tags on the same span', { tags: 'http.status_code=503 component=proxy', service: 'details.bookinfo' }, []],
      ['unique tag', { tags: 'guid:x-request-id=request-3-4' }, [3]],
      ['resource tag', { tags: 'service.name=reviews.bookinfo' }, [3, 2, 1]],
      ['errors', { status: 'error' }, [2]],
      ['no errors', { status: 'ok' }, [3, 1]],
      ['edge', { from: 'productpage.bookinfo', to: 'details.bookinfo' }, [3, 2, 1]],
      ['edge that is no hop', { from: 'gateway.bookinfo', to: 'details.bookinfo' }, []],
      ['duration', { minMs: 100, maxMs: 100 }, [3, 2, 1]],
      ['too long', { minMs: 100.1 }, []],
      ['time', { start: T0 / 1_000 + 2_000, end: T0 / 1_000 + 2_500 }, [2]],
    ])('searches by %s', (_, over, wanted) => {
      const store = create();
      for (const n of [1, 2, 3]) store.append(bookinfoTrace(n, { reviewsFails: n === 2 }));
      expect(store.find(query(over)).traces.map((t) => t.traceId)).toEqual(wanted.map(traceIdOf));
    });

    test('a span exported twice appears once', () => {
      const store = create();
      store.append(bookinfoTrace(1));
      store.append(bookinfoTrace(1));
      expect(store.get(traceIdOf(1))?.spans).toHaveLength(4);
    });

    test('lists services with their operations', () => {
      const store = create();
      store.append(bookinfoTrace(1));
      expect(store.services()).toContainEqual({ name: 'reviews.bookinfo', operations: ['reviews:9080/*'] });
    });

    test('refuses ids that are none', () => {
      const store = create();
      store.append(bookinfoTrace(1).map((span) => ({ ...span, traceId: 'zz' })));
      expect(store.stats()).toMatchObject({ spans: 0, dropped: 4 });
    });
  });
}
