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
  const counted: CountedRow[] = [];
  for (const row of rows) {
    if (isFolded(row)) continue;
    if (row.labels['reporter'] === 'destination') {
      counted.push({ row, extraErrors: 0 });
      continue;
    }
    const reported = isUnset(row.labels['destination_workload']) ? undefined : destination.get(hopKey(row));
    const flags = (row.labels['response_flags'] ?? '-').split(',');
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
