import type { Span } from '@weft/mesh-core/api';
import { timeSplit } from './time-split.ts';

/** What one operation of one service did in a trace, µs. */
export interface OperationStats {
  service: string;
  name: string;
  spans: number;
  errors: number;
  totalUs: number;
  longestUs: number;
  /** Without what it waited for others. */
  selfUs: number;
}
export interface OperationPair {
  service: string;
  name: string;
  a: OperationStats | undefined;
  b: OperationStats | undefined;
}

/** By service, operation and kind of span; the largest own time first. */
export function operationStats(spans: readonly Span[]): OperationStats[] {
  const found = new Map<string, OperationStats>();
  const children = new Map<string, Span[]>();
  for (const span of spans) children.set(span.parentId, [...(children.get(span.parentId) ?? []), span]);
  for (const span of spans) {
    const name = span.kind === 'client' ? `call ${span.name}` : span.name;
    const key = `${span.service} ${name}`;
    const held = found.get(key) ?? { service: span.service, name, spans: 0, errors: 0, totalUs: 0, longestUs: 0, selfUs: 0 };
    const own = timeSplit(children.get(span.spanId) ?? [], span).find((p) => p.own)?.us ?? 0;
    found.set(key, {
      ...held,
      spans: held.spans + 1,
      errors: held.errors + (span.error ? 1 : 0),
      totalUs: held.totalUs + span.durationUs,
      longestUs: Math.max(held.longestUs, span.durationUs),
      selfUs: held.selfUs + own,
    });
  }
  return [...found.values()].toSorted((x, y) => y.selfUs - x.selfUs);
}

/** The operations of both traces side by side; the largest difference of total time first. */
export function compareTraces(a: readonly Span[], b: readonly Span[]): OperationPair[] {
  const key = (s: OperationStats): string => `${s.service} ${s.name}`;
  const [one, other] = [new Map(operationStats(a).map((s) => [key(s), s])), new Map(operationStats(b).map((s) => [key(s), s]))];
  const change = ({ a: x, b: y }: OperationPair): number => Math.abs((y?.totalUs ?? 0) - (x?.totalUs ?? 0));
  return [...new Set([...one.keys(), ...other.keys()])]
    .flatMap((k): OperationPair[] => {
      const [x, y] = [one.get(k), other.get(k)];
      const named = x ?? y;
      return named === undefined ? [] : [{ service: named.service, name: named.name, a: x, b: y }];
    })
    .toSorted((x, y) => change(y) - change(x));
}
