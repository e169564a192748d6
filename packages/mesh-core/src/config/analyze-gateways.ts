// Gateways against each other, and against the VirtualServices bound to them.

import type { MeshObject, Problem } from '../model/index.ts';
import { MESH, type Mesh, hostMatches, problem, resolveHost } from './analyze-mesh.ts';
import type { GatewaySpec } from './gateway.ts';
import type { VirtualServiceSpec } from './virtual-service.ts';
import { matches } from './label-index.ts';

type Gateway = MeshObject<GatewaySpec>;
type VirtualService = MeshObject<VirtualServiceSpec>;

/** Two Gateways for the same proxies that claim a host on the same port and address. */
export function gatewayConflicts(gateways: readonly Gateway[], { workloads }: Mesh): Problem[] {
  const together = (a: Gateway, b: Gateway): boolean => {
    const [one, other] = [a.spec.selector ?? {}, b.spec.selector ?? {}];
    if (matches(one, other) && matches(other, one)) return true;
    return (matches(one, other) || matches(other, one)) && workloads.some((w) => matches(w.spec.labels, one) && matches(w.spec.labels, other));
  };
  return gateways.flatMap((gateway) =>
    gateway.spec.servers.flatMap((server, i) => {
      const rivals = gateways.filter(
        (other) =>
          other !== gateway &&
          together(gateway, other) &&
          other.spec.servers.some(
            (s) => s.port.number === server.port.number && (s.bind ?? '') === (server.bind ?? '') && s.hosts.some((host) => server.hosts.includes(host)),
          ),
      );
      if (rivals.length === 0) return [];
      const names = rivals.map((r) => `${r.metadata.namespace}/${r.metadata.name}`).join(', ');
      return [
        problem(gateway, 'error', 'IST0145', `spec.servers[${i}]`, `Gateway ${names} has port ${server.port.number} with the same hosts for the same proxies.`),
      ];
    }),
  );
}

/** A VirtualService bound to a Gateway that serves none of its hosts. `key` is `<namespace>/<name>` of the Gateway. */
export function hostsInGateway(vs: VirtualService, key: string, path: string, { gateways }: Mesh): Problem[] {
  const gateway = gateways.get(key);
  const hosts = (gateway?.spec.servers ?? []).flatMap((server) =>
    server.hosts
      .filter((host) => {
        const scope = host.includes('/') ? host.slice(0, host.indexOf('/')) : '*';
        return scope === '*' || vs.metadata.namespace === (scope === '.' ? gateway?.metadata.namespace : scope);
      })
      .map((host) => host.slice(host.indexOf('/') + 1)),
  );
  if ((vs.spec.hosts ?? []).some((host) => hosts.some((served) => hostMatches(served, host)))) return [];
  const list = (vs.spec.hosts ?? []).join(', ');
  return [problem(vs, 'warning', 'IST0132', path, `Gateway ${key} serves none of the hosts ${list} for namespace ${vs.metadata.namespace}.`)];
}

/** A subset that another VirtualService chooses for sidecars, while this one takes the whole service in from a gateway. */
export function subsetsPastGateways(all: readonly VirtualService[]): Problem[] {
  const bound = all.filter((vs) => (vs.spec.gateways?.length ?? 0) > 0);
  if (bound.length === 0) return [];
  const chosen = new Map<string, string>();
  for (const { spec, metadata } of all) {
    if (!(spec.gateways ?? [MESH]).includes(MESH)) continue;
    const full = (host: string): string => resolveHost(host, metadata.namespace);
    const hosts = new Set((spec.hosts ?? []).map(full));
    for (const { destination } of (spec.http ?? []).flatMap((rule) => rule.route ?? []))
      if (destination.subset && hosts.has(full(destination.host))) chosen.set(full(destination.host), `${metadata.namespace}/${metadata.name}`);
  }
  return bound.flatMap((vs) =>
    (vs.spec.http ?? []).flatMap((rule, i) =>
      (rule.route ?? []).flatMap(({ destination }, j) => {
        const other = chosen.get(resolveHost(destination.host, vs.metadata.namespace));
        if (destination.subset || other === undefined) return [];
        const message = `The subsets VirtualService ${other} chooses for ${destination.host} do not count for requests from this gateway. Choose them here.`;
        return [problem(vs, 'warning', 'IST0140', `spec.http[${i}].route[${j}].destination`, message)];
      }),
    ),
  );
}
