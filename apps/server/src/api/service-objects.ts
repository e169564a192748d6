// The configuration objects that have to do with one service, and how.

import type { ServiceObject } from '@weft/mesh-core/api';
import { MESH, hostMatches, resolveHost } from '@weft/mesh-core/config';
import { type MeshObject, refOf } from '@weft/mesh-core/model';
import { labelsOf, selects } from './split.ts';

interface Named {
  name?: string;
  kind?: string;
  namespace?: string;
}
interface HttpApiRoute {
  parentRefs?: Named[];
  rules?: { backendRefs?: Named[] }[];
}
const ROUTE_KINDS = new Set(['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute']);
const POLICY_KINDS = new Set(['PeerAuthentication', 'RequestAuthentication', 'AuthorizationPolicy', 'Telemetry', 'Sidecar', 'EnvoyFilter']);

/** Each object once, by its closest relation, in the order it is stored. */
export function objectsOfService(
  objects: readonly MeshObject[],
  namespace: string,
  name: string,
  domainSuffix: string,
  rootNamespace = 'istio-system',
): Pick<ServiceObject, 'ref' | 'role'>[] {
  const host = resolveHost(name, namespace, domainSuffix);
  const service = objects.find((o) => o.kind === 'Service' && o.metadata.namespace === namespace && o.metadata.name === name);
  const selector = (service?.spec as { selector?: Record<string, string> } | undefined)?.selector ?? {};
  const workloads = objects.filter((o) => o.kind === 'WorkloadEntry' && o.metadata.namespace === namespace && selects(selector, labelsOf(o)));
  const roleOf = (object: MeshObject): ServiceObject['role'] | undefined => {
    const home = object.metadata.namespace;
    const is = (written: string | undefined): boolean => written !== undefined && hostMatches(resolveHost(written, home, domainSuffix), host);
    const isService = (ref: Named): boolean => (ref.kind ?? 'Service') === 'Service' && ref.name === name && (ref.namespace ?? home) === namespace;
    if (object === service) return 'self';
    if (workloads.includes(object)) return 'endpoint';
    if (object.kind === 'VirtualService') {
      const { hosts = [], gateways = [MESH] } = object.spec as { hosts?: string[]; gateways?: string[] };
      return gateways.includes(MESH) && hosts.some(is) ? 'routes' : destinationsOf(object.spec).some(is) ? 'sends' : undefined;
    }
    if (object.kind === 'DestinationRule') return is((object.spec as { host?: string }).host) ? 'policy' : undefined;
    if (ROUTE_KINDS.has(object.kind)) {
      const { parentRefs = [], rules = [] } = object.spec as HttpApiRoute;
      if (parentRefs.some((p) => p.kind === 'Service' && isService(p))) return 'routes';
      return rules.some((r) => (r.backendRefs ?? []).some(isService)) ? 'sends' : undefined;
    }
    if (object.kind === 'Ingress') return JSON.stringify(object.spec).includes(`"service":{"name":"${name}"`) && home === namespace ? 'sends' : undefined;
    if (!POLICY_KINDS.has(object.kind) || (home !== namespace && home !== rootNamespace)) return undefined;
    const spec = object.spec as {
      selector?: { matchLabels?: Record<string, string> };
      workloadSelector?: { labels?: Record<string, string> };
      targetRefs?: Named[];
    };
    if ((spec.targetRefs ?? []).length > 0) return undefined;
    const wanted = spec.selector?.matchLabels ?? spec.workloadSelector?.labels ?? {};
    return Object.keys(wanted).length === 0 || workloads.some((w) => selects(wanted, labelsOf(w))) ? 'policy' : undefined;
  };
  return objects.flatMap((object) => {
    const role = roleOf(object);
    return role === undefined ? [] : [{ ref: refOf(object), role }];
  });
}

/** Hosts a VirtualService sends to, mirrors included. */
function destinationsOf(spec: unknown): string[] {
  const hosts: string[] = [];
  const walk = (value: unknown, key: string): void => {
    if (Array.isArray(value)) value.forEach((item) => walk(item, key));
    else if (typeof value === 'object' && value !== null) {
      const { host } = value as { host?: unknown };
      if ((key === 'destination' || key === 'mirror') && typeof host === 'string') hosts.push(host);
      for (const [name, part] of Object.entries(value)) walk(part, name);
    }
  };
  walk(spec, '');
  return hosts;
}
