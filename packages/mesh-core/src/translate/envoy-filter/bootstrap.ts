// BOOTSTRAP patches: an Envoy reads its bootstrap once, so the agent applies them before it starts it.

import { type JsonObject, fromJson, toJson } from '@bufbuild/protobuf';
import type { EnvoyFilterSpec } from '../../config/index.ts';
import { BootstrapSchema } from '../../gen/envoy/config/bootstrap/v3/bootstrap_pb.ts';
import type { MeshObject } from '../../model/index.ts';
import { registry } from '../registry.ts';
import { isMerge, mergePatch } from './lists.ts';
import { type FilteredNode, patchesFor, selectFilters } from './select.ts';

/** The bootstrap (proto3 JSON) with the patches of the EnvoyFilters that select the proxy; itself when there are none. @throws what protobuf-es throws. */
export function patchBootstrap(bootstrap: JsonObject, filters: readonly MeshObject[], node: FilteredNode, rootNamespace: string): JsonObject {
  const patches = selectFilters(filters as readonly MeshObject<EnvoyFilterSpec>[], node, rootNamespace)
    .flatMap((filter) => patchesFor(filter, node))
    .filter((p) => p.patch.applyTo === 'BOOTSTRAP' && isMerge(p));
  if (patches.length === 0) return bootstrap;
  const message = fromJson(BootstrapSchema, bootstrap, { registry });
  for (const patch of patches) mergePatch(BootstrapSchema, message, patch);
  return toJson(BootstrapSchema, message, { registry }) as JsonObject;
}
