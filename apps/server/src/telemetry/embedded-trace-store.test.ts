import { expect, test } from 'vitest';
import { EmbeddedTraceStore } from './embedded-trace-store.ts';
import { bookinfoTrace, query, traceIdOf, traceStoreContract } from './testing/trace-store-contract.ts';

traceStoreContract('the embedded trace store', () => new EmbeddedTraceStore());

test('forgets the oldest traces to stay inside its budget', () => {
  const maxBytes = 8 * 1024 * 1024;
  const store = new EmbeddedTraceStore({ maxBytes });
  const traces = 20_000;
  for (let n = 1; n <= traces; n++) store.append(bookinfoTrace(n));
  const { bytes, spans, dropped } = store.stats();
  expect(bytes).toBeLessThanOrEqual(maxBytes);
  expect(spans + dropped).toBe(traces * 4);
  expect(store.get(traceIdOf(1))).toBeUndefined();
  expect(store.get(traceIdOf(traces))?.spans).toHaveLength(4);
  expect(spans).toBeGreaterThan(8_000);
});

test('keeps a trace whole that arrives over many segments', () => {
  const store = new EmbeddedTraceStore();
  const [gateway, productpage, ...rest] = bookinfoTrace(1);
  if (gateway === undefined || productpage === undefined) throw new Error('the trace has spans');
  store.append([productpage, ...rest]);
  for (let n = 2; n < 3_000; n++) store.append(bookinfoTrace(n));
  store.append([gateway]);
  expect(store.get(traceIdOf(1))?.spans[0]?.service).toBe('gateway.bookinfo');
  expect(store.find(query({ end: 1_700_000_001_500 })).traces).toMatchObject([{ traceId: traceIdOf(1), durationUs: 100_000, rootService: 'gateway.bookinfo' }]);
});

test('holds a trace back until its root is there, or some seconds have gone without it', () => {
  const [gateway, ...inner] = bookinfoTrace(1);
  if (gateway === undefined) throw new Error('the trace has spans');
  const lastEndMs = Math.max(...inner.map((span) => span.startUs + span.durationUs)) / 1_000;
  let now = lastEndMs + 9_000;
  const store = new EmbeddedTraceStore({ clock: () => now });
  store.append(inner);
  expect(store.find(query())).toEqual({ traces: [], total: 0, truncated: false });
  expect(store.get(traceIdOf(1))?.spans).toHaveLength(3);
  now = lastEndMs + 10_001;
  expect(store.find(query()).traces).toMatchObject([{ rootService: 'productpage.bookinfo', spans: 3 }]);
  now = lastEndMs + 1_000;
  store.append([gateway]);
  expect(store.find(query()).traces).toMatchObject([{ name: 'gateway:9080/*', rootService: 'gateway.bookinfo', spans: 4 }]);
});

test('names a trace by its root even where the clock of another machine puts an orphan before it', () => {
  const store = new EmbeddedTraceStore();
  const [gateway, , reviews] = bookinfoTrace(1);
  if (gateway === undefined || reviews === undefined) throw new Error('the trace has spans');
  store.append([gateway, { ...reviews, startUs: gateway.startUs - 1_000 }]);
  expect(store.find(query()).traces).toMatchObject([{ rootService: 'gateway.bookinfo' }]);
});
