// Status of the Gateway API's objects, worked out when it is asked for: what is wrong in the words of its conditions.

import type { MeshObject } from '../../model/index.ts';
import type { BackendTlsPolicy } from './backend-tls.ts';
import { backendTlsStatus } from './backend-tls-status.ts';
import { certificateFaults } from './certificate-faults.ts';
import { CONTROLLER, controllerOf } from './classes.ts';
import { isManaged, selectorsOf, serviceHosts } from './gateways.ts';
import { matches } from '../../config/index.ts';
import type { Fault, KubernetesGateway, Listener } from './listeners.ts';
import { attachmentsOf } from './parents.ts';
import { parentFindings, refFindings } from './route-findings.ts';
import { type AnyRoute, type GatewayWorld, keyOf } from './world.ts';

/** A gateway proxy that is connected. */
export interface ConnectedProxy {
  namespace: string;
  labels: Readonly<Record<string, string>>;
}

export interface Condition {
  type: string;
  status: 'True' | 'False';
  reason: string;
  message: string;
  observedGeneration: number;
  lastTransitionTime: string;
}

const GROUP = 'gateway.networking.k8s.io';

/** Undefined for objects of other kinds, and for those somebody else looks after. */
export function gatewayApiStatus(object: MeshObject, world: GatewayWorld, proxies: readonly ConnectedProxy[]): object | undefined {
  switch (object.kind) {
    case 'GatewayClass':
      return controllerOf(object.metadata.name, world.classes) === CONTROLLER
        ? { conditions: [condition(object, 'Accepted', true, 'Accepted', 'Handled by Weft')] }
        : undefined;
    case 'KubernetesGateway':
      return world.foreign.has(keyOf(object)) ? undefined : gatewayStatus(object as KubernetesGateway, world, proxies);
    case 'HTTPRoute':
    case 'GRPCRoute':
    case 'TCPRoute':
    case 'TLSRoute':
      return routeStatus(object as AnyRoute, world);
    case 'BackendTLSPolicy':
      return backendTlsStatus(object as BackendTlsPolicy, world, condition);
    default:
      return undefined;
  }
}

function condition({ metadata }: MeshObject, type: string, good: boolean, reason: string, message: string): Condition {
  return {
    ...{ type, status: good ? 'True' : 'False', reason, message },
    observedGeneration: metadata.generation ?? 1,
    lastTransitionTime: metadata.creationTimestamp ?? '1970-01-01T00:00:00Z',
  };
}

function gatewayStatus(gateway: KubernetesGateway, world: GatewayWorld, proxies: readonly ConnectedProxy[]): object {
  const listeners = world.listeners.get(keyOf(gateway)) ?? [];
  const attached = new Map<string, number>();
  for (const route of world.routes)
    for (const key of new Set(attachmentsOf(route, route.kind, world.listeners).flatMap((a) => (a.denied === undefined ? [a.listener.key] : []))))
      attached.set(key, (attached.get(key) ?? 0) + 1);
  const faulty = listeners.filter((l) => !l.open);
  const accepted =
    faulty.length === 0
      ? condition(gateway, 'Accepted', true, 'Accepted', 'Resource accepted')
      : faulty.length === listeners.length
        ? condition(gateway, 'Accepted', false, 'ListenersNotValid', "None of the Gateway's listeners are valid")
        : condition(gateway, 'Accepted', true, 'ListenersNotValid', "One or more of the Gateway's listeners are invalid");
  const opened = proxiesOf(gateway, world, proxies).length > 0;
  return {
    ...(opened ? { addresses: [{ type: 'IPAddress', value: '127.0.0.1' }] } : {}),
    conditions: [
      accepted,
      opened
        ? condition(gateway, 'Programmed', true, 'Programmed', 'Resource programmed')
        : condition(gateway, 'Programmed', false, 'AddressNotAssigned', unopened(gateway, world)),
    ],
    listeners: listeners.map((listener) => listenerStatus(listener, attached.get(listener.key) ?? 0, world)),
  };
}

export function proxiesOf(gateway: KubernetesGateway, { services, domainSuffix }: GatewayWorld, proxies: readonly ConnectedProxy[]): readonly ConnectedProxy[] {
  const selectors = selectorsOf(gateway, services, domainSuffix);
  return proxies.filter((p) => p.namespace === gateway.metadata.namespace && selectors.some((selector) => matches(p.labels, selector)));
}

/** Why no proxy opens a Gateway, and what to do. */
export function unopened(gateway: KubernetesGateway, { services, domainSuffix }: GatewayWorld): string {
  const { name, namespace } = gateway.metadata;
  if (isManaged(gateway.spec)) return `no gateway proxy of this name is connected: start one by weft gateway --gateway ${name} --namespace ${namespace}`;
  const hosts = serviceHosts(gateway.spec, namespace, domainSuffix);
  if (hosts.length === 0) return 'only addresses of type Hostname, or one IPAddress, are supported';
  return selectorsOf(gateway, services, domainSuffix).length === 0
    ? `no Service of namespace ${namespace} with a selector is ${hosts.join(', ')}`
    : `no gateway proxy behind ${hosts.join(', ')} is connected`;
}

function listenerStatus(listener: Listener, attachedRoutes: number, world: GatewayWorld): object {
  const faults = [...listener.faults, ...certificateFaults(listener, world)];
  const of = (type: Fault['condition']): Fault | undefined => faults.find((f) => f.condition === type);
  const tell = (type: Fault['condition'], reason: string): Condition => {
    const fault = of(type);
    return condition(listener.gateway, type, fault === undefined, fault?.reason ?? reason, fault?.message ?? 'No errors found');
  };
  const conflict = of('Conflicted');
  const bad = conflict ?? of('Accepted');
  const unprogrammed = bad ?? (of('ResolvedRefs')?.path.startsWith('tls') === true ? { reason: 'Invalid', message: 'Bad TLS configuration' } : undefined);
  return {
    name: listener.spec.name,
    attachedRoutes,
    supportedKinds: listener.kinds.map((kind) => ({ group: GROUP, kind })),
    conditions: [
      condition(listener.gateway, 'Accepted', bad === undefined, bad?.reason ?? 'Accepted', bad?.message ?? 'No errors found'),
      condition(listener.gateway, 'Conflicted', conflict !== undefined, conflict?.reason ?? 'NoConflicts', conflict?.message ?? 'No errors found'),
      condition(listener.gateway, 'Programmed', unprogrammed === undefined, unprogrammed?.reason ?? 'Programmed', unprogrammed?.message ?? 'No errors found'),
      tell('ResolvedRefs', 'ResolvedRefs'),
    ],
  };
}

function routeStatus(route: AnyRoute, world: GatewayWorld): object {
  return {
    parents: parentFindings(route, world)
      .filter((p) => p.mesh || p.missing === undefined)
      .map(({ ref, bound, denied, mesh }) => {
        const bad = refFindings(route, mesh, world).at(-1);
        return {
          parentRef: ref,
          controllerName: CONTROLLER,
          conditions: [
            condition(
              ...([route, 'Accepted', denied === undefined, denied?.reason ?? 'Accepted'] as const),
              denied?.message ?? (bound > 1 ? `Route was valid, bound to ${bound} parents` : 'Route was valid'),
            ),
            condition(route, 'ResolvedRefs', bad === undefined, bad?.reason ?? 'ResolvedRefs', bad?.message ?? 'All references resolved'),
          ],
        };
      }),
  };
}
