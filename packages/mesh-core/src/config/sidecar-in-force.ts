// Which Sidecar holds for a workload, and which services its hosts name.

import type { MeshObject } from '../model/index.ts';
import { hostMatches } from './analyze-mesh.ts';
import { matches } from './label-index.ts';
import type { SidecarSpec } from './sidecar.ts';

type Sidecar = MeshObject<SidecarSpec>;

/** Of `all`, oldest first, the first whose selector fits, else the namespace's, else the root namespace's. */
export function sidecarInForce(
  all: readonly Sidecar[],
  client: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  rootNamespace: string,
): Sidecar | undefined {
  const { namespace } = client;
  const selects = (s: Sidecar): boolean => Object.keys(s.spec.workloadSelector?.labels ?? {}).length > 0;
  const own = all.filter((s) => s.metadata.namespace === namespace);
  return (
    // Labels are read only where a Sidecar asks: proxies that differ in labels then share what is made of them.
    own.find((s) => selects(s) && matches(client.labels, s.spec.workloadSelector?.labels)) ??
    own.find((s) => !selects(s)) ??
    all.find((s) => s.metadata.namespace === rootNamespace && !selects(s))
  );
}

/** All hosts of a Sidecar's egress; none stand for every service. */
export function egressHosts(sidecar: Sidecar | undefined): string[] {
  return [...new Set((sidecar?.spec.egress ?? []).flatMap((listener) => listener.hosts))];
}

export interface NamedScope {
  scope: string;
  host: string;
}

/** Hosts as Sidecars write them (`./*`, `prod/reviews.prod.svc.cluster.local`), read in a namespace. */
export function namedScopes(hosts: readonly string[], namespace: string): NamedScope[] {
  return hosts.map((text) => {
    const [scope = '*', host = '*'] = text.split('/');
    return { scope: scope === '.' ? namespace : scope, host: host.toLowerCase() };
  });
}

export function isNamed({ host, namespace }: { readonly host: string; readonly namespace: string }, scopes: readonly NamedScope[]): boolean {
  return scopes.length === 0 || scopes.some((w) => (w.scope === '*' || w.scope === namespace) && (hostMatches(w.host, host) || hostMatches(host, w.host)));
}
