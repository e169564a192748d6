// Spans sent on through OpenTelemetry's Jaeger exporter must be found by a real Jaeger's own query API.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { OtlpResourceSpans } from '@weft/mesh-core/telemetry';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTraceExport } from '../src/telemetry/trace-export.ts';

const PORTS = { query: 16_686, thrift: 14_268, otlp: 4_318 };
const binary = findJaeger();
const blocked =
  binary === undefined
    ? 'no jaeger binary (JAEGER_BIN, PATH or ~/.cache/weft/engines/jaeger/jaeger); build one with `node scripts/engines/jaeger.mjs`'
    : await busyPorts();
if (blocked !== undefined) process.stderr.write(`weft: skipped: export to a real Jaeger: ${blocked}\n`);

function findJaeger(): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, 'jaeger'));
  return [process.env['JAEGER_BIN'], ...onPath, join(homedir(), '.cache/weft/engines/jaeger/jaeger')].find((path) => path !== undefined && existsSync(path));
}

/** Its all-in-one configuration has fixed ports; a Weft or Jaeger already running here holds some of them. */
async function busyPorts(): Promise<string | undefined> {
  for (const port of [...Object.values(PORTS), 4_317, 16_685, 14_250, 9_411, 8_888, 8_889, 13_133, 5_778, 5_779]) {
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, () => server.close(() => resolve(true)));
    });
    if (!free) return `port ${port} is taken and Jaeger's all-in-one needs it`;
  }
  return undefined;
}

async function until<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 25_000;
  for (;;) {
    const result = await attempt().catch(() => undefined);
    if (result !== undefined) return result;
    if (Date.now() > deadline) throw new Error(`${what} did not come true in 25 s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe.skipIf(blocked !== undefined)('a real Jaeger', () => {
  let jaeger: ChildProcess;
  beforeAll(async () => {
    jaeger = spawn(binary ?? '', [], { stdio: 'ignore' });
    await until('Jaeger answering', async () => ((await fetch(`http://127.0.0.1:${PORTS.query}/api/services`)).ok ? true : undefined));
  }, 30_000);
  afterAll(async () => {
    const ended = new Promise((resolve) => jaeger.once('exit', resolve));
    // Asked to end it waits for its keep-alive connections; it holds nothing worth saving.
    jaeger.kill('SIGKILL');
    await ended;
  });

  test.each([
    ['jaeger', `http://127.0.0.1:${PORTS.thrift}/api/traces`],
    ['otlp', `http://127.0.0.1:${PORTS.otlp}`],
  ] as const)('finds the trace sent by %s with parents, services, errors and tags', async (kind, endpoint) => {
    const traceId = (kind === 'jaeger' ? 'a1' : 'b2').repeat(16);
    const startUs = Date.now() * 1_000;
    const span = (service: string, spanId: string, parentSpanId: string, status: number): OtlpResourceSpans => ({
      resource: { 'service.name': `${service}.bookinfo` },
      spans: [
        {
          traceId,
          spanId,
          parentSpanId,
          name: `${service}:9080/*`,
          kind: 2,
          startUs,
          endUs: startUs + 5_000,
          attributes: { 'http.status_code': status === 2 ? 503 : 200 },
          events: [],
          status,
        },
      ],
    });
    const logs: string[] = [];
    const out = createTraceExport({ kind, endpoint, log: (message) => logs.push(message) });
    out.send([span('productpage', '11'.repeat(8), '', 0), span('reviews', '22'.repeat(8), '11'.repeat(8), 2)]);
    await out.stop();
    expect(logs).toEqual([]);

    interface JaegerTrace {
      spans: {
        spanID: string;
        operationName: string;
        processID: string;
        duration: number;
        references: { spanID: string }[];
        tags: { key: string; value: unknown }[];
      }[];
      processes: Record<string, { serviceName: string }>;
    }
    const found = await until('the trace', async () => {
      const response = await fetch(`http://127.0.0.1:${PORTS.query}/api/traces/${traceId}`);
      const [trace] = ((await response.json()) as { data?: JaegerTrace[] }).data ?? [];
      return trace !== undefined && trace.spans.length === 2 ? trace : undefined;
    });
    const reviews = found.spans.find((s) => s.spanID === '22'.repeat(8));
    expect(reviews).toMatchObject({ operationName: 'reviews:9080/*', duration: 5_000, references: [{ spanID: '11'.repeat(8) }] });
    expect(found.processes[reviews?.processID ?? '']?.serviceName).toBe('reviews.bookinfo');
    expect(reviews?.tags.map((tag) => [tag.key, tag.value])).toEqual(expect.arrayContaining([['http.status_code', 503], ['error', true], ['span.kind', 'server']])); // prettier-ignore
  });
});
