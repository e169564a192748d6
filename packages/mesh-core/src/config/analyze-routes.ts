// VirtualServices against the rest of the mesh: where their routes lead, and which rules can never be reached.

import { type MeshObject, type ObjectRef, type Problem, refOf, unresolved } from '../model/index.ts';
import { hostsInGateway } from './analyze-gateways.ts';
import { matchProblems } from './analyze-matches.ts';
import { MESH, type Mesh, exportsOf, gatewayKey, inFull, problem, resolveHost, visible } from './analyze-mesh.ts';
import type { DestinationSpec, HttpRouteSpec } from './http-route.ts';
import { nearest } from './nearest.ts';
import { durationMs } from './schema-parts.ts';
import type { VirtualServiceSpec } from './virtual-service.ts';

type VirtualService = MeshObject<VirtualServiceSpec>;

export function virtualServiceProblems(vs: VirtualService, mesh: Mesh): Problem[] {
  const problems: Problem[] = [];
  for (const [i, gateway] of (vs.spec.gateways ?? []).entries()) problems.push(...gatewayProblems(vs, gateway, `spec.gateways[${i}]`, mesh));
  for (const [i, rule] of (vs.spec.http ?? []).entries()) {
    const path = `spec.http[${i}]`;
    for (const [j, match] of (rule.match ?? []).entries())
      for (const [k, gateway] of (match.gateways ?? []).entries()) problems.push(...gatewayProblems(vs, gateway, `${path}.match[${j}].gateways[${k}]`, mesh));
    problems.push(...routeProblems(vs, rule.route, `${path}.route`, mesh));
    if (rule.mirror !== undefined) problems.push(...destinationProblems(vs, rule.mirror, `${path}.mirror`, mesh));
    for (const [j, mirror] of (rule.mirrors ?? []).entries())
      problems.push(...destinationProblems(vs, mirror.destination, `${path}.mirrors[${j}].destination`, mesh));
    problems.push(...retryProblems(vs, rule, path));
  }
  for (const kind of ['tls', 'tcp'] as const)
    for (const [i, rule] of (vs.spec[kind] ?? []).entries()) problems.push(...routeProblems(vs, rule.route, `spec.${kind}[${i}].route`, mesh));
  problems.push(...matchProblems(vs));
  return problems;
}

function gatewayProblems(vs: VirtualService, gateway: string, path: string, mesh: Mesh): Problem[] {
  const key = gatewayKey(gateway, vs.metadata.namespace);
  if (key === MESH) return [];
  if (mesh.gateways.has(key)) return path.startsWith('spec.gateways') ? hostsInGateway(vs, key, path, mesh) : [];
  const known = [...mesh.gateways.keys()];
  const use = nearest(gateway, known) ?? known.find((name) => name.endsWith(`/${gateway}`)) ?? (known.length === 1 ? known[0] : undefined);
  return [
    problem(
      vs,
      'error',
      'KIA1102',
      path,
      `Gateway ${gateway} does not exist.${known.length === 0 ? ' Create it, or remove it here.' : ` There is ${known.join(', ')}.`}`,
      use === undefined ? undefined : { label: `Use ${use}`, value: use },
    ),
  ];
}

type Weighted = { destination: DestinationSpec; weight?: number | undefined };
function routeProblems(vs: VirtualService, route: readonly Weighted[] = [], path: string, mesh: Mesh): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const [i, { destination }] of route.entries()) {
    const place = `${path}[${i}].destination`;
    problems.push(...destinationProblems(vs, destination, place, mesh));
    const key = `${resolveHost(destination.host, vs.metadata.namespace)}|${destination.subset ?? ''}|${destination.port?.number ?? ''}`;
    if (seen.has(key))
      problems.push(
        problem(
          vs,
          'warning',
          'KIA1105',
          place,
          `${destination.host}${destination.subset ? ` ${destination.subset}` : ''} is a destination of this route twice. Merge the two and add their weights.`,
        ),
      );
    seen.add(key);
  }
  const sum = route.reduce((total, { weight }) => total + (weight ?? 0), 0);
  if (route.length > 1 && sum !== 100)
    problems.push(problem(vs, 'warning', 'WEFT_WEIGHTS_SUM', path, `The weights add up to ${sum}, not 100; they are taken as shares of ${sum}.`));
  return problems;
}

function destinationProblems(vs: VirtualService, destination: DestinationSpec, path: string, mesh: Mesh): Problem[] {
  const host = resolveHost(destination.host, vs.metadata.namespace);
  const there = mesh.services.get(host);
  const service = there !== undefined && seenByClients(vs, exportsOf(there.metadata), there.metadata.namespace) ? there : undefined;
  const ports = service?.spec.ports.map((p) => p.port) ?? entryPorts(vs, host, mesh);
  if (ports === undefined && there !== undefined) {
    const { namespace } = there.metadata;
    const message = `Service ${inFull(destination.host, host)} is not exported to ${clientsOf(vs).join(', ')}: requests are answered 503. Its annotation networking.istio.io/exportTo, of namespace ${namespace}, says whom it is for.`;
    return [unresolved(problem(vs, 'error', 'KIA1101', `${path}.host`, message))];
  }
  if (ports === undefined) {
    const names = [...mesh.services.values()].map((s) =>
      s.metadata.namespace === vs.metadata.namespace ? s.metadata.name : resolveHost(s.metadata.name, s.metadata.namespace),
    );
    const use = nearest(destination.host, names) ?? [...mesh.services].find(([, s]) => s.metadata.name === destination.host)?.[0];
    const ofRule =
      destination.subset && mesh.rulesByHost.has(host) ? subsetProblems(vs, destination.host, destination.subset, host, `${path}.subset`, mesh) : [];
    return [
      ...ofRule,
      unresolved(
        problem(
          vs,
          'error',
          'KIA1101',
          `${path}.host`,
          `No Service has the host ${inFull(destination.host, host)}.${use === undefined ? '' : ` There is ${use}.`}`,
          use === undefined ? undefined : { label: `Use ${use}`, value: use },
        ),
      ),
    ];
  }
  const problems: Problem[] = [];
  const port = destination.port?.number;
  if (port !== undefined && !ports.includes(port))
    problems.push(
      problem(
        vs,
        'error',
        'KIA1101',
        `${path}.port.number`,
        `${service === undefined ? 'ServiceEntry' : 'Service'} ${destination.host} has no port ${port}. It has ${ports.join(', ')}.`,
        {
          label: `Use ${ports[0]}`,
          value: ports[0],
        },
      ),
    );
  if (port === undefined && ports.length > 1)
    problems.push(
      problem(
        vs,
        'warning',
        'IST0112',
        path,
        `${destination.host} has the ports ${ports.join(', ')} and none is named: it is the port the request came to, wherever that is. Name one.`,
        { label: `Use port ${ports[0]}`, value: { ...destination, port: { number: ports[0] } } },
      ),
    );
  if (destination.subset) problems.push(...subsetProblems(vs, destination.host, destination.subset, host, `${path}.subset`, mesh));
  return problems;
}

/** Where the VirtualService counts. */
function clientsOf({ spec: { exportTo = [] }, metadata: { namespace } }: VirtualService): readonly string[] {
  return exportTo.length === 0 ? [namespace] : exportTo.map((e) => (e === '.' ? namespace : e));
}

function seenByClients(vs: VirtualService, exportTo: readonly string[] | undefined, owner: string): boolean {
  return clientsOf(vs).some((client) => visible(exportTo, owner, client));
}

/** Ports of the ServiceEntry with a host, as far as it may be seen where the VirtualService counts. */
function entryPorts(vs: VirtualService, host: string, { entriesOf }: Mesh): readonly number[] | undefined {
  return entriesOf(host).find((entry) => seenByClients(vs, entry.exportTo, entry.namespace))?.ports;
}

function subsetProblems(vs: VirtualService, shownHost: string, subset: string, host: string, path: string, mesh: Mesh): Problem[] {
  const rules = mesh.rulesByHost.get(host) ?? [];
  const known = [...new Set(rules.flatMap((r) => r.spec.subsets ?? []).map((s) => s.name))];
  if (known.includes(subset)) return [];
  if (known.length === 0)
    return [
      unresolved(
        problem(vs, 'error', 'KIA1107', path, `No DestinationRule for ${shownHost} has subsets, so ${subset} means nothing. Create one, or remove the subset.`),
      ),
    ];
  const use = nearest(subset, known.toReversed()) ?? known.at(-1);
  return [
    problem(vs, 'error', 'KIA1107', path, `DestinationRule ${rules[0]?.metadata.name ?? shownHost} has no subset ${subset}. It has ${known.join(', ')}.`, {
      label: `Use ${use}`,
      value: use,
    }),
  ];
}

function retryProblems(vs: VirtualService, rule: HttpRouteSpec, path: string): Problem[] {
  const timeout = durationMs(rule.timeout ?? '') ?? 0;
  const perTry = durationMs(rule.retries?.perTryTimeout ?? '') ?? 0;
  const attempts = rule.retries?.attempts ?? 2;
  if (timeout === 0 || attempts * perTry <= timeout) return [];
  const fit = Math.floor(timeout / attempts);
  const message = `${attempts} attempts of ${rule.retries?.perTryTimeout} are longer than the ${rule.timeout} timeout.`;
  return [
    problem(
      vs,
      'warning',
      'WEFT_RETRY_EXCEEDS_TIMEOUT',
      `${path}.retries.perTryTimeout`,
      message,
      fit < 1 ? undefined : { label: `Set ${fit}ms`, value: `${fit}ms` },
    ),
  ];
}

/** `all` is oldest first: for sidecars the oldest VirtualService of a host is the one in force. */
export function duplicateHosts(all: readonly VirtualService[]): Problem[] {
  const first = new Map<string, ObjectRef>();
  const problems: Problem[] = [];
  for (const vs of all) {
    if (vs.spec.gateways !== undefined && vs.spec.gateways.length > 0 && !vs.spec.gateways.includes('mesh')) continue;
    for (const [i, name] of (vs.spec.hosts ?? []).entries()) {
      const host = resolveHost(name, vs.metadata.namespace);
      const other = first.get(host);
      if (other === undefined) first.set(host, refOf(vs));
      else
        problems.push(
          problem(
            vs,
            'warning',
            'KIA1106',
            `spec.hosts[${i}]`,
            `VirtualService ${other.namespace}/${other.name} is for ${host} too; the older one wins and this one is not used for it.`,
          ),
        );
    }
  }
  return problems;
}
