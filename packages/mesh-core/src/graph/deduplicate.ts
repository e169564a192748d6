// Both ends of a mesh hop report it. The receiving end is believed (it knows the certificate); the calling end counts only
// for what the receiving end cannot know: failures made by the caller's own proxy, and destinations that do not report.

import type { EdgeStats } from './edge-stats.ts';

/** Flags of answers the caller's proxy made itself: nothing (or nothing complete) arrived at the workload. */
const NEVER_REACHED = new Set(['UF', 'UH', 'UO', 'NR', 'NC', 'FI', 'LH', 'RL', 'UMSDR', 'DF', 'RFCF']);
/** Flags of requests that were under way at the workload when the caller gave up or lost the connection. */
const BROKEN_MIDWAY = new Set(['UT', 'UC', 'UR', 'SI', 'UPE']);

/** A row that counts, and how: `extraErrors` are failures of requests another row already counts. */
export interface CountedRow {
  row: EdgeStats;
  /** Failures only the caller saw, to be added to the errors but not to the requests. */
  extraErrors: number;
}

/** Chooses one report per hop. Rows folded by the store's limit (`source_workload` = `other` at both ends) are dropped. */
export function deduplicate(rows: readonly EdgeStats[]): CountedRow[] {
  const destination = new Map<string, { requests: number; noResponse: number }>();
  for (const row of rows) {
    if (row.labels['reporter'] !== 'destination') continue;
    const seen = destination.get(hopKey(row)) ?? { requests: 0, noResponse: 0 };
    seen.requests += row.requests + row.connections + (row.bytes > 0 ? 1 : 0);
    if (row.labels['response_code'] === '0') seen.noResponse += row.requests;
    destination.set(hopKey(row), seen);
  }
  const anonymous = anonymousHops(rows);
  const counted: CountedRow[] = [];
  for (const row of rows) {
    if (isFolded(row)) continue;
    if (row.labels['reporter'] === 'destination') {
      if (!anonymous.named.has(row)) counted.push({ row, extraErrors: 0 });
      continue;
    }
    const policy = anonymous.policies.get(callerKey(row));
    if (policy !== undefined) {
      counted.push({ row: { ...row, labels: { ...row.labels, reporter: 'destination', connection_security_policy: policy } }, extraErrors: 0 });
      continue;
    }
    const reported = isUnset(row.labels['destination_workload']) ? undefined : destination.get(hopKey(row));
    const flags = (row.labels['response_flags'] ?? '-').split(',');
    // An upgraded connection ends by somebody closing it.
    if (row.labels['response_code'] === '101' && reported !== undefined && reported.requests > 0) continue;
    if (reported === undefined || reported.requests === 0 || flags.some((flag) => NEVER_REACHED.has(flag))) counted.push({ row, extraErrors: 0 });
    else if (flags.some((flag) => BROKEN_MIDWAY.has(flag))) {
      // The destination counts such a request as code 0 when it noticed; only what it did not notice is added.
      const noticed = Math.min(reported.noResponse, row.requests);
      reported.noResponse -= noticed;
      if (row.requests > noticed) counted.push({ row: { ...row, requests: 0, bytes: 0, connections: 0, buckets: [] }, extraErrors: row.requests - noticed });
    }
  }
  return counted;
}

interface AnonymousHops {
  /** Rows of the receiving end that callers report too, with their name. */
  named: ReadonlySet<EdgeStats>;
  /** What the receiving end says of how they came, by caller's namespace and destination. */
  policies: ReadonlyMap<string, string>;
}

/** TCP carries no name of the caller, only its certificate: the receiving end knows the namespace, the calling end all of it. */
function anonymousHops(rows: readonly EdgeStats[]): AnonymousHops {
  const reported = rows.filter(({ labels }) => labels['reporter'] === 'source' && labels['request_protocol'] === 'tcp');
  const callers = new Set(reported.map(callerKey));
  const called = new Set(reported.map(destinationKey));
  const named = new Set<EdgeStats>();
  const policies = new Map<string, string>();
  for (const row of rows) {
    const { labels } = row;
    if (labels['reporter'] !== 'destination' || labels['request_protocol'] !== 'tcp' || !isUnset(labels['source_workload'])) continue;
    // Envoy counts a connection as opened before its certificate is known.
    if (isUnset(labels['source_principal']) && labels['connection_security_policy'] === 'mutual_tls' && called.has(destinationKey(row))) named.add(row);
    const key = callerKey(row);
    if (!callers.has(key)) continue;
    named.add(row);
    policies.set(key, labels['connection_security_policy'] ?? 'unknown');
  }
  return { named, policies };
}

function destinationKey({ labels }: EdgeStats): string {
  return `${labels['destination_workload_namespace']}/${labels['destination_workload']}`;
}

function callerKey(row: EdgeStats): string {
  const { labels } = row;
  const namespace = /\/ns\/([^/]+)\/sa\//.exec(labels['source_principal'] ?? '')?.[1] ?? labels['source_workload_namespace'];
  return `${namespace}>${destinationKey(row)}:${labels['request_protocol']}`;
}

/** True for an Istio label that says nothing. */
export function isUnset(value: string | undefined): boolean {
  return value === undefined || value === '' || value === 'unknown';
}

/** True for a row the metric store made of label sets beyond its limit. */
export function isFolded(row: EdgeStats): boolean {
  return row.labels['source_workload'] === 'other' && row.labels['destination_workload'] === 'other';
}

function hopKey({ labels }: EdgeStats): string {
  return `${labels['source_workload_namespace']}/${labels['source_workload']}>${labels['destination_workload_namespace']}/${labels['destination_workload']}:${labels['request_protocol']}`;
}
