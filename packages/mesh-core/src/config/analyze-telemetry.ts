// Telemetries with CEL nobody here can evaluate: a tag then says `unknown`, as in Istio; a log's filter is refused by the proxies.

import type { MeshObject, Problem } from '../model/index.ts';
import { celProblem } from '../traffic/cel-names.ts';
import { problem } from './analyze-mesh.ts';
import type { TelemetrySpec } from './telemetry.ts';

export function telemetryProblems(telemetry: MeshObject<TelemetrySpec>): Problem[] {
  const { metrics = [], accessLogging = [] } = telemetry.spec;
  const tags = metrics.flatMap(({ overrides = [] }, i) =>
    overrides.flatMap(({ tagOverrides = {} }, j) =>
      Object.entries(tagOverrides).flatMap(([tag, { value = '' }]) => {
        const why = value === '' ? undefined : celProblem(value);
        const path = `spec.metrics[${i}].overrides[${j}].tagOverrides["${tag}"].value`;
        return why === undefined
          ? []
          : [problem(telemetry, 'warning', 'WEFT_TAG_UNKNOWN', path, `The tag ${tag} will always be unknown: of ${value}, ${why}.`)];
      }),
    ),
  );
  const filters = accessLogging.flatMap(({ filter }, i) => {
    const expression = filter?.expression ?? '';
    const why = expression === '' ? undefined : celProblem(expression);
    const path = `spec.accessLogging[${i}].filter.expression`;
    return why === undefined ? [] : [problem(telemetry, 'warning', 'WEFT_FILTER_UNKNOWN', path, `Embedded proxies refuse the filter ${expression}: ${why}.`)];
  });
  return [...tags, ...filters];
}
