// Where VirtualServices of Gateways lead, as the gateway proxies see it: a host that is exported to the namespace of the VirtualService,
// and not to that of the proxy, is none there.

import { type MeshObject, type Problem, unresolved } from '../model/index.ts';
import type { GatewayProxy } from './analyze-gateway-proxies.ts';
import { MESH, exportsOf, gatewayKey, hostIndex, problem, resolveHost, visible } from './analyze-mesh.ts';
import type { GatewaySpec } from './gateway.ts';
import { matches } from './label-index.ts';
import type { ServiceEntrySpec } from './service-entry.ts';
import type { VirtualServiceSpec } from './virtual-service.ts';

type VirtualService = MeshObject<VirtualServiceSpec>;

interface Offer {
  host: string;
  kind: string;
  namespace: string;
  exportTo: readonly string[] | undefined;
}

export function hiddenDestinations(objects: readonly MeshObject[], gateways: readonly MeshObject<GatewaySpec>[], proxies: readonly GatewayProxy[]): Problem[] {
  const offers = hostIndex(objects.flatMap(offersOf));
  const virtualServices = objects.filter((o) => o.kind === 'VirtualService') as VirtualService[];
  return virtualServices.flatMap((vs) => {
    const { namespace } = vs.metadata;
    const keys = (vs.spec.gateways ?? []).filter((name) => name !== MESH).map((name) => gatewayKey(name, namespace));
    const selecting = gateways.filter((g) => keys.includes(`${g.metadata.namespace}/${g.metadata.name}`));
    const reached = proxies.filter((proxy) => selecting.some((g) => matches(proxy.labels, g.spec.selector)));
    if (reached.length === 0) return [];
    return destinationsOf(vs).flatMap(({ host, path }) => {
      const full = resolveHost(host, namespace);
      const all = offers(full);
      // What not even the VirtualService sees is told there.
      const own = all.find((o) => visible(o.exportTo, o.namespace, namespace));
      const blind = reached.find((proxy) => !all.some((o) => visible(o.exportTo, o.namespace, proxy.namespace)));
      if (own === undefined || blind === undefined) return [];
      const message = `Gateway proxy ${blind.workload}.${blind.namespace} does not see ${full}: ${own.kind} of ${own.namespace} is exported to ${(own.exportTo ?? []).join(', ')}. Requests to it are answered 503; export it to ${blind.namespace}, too.`;
      return [unresolved(problem(vs, 'error', 'KIA1101', path, message))];
    });
  });
}

function offersOf({ kind, metadata, spec }: MeshObject): Offer[] {
  const { name, namespace } = metadata;
  if (kind === 'Service') return [{ host: resolveHost(name, namespace), kind: `Service ${name}`, namespace, exportTo: exportsOf(metadata) }];
  if (kind !== 'ServiceEntry') return [];
  const { hosts, exportTo } = spec as ServiceEntrySpec;
  return hosts.map((host) => ({ host, kind: `ServiceEntry ${name}`, namespace, exportTo }));
}

function destinationsOf({ spec }: VirtualService): { host: string; path: string }[] {
  return (['http', 'tls', 'tcp'] as const).flatMap((protocol) =>
    (spec[protocol] ?? []).flatMap(({ route = [] }, i) =>
      route.map(({ destination }, j) => ({ host: destination.host, path: `spec.${protocol}[${i}].route[${j}].destination.host` })),
    ),
  );
}
