// AuthorizationPolicies of a workload, and their rules as what Envoy's RBAC filters look up.

import type { JsonObject } from '@bufbuild/protobuf';
import type { AuthorizationPolicySpec } from '../config/index.ts';
import { grouped, type MeshObject, type ProxyNode } from '../model/index.ts';
import { derived, sameList } from './memo.ts';
import { type Mesh, ofKind } from './mesh.ts';
import { concerns } from './policy-targets.ts';
import { MATCHES_NEVER, type Place, rbacPolicy } from './rbac-policy.ts';

export type Policy = MeshObject<AuthorizationPolicySpec>;

/** A port as policies may name it: its sidecar listens on another than its Service or its application has. */
export interface PolicyPort {
  listenPort: number;
  servicePort?: number;
  targetPort?: number | string;
  appPort?: number;
}

/** Where rules are enforced: a port of a proxy, its requests or (`tcp`) its connections. */
export interface RulesAt {
  mesh: Mesh;
  port: PolicyPort;
  tcp: boolean;
}

/** By name, the rules of policies with one action. `before` stands in front of the names. */
export function namedRules(policies: readonly Policy[], action: Place['action'], { mesh, port, tcp }: RulesAt, before = ''): JsonObject {
  const trustDomains = [mesh.settings.trustDomain, ...(mesh.settings.trustDomainAliases ?? [])];
  const portOf = (named: number): number => ([port.servicePort, port.targetPort, port.appPort].includes(named) ? port.listenPort : named);
  const all: JsonObject = {};
  for (const { metadata, spec } of policies) {
    const nameOf = (i: number): string => `${before}ns[${metadata.namespace}]-policy[${metadata.name}]-rule[${i}]`;
    const place: Place = { tcp, action, namespace: metadata.namespace, trustDomains, portOf };
    for (const [i, rule] of (spec.rules ?? []).entries()) {
      const policy = rbacPolicy(rule, place);
      if (policy !== undefined) all[nameOf(i)] = policy;
    }
    if ((spec.rules ?? []).length === 0) all[nameOf(0)] = MATCHES_NEVER;
  }
  return all;
}

/** Of the root namespace and of the workload's own, those that are for it. */
export function policiesFor(mesh: Mesh, node: ProxyNode): readonly Policy[] {
  const { rootNamespace } = mesh.settings;
  return [...new Set([rootNamespace, node.namespace])].flatMap((namespace) => policiesIn(mesh, namespace).filter((policy) => concerns(policy, node)));
}

function policiesIn(mesh: Mesh, namespace: string): readonly Policy[] {
  return derived<Mesh, readonly Policy[]>(
    mesh,
    `authorization|${namespace}`,
    (m) =>
      derived(m, 'authorization by namespace', (all) => grouped(ofKind<AuthorizationPolicySpec>(all, 'AuthorizationPolicy'), (p) => p.metadata.namespace)).get(
        namespace,
      ) ?? [],
    sameList,
  );
}
