// One line of the list of traces, from the trace's spans.

import type { Span, TraceSummary } from '@weft/mesh-core/api';
import { grouped } from '@weft/mesh-core/model';

/** Summary of a trace with at least one span. The span without a parent names it; while that is not here, the earliest one whose parent is not. */
export function summarize(traceId: string, spans: readonly Span[]): TraceSummary {
  const byStart = spans.toSorted((a, b) => a.startUs - b.startUs || b.durationUs - a.durationUs);
  const ids = new Set(spans.map((span) => span.spanId));
  const root = byStart.find((span) => span.parentId === '') ?? byStart.find((span) => !ids.has(span.parentId)) ?? byStart[0];
  if (root === undefined) throw new RangeError(`trace ${traceId} has no spans`);
  const start = Math.min(...spans.map((span) => span.startUs));
  const end = Math.max(...spans.map((span) => span.startUs + span.durationUs));
  const errors = spans.filter((span) => span.error).length;
  const children = grouped(spans, (span) => span.parentId);
  const services = new Map<string, { service: string; spans: number; selfUs: number }>();
  for (const span of spans) {
    const entry = services.get(span.service) ?? { service: span.service, spans: 0, selfUs: 0 };
    entry.spans += 1;
    entry.selfUs += selfTime(span, children.get(span.spanId) ?? []);
    services.set(span.service, entry);
  }
  return {
    traceId,
    name: root.name,
    rootService: root.service,
    startUs: start,
    durationUs: end - start,
    spans: spans.length,
    errors,
    recovered: errors > 0 && !root.error,
    services: [...services.values()].toSorted((a, b) => b.selfUs - a.selfUs || (a.service < b.service ? -1 : 1)),
  };
}

/** Time of a span in which none of its children ran, microseconds; children outside of it are cut to it. */
function selfTime(span: Span, children: readonly Span[]): number {
  const end = span.startUs + span.durationUs;
  let covered = 0;
  let until = span.startUs;
  for (const child of children.toSorted((a, b) => a.startUs - b.startUs)) {
    const from = Math.max(until, child.startUs);
    const to = Math.min(end, child.startUs + child.durationUs);
    if (to > from) {
      covered += to - from;
      until = to;
    }
  }
  return span.durationUs - covered;
}

/** True when some span of `from` is the parent of a span of `to`. */
export function hasHop(spans: readonly Span[], from: string | undefined, to: string | undefined): boolean {
  if (from === undefined && to === undefined) return true;
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  return spans.some((span) => {
    if (to !== undefined && span.service !== to) return false;
    const parent = byId.get(span.parentId);
    if (from === undefined) return parent === undefined || parent.service !== span.service;
    // Without a destination, any call that leaves `from` counts.
    return parent !== undefined && parent.service === from && (to !== undefined ? true : span.service !== from);
  });
}
