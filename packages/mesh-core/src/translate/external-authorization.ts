// AuthorizationPolicies with action CUSTOM: an RBAC filter finds which rule a request meets and writes it down, and the filter behind
// it asks the provider only where one is. What cannot be asked is denied.

import type { JsonObject } from '@bufbuild/protobuf';
import { grouped, type ProxyNode } from '../model/index.ts';
import { type Policy, type PolicyPort, type RulesAt, namedRules, policiesFor } from './authorization-rules.ts';
import { any } from './common.ts';
import { type Provider, providerOf } from './extension-providers.ts';
import type { Mesh } from './mesh.ts';

const PREFIX = 'istio-ext-authz';
const SHADOW_PREFIX = 'istio_ext_authz_';
const BAD = '-deny-due-to-bad-CUSTOM-action';
const RBAC = { http: 'envoy.filters.http.rbac', tcp: 'envoy.filters.network.rbac' } as const;

/** For the filters of an HTTP connection manager: before tokens are read, as in Istio. */
export function httpExternalAuthorization(mesh: Mesh, node: ProxyNode, port: PolicyPort): JsonObject[] {
  return filters(node, { mesh, port, tcp: false });
}

/** For a chain of bytes; providers that speak HTTP are not asked there. */
export function tcpExternalAuthorization(mesh: Mesh, node: ProxyNode, port: PolicyPort): JsonObject[] {
  return filters(node, { mesh, port, tcp: true });
}

function filters(node: ProxyNode, at: RulesAt): JsonObject[] {
  const policies = policiesFor(at.mesh, node).filter(({ spec }) => spec.action === 'CUSTOM');
  const byProvider = [...grouped(policies, ({ spec }) => spec.provider?.name ?? '')].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return byProvider.flatMap(([name, some]) => {
    const rules = rulesOf(name, some, at);
    // As in Istio a workload has one: which of several would be asked could not be told.
    const provider = byProvider.length > 1 ? undefined : providerOf(at.mesh, name);
    if (provider === undefined) return [rbac(at, { rules: deny(Object.entries(rules).map(([rule, policy]) => [`${rule}${BAD}`, policy])) })];
    const asks = check(name, provider, at);
    return asks === undefined ? [] : [rbac(at, { shadowRules: deny(Object.entries(rules)), shadowRulesStatPrefix: SHADOW_PREFIX }), asks];
  });
}

/** On TCP what asks for requests is left out, so that more connections are asked about. */
function rulesOf(provider: string, policies: readonly Policy[], at: RulesAt): JsonObject {
  return namedRules(policies, 'DENY', at, `${PREFIX}-${provider}${provider === '' ? '' : '-'}`);
}

function deny(policies: [string, JsonObject[string]][]): JsonObject {
  return { action: 'DENY', policies: Object.fromEntries(policies) };
}

function rbac({ tcp }: RulesAt, fields: JsonObject): JsonObject {
  return tcp
    ? { name: RBAC.tcp, typedConfig: any('envoy.extensions.filters.network.rbac.v3.RBAC', { ...fields, statPrefix: 'tcp.' }) }
    : { name: RBAC.http, typedConfig: any('envoy.extensions.filters.http.rbac.v3.RBAC', fields) };
}

function check(name: string, { http, tcp: connections }: Provider, { tcp }: RulesAt): JsonObject | undefined {
  const fields = tcp ? connections : http;
  if (fields === undefined) return undefined;
  const filterEnabledMetadata = {
    filter: tcp ? RBAC.tcp : RBAC.http,
    path: [{ key: `${SHADOW_PREFIX}shadow_effective_policy_id` }],
    value: { stringMatch: { prefix: `${PREFIX}-${name}` } },
  };
  return tcp
    ? {
        name: 'envoy.filters.network.ext_authz',
        typedConfig: any('envoy.extensions.filters.network.ext_authz.v3.ExtAuthz', { ...fields, filterEnabledMetadata }),
      }
    : { name: 'envoy.filters.http.ext_authz', typedConfig: any('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz', { ...fields, filterEnabledMetadata }) };
}
