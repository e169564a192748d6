// What is wrong with Gateways and routes of the Gateway API, as findings of the analysis: the conditions of their status, with fields.

import { type MeshObject, type Problem, refOf, unresolved } from '../../model/index.ts';
import type { DestinationRuleSpec } from '../../config/index.ts';
import { backendTlsProblems } from './backend-tls-problems.ts';
import { certificateFaults } from './certificate-faults.ts';
import { CONTROLLER, controllerOf } from './classes.ts';
import type { KubernetesGateway, Listener } from './listeners.ts';
import { parentKind } from './parents.ts';
import { parentFindings, refFindings } from './route-findings.ts';
import { type ConnectedProxy, proxiesOf, unopened } from './status.ts';
import { type AnyRoute, type GatewayWorld, gatewayWorld, keyOf } from './world.ts';

/** `proxies`: gateway proxies that are connected; while none is, they may be about to start. */
export function gatewayApiProblems(objects: readonly MeshObject[], domainSuffix: string, proxies: readonly ConnectedProxy[]): Problem[] {
  const world = gatewayWorld(objects, domainSuffix);
  return [
    ...objects.flatMap((o) => (o.kind === 'KubernetesGateway' && world.foreign.has(keyOf(o)) ? foreign(o as KubernetesGateway, world) : [])),
    ...world.gateways.flatMap((gateway) => gatewayProblems(gateway, world, proxies)),
    ...world.routes.flatMap((route) => routeProblems(route, world)),
    ...backendTlsProblems(world, objects.filter((o) => o.kind === 'DestinationRule') as MeshObject<DestinationRuleSpec>[]),
  ];
}

const told = (object: MeshObject, severity: Problem['severity'], code: string, path: string, message: string): Problem => ({
  ...{ severity, code, path, message },
  ref: refOf(object),
});
/** Another object may yet mend it. */

/** Of a class nobody here looks after: nothing is wrong with the Gateway, but it does nothing. */
function foreign(gateway: KubernetesGateway, { classes }: GatewayWorld): Problem[] {
  const name = gateway.spec.gatewayClassName;
  const controller = controllerOf(name, classes);
  const why =
    controller === undefined
      ? `There is no GatewayClass ${name}: use istio, or make one with controllerName ${CONTROLLER}.`
      : `Class ${name} is looked after by ${controller}, not here.`;
  return [told(gateway, 'warning', 'WEFT_NOT_ACCEPTED', 'spec.gatewayClassName', why)];
}

function gatewayProblems(gateway: KubernetesGateway, world: GatewayWorld, proxies: readonly ConnectedProxy[]): Problem[] {
  const problems = (world.listeners.get(keyOf(gateway)) ?? []).flatMap((listener) => {
    const place = `spec.listeners[${listener.index}]`;
    return [
      ...listener.faults.map((f) => told(gateway, 'error', 'WEFT_NOT_ACCEPTED', `${place}.${f.path}`, `${f.reason}: ${f.message}.`)),
      ...selectsNothing(gateway, listener, place),
      ...certificateFaults(listener, world).map((f) => unresolved(told(gateway, 'error', 'IST0101', `${place}.${f.path}`, `${f.reason}: ${f.message}.`))),
    ];
  });
  if (proxies.length > 0 && proxiesOf(gateway, world, proxies).length === 0)
    problems.push(told(gateway, 'warning', 'IST0101', 'spec.listeners', `The ports of this Gateway are open nowhere: ${unopened(gateway, world)}.`));
  return problems;
}

/** A selector that fits no namespace: the port is open, and no route can bind to it. */
function selectsNothing(gateway: KubernetesGateway, { spec, namespaces }: Listener, place: string): Problem[] {
  if (spec.allowedRoutes?.namespaces?.from !== 'Selector' || namespaces.length > 0) return [];
  const message = 'No namespace has the labels this selects, so no route can bind to the listener: label a Namespace.';
  return [unresolved(told(gateway, 'warning', 'WEFT_SELECTS_NO_NAMESPACE', `${place}.allowedRoutes.namespaces.selector`, message))];
}

function routeProblems(route: AnyRoute, world: GatewayWorld): Problem[] {
  // What they name and is not there is told by config/analyze-l4-routes.
  const layer4 = route.kind === 'TCPRoute' || route.kind === 'TLSRoute';
  const parents = parentFindings(route, world);
  const problems = parents.flatMap(({ index, missing, denied }) => {
    const path = `spec.parentRefs[${index}]`;
    if (missing !== undefined) return layer4 ? [] : [unresolved(told(route, 'error', 'KIA1401', path, `${missing} does not exist.`))];
    if (denied === undefined) return [];
    const refused = told(route, 'error', 'WEFT_NOT_ACCEPTED', path, `${denied.reason}: ${denied.message}.`);
    return [denied.byLabels === true ? unresolved(refused) : refused];
  });
  if (layer4) return problems;
  for (const [i, ref] of (route.spec.parentRefs ?? []).entries())
    if (parentKind(ref) === undefined)
      problems.push(
        told(
          route,
          'warning',
          'WEFT_NOT_ACCEPTED',
          `spec.parentRefs[${i}].kind`,
          `${ref.kind ?? 'Gateway'} of ${ref.group ?? 'this group'} takes no routes here.`,
        ),
      );
  const places = new Set<string>();
  for (const mesh of new Set(parents.map((p) => p.mesh)))
    for (const { reason, message, path } of refFindings(route, mesh, world))
      if (!places.has(path) && places.add(path))
        problems.push(unresolved(told(route, 'error', 'KIA1402', path, `${reason}: ${message}; requests for it are answered 500.`)));
  return problems;
}
