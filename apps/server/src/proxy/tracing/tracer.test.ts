import { expect, test } from 'vitest';
import { chain, cluster, exchangeRaw, listener, manager, startRaw, startRig } from '../listener/testing/rig.ts';
import { createTracer, spanOf } from './tracer.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

/** What the upstream gets of these field lines, at this share of new traces. */
async function forwarded(lines: string, samplingPercent: number): Promise<Record<string, string>> {
  const upstream = await startRaw((_, socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
  const http = manager({ tracing: { samplingPercent, direction: 'egress', customTags: [] } });
  const rig = await startRig({
    listener: listener({ chains: [chain({ http })] }),
    clusters: [cluster([upstream.port])],
    deps: { tracer: createTracer(() => 0.5) },
  });
  await exchangeRaw(rig.port, `GET / HTTP/1.1\r\nhost: h\r\n${lines}connection: close\r\n\r\n`);
  await rig.close();
  await upstream.close();
  const fields = (upstream.received[0] ?? '').split('\r\n').map((line) => line.split(': '));
  return Object.fromEntries(fields.filter(([name = '']) => /^(traceparent|x?-?b3.*|x-request-id)$/.test(name))) as Record<string, string>;
}

test('a new trace is W3C alone, and its decision is in the request id', async () => {
  const sampled = await forwarded('', 100);
  expect(Object.keys(sampled).toSorted()).toEqual(['traceparent', 'x-request-id']);
  expect(sampled['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  expect(sampled['x-request-id']?.[14]).toBe('9');
  const not = await forwarded('', 0);
  expect(not['traceparent']).toMatch(/-00$/);
  expect(not['x-request-id']?.[14]).toBe('4');
});

test('a request id that says traced is traced, whatever the share', async () => {
  const id = '8f0e0a5c-3d1b-9c77-9a63-0123456789ab';
  const { traceparent, ...rest } = await forwarded(`x-request-id: ${id}\r\n`, 0);
  expect(traceparent).toMatch(/-01$/);
  expect(rest).toEqual({ 'x-request-id': id });
});

test('B3 of the request goes on in its form with the same new span as traceparent', async () => {
  const single = await forwarded(`b3: ${traceId}-${spanId}-1\r\n`, 0);
  const span = /^00-4bf92f3577b34da6a3ce929d0e0e4736-([0-9a-f]{16})-01$/.exec(single['traceparent'] ?? '')?.[1] ?? '';
  expect(span).not.toBe(spanId);
  expect(single['b3']).toBe(`${traceId}-${span}-1-${spanId}`);
  const multi = await forwarded(`X-B3-TraceId: ${traceId}\r\nX-B3-SpanId: ${spanId}\r\nX-B3-Sampled: 1\r\n`, 0);
  expect(multi).toMatchObject({ 'x-b3-traceid': traceId, 'x-b3-parentspanid': spanId, 'x-b3-sampled': '1' });
  expect(multi['traceparent']).toBe(`00-${traceId}-${multi['x-b3-spanid']}-01`);
});

test('a trace not recorded goes on as it came; a decision B3 leaves open is made here', async () => {
  const off = { 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-sampled': '0' };
  const lines = (fields: Record<string, string>): string =>
    Object.entries(fields)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
  const { 'x-request-id': _id, ...same } = await forwarded(lines(off), 100);
  expect(same).toEqual(off);
  expect(await forwarded(`b3: ${traceId}-${spanId}\r\n`, 0)).toMatchObject({ b3: `${traceId}-${spanId}-0` });
  expect((await forwarded('b3: 0\r\n', 100))['traceparent']).toMatch(/-00$/);
});

test('a span has the tags its manager takes from request headers and formats', async () => {
  const upstream = await startRaw((_, socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
  const tag = (name: string) => ({ tag: `tag.${name}`, source: { kind: 'header' as const, name, default: 'none' } });
  const format = (text: string) => ({ tag: text, source: { kind: 'format' as const, format: text } });
  const http = manager({
    tracing: {
      samplingPercent: 100,
      direction: 'egress',
      customTags: [tag('x-user'), tag('x-absent'), format('%REQ(:METHOD)% %RESPONSE_CODE%'), format('%REQ(x-none)%')],
    },
  });
  const spans: ReturnType<typeof spanOf>[] = [];
  const rig = await startRig({
    listener: listener({ chains: [chain({ http })] }),
    clusters: [cluster([upstream.port])],
    deps: { tracer: createTracer(() => 0.5), onRequestEnd: (record, source) => void spans.push(spanOf(record, source, 'node', 0)) },
  });
  await exchangeRaw(rig.port, 'GET / HTTP/1.1\r\nhost: h\r\nX-User: ann\r\nconnection: close\r\n\r\n');
  await rig.close();
  await upstream.close();
  expect(spans[0]?.attributes).toMatchObject({ 'tag.x-user': 'ann', 'tag.x-absent': 'none', '%REQ(:METHOD)% %RESPONSE_CODE%': 'GET 200' });
  expect(spans[0]?.attributes).not.toHaveProperty(['%REQ(x-none)%']);
});
