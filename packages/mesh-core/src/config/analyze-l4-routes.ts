// TCPRoutes and TLSRoutes against the rest of the mesh: what they attach to, and where they lead.

import { type MeshObject, type Problem, unresolved } from '../model/index.ts';
import { type Mesh, problem, resolveHost } from './analyze-mesh.ts';
import type { TcpRouteSpec, TlsRouteSpec } from './l4-route.ts';
import { nearest } from './nearest.ts';

type Route = MeshObject<TcpRouteSpec | TlsRouteSpec>;
type ParentRef = NonNullable<TcpRouteSpec['parentRefs']>[number];
type BackendRef = TcpRouteSpec['rules'][number]['backendRefs'][number];

const GROUP = 'gateway.networking.k8s.io';

export function l4RouteProblems(route: Route, mesh: Mesh): Problem[] {
  const { parentRefs = [], rules } = route.spec;
  return [
    ...(parentRefs.length === 0
      ? [problem(route, 'warning', 'WEFT_NO_PARENT', 'spec.parentRefs', 'The route is attached to nothing: name a Service or a Gateway.')]
      : []),
    ...parentRefs.flatMap((ref, i) => parentProblem(route, ref, `spec.parentRefs[${i}]`, mesh) ?? []),
    ...rules.flatMap(({ backendRefs }, i) => backendRefs.flatMap((ref, j) => backendProblem(route, ref, `spec.rules[${i}].backendRefs[${j}]`, mesh) ?? [])),
  ];
}

function parentProblem(route: Route, { group = GROUP, kind = 'Gateway', ...ref }: ParentRef, path: string, mesh: Mesh): Problem | undefined {
  const { name, namespace = route.metadata.namespace, port } = ref;
  const missing = (what: string): Problem =>
    unresolved(problem(route, 'error', 'KIA1401', `${path}.name`, `There is no ${what} ${name} in ${namespace}: the route is attached to nothing.`));
  if (group === GROUP && kind === 'Gateway') return mesh.listenerGateways.has(`${namespace}/${name}`) ? undefined : missing('Gateway');
  if (group === 'networking.istio.io' && kind === 'ServiceEntry')
    return mesh.serviceEntries.some((e) => e.metadata.namespace === namespace && e.metadata.name === name) ? undefined : missing('ServiceEntry');
  if (group !== '' || kind !== 'Service')
    return problem(route, 'info', 'WEFT_NO_EFFECT', path, `Has no effect here: a ${kind} is looked after by somebody else.`);
  const service = mesh.services.get(resolveHost(name, namespace));
  if (service === undefined) return missing('Service');
  if (port === undefined || service.spec.ports.some((p) => p.port === port)) return undefined;
  const has = service.spec.ports.map((p) => p.port).join(', ');
  return unresolved(
    problem(route, 'error', 'KIA1401', `${path}.port`, `Service ${name} has no port ${port}: the route is attached to nothing. It has ${has}.`),
  );
}

function backendProblem(route: Route, { group = '', kind = 'Service', ...ref }: BackendRef, path: string, mesh: Mesh): Problem | undefined {
  const { name, namespace = route.metadata.namespace, port } = ref;
  const told = (place: string, message: string, use?: string): Problem =>
    unresolved(problem(route, 'error', 'KIA1402', place, message, use === undefined ? undefined : { label: `Use ${use}`, value: use }));
  if (group === 'networking.istio.io' && kind === 'Hostname') {
    const known = mesh.services.has(name) || mesh.entriesOf(name).length > 0;
    return known ? undefined : told(`${path}.name`, `No Service or ServiceEntry has the host ${name}: connections to it end at once.`);
  }
  if (group !== '' || kind !== 'Service')
    return problem(
      route,
      'error',
      'KIA1402',
      path,
      `Connections cannot go to a ${kind}${group === '' ? '' : ` of ${group}`}: they end at once. Name a Service.`,
    );
  const service = mesh.services.get(resolveHost(name, namespace));
  if (service === undefined) {
    const use = nearest(
      name,
      [...mesh.services.values()].filter((s) => s.metadata.namespace === namespace).map((s) => s.metadata.name),
    );
    return told(
      `${path}.name`,
      `There is no Service ${name} in ${namespace}: connections to it end at once.${use === undefined ? '' : ` There is ${use}.`}`,
      use,
    );
  }
  if (service.spec.ports.some((p) => p.port === port)) return undefined;
  const has = service.spec.ports.map((p) => p.port).join(', ');
  return told(`${path}.port`, `Service ${name} has no port ${port}: connections to it end at once. It has ${has}.`);
}
