// Gateways against the gateway proxies there are: one no proxy opens, certificates and destinations the proxies do not find.

import { DEFAULT_MESH_SETTINGS, type MeshObject, type Problem, type ProxyNode, unresolved } from '../model/index.ts';
import { hiddenDestinations } from './analyze-gateway-destinations.ts';
import { problem } from './analyze-mesh.ts';
import type { SecretSpec } from './data-kinds.ts';
import type { GatewaySpec } from './gateway.ts';
import { ingressSelector, servedIngresses } from './ingress-class.ts';
import type { IngressClassSpec, IngressSpec } from './ingress.ts';
import { effectiveSettings } from './mesh-config.ts';
import { matches } from './label-index.ts';

/** A gateway proxy that is connected. */
export type GatewayProxy = Pick<ProxyNode, 'workload' | 'namespace' | 'labels'>;
type Gateway = MeshObject<GatewaySpec>;
type Tls = NonNullable<GatewaySpec['servers'][number]['tls']>;

/** Nothing while no gateway proxy is connected: they may be about to start. */
export function gatewayProxyProblems(objects: readonly MeshObject[], proxies: readonly GatewayProxy[]): Problem[] {
  if (proxies.length === 0) return [];
  const gateways = objects.filter((o) => o.kind === 'Gateway') as Gateway[];
  const secrets = objects.filter((o) => o.kind === 'Secret') as MeshObject<SecretSpec>[];
  const settings = effectiveSettings(DEFAULT_MESH_SETTINGS, objects);
  const ingresses = servedIngresses(
    objects.filter((o) => o.kind === 'Ingress') as MeshObject<IngressSpec>[],
    objects.filter((o) => o.kind === 'IngressClass') as MeshObject<IngressClassSpec>[],
    settings,
  );
  return [
    ...gateways.flatMap((gateway) => {
      const selected = proxies.filter((p) => matches(p.labels, gateway.spec.selector));
      if (selected.length === 0) return [unselected(gateway, 'spec.selector', gateway.spec.selector, proxies)];
      return selected.flatMap((proxy) =>
        gateway.spec.servers.flatMap(({ tls }, i) => {
          const path = `spec.servers[${i}].tls.${tls?.credentialNames === undefined ? 'credentialName' : 'credentialNames'}`;
          return tls === undefined ? [] : missing({ object: gateway, path }, tls, proxy, secrets);
        }),
      );
    }),
    ...hiddenDestinations(objects, gateways, proxies),
    ...ingresses.flatMap((ingress) => {
      const selected = proxies.filter((p) => matches(p.labels, ingressSelector(settings)));
      if (selected.length === 0) return [unselected(ingress, 'spec', ingressSelector(settings), proxies)];
      return selected.flatMap((proxy) =>
        (ingress.spec.tls ?? []).flatMap(({ secretName = '' }, i) =>
          missing({ object: ingress, path: `spec.tls[${i}].secretName` }, { mode: 'SIMPLE', credentialName: secretName }, proxy, secrets),
        ),
      );
    }),
  ];
}

function unselected(object: MeshObject, path: string, selector: Readonly<Record<string, string>> | undefined, proxies: readonly GatewayProxy[]): Problem {
  const wanted = Object.entries(selector ?? {});
  const text = (labels: readonly (readonly [string, string | undefined])[]): string => labels.map(([key, value]) => `${key}=${value ?? ''}`).join(', ');
  const there = proxies.map((p) => `${nameOf(p)} (${text(wanted.map(([key]) => [key, p.labels[key]]))})`);
  const message = `No gateway proxy has the labels ${text(wanted)}: the ports of this ${object.kind} are open nowhere. Gateway proxies here: ${there.join(', ')}.`;
  return problem(object, 'warning', 'IST0101', path, message);
}

/** Where the credential is named. */
interface Place {
  object: MeshObject;
  path: string;
}

/** Credentials a server names that its proxy cannot have: they are Secrets of the proxy's own namespace. */
function missing({ object, path }: Place, tls: Tls, proxy: GatewayProxy, secrets: readonly MeshObject<SecretSpec>[]): Problem[] {
  const names = tls.credentialNames ?? (tls.credentialName ? [tls.credentialName] : []);
  const dataOf = (name: string): SecretSpec['data'] | undefined =>
    secrets.find((s) => s.metadata.name === name && s.metadata.namespace === proxy.namespace)?.spec.data;
  const found: Problem[] = [];
  const tell = (name: string, needs: string): void => {
    const there = dataOf(name) === undefined ? [] : [`the one there lacks ${needs}`];
    const elsewhere = secrets.filter((s) => s.metadata.name === name && s.metadata.namespace !== proxy.namespace).map((s) => s.metadata.namespace);
    const [hint] = [...there, ...(elsewhere.length === 0 ? [] : [`there is one in ${elsewhere.join(', ')}, which the proxy may not read`])];
    const message = `Gateway proxy ${nameOf(proxy)} finds no Secret ${name} with ${needs} in its namespace ${proxy.namespace}${hint === undefined ? '' : ` (${hint})`}: TLS connections to this server fail. Create it in ${proxy.namespace}.`;
    found.push(unresolved(problem(object, 'error', 'IST0101', path, message)));
  };
  for (const credential of names) {
    const name = plainName(credential, proxy.namespace);
    if (name === undefined) continue;
    const data = dataOf(name) ?? {};
    if (!has(data, 'cert', 'key') && !has(data, 'tls.crt', 'tls.key')) tell(name, 'tls.crt and tls.key');
  }
  const bundle = names[0] === undefined ? undefined : plainName(names[0], proxy.namespace);
  const checksClients = tls.mode === 'MUTUAL' || tls.mode === 'OPTIONAL_MUTUAL';
  if (checksClients && !tls.caCertificates && !tls.caCertCredentialName && bundle !== undefined) {
    const trusted = [dataOf(`${bundle}-cacert`), dataOf(bundle)].some((data) => data !== undefined && (has(data, 'cacert') || has(data, 'ca.crt')));
    if (!trusted && found.length === 0) tell(bundle, 'ca.crt (or a Secret of that name with -cacert behind it)');
  }
  return found;
}

const has = (data: SecretSpec['data'], ...keys: string[]): boolean => keys.every((key) => data[key] !== undefined);
const nameOf = ({ workload, namespace }: GatewayProxy): string => `${workload}.${namespace}`;

/** The Secret's name; undefined where it is no Secret of that namespace that is named. */
function plainName(credential: string, namespace: string): string | undefined {
  const [, type, place = credential] = /^(?:(\w+):\/\/)?(.*)$/.exec(credential) ?? [];
  if (type !== undefined && type !== 'kubernetes') return undefined;
  const [first = '', second] = place.split('/');
  return second === undefined ? first : first === namespace ? second : undefined;
}
