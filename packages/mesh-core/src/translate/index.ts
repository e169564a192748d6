export { contentHash, encodeResource } from './encode.ts';
export type { Mesh, MeshService, MtlsMode, Workload } from './mesh.ts';
export { buildMesh, destinationRuleFor, mtlsModeOf } from './mesh.ts';
export { patchBootstrap } from './envoy-filter/bootstrap.ts';
export { envoyFilterProblems } from './envoy-filter/problems.ts';
export { proxyClass, proxyFacts, translate } from './translate.ts';
export { virtualServiceFor } from './virtual-services.ts';
export { registry } from './registry.ts';
