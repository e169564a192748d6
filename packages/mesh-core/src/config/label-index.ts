// Finds what has some labels without looking at everything: thousands of services and rules each ask among thousands of workloads.

import { push } from '../model/index.ts';

type Labels = Readonly<Record<string, string>>;

/** Those of a namespace that have all of some labels, in the order given; no labels = all of the namespace. */
export type Select<T> = (namespace: string, wanted: Labels | undefined) => readonly T[];

const NONE: readonly never[] = [];

/** True when `labels` has all of `wanted`. */
export function matches(labels: Labels | undefined, wanted: Labels | undefined): boolean {
  return Object.entries(wanted ?? {}).every(([key, value]) => labels?.[key] === value);
}

export function labelIndex<T>(items: readonly T[], namespaceOf: (item: T) => string, labelsOf: (item: T) => Labels | undefined): Select<T> {
  const byNamespace = new Map<string, T[]>();
  const byLabel = new Map<string, T[]>();
  for (const item of items) {
    const namespace = namespaceOf(item);
    push(byNamespace, namespace, item);
    for (const [name, value] of Object.entries(labelsOf(item) ?? {})) push(byLabel, labelKey(namespace, name, value), item);
  }
  return (namespace, wanted = {}) => {
    const keys = Object.entries(wanted).map(([name, value]) => labelKey(namespace, name, value));
    if (keys.length === 0) return byNamespace.get(namespace) ?? NONE;
    // What most have says little: the rarest label leaves the fewest to look at.
    const [rarest = NONE] = keys.map((key) => byLabel.get(key) ?? NONE).toSorted((a, b) => a.length - b.length);
    return keys.length === 1 ? rarest : rarest.filter((item) => matches(labelsOf(item), wanted));
  };
}

/** Lengths keep the parts apart, whatever they hold. */
const labelKey = (namespace: string, name: string, value: string): string => `${namespace.length} ${name.length} ${namespace} ${name} ${value}`;
