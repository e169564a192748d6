// Objects that choose workloads, where one workload can have only one: Sidecars and Telemetry.

import { type MeshObject, type Problem, unresolved } from '../model/index.ts';
import { type Mesh, problem, selectsAny } from './analyze-mesh.ts';
import { matches } from './label-index.ts';

interface Selecting {
  object: MeshObject;
  /** Undefined = the whole namespace. */
  labels: Readonly<Record<string, string>> | undefined;
  path: string;
}

/** Selectors that select nothing, share a workload (`codes.shared`), or are for the whole namespace twice (`codes.whole`). */
export function selectorProblems(all: readonly Selecting[], codes: { shared: string; whole: string }, mesh: Mesh): Problem[] {
  return all.flatMap((one) => {
    const { object, labels, path } = one;
    const same = all.filter((other) => other !== one && other.object.metadata.namespace === object.metadata.namespace);
    if (labels === undefined || Object.keys(labels).length === 0) {
      const rivals = same.filter((other) => Object.keys(other.labels ?? {}).length === 0);
      return rivals.length === 0
        ? []
        : [problem(object, 'error', codes.whole, 'spec', `${names(rivals)} is for the whole namespace too; only the oldest counts. Give this one a selector.`)];
    }
    if (!selectsAny(mesh, labels, object.metadata.namespace)) {
      const wanted = Object.entries(labels)
        .map(([k, v]) => `${k}=${v}`)
        .join(', ');
      return [unresolved(problem(object, 'error', 'KIA0004', path, `No workload of namespace ${object.metadata.namespace} has the labels ${wanted}.`))];
    }
    const selected = mesh.workloadsWith(object.metadata.namespace, labels);
    const rivals = same.filter((other) => Object.keys(other.labels ?? {}).length > 0 && selected.some((w) => matches(w.spec.labels, other.labels)));
    return rivals.length === 0
      ? []
      : [
          problem(
            object,
            'error',
            codes.shared,
            path,
            `${names(rivals)} selects ${selected[0]?.metadata.name ?? 'the same workload'} too; only one of them counts.`,
          ),
        ];
  });
}

function names(list: readonly Selecting[]): string {
  return list.map(({ object }) => `${object.kind} ${object.metadata.name}`).join(', ');
}
