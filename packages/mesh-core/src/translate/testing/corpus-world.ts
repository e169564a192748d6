// A mesh around a configuration of the corpus: what it names exists, so that it has an effect, and proxies that are sent all of it.

import { type DestinationRuleSpec, type GatewaySpec, type VirtualServiceSpec, gatewayKey, parseYaml, resolveHost, validateObject } from '../../config/index.ts';
import { type MeshObject, type ProxyNode, kindOfManifest } from '../../model/index.ts';
import { proxyNode } from './proxy-node.ts';

/** The objects of a text; undefined when one of them is refused or of a kind that is not served. */
export function objectsOf(text: string): MeshObject[] | undefined {
  const objects = parseYaml(text).documents.map(({ value }) => {
    const { kind, apiVersion } = value as Partial<MeshObject>;
    return kindOfManifest(kind, apiVersion) === undefined ? undefined : validateObject(value).object;
  });
  return objects.some((o) => o === undefined) ? undefined : (objects as MeshObject[]);
}

/** `objects`, and the Services and Gateways they name where there are none. */
export function withSurroundings(objects: readonly MeshObject[]): MeshObject[] {
  const virtualServices = objects.filter((o) => o.kind === 'VirtualService') as MeshObject<VirtualServiceSpec>[];
  const hosts = new Set<string>();
  const gateways = new Set<string>();
  for (const { spec, metadata } of virtualServices) {
    const destinations = [
      ...(spec.http ?? []).flatMap((r) => [...(r.route ?? []), ...(r.mirror === undefined ? [] : [{ destination: r.mirror }]), ...(r.mirrors ?? [])]),
      ...(spec.tcp ?? []).flatMap((r) => r.route ?? []),
      ...(spec.tls ?? []).flatMap((r) => r.route ?? []),
    ];
    for (const host of [...(spec.hosts ?? []), ...destinations.map((d) => d.destination.host)]) hosts.add(resolveHost(host, metadata.namespace));
    for (const name of spec.gateways ?? []) if (name !== 'mesh') gateways.add(gatewayKey(name, metadata.namespace));
  }
  for (const rule of objects.filter((o) => o.kind === 'DestinationRule') as MeshObject<DestinationRuleSpec>[])
    hosts.add(resolveHost(rule.spec.host, rule.metadata.namespace).replace(/^\*\.?/, 'any.'));
  const known = new Set(objects.map((o) => `${o.kind} ${o.metadata.namespace}/${o.metadata.name}`));
  const services = [...hosts].flatMap((host) => {
    const [, name = '', namespace = ''] = /^([a-z0-9-]+)\.([a-z0-9-]+)\.svc\.cluster\.local$/.exec(host) ?? [];
    const ports = [80, 443, 9080].map((port) => ({ name: `${port === 443 ? 'tcp' : 'http'}-${port}`, port }));
    return name === '' || known.has(`Service ${namespace}/${name}`) ? [] : [object('v1', 'Service', namespace, name, { selector: { app: name }, ports })];
  });
  const servers = [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }];
  const missing = [...gateways].flatMap((key) => {
    const [namespace = '', name = ''] = key.split('/');
    return known.has(`Gateway ${key}`)
      ? []
      : [object('networking.istio.io/v1', 'Gateway', namespace, name, { selector: { istio: 'ingressgateway' }, servers })];
  });
  return [...objects, ...services, ...missing];
}

function object(apiVersion: string, kind: string, namespace: string, name: string, spec: unknown): MeshObject {
  return { apiVersion, kind, metadata: { name, namespace }, spec };
}

/** A sidecar with an upstream for every port of every Service, and a gateway proxy that every Gateway selects. */
export function proxiesOf(objects: readonly MeshObject[], dataPlane: ProxyNode['dataPlane']): ProxyNode[] {
  const namespace = objects.find((o) => o.kind === 'VirtualService')?.metadata.namespace ?? 'default';
  const upstreams = (objects.filter((o) => o.kind === 'Service') as MeshObject<{ ports?: { port: number }[] }>[]).flatMap(({ metadata, spec }) =>
    (spec.ports ?? []).map(({ port }) => ({ host: `${metadata.name}.${metadata.namespace}.svc.cluster.local`, port })),
  );
  const node = (changes: Partial<ProxyNode>): ProxyNode => proxyNode('w', namespace, { dataPlane, ...changes });
  const selectors = (objects.filter((o) => o.kind === 'Gateway') as MeshObject<GatewaySpec>[]).map((g) => g.spec.selector ?? {});
  return [
    node({
      httpProxyPort: 15_001,
      inbound: [{ name: 'http', servicePort: 80, listenPort: 8_000, appPort: 8_001 }],
      upstreams: upstreams.map((u, i) => ({ ...u, listenPort: 16_000 + i })),
    }),
    node({ role: 'router', labels: Object.assign({}, ...selectors) as Record<string, string> }),
  ];
}
