// Keys of the MeshConfig that are taken and do nothing here.

import { type MeshObject, type Problem, DEFAULT_MESH_SETTINGS } from '../model/index.ts';
import { problem } from './analyze-mesh.ts';
import { isMeshConfig, readMeshConfig } from './mesh-config.ts';

/** One for each key nobody reads. */
export function meshConfigProblems(object: MeshObject): Problem[] {
  const text = (object.spec as { data?: Record<string, string> }).data?.['mesh'];
  if (text === undefined || !isMeshConfig(object, DEFAULT_MESH_SETTINGS.rootNamespace)) return [];
  return readMeshConfig(text).unread.map((key) =>
    problem(object, 'warning', 'WEFT_MESH_CONFIG_UNREAD', 'data.mesh', `${key} of MeshConfig has no effect here`),
  );
}
