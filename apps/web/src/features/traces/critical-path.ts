import type { Span } from '@weft/mesh-core/api';

/** A piece of a span during which the whole trace waited for it, microseconds since the epoch. */
export interface CriticalPiece {
  startUs: number;
  endUs: number;
}

/**
 * The pieces of each span that decided how long the trace took: from the end of the root backwards, always into the child that
 * ended last before the point reached. Children that run on after their parent are cut to it.
 */
export function criticalPath(spans: readonly Span[]): Map<string, CriticalPiece[]> {
  const ids = new Set(spans.map((s) => s.spanId));
  const children = new Map<string, Span[]>();
  const roots: Span[] = [];
  for (const span of spans) {
    if (span.parentId === '' || !ids.has(span.parentId)) roots.push(span);
    else children.set(span.parentId, [...(children.get(span.parentId) ?? []), span]);
  }
  const pieces = new Map<string, CriticalPiece[]>();
  const seen = new Set<string>();
  const walk = (span: Span, untilUs: number): void => {
    if (seen.has(span.spanId)) return;
    seen.add(span.spanId);
    const own: CriticalPiece[] = [];
    let at = Math.min(untilUs, endOf(span));
    for (const child of (children.get(span.spanId) ?? []).toSorted((a, b) => endOf(b) - endOf(a))) {
      const end = Math.min(endOf(child), endOf(span), untilUs);
      // What still ran at this point is not what it waited for.
      if (end > at || child.startUs >= end || end <= span.startUs) continue;
      if (end < at) own.unshift({ startUs: end, endUs: at });
      walk(child, end);
      at = Math.max(child.startUs, span.startUs);
    }
    if (at > span.startUs) own.unshift({ startUs: span.startUs, endUs: at });
    pieces.set(span.spanId, own);
  };
  const longest = roots.reduce<Span | undefined>((a, b) => (a === undefined || endOf(b) > endOf(a) ? b : a), undefined);
  if (longest !== undefined) walk(longest, endOf(longest));
  return pieces;
}

function endOf(span: Span): number {
  return span.startUs + span.durationUs;
}
