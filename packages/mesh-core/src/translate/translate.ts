// Everything one proxy is told, as encoded resources.

import type { JsonObject } from '@bufbuild/protobuf';
import { type MeshSettings, type ProxyNode, refKey, refOf, spiffeId, isSameList } from '../model/index.ts';
import { type Resource, type ResourceSet, LayeredView, ListView, type TypeUrl, TYPE_URL, type View } from '../xds/index.ts';
import { serviceClusters } from './clusters.ts';
import { contentHash, encodeFields, encodeResource, withFields } from './encode.ts';
import { credentialSecrets } from './credentials.ts';
import { egressPorts } from './egress-listeners.ts';
import { type FilterOutcome, applyEnvoyFilters } from './envoy-filter/apply.ts';
import { envoyFiltersFor } from './envoy-filter/select.ts';
import { credentialsOf, gatewayPorts, sniClusters } from './gateways.ts';
import { inboundListener } from './inbound-listeners.ts';
import { inboundPorts } from './inbound-ports.ts';
import { type MissingKeys, missingKeys } from './key-sets.ts';
import { apiListener, hostListener, upstreamListener } from './listeners.ts';
import { type Entry, type Memo, constant, once, onceEntry, onceEntryFor, onceFor, still } from './memo.ts';
import { type Mesh, type MeshService, serviceOf } from './mesh.ts';
import { ownClusters } from './own-clusters.ts';
import { visibleService, visibleServices } from './sidecar-scope.ts';
import { peerHeader } from './peer-header.ts';
import { requestAuthenticationsFor } from './request-authentication.ts';
import { hostRouteConfig, serviceRouteConfig } from './routes.ts';
import { type TelemetryMode, telemetryMode } from './request-counting.ts';
import { withTcpTelemetry } from './tcp-telemetry.ts';

const classes = new WeakMap<ProxyNode, string>();

/** Proxies of one class get the same resources. */
export function proxyClass(node: ProxyNode): string {
  let name = classes.get(node);
  if (name === undefined) classes.set(node, (name = classOf(node)));
  return name;
}

function classOf(node: ProxyNode): string {
  return JSON.stringify([
    node.role,
    node.dataPlane,
    node.version,
    node.telemetry,
    node.namespace,
    node.workload,
    spiffeId(node.identity),
    Object.entries(node.labels).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    node.locality,
    node.ip,
    node.httpProxyPort,
    node.inbound,
    node.upstreams,
  ]);
}

/** What EnvoyFilters made of a set. */
interface Filtered {
  set: ResourceSet;
  filters: readonly unknown[];
  gateways: Mesh['gateways'];
  result: { resources: ResourceSet; outcomes: readonly FilterOutcome[] };
}

/** Translates for one proxy (of a class). Its own certificate is not part of it: that comes from the certificate authority. */
export function translate(mesh: Mesh, node: ProxyNode, settings: MeshSettings): ResourceSet {
  return translated(mesh, node, settings).resources;
}

/** What became of the EnvoyFilters that select a proxy: other data planes than Envoy's own do not apply them. */
export function envoyFilterOutcomes(mesh: Mesh, node: ProxyNode, settings: MeshSettings): readonly FilterOutcome[] {
  if (node.dataPlane === 'envoy') return translated(mesh, node, settings).outcomes;
  return envoyFiltersFor(mesh, node).map((filter) => ({ filter: refKey(refOf(filter)), applied: false, reason: 'EnvoyFilter patches stock Envoy only' }));
}

interface ProxyFacts {
  telemetry: TelemetryMode;
  labels: Record<string, string>;
  envoyFilters?: FilterOutcome[];
  missingKeys?: MissingKeys[];
}

/** What a proxy's status says about how it was translated for. */
export function proxyFacts(mesh: Mesh, node: ProxyNode, settings: MeshSettings): ProxyFacts {
  const outcomes = envoyFilterOutcomes(mesh, node, settings);
  const missing = missingKeys(mesh, requestAuthenticationsFor(mesh, node));
  return {
    telemetry: telemetryMode(node),
    labels: { ...node.labels },
    ...(outcomes.length === 0 ? {} : { envoyFilters: [...outcomes] }),
    ...(missing.length === 0 ? {} : { missingKeys: missing }),
  };
}

function translated(mesh: Mesh, node: ProxyNode, settings: MeshSettings): Filtered['result'] {
  const set = unfiltered(mesh, node, settings);
  if (node.dataPlane !== 'envoy') return { resources: set, outcomes: [] };
  const filters = envoyFiltersFor(mesh, node);
  if (filters.length === 0) return { resources: set, outcomes: [] };
  const key = classFor(mesh, node).keys.filters;
  const { gateways } = mesh;
  const before = mesh.memo.recall<Filtered>(key);
  if (before?.set === set && before.gateways === gateways && isSameList(before.filters, filters)) return before.result;
  const result = applyEnvoyFilters(mesh, node, set);
  mesh.memo.remember(key, { set, filters, gateways, result } satisfies Filtered);
  return result;
}

/** What is kept of a class of proxies. */
interface ProxyClass {
  keys: { base: string; parts: string; special: string; own: string; filters: string };
  given?: Given;
}

/** What a class was given last, and what it was made of. */
interface Given {
  base: Entry<Mesh, Base>;
  bodies: readonly Entry<Mesh, Resource>[];
  routes: readonly Resource[];
  set: ResourceSet;
}

/** All but the bodies of its routes. */
interface Base {
  parts: Parts;
  shared: { clusters: View; endpoints: View };
  special: { secrets: View; clusters: View; endpoints: View };
  own: { peer: Uint8Array; hashOfPeer: string; clusters: View };
}

interface Parts {
  listeners: View;
  routes: readonly RoutePart[];
}

/** One that proxies share: what depends on who asks is read from the node `make` is given. Or a class's own, already made. */
type RoutePart = { key: string; make: (mesh: Mesh, node: ProxyNode) => JsonObject } | { body: Entry<Mesh, Resource> };

let classCount = 0;

/** Its keys are numbered, as the class's name is long; not hashed, as clients write most of it and must not get what is another's. */
function classFor({ memo }: Mesh, node: ProxyNode): ProxyClass {
  const name = proxyClass(node);
  let known = memo.recall<ProxyClass>(name);
  if (known === undefined) {
    classCount += 1;
    const base = `class ${classCount}`;
    known = { keys: { base, parts: `${base}|parts`, special: `${base}|special`, own: `${base}|own`, filters: `${base}|envoy filters` } };
    memo.remember(name, known);
  }
  return known;
}

/** Before EnvoyFilters. A thousand classes ask with every edit: what it leaves on the heap decides how often that is collected. */
function unfiltered(mesh: Mesh, node: ProxyNode, settings: MeshSettings): ResourceSet {
  const known = classFor(mesh, node);
  const { given } = known;
  // What it was given last is asked whether it is still so before anything is looked for: most of it is.
  const base = still(mesh, given?.base) ?? baseOf(mesh, node, settings, known);
  const { parts, shared, special, own } = base.value;
  const last = given?.base.value;
  const before = last?.parts === parts ? given?.bodies : undefined;
  const bodies = revised(before, parts.routes, (part, i) => still(mesh, before?.[i]) ?? bodyOf(mesh, node, part));
  if (given?.base === base && given.bodies === bodies) return given.set;
  // The routes are the same for many proxies; who the proxy is stands behind them.
  const routes = revised(
    given?.routes,
    bodies,
    ({ value: body }, i) => (given?.bodies[i]?.value === body ? given.routes[i] : undefined) ?? withFields(body, own.peer, own.hashOfPeer),
  );
  const sameClusters = last?.shared === shared && last.special === special && last.own === own;
  const set: ResourceSet = {
    [TYPE_URL.listener]: parts.listeners,
    [TYPE_URL.route]: routes === given?.routes ? given.set[TYPE_URL.route] : new ListView(routes, given?.set[TYPE_URL.route]),
    [TYPE_URL.cluster]: given !== undefined && sameClusters ? given.set[TYPE_URL.cluster] : new LayeredView([own.clusters, special.clusters, shared.clusters]),
    [TYPE_URL.endpoint]: special.endpoints.size === 0 ? shared.endpoints : new LayeredView([special.endpoints, shared.endpoints]),
    [TYPE_URL.secret]: special.secrets,
  };
  known.given = { base, bodies, routes, set };
  return set;
}

function baseOf(mesh: Mesh, node: ProxyNode, settings: MeshSettings, { keys }: ProxyClass): Entry<Mesh, Base> {
  const encode = encodeIn(mesh);
  return onceEntry(mesh, keys.base, () => ({
    parts: once(mesh, keys.parts, () => partsOf(mesh, node, encode)),
    shared: sharedClusters(mesh, node, encode),
    special: once(mesh, keys.special, () => specialOf(mesh, node, encode)),
    own: once(mesh, keys.own, () => ownOf(mesh, node, settings, encode)),
  }));
}

function bodyOf(mesh: Mesh, node: ProxyNode, part: RoutePart): Entry<Mesh, Resource> {
  return 'body' in part ? part.body : onceEntryFor(mesh, part.key, node, (n) => encodeIn(mesh)(TYPE_URL.route, part.make(mesh, n)));
}

/** What each of `from` makes: the old list when that is all the same, else one of its length and kind. Lists of `map` are of another kind once it is compiled. */
function revised<F, T>(old: readonly T[] | undefined, from: readonly F[], element: (of: F, i: number) => T): readonly T[] {
  if (old?.length !== from.length) {
    const made: T[] = [];
    for (const [i, of] of from.entries()) made.push(element(of, i));
    return made;
  }
  let copy: T[] | undefined;
  for (let i = 0; i < from.length; i += 1) {
    const now = element(from[i] as F, i);
    if (now === old[i]) continue;
    copy ??= old.slice();
    copy[i] = now;
  }
  return copy ?? old;
}

/** What only routers have. */
function specialOf(mesh: Mesh, node: ProxyNode, encode: Encode): Base['special'] {
  const bySni = node.role === 'router' ? sniClusters(mesh, node) : [];
  return {
    secrets: byName(credentialSecrets(mesh, node, credentialsOf(mesh, node)).map((json) => encode(TYPE_URL.secret, json))),
    clusters: byName(bySni.map(({ cluster }) => encode(TYPE_URL.cluster, cluster))),
    endpoints: byName(bySni.map(({ endpoints }) => encode(TYPE_URL.endpoint, endpoints, 'clusterName'))),
  };
}

/** What no other proxy has. */
function ownOf(mesh: Mesh, node: ProxyNode, { clusterId }: MeshSettings, encode: Encode): Base['own'] {
  const peer = encodeFields(TYPE_URL.route, peerHeader(node, clusterId));
  return { peer, hashOfPeer: contentHash(peer), clusters: byName(ownClusters(mesh, node).map((json) => encode(TYPE_URL.cluster, json))) };
}

type Encode = (typeUrl: TypeUrl, json: JsonObject, nameField?: 'name' | 'clusterName') => Resource;

function encodeIn({ memo }: Mesh): Encode {
  return (typeUrl, json, nameField = 'name') => encodeResource(memo as Memo<never>, typeUrl, String(json[nameField]), json);
}

const routeKey = (name: string): string => `route|${name}`;

/** The listeners of a class, and which route configurations it has. */
function partsOf(mesh: Mesh, node: ProxyNode, encode: Encode): Parts {
  const listeners: Resource[] = [];
  const routes: RoutePart[] = [];
  const listen = (json: JsonObject): unknown => listeners.push(encode(TYPE_URL.listener, withTcpTelemetry(mesh, node, json)));
  const serviceRoutes = (service: MeshService, port: number): unknown =>
    routes.push({
      key: routeKey(`${service.host}:${port}`),
      // Made in later meshes too, where the service may be another.
      make: (later, client) => serviceRouteConfig(later, serviceOf(later, service.host, client) ?? service, port, client),
    });

  if (node.dataPlane === 'grpc') {
    for (const service of visibleServices(mesh, node))
      for (const { port, protocol } of service.ports) {
        if (protocol === 'tcp' || protocol === 'https') continue;
        listen(apiListener(service, port));
        serviceRoutes(service, port);
      }
  } else if (node.role === 'router') {
    for (const { listener, routes: configs } of gatewayPorts(mesh, node)) {
      listen(listener);
      for (const config of configs) routes.push({ body: constant(encode(TYPE_URL.route, config)) });
    }
  } else {
    for (const upstream of node.upstreams) {
      const service = visibleService(mesh, node, upstream.host);
      const port = service?.ports.find((p) => p.port === upstream.port);
      if (service === undefined || port === undefined) continue;
      listen(upstreamListener(mesh, node, service, port, upstream.listenPort));
      serviceRoutes(service, upstream.port);
    }
    if (node.httpProxyPort > 0) {
      listen(hostListener(mesh, node));
      routes.push({ key: routeKey('http_proxy'), make: hostRouteConfig });
    }
    for (const { listener, routes: config } of egressPorts(mesh, node)) {
      listen(listener);
      if (config !== undefined) routes.push({ key: routeKey(config.name), make: config.make });
    }
    for (const port of inboundPorts(mesh, node)) listen(inboundListener(mesh, node, port));
  }
  return { listeners: byName(listeners), routes };
}

/** Makes for a proxy what takes longest, service by service; {@link translate} finds it then. */
export function* prepare(mesh: Mesh, node: ProxyNode): Generator<void> {
  const encode = encodeIn(mesh);
  const services = visibleServices(mesh, node);
  yield;
  for (const { host } of services) {
    clustersOf(mesh, node, host, encode);
    yield;
  }
  sharedClusters(mesh, node, encode);
  // What follows in the same turn is the first push.
  yield;
}

function clustersOf(mesh: Mesh, node: ProxyNode, host: string, encode: Encode): readonly { cluster: Resource; endpoints: readonly Resource[] }[] {
  return onceFor(mesh, `clusters|${host}`, node, (client) => {
    // Read by name: made again only when this service changes.
    const service = serviceOf(mesh, host, client);
    return service === undefined
      ? []
      : serviceClusters(mesh, service, client).map((p) => ({
          cluster: encode(TYPE_URL.cluster, p.cluster),
          endpoints: p.endpoints === undefined ? [] : [encode(TYPE_URL.endpoint, p.endpoints, 'clusterName')],
        }));
  });
}

function sharedClusters(mesh: Mesh, node: ProxyNode, encode: Encode): Base['shared'] {
  return onceFor(mesh, 'clusters', node, (client) => {
    const pairs = visibleServices(mesh, client).flatMap(({ host }) => clustersOf(mesh, client, host, encode));
    return { clusters: byName(pairs.map((p) => p.cluster)), endpoints: byName(pairs.flatMap((p) => p.endpoints)) };
  });
}

function byName(resources: readonly Resource[]): View {
  const view = new Map<string, Resource>();
  for (const resource of resources) view.set(resource.name, resource);
  return view;
}
