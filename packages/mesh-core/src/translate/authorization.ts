// AuthorizationPolicies of a workload as RBAC filters, in the order they are asked: what is only told (AUDIT), what is denied, and
// what is allowed. Where one allows anything, everything else is refused.

import type { JsonObject } from '@bufbuild/protobuf';
import { type AuthorizationPolicySpec, isDryRun, matches } from '../config/index.ts';
import type { MeshObject, ProxyNode } from '../model/index.ts';
import { any, grouped, without } from './common.ts';
import { derived } from './memo.ts';
import { type Mesh, ofKind } from './mesh.ts';
import { MATCHES_NEVER, type Place, rbacPolicy } from './rbac-policy.ts';

type Policy = MeshObject<AuthorizationPolicySpec>;
type Action = Place['action'];

/** A port as policies may name it: its sidecar listens on another than its Service or its application has. */
export interface PolicyPort {
  listenPort: number;
  servicePort?: number;
  appPort?: number;
}

/** For the filters of an HTTP connection manager. */
export function httpAuthorization(mesh: Mesh, node: ProxyNode, port: PolicyPort): JsonObject[] {
  return rbacFilters(mesh, node, port, false).map((fields) => ({
    name: 'envoy.filters.http.rbac',
    typedConfig: any('envoy.extensions.filters.http.rbac.v3.RBAC', fields),
  }));
}

/** For a chain of bytes: before `tcp_proxy`. */
export function tcpAuthorization(mesh: Mesh, node: ProxyNode, port: PolicyPort): JsonObject[] {
  return rbacFilters(mesh, node, port, true).map((fields) => ({
    name: 'envoy.filters.network.rbac',
    typedConfig: any('envoy.extensions.filters.network.rbac.v3.RBAC', { ...fields, statPrefix: 'tcp.' }),
  }));
}

function rbacFilters(mesh: Mesh, node: ProxyNode, port: PolicyPort, tcp: boolean): JsonObject[] {
  const policies = policiesFor(mesh, node);
  const portOf = (named: number): number => (named === port.servicePort || named === port.appPort ? port.listenPort : named);
  const trustDomains = [mesh.settings.trustDomain, ...(mesh.settings.trustDomainAliases ?? [])];
  return (['AUDIT', 'DENY', 'ALLOW'] as const).flatMap((action) => {
    const list = policies.filter((p) => (p.spec.action ?? 'ALLOW') === action);
    if (list.length === 0) return [];
    const rulesOf = (some: readonly Policy[]): JsonObject | undefined =>
      some.length === 0 ? undefined : rules(action, some, (namespace) => ({ tcp, action, namespace, trustDomains, portOf }));
    const tried = list.filter((p) => isDryRun(p.metadata));
    return [
      without({
        rules: rulesOf(list.filter((p) => !isDryRun(p.metadata))),
        shadowRules: rulesOf(tried),
        shadowRulesStatPrefix: tried.length > 0 && action === 'DENY' ? 'istio_dry_run_deny_' : 'istio_dry_run_allow_',
      }),
    ];
  });
}

/** Envoy's word for AUDIT. Filters of ALLOW without a policy left allow nothing. */
const ENVOY_ACTION: Readonly<Record<Action, string>> = { ALLOW: 'ALLOW', DENY: 'DENY', AUDIT: 'LOG' };

function rules(action: Action, policies: readonly Policy[], placeOf: (namespace: string) => Place): JsonObject {
  const all: JsonObject = {};
  for (const { metadata, spec } of policies) {
    const nameOf = (i: number): string => `ns[${metadata.namespace}]-policy[${metadata.name}]-rule[${i}]`;
    const place = placeOf(metadata.namespace);
    for (const [i, rule] of (spec.rules ?? []).entries()) {
      const policy = rbacPolicy(rule, place);
      if (policy !== undefined) all[nameOf(i)] = policy;
    }
    if ((spec.rules ?? []).length === 0) all[nameOf(0)] = MATCHES_NEVER;
  }
  return { action: ENVOY_ACTION[action], policies: all };
}

/** Of the root namespace and of the workload's own, those without a selector and those that select it. */
function policiesFor(mesh: Mesh, node: ProxyNode): readonly Policy[] {
  const { rootNamespace } = mesh.settings;
  return [...new Set([rootNamespace, node.namespace])].flatMap((namespace) =>
    // Labels are read only where a policy asks: proxies that differ in them then share what is made of the policies.
    policiesIn(mesh, namespace).filter(
      ({ spec: { selector } }) => Object.keys(selector?.matchLabels ?? {}).length === 0 || matches(node.labels, selector?.matchLabels),
    ),
  );
}

function policiesIn(mesh: Mesh, namespace: string): readonly Policy[] {
  return derived(
    mesh,
    `authorization|${namespace}`,
    (m) =>
      derived(m, 'authorization by namespace', (all) => grouped(ofKind<AuthorizationPolicySpec>(all, 'AuthorizationPolicy'), (p) => p.metadata.namespace)).get(
        namespace,
      ) ?? [],
    (old, now) => (old.length === now.length && old.every((p, i) => p === now[i]) ? old : now),
  );
}
