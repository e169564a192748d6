// Histograms of what happens to every proxy with every edit: prom-client's own would look labels up each time.

import type { Registry } from 'prom-client';

interface Row {
  /** By bucket; the last is of what is above all bounds. */
  counts: number[];
  sum: number;
}

interface Value {
  value: number;
  labels: Record<string, string | number>;
  metricName: string;
}

interface TallyOptions {
  name: string;
  help: string;
  /** Upper bounds. */
  buckets: readonly number[];
  /** Whether it has a label `type`. */
  byType: boolean;
}

/** A histogram that `registry` renders as prom-client's. */
export class Tally {
  readonly #name: string;
  readonly #bounds: readonly number[];
  readonly #rows = new Map<string, Row>();

  constructor(registry: Registry, { name, help, buckets, byType }: TallyOptions) {
    this.#name = name;
    this.#bounds = buckets;
    if (!byType) this.#rowOf('');
    const get = () => ({ name, help, type: 'histogram', aggregator: 'sum', values: [...this.#rows].flatMap(([type, row]) => this.#values(type, row)) });
    // prom-client renders anything with this shape.
    registry.registerMetric({ name, help, type: 'histogram', get } as unknown as Parameters<Registry['registerMetric']>[0]);
  }

  observe(value: number, type = ''): void {
    const row = this.#rowOf(type);
    let bucket = 0;
    while (value > (this.#bounds[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1;
    row.counts[bucket] = (row.counts[bucket] ?? 0) + 1;
    row.sum += value;
  }

  /** Observations by type. */
  *counts(): IterableIterator<[type: string, count: number]> {
    for (const [type, { counts }] of this.#rows) yield [type, counts.reduce((a, b) => a + b)];
  }

  #rowOf(type: string): Row {
    let row = this.#rows.get(type);
    if (row === undefined) this.#rows.set(type, (row = { counts: [...this.#bounds.map(() => 0), 0], sum: 0 }));
    return row;
  }

  #values(type: string, { counts, sum }: Row): Value[] {
    const labels: Value['labels'] = type === '' ? {} : { type };
    let total = 0;
    const values = [...this.#bounds, '+Inf'].map((le, i): Value => {
      total += counts[i] ?? 0;
      return { value: total, labels: { le, ...labels }, metricName: `${this.#name}_bucket` };
    });
    return [...values, { value: sum, labels, metricName: `${this.#name}_sum` }, { value: total, labels, metricName: `${this.#name}_count` }];
  }
}
