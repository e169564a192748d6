import type { Span } from '@weft/mesh-core/api';

export interface TimePart {
  /** Service the span waited for; the span's own service for its own time. */
  name: string;
  own: boolean;
  us: number;
}

/** A span's duration by whom it waited for: its direct children's services, and itself. Adds up to the duration. */
export function timeSplit(spans: readonly Span[], span: Span): TimePart[] {
  const end = span.startUs + span.durationUs;
  const waited = new Map<string, number>();
  let until = span.startUs;
  for (const child of spans.filter((s) => s.parentId === span.spanId).toSorted((a, b) => a.startUs - b.startUs)) {
    const from = Math.max(until, child.startUs);
    const to = Math.min(end, child.startUs + child.durationUs);
    if (to <= from) continue;
    waited.set(child.service, (waited.get(child.service) ?? 0) + to - from);
    until = to;
  }
  const others = [...waited].map(([name, us]) => ({ name, own: false, us })).toSorted((a, b) => b.us - a.us);
  const rest = span.durationUs - others.reduce((sum, p) => sum + p.us, 0);
  return [{ name: 'self', own: true, us: rest }, ...others].filter((p) => p.us > 0);
}
