// Findings no text shows: EnvoyFilters that do not reach proxies they select, Gateways without a proxy or a certificate,
// RequestAuthentications without keys.

import { gatewayProxyProblems } from '@weft/mesh-core/config';
import { gatewayApiProblems } from '@weft/mesh-core/translate';
import type { ProxyStatus } from '@weft/mesh-core/api';
import type { MeshObject, Problem } from '@weft/mesh-core/model';

export function deliveryProblems(objects: readonly MeshObject[], proxies: readonly ProxyStatus[], domainSuffix: string): Problem[] {
  const routers = gatewayProxies(proxies);
  return [
    ...gatewayProxyProblems(objects, routers),
    ...gatewayApiProblems(objects, domainSuffix, routers),
    ...filterProblems(proxies),
    ...missingKeyProblems(proxies),
  ];
}

/** Those that are connected. */
export function gatewayProxies(proxies: readonly ProxyStatus[]): { workload: string; namespace: string; labels: Record<string, string> }[] {
  return proxies.flatMap(({ role, state, workload, namespace, labels }) =>
    role === 'router' && state !== 'disconnected' && labels !== undefined ? [{ workload, namespace, labels }] : [],
  );
}

/** One problem per EnvoyFilter and reason. Where Envoy's configuration cannot take the patch it is an error, else a warning. */
function filterProblems(proxies: readonly ProxyStatus[]): Problem[] {
  const groups = new Map<string, { filter: string; reason: string; error: boolean; proxies: string[] }>();
  for (const proxy of proxies)
    for (const { filter, applied, reason = '' } of proxy.envoyFilters ?? []) {
      if (applied || proxy.state === 'disconnected') continue;
      const group = groups.get(`${filter}|${reason}`) ?? { filter, reason, error: proxy.dataPlane === 'envoy', proxies: [] };
      groups.set(`${filter}|${reason}`, group);
      group.proxies.push(`${proxy.workload}.${proxy.namespace}`);
    }
  return [...groups.values()].map(({ filter, reason, error, proxies: names }): Problem => {
    const [kind = '', namespace = '', name = ''] = filter.split('/');
    const path = /^spec\.configPatches\[\d+\]/.exec(reason)?.[0];
    return {
      severity: error ? 'error' : 'warning',
      code: 'WEFT_NOT_APPLIED',
      message: `not applied to ${names.toSorted().join(', ')}: ${path === undefined ? reason : reason.slice(path.length + 2)}`,
      ref: { kind, namespace, name },
      ...(path === undefined ? {} : { path }),
    };
  });
}

/** One problem per rule: every proxy refuses its tokens for the same reason. Where no server is to blame the analysis has told it. */
function missingKeyProblems(proxies: readonly ProxyStatus[]): Problem[] {
  const rules = new Map(
    proxies
      .filter(({ state }) => state !== 'disconnected')
      .flatMap(({ missingKeys = [] }) =>
        missingKeys.filter(({ url }) => url !== undefined).map((missing) => [`${missing.policy} ${missing.rule}`, missing] as const),
      ),
  );
  return [...rules.values()].map(({ policy, rule, reason }): Problem => {
    const [kind = '', namespace = '', name = ''] = policy.split('/');
    return {
      severity: 'error',
      code: 'WEFT_NO_KEYS',
      message: `every token of this issuer is refused, since there are no keys: ${reason}`,
      ref: { kind, namespace, name },
      path: `spec.jwtRules[${rule}]`,
    };
  });
}
