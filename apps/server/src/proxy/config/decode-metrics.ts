// What a Telemetry changes of the metrics this proxy counts: a logger of its own type among the access loggers.

import { compileTag } from '../access-log/cel-attributes.ts';
import type { Fields } from './fields.ts';
import type { MetricOverride } from './model.ts';

const TYPE = 'weft.telemetry.v1.MetricOverrides';

export function isMetricOverrides(typedStruct: Fields | undefined): boolean {
  return typedStruct?.text('typeUrl').endsWith(TYPE) === true;
}

/** By metric name; undefined when nothing is changed. Tags are CEL. */
export function decodeMetricOverrides(accessLog: readonly Fields[]): Readonly<Record<string, MetricOverride>> | undefined {
  const config = accessLog.map((log) => log.object('typedConfig')).find(isMetricOverrides);
  if (config === undefined) return undefined;
  const overrides = config.raw('value') as Readonly<Record<string, MetricOverride>>;
  for (const [metric, { set = {} }] of Object.entries(overrides))
    for (const [tag, expression] of Object.entries(set))
      try {
        compileTag(expression);
      } catch (error) {
        config.problem(`value.${metric}.set.${tag}`, `this proxy cannot evaluate ${expression}: ${(error as Error).message}`);
      }
  return overrides;
}
