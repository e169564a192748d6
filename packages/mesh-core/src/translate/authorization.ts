// AuthorizationPolicies of a workload as RBAC filters, in the order they are asked: what is only told (AUDIT), what is denied, and
// what is allowed. Where one allows anything, everything else is refused.

import type { JsonObject } from '@bufbuild/protobuf';
import { isDryRun } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { type Policy, type PolicyPort, type RulesAt, namedRules, policiesFor } from './authorization-rules.ts';
import { any, without } from './common.ts';
import { tcpExternalAuthorization } from './external-authorization.ts';
import type { Mesh } from './mesh.ts';
import type { Place } from './rbac-policy.ts';

/** For the filters of an HTTP connection manager, behind those that read tokens; what others are asked stands before these. */
export function httpAuthorization(mesh: Mesh, node: ProxyNode, port: PolicyPort): JsonObject[] {
  return rbacFilters(node, { mesh, port, tcp: false }).map((fields) => ({
    name: 'envoy.filters.http.rbac',
    typedConfig: any('envoy.extensions.filters.http.rbac.v3.RBAC', fields),
  }));
}

/** For a chain of bytes: before `tcp_proxy`, what others are asked first. */
export function tcpAuthorization(mesh: Mesh, node: ProxyNode, port: PolicyPort): JsonObject[] {
  return [
    ...tcpExternalAuthorization(mesh, node, port),
    ...rbacFilters(node, { mesh, port, tcp: true }).map((fields) => ({
      name: 'envoy.filters.network.rbac',
      typedConfig: any('envoy.extensions.filters.network.rbac.v3.RBAC', { ...fields, statPrefix: 'tcp.' }),
    })),
  ];
}

function rbacFilters(node: ProxyNode, at: RulesAt): JsonObject[] {
  const policies = policiesFor(at.mesh, node);
  return (['AUDIT', 'DENY', 'ALLOW'] as const).flatMap((action) => {
    const list = policies.filter((p) => (p.spec.action ?? 'ALLOW') === action);
    if (list.length === 0) return [];
    const rulesOf = (some: readonly Policy[]): JsonObject | undefined =>
      some.length === 0 ? undefined : { action: ENVOY_ACTION[action], policies: namedRules(some, action, at) };
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
const ENVOY_ACTION: Readonly<Record<Place['action'], string>> = { ALLOW: 'ALLOW', DENY: 'DENY', AUDIT: 'LOG' };
