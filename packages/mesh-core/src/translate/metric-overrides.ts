// What a Telemetry changes of the metrics an embedded proxy counts by itself.

import type { JsonObject } from '@bufbuild/protobuf';
import type { IstioMetric } from '../config/index.ts';
import { celProblem } from '../traffic/cel-names.ts';
import { any } from './common.ts';
import { METRIC_NAMES, type MetricSettings } from './telemetry.ts';

/** An access logger of this type says how to count; it writes nothing. */
const TYPE_URL = 'type.googleapis.com/weft.telemetry.v1.MetricOverrides';

/** Nothing where nothing is changed; by metric: whether it is off, which tags it goes without, which it has by a CEL expression. */
export function metricOverrides({ disabled, tags }: MetricSettings): JsonObject[] {
  if (disabled.size === 0 && tags.size === 0) return [];
  const value: Record<string, JsonObject> = {};
  for (const [metric, name] of Object.entries(METRIC_NAMES) as [IstioMetric, string][]) {
    const list = [...(tags.get(metric) ?? [])];
    // As in Istio a tag that cannot be worked out is there all the same; the analysis tells of it.
    const set = Object.fromEntries(
      list.flatMap(([tag, cel]): [string, string][] => (cel === undefined ? [] : [[tag, celProblem(cel) === undefined ? cel : `'unknown'`]])),
    );
    const remove = list.filter(([, expression]) => expression === undefined).map(([tag]) => tag);
    if (disabled.has(metric)) value[name] = { disabled: true };
    else if (list.length > 0) value[name] = { remove, set };
  }
  return [{ name: 'weft.metric_overrides', typedConfig: any('xds.type.v3.TypedStruct', { typeUrl: TYPE_URL, value }) }];
}
