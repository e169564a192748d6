// Judges what proxies report: what a case expects of it, and whether both data planes report the same of the same requests.

import { type Case, type Plane, namespaceOf } from '../case.ts';
import { differences, mismatches } from './match.ts';
import type { SuiteMesh } from './mesh.ts';
import { type Row, unmeant } from './report.ts';
import { type Outcome, neutral } from './run.ts';
import type { SpanSeen, Series } from './telemetry.ts';

/** Proxies push every second, Envoy flushes spans every 5 s; on a busy machine both take their time. */
const REPORTED_WITHIN_MS = 50_000;

/** What of the case's expectations about telemetry does not come true in time. */
export async function judgeTelemetry(behaviour: Case, outcome: Outcome, mesh: SuiteMesh): Promise<string[]> {
  const deadline = performance.now() + REPORTED_WITHIN_MS;
  for (;;) {
    const problems = check(behaviour, outcome, mesh);
    if (problems.length === 0 || performance.now() > deadline) return problems;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function check({ services, telemetry }: Case, outcome: Outcome, mesh: SuiteMesh): string[] {
  const hosts = (services ?? [{ name: 'observed' }]).map((s) => `${s.name}.${namespaceOf(outcome.plane)}.svc.cluster.local`);
  const metrics = hosts.flatMap((host) => mesh.telemetry.metrics(host)).map(seriesOf);
  const spans = mesh.telemetry.spans(outcome.requestIds).map(spanOf);
  const logs = linesOf(outcome, mesh).map(logFields);
  const some = (what: string, list: readonly unknown[], wanted: NonNullable<Case['telemetry']>['metrics']): string[] =>
    (wanted ?? []).flatMap((w) => {
      const tries = list.map((item) => mismatches(item, w));
      if (tries.some((t) => t.length === 0)) return [];
      const nearest = tries.toSorted((a, b) => a.length - b.length)[0];
      return [`no ${what} like ${JSON.stringify(w)}; the nearest of ${list.length}: ${nearest?.join(', ') ?? 'none'}`];
    });
  const requests = logs.map((fields) => fields['request']);
  const logged = telemetry?.logged === undefined ? [] : mismatches(requests, telemetry.logged, 'logged');
  const unwanted = (telemetry?.noMetrics ?? [])
    .filter((w) => metrics.some((series) => mismatches(series, w).length === 0))
    .map((w) => `a series like ${JSON.stringify(w)}`);
  const unwantedLines = (telemetry?.noLogs ?? [])
    .filter((w) => logs.some((line) => mismatches(line, w).length === 0))
    .map((w) => `a line like ${JSON.stringify(w)}`);
  return [
    ...logged,
    ...unwanted,
    ...unwantedLines,
    ...some('series', metrics, telemetry?.metrics),
    ...some('span', spans, telemetry?.spans),
    ...some('log line', logs, telemetry?.logs),
  ];
}

function linesOf({ ownLines, requestIds }: Outcome, mesh: SuiteMesh): string[] {
  return ownLines?.() ?? mesh.telemetry.logs(requestIds);
}

function seriesOf(series: Series): Record<string, unknown> {
  const labels = Object.fromEntries(Object.entries(series.labels).map(([k, v]) => [k, neutral(v)]));
  return { metric: series.name, value: series.value, ...labels };
}

function spanOf(span: SpanSeen): Record<string, unknown> {
  const attributes = Object.fromEntries(Object.entries(span.attributes).map(([k, v]) => [k, neutral(String(v))]));
  return {
    name: neutral(span.name),
    kind: span.kind,
    root: span.parentSpanId === '',
    status: span.status,
    service: neutral(String(span.resource['service.name'])),
    attributes,
  };
}

/** Fields of a line, in order; quoted ones whole. JSON lines as they are. */
export function logFields(line: string): Record<string, unknown> {
  if (line.startsWith('{')) return { line: neutral(line), ...(JSON.parse(neutral(line)) as Record<string, unknown>) };
  const fields = [...line.matchAll(/\[[^\]]*\]|"((?:[^"\\]|\\.)*)"|(\S+)/g)].map((m) => m[1] ?? m[0]);
  const names = [
    'start',
    'request',
    'status',
    'flags',
    'details',
    'failure',
    'tls',
    'received',
    'sent',
    'duration',
    'upstreamTime',
    'xff',
    'agent',
    'id',
    'authority',
    'upstream',
    'cluster',
    'upstreamLocal',
    'downstreamLocal',
    'downstreamRemote',
    'sni',
    'route',
  ];
  return { line: neutral(line), ...Object.fromEntries(fields.map((f, i) => [names[i] ?? `field${i}`, neutral(f)])) };
}

/** Times, ids, addresses of the machine, sizes of echoes, what a TLS library says of a failure; `retry.attempt` is something the embedded proxy tells on top of what Envoy does. */
const VARIES = new Set([
  'line',
  'start_time',
  'upstream_service_time',
  'upstream_local_address',
  'bytes_sent',
  'request_id',
  'x_forwarded_for',
  'duration',
  'upstreamTime',
  'start',
  'id',
  'upstreamLocal',
  'sent',
  'response_size',
  'tls',
  'xff',
  'grpc.timeout',
  'grpc.message',
  'retry.attempt',
]);

/** Adds to the rows what the planes report differently, label sets with their counts, spans, log lines; and what they had to report and did not. */
export async function compareTelemetry(
  rows: ReadonlyMap<Case, Row>,
  outcomes: ReadonlyMap<Case, ReadonlyMap<string, Outcome>>,
  mesh: SuiteMesh,
): Promise<void> {
  const waiting = [...rows].filter(([c]) => c.random !== true && c.pending === undefined && c.mixed !== true && c.services !== undefined);
  const deadline = performance.now() + REPORTED_WITHIN_MS;
  const settled = new Set<Row>();
  for (;;) {
    let open = 0;
    for (const [behaviour, row] of waiting) {
      if (settled.has(row)) continue;
      const of = (plane: Plane): Outcome | undefined => outcomes.get(behaviour)?.get(`${plane}>${plane}`);
      const [embedded, envoy] = [of('embedded'), of('envoy')];
      if (embedded === undefined || envoy === undefined) continue;
      // Nothing is like nothing: compared is only what is there.
      const missing = [embedded, envoy].flatMap((outcome) => notYetIn(behaviour, outcome, mesh));
      const found = missing.length > 0 ? missing : unmeant(row, telemetryDifferences(behaviour, embedded, envoy, mesh));
      row.differences = [...row.differences.filter((d) => !/^(metrics|spans|logs|not in:) /.test(d)), ...found];
      if (found.length > 0) open += 1;
      else settled.add(row);
    }
    if (open === 0 || performance.now() > deadline) return;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** What must be reported of the requests and connections of a case, and is not yet there. */
function notYetIn({ own, services = [] }: Case, outcome: Outcome, mesh: SuiteMesh): string[] {
  // A client of its own has written everything when it ends; its other telemetry goes nowhere.
  if (own !== undefined) return [];
  const hosts = services.map(({ name }) => `${name}.${namespaceOf(outcome.plane)}.svc.cluster.local`);
  const counted = (metric: string): number =>
    hosts
      .flatMap((host) => mesh.telemetry.metrics(host))
      .reduce((sum, { name, labels, value }) => (name === metric && labels['reporter'] === 'source' ? sum + value : sum), 0);
  const missing: string[] = [];
  const expect = (what: string, wanted: number, there: number): unknown =>
    there < wanted && missing.push(`not in: ${what} of ${outcome.plane}, ${there} of ${wanted}`);
  let requests = 0;
  for (const [id, due] of outcome.due) {
    const lines = mesh.telemetry.logs(new Set([id]));
    expect(`lines of ${id}`, due.lines, lines.length);
    expect(`spans of ${id}`, due.spans, mesh.telemetry.spans(new Set([id])).length);
    requests += lines.filter((line) => hosts.some((host) => / outbound\|/.test(line) && line.includes(`|${host} `))).length;
  }
  expect('requests in metrics', requests, counted('istio_requests_total'));
  expect('connections in metrics', outcome.connections, counted('istio_tcp_connections_closed_total'));
  return missing;
}

function telemetryDifferences(behaviour: Case, embedded: Outcome, envoy: Outcome, mesh: SuiteMesh): string[] {
  return (['metrics', 'logs', 'spans'] as const).flatMap((what) => {
    const view = (outcome: Outcome): Record<string, unknown> =>
      Object.fromEntries(views[what](behaviour, outcome, mesh).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    return differences(view(embedded), view(envoy)).map((d) => `${what} ${d}`);
  });
}

const views: Readonly<Record<'metrics' | 'logs' | 'spans', (behaviour: Case, outcome: Outcome, mesh: SuiteMesh) => [string, unknown][]>> = {
  metrics: (behaviour, outcome, mesh) =>
    numbered(
      (behaviour.services ?? [])
        .flatMap(({ name }) => mesh.telemetry.metrics(`${name}.${namespaceOf(outcome.plane)}.svc.cluster.local`))
        // A request no upstream saw has no messages: a series that says 0 is none.
        .filter((series) => !series.name.endsWith('_messages_total') || series.value !== 0)
        .map(seriesOf)
        .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
        .map(({ metric, ...rest }): [string, unknown] => {
          const key = ['reporter', 'source_workload', 'destination_workload', 'response_code', 'grpc_response_status']
            .map((label) => String(rest[label]))
            .join(' ');
          return [`${String(metric)} ${key}`, rest];
        }),
    ),
  logs: (_, outcome, mesh) =>
    numbered(
      linesOf(outcome, mesh).map((line): [string, unknown] => {
        const fields = Object.fromEntries(Object.entries(logFields(line)).filter(([name]) => !VARIES.has(name)));
        return [`${String(fields['request'])} ${String(fields['cluster'] ?? '')}`, fields];
      }),
    ),
  spans: (_, outcome, mesh) =>
    numbered(
      mesh.telemetry
        .spans(outcome.requestIds)
        .toSorted((a, b) => a.startUs - b.startUs)
        .map((span): [string, unknown] => {
          const { attributes, ...seen } = spanOf(span);
          return [
            `${String(seen['service'])} ${String(seen['name'])} ${String((attributes as Record<string, unknown>)['upstream_cluster'])}`,
            { ...seen, ...Object.fromEntries(Object.entries(attributes as object).filter(([name]) => !VARIES.has(name))) },
          ];
        }),
    ),
};

/** Several of one key told apart by their order. */
function numbered(entries: readonly [string, unknown][]): [string, unknown][] {
  const counts = new Map<string, number>();
  return entries.map(([key, value]) => {
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return [`${key} #${count}`, value];
  });
}
