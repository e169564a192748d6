// PeerAuthentications against each other and the workloads they select.

import type { MeshObject, Problem } from '../model/index.ts';
import { type Mesh, problem, selectsAny } from './analyze-mesh.ts';
import { matches } from './label-index.ts';
import type { PeerAuthenticationSpec } from './other-kinds.ts';

type Policy = MeshObject<PeerAuthenticationSpec>;

/** A selector that selects nothing, ports that nothing it selects has. */
export function peerAuthenticationProblems(policy: Policy, mesh: Mesh): Problem[] {
  const wanted = policy.spec.selector?.matchLabels;
  if (wanted === undefined || Object.keys(wanted).length === 0) return [];
  if (selectsAny(mesh, wanted, policy.metadata.namespace)) return portProblems(policy, wanted, mesh);
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

/** Ports are known by the numbers of the workload, and of its Services. Workloads without an object, like gateways, say nothing of theirs. */
function portProblems(policy: Policy, wanted: Readonly<Record<string, string>>, { workloadsWith, services, sidecars }: Mesh): Problem[] {
  const { namespace } = policy.metadata;
  const asked = Object.keys(policy.spec.portLevelMtls ?? {});
  const selected = asked.length === 0 ? [] : workloadsWith(namespace, wanted);
  if (selected.length === 0) return [];
  const selecting = (labels: Readonly<Record<string, string>> | undefined): boolean => selected.some((w) => matches(w.spec.labels, labels));
  const ofServices = [...services.values()].filter(
    ({ metadata, spec }) => metadata.namespace === namespace && Object.keys(spec.selector ?? {}).length > 0 && selecting(spec.selector),
  );
  const ofSidecars = sidecars.filter(({ metadata, spec }) => metadata.namespace === namespace && selecting(spec.workloadSelector?.labels));
  const ports = new Set<string>([
    ...selected.flatMap((w) => Object.values(w.spec.ports ?? {})).map(String),
    ...ofServices.flatMap(({ spec }) => spec.ports.flatMap((p) => [p.port, p.targetPort ?? p.port])).map(String),
    ...ofSidecars.flatMap(({ spec }) => spec.ingress ?? []).map((listener) => String(listener.port.number)),
  ]);
  return asked
    .filter((port) => !ports.has(port))
    .map((port) => {
      const has = [...ports].filter((p) => /^\d+$/.test(p)).join(', ') || 'none';
      const message = `No workload this is for has a port ${port}, so nothing comes of it. Ports of theirs, and of their Services: ${has}.`;
      return problem(policy, 'warning', 'WEFT_UNKNOWN_PORT', `spec.portLevelMtls.${port}`, message);
    });
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
