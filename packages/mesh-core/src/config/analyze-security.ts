// PeerAuthentications against each other and the workloads they select.

import type { MeshObject, Problem } from '../model/index.ts';
import { type Mesh, problem, selectsAny } from './analyze-mesh.ts';
import type { PeerAuthenticationSpec } from './other-kinds.ts';

type Policy = MeshObject<PeerAuthenticationSpec>;

/** A selector that selects nothing. */
export function peerAuthenticationProblems(policy: Policy, mesh: Mesh): Problem[] {
  const wanted = policy.spec.selector?.matchLabels;
  if (wanted === undefined || Object.keys(wanted).length === 0 || selectsAny(mesh, wanted, policy.metadata.namespace)) return [];
  return [
    problem(
      policy,
      'warning',
      'KIA0004',
      'spec.selector.matchLabels',
      `No workload of namespace ${policy.metadata.namespace} has the labels ${Object.entries(wanted)
        .map(([k, v]) => `${k}=${v}`)
        .join(', ')}.`,
    ),
  ];
}

/** `all` is oldest first: of several for a whole namespace the oldest is in force. */
export function duplicatePeerAuthentications(all: readonly Policy[]): Problem[] {
  const first = new Map<string, string>();
  const problems: Problem[] = [];
  for (const policy of all) {
    if (Object.keys(policy.spec.selector?.matchLabels ?? {}).length > 0) continue;
    const { namespace, name } = policy.metadata;
    const other = first.get(namespace);
    if (other === undefined) first.set(namespace, name);
    else
      problems.push(
        problem(
          policy,
          'error',
          'KIA0002',
          'spec',
          `PeerAuthentication ${other} is for the whole namespace ${namespace} too; the older one wins. Delete one, or give this one a selector.`,
        ),
      );
  }
  return problems;
}
