// What a Telemetry makes of Istio's standard metrics on one connection manager: metrics that look alike share their rows.

import { METRIC, type Labels } from '@weft/mesh-core/telemetry';
import type { HttpConnectionManager, MetricOverride } from '../config/model.ts';

export interface MetricShape {
  /** Metrics counted in this shape. */
  metrics: ReadonlySet<string>;
  label(labels: Labels): Labels;
}

const NAMES = [METRIC.requests, METRIC.duration, METRIC.requestBytes, METRIC.responseBytes, METRIC.requestMessages, METRIC.responseMessages] as const;
const asIstioHasThem: MetricShape = { metrics: new Set(NAMES), label: (labels) => labels };
const unchanged: readonly MetricShape[] = [asIstioHasThem];

const shapes = new WeakMap<HttpConnectionManager, readonly MetricShape[]>();

/** The shapes of a manager's metrics; none when nothing is counted. Worked out once per manager. */
export function shapesOf(manager: HttpConnectionManager): readonly MetricShape[] {
  if (manager.metrics === undefined) return unchanged;
  let known = shapes.get(manager);
  if (known === undefined) shapes.set(manager, (known = shape(manager.metrics)));
  return known;
}

function shape(overrides: Readonly<Record<string, MetricOverride>>): readonly MetricShape[] {
  const alike = new Map<string, { names: Set<string>; remove: readonly string[]; set: Readonly<Record<string, string>> }>();
  for (const name of NAMES) {
    const { disabled = false, remove = [], set = {} } = overrides[name] ?? {};
    if (disabled) continue;
    const key = JSON.stringify([remove, set]);
    const group = alike.get(key) ?? { names: new Set<string>(), remove, set };
    alike.set(key, group);
    group.names.add(name);
  }
  return [...alike.values()].map(({ names, remove, set }) => ({
    metrics: names,
    label: (labels) => Object.fromEntries(Object.entries({ ...labels, ...set }).filter(([label]) => !remove.includes(label))) as Labels,
  }));
}
