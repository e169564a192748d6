// What only several objects together can tell: dangling references, contradicting rules, weights that do not add up.
// Codes are Kiali's where it has one.

import type { MeshObject, Problem } from '../model/index.ts';
import { destinationRulePairs, destinationRuleProblems } from './analyze-rules.ts';
import { type Mesh, meshOf } from './analyze-mesh.ts';
import { duplicatePeerAuthentications, peerAuthenticationProblems } from './analyze-security.ts';
import { duplicateHosts, virtualServiceProblems } from './analyze-routes.ts';

export { hostMatches, matches, resolveHost } from './analyze-mesh.ts';

/** Problems between objects, each with the `ref` and field path of the object to change. Objects are taken as valid on their own. */
export function analyzeObjects(objects: readonly MeshObject[]): Problem[] {
  const mesh: Mesh = meshOf(objects);
  return [
    ...mesh.virtualServices.flatMap((vs) => virtualServiceProblems(vs, mesh)),
    ...duplicateHosts(mesh.virtualServices),
    ...mesh.rules.flatMap((rule) => destinationRuleProblems(rule, mesh)),
    ...destinationRulePairs(mesh.rules),
    ...mesh.policies.flatMap((policy) => peerAuthenticationProblems(policy, mesh)),
    ...duplicatePeerAuthentications(mesh.policies),
  ];
}
