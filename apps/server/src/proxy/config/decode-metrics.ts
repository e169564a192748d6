// What a Telemetry changes of the metrics this proxy counts: a logger of its own type among the access loggers.

import type { Fields } from './fields.ts';
import type { MetricOverride } from './model.ts';

const TYPE = 'weft.telemetry.v1.MetricOverrides';

export function isMetricOverrides(typedStruct: Fields | undefined): boolean {
  return typedStruct?.text('typeUrl').endsWith(TYPE) === true;
}

/** By metric name; undefined when nothing is changed. A tag's value must be a text in quotes: it is the same for all requests. */
export function decodeMetricOverrides(accessLog: readonly Fields[]): Readonly<Record<string, MetricOverride>> | undefined {
  const config = accessLog.map((log) => log.object('typedConfig')).find(isMetricOverrides);
  if (config === undefined) return undefined;
  const value = config.raw('value') as Readonly<Record<string, { disabled?: boolean; remove?: string[]; set?: Record<string, string> }>>;
  return Object.fromEntries(
    Object.entries(value).map(([metric, { set = {}, ...override }]) => {
      const fixed = Object.entries(set).map(([tag, expression]) => {
        const literal = /^\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*$/.exec(expression);
        if (literal === null) config.problem(`value.${metric}.set.${tag}`, `this proxy cannot evaluate ${expression}; only a text in quotes`);
        return [tag, literal?.[1] ?? literal?.[2] ?? ''];
      });
      return [metric, { ...override, set: Object.fromEntries(fixed) as Record<string, string> }];
    }),
  );
}
