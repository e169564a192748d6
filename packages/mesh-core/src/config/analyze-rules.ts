// DestinationRules against the rest of the mesh: their host, what their subsets select, what they can eject.

import { type MeshObject, type Problem, unresolved } from '../model/index.ts';
import { type Mesh, inFull, problem, resolveHost } from './analyze-mesh.ts';
import type { DestinationRuleSpec } from './destination-rule.ts';
import { nearest } from './nearest.ts';
import type { WorkloadEntrySpec } from './other-kinds.ts';
import { matches } from './label-index.ts';

type Rule = MeshObject<DestinationRuleSpec>;

export function destinationRuleProblems(rule: Rule, mesh: Mesh): Problem[] {
  const host = resolveHost(rule.spec.host, rule.metadata.namespace);
  const service = mesh.services.get(host);
  if (service === undefined) {
    // A wildcard is for many hosts; which workloads it selects cannot be told from here.
    if (host.includes('*') || mesh.entriesOf(host).length > 0) return [];
    const use = nearest(
      rule.spec.host,
      [...mesh.services.values()].filter((s) => s.metadata.namespace === rule.metadata.namespace).map((s) => s.metadata.name),
    );
    return [
      unresolved(
        problem(
          rule,
          'error',
          'KIA0202',
          'spec.host',
          `No Service has the host ${inFull(rule.spec.host, host)}.${use === undefined ? '' : ` There is ${use}.`}`,
          use === undefined ? undefined : { label: `Use ${use}`, value: use },
        ),
      ),
    ];
  }
  const selected = mesh.workloadsWith(service.metadata.namespace, service.spec.selector);
  return [...subsetProblems(rule, selected), ...outlierProblems(rule, selected)];
}

function subsetProblems(rule: Rule, workloads: readonly MeshObject<WorkloadEntrySpec>[]): Problem[] {
  return (rule.spec.subsets ?? []).flatMap((subset, i) => {
    const wanted = Object.entries(subset.labels ?? {});
    if (wanted.length === 0)
      return [
        problem(
          rule,
          'warning',
          'KIA0209',
          `spec.subsets[${i}]`,
          `Subset ${subset.name} has no labels, so it is the whole of ${rule.spec.host}. Give it labels.`,
        ),
      ];
    if (workloads.some((w) => matches(w.spec.labels, subset.labels))) return [];
    return [
      problem(
        rule,
        'warning',
        'KIA0203',
        `spec.subsets[${i}].labels`,
        `No workload of ${rule.spec.host} has the labels of subset ${subset.name} (${wanted.map(([k, v]) => `${k}=${v}`).join(', ')}).`,
      ),
    ];
  });
}

/** Envoy ejects only while the ejected share stays within maxEjectionPercent, so with few endpoints none can go. */
function outlierProblems(rule: Rule, workloads: readonly MeshObject<WorkloadEntrySpec>[]): Problem[] {
  const places = [
    { policy: rule.spec.trafficPolicy, path: 'spec.trafficPolicy', hosts: workloads },
    ...(rule.spec.subsets ?? []).map((subset, i) => ({
      policy: subset.trafficPolicy,
      path: `spec.subsets[${i}].trafficPolicy`,
      hosts: workloads.filter((w) => matches(w.spec.labels, subset.labels)),
    })),
  ];
  return places.flatMap(({ policy, path, hosts }) => {
    const outlier = policy?.outlierDetection;
    const percent = outlier?.maxEjectionPercent ?? 10;
    if (outlier === undefined || hosts.length === 0 || Math.floor((hosts.length * percent) / 100) >= 1) return [];
    return [
      problem(
        rule,
        'info',
        'WEFT_OUTLIER_EJECTS_NOTHING',
        `${path}.outlierDetection`,
        `With ${hosts.length} ${hosts.length === 1 ? 'endpoint' : 'endpoints'} and maxEjectionPercent ${percent} nothing is ever ejected; maxEjectionPercent 100 lets it work.`,
        { label: 'Set maxEjectionPercent 100', value: { ...outlier, maxEjectionPercent: 100 } },
      ),
    ];
  });
}

/** `all` is oldest first: of two rules of one namespace for one host and subset the older one's subset is in force. */
export function destinationRulePairs(all: readonly Rule[]): Problem[] {
  const first = new Map<string, string>();
  const problems: Problem[] = [];
  for (const rule of all) {
    // A rule for selected clients stands beside the one for all.
    if (rule.spec.workloadSelector !== undefined) continue;
    const host = `${rule.metadata.namespace} ${resolveHost(rule.spec.host, rule.metadata.namespace)}`;
    for (const [i, { name }] of (rule.spec.subsets ?? []).entries()) {
      const key = `${host} ${name}`;
      const other = first.get(key);
      if (other === undefined) first.set(key, rule.metadata.name);
      else if (other !== rule.metadata.name)
        problems.push(
          problem(
            rule,
            'warning',
            'KIA0201',
            `spec.subsets[${i}].name`,
            `DestinationRule ${other} defines subset ${name} of ${rule.spec.host} too; the older one wins.`,
          ),
        );
    }
  }
  return problems;
}
