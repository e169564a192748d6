import type { Span } from '@weft/mesh-core/api';

export interface SpanRow {
  span: Span;
  depth: number;
  /** Spans below it, all levels. */
  below: number;
  /** For each level above: whether a sibling of that ancestor follows, so that its guide line goes on. */
  guides: readonly boolean[];
}

/** Spans in tree order, children by start; spans whose parent is missing stand as roots. What is in `folded` keeps its children. */
export function waterfallRows(spans: readonly Span[], folded: ReadonlySet<string> = new Set()): SpanRow[] {
  const ids = new Set(spans.map((s) => s.spanId));
  const children = new Map<string, Span[]>();
  for (const span of spans.toSorted((a, b) => a.startUs - b.startUs)) {
    const parent = ids.has(span.parentId) && span.parentId !== span.spanId ? span.parentId : '';
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const count = (id: string): number => (children.get(id) ?? []).reduce((sum, child) => sum + 1 + count(child.spanId), 0);
  const rows: SpanRow[] = [];
  const walk = (parent: string, guides: readonly boolean[]): void => {
    const list = children.get(parent) ?? [];
    list.forEach((span, i) => {
      rows.push({ span, depth: guides.length, below: count(span.spanId), guides });
      if (!folded.has(span.spanId)) walk(span.spanId, [...guides, i < list.length - 1]);
    });
  };
  walk('', []);
  return rows;
}
