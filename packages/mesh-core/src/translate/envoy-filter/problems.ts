// Problems of an EnvoyFilter that need Envoy's API to be seen: fields and types of the patches' values, version patterns.

import type { JsonObject } from '@bufbuild/protobuf';
import { type EnvoyFilterSpec, type FieldPath, pathText } from '../../config/index.ts';
import { type MeshObject, type Problem, refOf } from '../../model/index.ts';
import { valueProblems } from './patch-value.ts';

/** `locate` gives a field path its line, when the object came from text. */
export function patchValueProblems(object: MeshObject, locate?: (path: FieldPath) => Partial<Problem>): Problem[] {
  if (object.kind !== 'EnvoyFilter') return [];
  const { configPatches = [] } = object.spec as EnvoyFilterSpec;
  return configPatches.flatMap(({ applyTo, patch }, i) =>
    valueProblems(applyTo, (patch.value ?? {}) as JsonObject).map(({ path, message }): Problem => {
      const whole = ['spec', 'configPatches', i, 'patch', 'value', ...path];
      return { severity: 'error', code: 'WEFT_ENVOY_PATCH', message, ref: refOf(object), path: pathText(whole), ...locate?.(whole) };
    }),
  );
}
