// Everything one proxy is told, as encoded resources.

import type { JsonObject } from '@bufbuild/protobuf';
import { getTextEncoding } from '@bufbuild/protobuf/wire';
import { type MeshSettings, type ProxyNode, spiffeId } from '../model/index.ts';
import { type Resource, type ResourceSet, LayeredView, type TypeUrl, TYPE_URL, type View } from '../xds/index.ts';
import { ownClusters, serviceClusters } from './clusters.ts';
import { contentHash, encodeFields, encodeResource, withFields } from './encode.ts';
import { gatewayPorts } from './gateways.ts';
import { apiListener, hostListener, inboundListener, upstreamListener } from './listeners.ts';
import { once, onceFor } from './memo.ts';
import { type Mesh, serviceOf } from './mesh.ts';
import { hostRouteConfig, peerHeader, serviceRouteConfig } from './routes.ts';

/** Proxies of one class get the same resources. */
export function proxyClass(node: ProxyNode): string {
  return JSON.stringify([
    node.role,
    node.dataPlane,
    node.namespace,
    node.workload,
    spiffeId(node.identity),
    Object.entries(node.labels).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    node.ip,
    node.httpProxyPort,
    node.inbound,
    node.upstreams,
  ]);
}

/** Translates for one proxy (of a class). Secrets are not part of it: they come from the certificate authority. */
export function translate(mesh: Mesh, node: ProxyNode, settings: MeshSettings): ResourceSet {
  const key = classKey(node);
  return once(mesh, key, () => translateClass(mesh, node, settings, key));
}

const classKeys = new WeakMap<ProxyNode, string>();

/** A short name of the class: it is part of many keys. */
function classKey(node: ProxyNode): string {
  let key = classKeys.get(node);
  if (key === undefined) classKeys.set(node, (key = contentHash(getTextEncoding().encodeUtf8(proxyClass(node)))));
  return key;
}

function translateClass(mesh: Mesh, node: ProxyNode, settings: MeshSettings, key: string): ResourceSet {
  const encode = (typeUrl: TypeUrl, json: JsonObject, nameField: 'name' | 'clusterName' = 'name'): Resource =>
    encodeResource(mesh.encoded, typeUrl, String(json[nameField]), json);
  const listeners: Resource[] = [];
  const routes: Resource[] = [];
  const listen = (name: string, make: () => JsonObject): unknown =>
    listeners.push(once(mesh, `${key}|listener|${name}`, () => encode(TYPE_URL.listener, make())));
  const own = once(mesh, `${key}|peer`, () => encodeFields(TYPE_URL.route, peerHeader(node, settings.clusterId)));
  // The routes are the same for many proxies; who the proxy is stands behind them.
  const route = (name: string, make: (node: ProxyNode) => JsonObject): unknown =>
    routes.push(
      once(mesh, `${key}|route|${name}`, () =>
        withFields(
          onceFor(mesh, `route|${node.dataPlane}|${node.role}|${name}`, node, (n) => encode(TYPE_URL.route, make(n))),
          own,
        ),
      ),
    );

  if (node.dataPlane === 'grpc') {
    for (const service of mesh.services.values())
      for (const { port, protocol } of service.ports) {
        if (protocol === 'tcp' || protocol === 'https') continue;
        listen(`${service.host}:${port}`, () => apiListener(service, port));
        route(`${service.host}:${port}`, (n) => serviceRouteConfig(mesh, service, port, n));
      }
  } else if (node.role === 'router') {
    for (const { listener, routes: configs } of gatewayPorts(mesh, node)) {
      listeners.push(encode(TYPE_URL.listener, listener));
      for (const config of configs) routes.push(withFields(encode(TYPE_URL.route, config), own));
    }
  } else {
    for (const upstream of node.upstreams) {
      const service = serviceOf(mesh, upstream.host);
      if (service === undefined || !service.ports.some((p) => p.port === upstream.port)) continue;
      const name = `${upstream.host}:${upstream.port}`;
      listen(name, () => upstreamListener(mesh, node, service, upstream.port, upstream.listenPort));
      route(name, (n) => serviceRouteConfig(mesh, service, upstream.port, n));
    }
    if (node.httpProxyPort > 0) {
      listen('http_proxy', () => hostListener(mesh, node));
      route('http_proxy', (n) => hostRouteConfig(mesh, n));
    }
    for (const port of node.inbound) listen(`inbound|${port.listenPort}`, () => inboundListener(mesh, node, port));
  }

  const shared = onceFor(mesh, 'clusters', node, (n) => {
    const pairs = [...mesh.services.keys()].flatMap((host) =>
      onceFor(mesh, `clusters|${host}`, n, (client) => {
        // Read by name: made again only when this service changes.
        const service = serviceOf(mesh, host);
        return service === undefined
          ? []
          : serviceClusters(mesh, service, client).map((p) => ({
              cluster: encode(TYPE_URL.cluster, p.cluster),
              endpoints: encode(TYPE_URL.endpoint, p.endpoints, 'clusterName'),
            }));
      }),
    );
    return { clusters: byName(pairs.map((p) => p.cluster)), endpoints: byName(pairs.map((p) => p.endpoints)) };
  });
  const ownResources = once(mesh, `${key}|own clusters`, () => byName(ownClusters(node, settings.otlp).map((json) => encode(TYPE_URL.cluster, json))));
  return {
    [TYPE_URL.listener]: byName(listeners),
    [TYPE_URL.route]: byName(routes),
    [TYPE_URL.cluster]: new LayeredView([ownResources, shared.clusters]),
    [TYPE_URL.endpoint]: shared.endpoints,
    [TYPE_URL.secret]: new Map(),
  };
}

function byName(resources: readonly Resource[]): View {
  return new Map(resources.map((r) => [r.name, r]));
}
