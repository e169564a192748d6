// What only several objects together can tell: dangling references, contradicting rules, weights that do not add up.
// Codes are Kiali's where it has one.

import { DEFAULT_MESH_SETTINGS, type MeshObject, type Problem, atOnce, isSameList, oncePer } from '../model/index.ts';
import { authorizationProblems } from './analyze-authorization.ts';
import { tcpRuleProblems } from './analyze-tcp-rules.ts';
import { destinationRulePairs, destinationRuleProblems } from './analyze-rules.ts';
import { type ConnectedProxy, type Mesh, meshOf } from './analyze-mesh.ts';
import { envoyFilterProblems } from './analyze-envoy-filters.ts';
import { extensionProviderProblems } from './analyze-extension-providers.ts';
import { gatewayConflicts, subsetsPastGateways } from './analyze-gateways.ts';
import { ingressProblems } from './analyze-ingresses.ts';
import { l4RouteProblems } from './analyze-l4-routes.ts';
import { duplicatePeerAuthentications, peerAuthenticationProblems } from './analyze-security.ts';
import { requestAuthenticationProblems } from './analyze-request-authentications.ts';
import { duplicateHosts, virtualServiceProblems } from './analyze-routes.ts';
import { selectorProblems } from './analyze-selectors.ts';
import { namespaceProblems } from './analyze-namespaces.ts';
import { noEffectProblems } from './analyze-no-effect.ts';
import { effectiveSettings } from './mesh-config.ts';
import { meshConfigProblems } from './analyze-mesh-config.ts';
import { sidecarProblems } from './analyze-sidecars.ts';
import { telemetryProblems } from './analyze-telemetry.ts';
import { protocolConflicts, serviceEntryProblems, sharedHosts } from './analyze-service-entries.ts';

export { MESH, exportsOf, gatewayKey, hostIndex, hostMatches, publicity, resolveHost, visible } from './analyze-mesh.ts';

/**
 * Finds {@link analyzeObjects} again and again, in meshes that differ little: what single objects depend on is looked at anew only
 * where it changed. Piece by piece: all of thousands of objects take a tenth of a second.
 */
type Analysis = (objects: readonly MeshObject[], proxies: readonly ConnectedProxy[]) => Generator<void, Problem[]>;

/** Objects a piece. */
const PIECE = 100;

export function createAnalysis(): Analysis {
  let last: Mesh | undefined;
  const found = { virtualService: remembered(), rule: remembered(), alone: remembered() };
  // Of lists that are the same until one of theirs changes.
  const [pairs, hosts, pastGateways] = [oncePer(destinationRulePairs), oncePer(duplicateHosts), oncePer(subsetsPastGateways)];
  return function* analysis(objects, proxies) {
    const mesh = meshOf(objects, proxies, last);
    last = mesh;
    yield;
    // What the looks at one of these read of the mesh.
    const { services, rulesByHost, gateways, entriesOf, workloadsWith } = mesh;
    const ofRoutes = [services, rulesByHost, gateways, entriesOf];
    const ofRules = [services, entriesOf, workloadsWith];
    return [
      ...(yield* inEach(mesh.virtualServices, (vs) => found.virtualService(vs, ofRoutes, () => virtualServiceProblems(vs, mesh)))),
      ...hosts(mesh.virtualServices),
      ...(yield* inEach(mesh.rules, (rule) => found.rule(rule, ofRules, () => destinationRuleProblems(rule, mesh)))),
      ...pairs(mesh.rules),
      ...mesh.policies.flatMap((policy) => peerAuthenticationProblems(policy, mesh)),
      ...duplicatePeerAuthentications(mesh.policies),
      ...mesh.requestAuthentications.flatMap((policy) => requestAuthenticationProblems(policy, mesh)),
      ...mesh.authorizations.flatMap((policy) => [...authorizationProblems(policy, mesh), ...tcpRuleProblems(policy, mesh)]),
      ...extensionProviderProblems(objects, mesh),
      ...pastGateways(mesh.virtualServices),
      ...gatewayConflicts([...gateways.values()], mesh),
      ...ingressProblems(mesh, effectiveSettings(DEFAULT_MESH_SETTINGS, objects)),
      ...mesh.l4Routes.flatMap((route) => l4RouteProblems(route, mesh)),
      ...mesh.serviceEntries.flatMap((entry) => [...serviceEntryProblems(entry), ...sharedHosts(entry, mesh)]),
      ...protocolConflicts(mesh.serviceEntries),
      ...mesh.sidecars.flatMap((sidecar) => sidecarProblems(sidecar, mesh)),
      ...selectorProblems(
        mesh.sidecars.map((object) => ({ object, labels: object.spec.workloadSelector?.labels, path: 'spec.workloadSelector.labels' })),
        { shared: 'IST0110', whole: 'IST0111' },
        mesh,
      ),
      ...selectorProblems(
        mesh.telemetries
          .filter(({ spec }) => spec.targetRef === undefined && (spec.targetRefs ?? []).length === 0)
          .map((object) => ({ object, labels: object.spec.selector?.matchLabels, path: 'spec.selector.matchLabels' })),
        { shared: 'IST0159', whole: 'IST0160' },
        mesh,
      ),
      ...envoyFilterProblems(mesh.envoyFilters),
      ...mesh.telemetries.flatMap(telemetryProblems),
      ...(yield* inEach(objects, (object) => found.alone(object, [], () => noEffectProblems(object)))),
      ...mesh.namespaces.flatMap(namespaceProblems),
      ...(mesh.kinds.get('ConfigMap') ?? []).flatMap(meshConfigProblems),
    ];
  };
}

/** As `flatMap`. */
function* inEach<T>(items: readonly T[], find: (item: T) => readonly Problem[]): Generator<void, Problem[]> {
  const problems: Problem[] = [];
  for (const [i, item] of items.entries()) {
    problems.push(...find(item));
    if ((i + 1) % PIECE === 0) yield;
  }
  return problems;
}

/**
 * Problems between objects, each with the `ref` and field path of the object to change. Objects are taken as valid on their own.
 * `proxies`: those connected; gateways and programs that only call others are in no object.
 */
export function analyzeObjects(objects: readonly MeshObject[], proxies: readonly ConnectedProxy[] = []): Problem[] {
  return atOnce(createAnalysis()(objects, proxies));
}

/** Of single objects, which never change: what was found, and the parts of the mesh it was found with. */
function remembered(): (object: MeshObject, reads: readonly unknown[], find: () => Problem[]) => readonly Problem[] {
  const known = new WeakMap<MeshObject, { reads: readonly unknown[]; problems: readonly Problem[] }>();
  return (object, reads, find) => {
    const before = known.get(object);
    if (before !== undefined && isSameList(before.reads, reads)) return before.problems;
    const found = find();
    const problems = found.length === 0 ? NONE : found;
    known.set(object, { reads, problems });
    return problems;
  };
}

const NONE: readonly Problem[] = [];
