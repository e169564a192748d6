// Listeners as the Istio Gateways they amount to, and the proxies they are for.

import type { GatewaySpec, ServiceSpec } from '../../config/index.ts';
import type { MeshObject } from '../../model/index.ts';
import { type CertificateWorld, certificateFault, certificateFaults } from './certificate-faults.ts';
import type { KubernetesGateway, Listener } from './listeners.ts';
import { listenerTls } from './listener-tls.ts';
import { GATEWAY_NAME_LABEL, GATEWAY_SEMANTICS } from './semantics.ts';

export type Labels = Readonly<Record<string, string>>;

/**
 * Labels of the proxies that serve a Gateway, all in its own namespace: its name, or where its addresses name Services, what
 * these select (Istio's manual deployment). None while no such Service is there.
 */
export function selectorsOf({ metadata, spec }: KubernetesGateway, services: readonly MeshObject<ServiceSpec>[], domainSuffix: string): Labels[] {
  if (isManaged(spec)) return [{ [GATEWAY_NAME_LABEL]: metadata.name }];
  const hosts = serviceHosts(spec, metadata.namespace, domainSuffix);
  return services
    .filter((s) => s.metadata.namespace === metadata.namespace && hosts.includes(`${s.metadata.name}.${s.metadata.namespace}.svc.${domainSuffix}`))
    .map((s) => s.spec.selector ?? {})
    .filter((selector) => Object.keys(selector).length > 0);
}

/** Whether proxies are found by the Gateway's name: it names no Service by its host. */
export function isManaged({ addresses = [] }: KubernetesGateway['spec']): boolean {
  const [first] = addresses;
  return first === undefined || (addresses.length === 1 && (first.type ?? 'IPAddress') === 'IPAddress');
}

/** Full hosts of the Services the addresses name. */
export function serviceHosts({ addresses = [] }: KubernetesGateway['spec'], namespace: string, domainSuffix: string): string[] {
  return addresses.flatMap(({ type = 'Hostname', value = '' }) => {
    if (type !== 'Hostname' || value === '') return [];
    return [value.includes('.') ? value : `${value}.${namespace}.svc.${domainSuffix}`];
  });
}

/** One Gateway with one server for each open listener that has a certificate where it needs one, so that routes can bind to it alone; where Services name the proxies, one for each. */
export function istioGateways(listeners: readonly Listener[], selectors: readonly Labels[], world: CertificateWorld): MeshObject<GatewaySpec>[] {
  return listeners
    .filter((l) => l.open && certificateFaults(l, world).length === 0)
    .flatMap((listener) => {
      const { gateway, key, spec, hostname, namespaces } = listener;
      const { namespace, creationTimestamp } = gateway.metadata;
      const host = hostname === '' ? '*' : hostname;
      // `~` is no namespace: the port is open, and no route may use it.
      const hosts = namespaces.length === 0 ? [`~/${host}`] : namespaces.map((ns) => `${ns}/${host}`);
      const server = { port: { name: 'default', number: spec.port, protocol: spec.protocol as GatewaySpec['servers'][number]['port']['protocol'] }, hosts };
      const tls = listenerTls(gateway, spec, (ref) => certificateFault(gateway, ref, world) === undefined);
      return selectors.map((selector) => ({
        apiVersion: 'networking.istio.io/v1',
        kind: 'Gateway',
        metadata: {
          name: key.slice(namespace.length + 1),
          namespace,
          ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
          annotations: { ...GATEWAY_SEMANTICS },
        },
        spec: { selector, servers: [{ ...server, ...(tls === undefined ? {} : { tls }) }] },
      }));
    });
}
