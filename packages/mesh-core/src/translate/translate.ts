// Everything one proxy is told, as encoded resources.

import type { JsonObject } from '@bufbuild/protobuf';
import { type MeshSettings, type ProxyNode, spiffeId } from '../model/index.ts';
import { type Resource, type ResourceSet, type TypeUrl, TYPE_URL } from '../xds/index.ts';
import { ownClusters, serviceClusters } from './clusters.ts';
import { encodeResource } from './encode.ts';
import { gatewayPorts } from './gateways.ts';
import { apiListener, hostListener, inboundListener, upstreamListener } from './listeners.ts';
import { type Mesh, once } from './mesh.ts';
import { hostRouteConfig, serviceRouteConfig } from './routes.ts';

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
  const encode = (typeUrl: TypeUrl, json: JsonObject, key: 'name' | 'clusterName' = 'name'): Resource =>
    encodeResource(mesh.encoded, typeUrl, String(json[key]), json);
  const listeners: Resource[] = [];
  const routes: Resource[] = [];
  const listen = (json: JsonObject): unknown => listeners.push(encode(TYPE_URL.listener, json));
  const routeClass = JSON.stringify([
    'routes',
    node.dataPlane,
    node.namespace,
    node.workload,
    Object.entries(node.labels).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ]);
  const route = (name: string, make: () => JsonObject): unknown => routes.push(once(mesh, `${routeClass}|${name}`, () => encode(TYPE_URL.route, make())));
  const services = [...mesh.services.values()];

  if (node.dataPlane === 'grpc') {
    for (const service of services)
      for (const { port, protocol } of service.ports) {
        if (protocol === 'tcp' || protocol === 'https') continue;
        listen(apiListener(service, port));
        route(`${service.host}:${port}`, () => serviceRouteConfig(mesh, service, port, node));
      }
  } else if (node.role === 'router') {
    for (const { listener, routes: configs } of gatewayPorts(mesh, node)) {
      listen(listener);
      for (const config of configs) route(String(config['name']), () => config);
    }
  } else {
    for (const upstream of node.upstreams) {
      const service = mesh.services.get(upstream.host);
      if (service === undefined || !service.ports.some((p) => p.port === upstream.port)) continue;
      listen(upstreamListener(mesh, node, service, upstream.port, upstream.listenPort));
      route(`${upstream.host}:${upstream.port}`, () => serviceRouteConfig(mesh, service, upstream.port, node));
    }
    if (node.httpProxyPort > 0) {
      listen(hostListener(mesh, node));
      route('http_proxy', () => hostRouteConfig(mesh, node));
    }
    for (const port of node.inbound) listen(inboundListener(mesh, node, port));
  }

  const shared = once(mesh, `clusters|${node.namespace}|${node.dataPlane}`, () => {
    const pairs = services.flatMap((service) => serviceClusters(mesh, service, node));
    return {
      clusters: pairs.map((p) => encode(TYPE_URL.cluster, p.cluster)),
      endpoints: byName(pairs.map((p) => encode(TYPE_URL.endpoint, p.endpoints, 'clusterName'))),
    };
  });
  return {
    [TYPE_URL.listener]: byName(listeners),
    [TYPE_URL.route]: byName(routes),
    [TYPE_URL.cluster]: byName([...ownClusters(node, settings.otlp).map((json) => encode(TYPE_URL.cluster, json)), ...shared.clusters]),
    [TYPE_URL.endpoint]: shared.endpoints,
    [TYPE_URL.secret]: new Map(),
  };
}

function byName(resources: readonly Resource[]): Map<string, Resource> {
  return new Map(resources.map((r) => [r.name, r]));
}
