import type { Span } from '@weft/mesh-core/api';

export interface SpanRow {
  span: Span;
  depth: number;
  critical: boolean;
}

/** Spans in tree order (children by start); spans whose parent is missing stand as roots. The critical path follows the child that ends last. */
export function waterfallRows(spans: readonly Span[]): SpanRow[] {
  const ids = new Set(spans.map((s) => s.spanId));
  const children = new Map<string, Span[]>();
  for (const span of [...spans].sort((a, b) => a.startUs - b.startUs)) {
    const parent = ids.has(span.parentId) ? span.parentId : '';
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const rows: SpanRow[] = [];
  const end = (s: Span): number => s.startUs + s.durationUs;
  const walk = (parent: string, depth: number, onPath: boolean): void => {
    const list = children.get(parent) ?? [];
    const last = list.reduce<Span | undefined>((a, b) => (a === undefined || end(b) > end(a) ? b : a), undefined);
    for (const span of list) {
      const critical = onPath && span === last;
      rows.push({ span, depth, critical });
      walk(span.spanId, depth + 1, critical);
    }
  };
  walk('', 0, true);
  return rows;
}
