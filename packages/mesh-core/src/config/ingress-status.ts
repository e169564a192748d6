// Status of Ingresses, worked out when it is asked for: where those we serve are reached.

import { type MeshObject, type MeshSettings, refKey, refOf } from '../model/index.ts';
import { matches } from './label-index.ts';
import { ingressSelector, servedIngresses } from './ingress-class.ts';
import type { IngressClassSpec, IngressSpec } from './ingress.ts';
import { effectiveSettings } from './mesh-config.ts';

/** Of an object: undefined where others look after it. `proxies`: the gateway proxies that are connected. */
export function ingressStatus(
  objects: readonly MeshObject[],
  given: MeshSettings,
  proxies: readonly { labels: Readonly<Record<string, string>> }[],
): (object: MeshObject) => object | undefined {
  const of = <S>(kind: string): MeshObject<S>[] => objects.filter((o) => o.kind === kind) as MeshObject<S>[];
  const settings = effectiveSettings(given, objects);
  const served = new Set(servedIngresses(of<IngressSpec>('Ingress'), of<IngressClassSpec>('IngressClass'), settings).map((i) => refKey(refOf(i))));
  const open = proxies.some((p) => matches(p.labels, ingressSelector(settings)));
  return (object) => (served.has(refKey(refOf(object))) ? { loadBalancer: open ? { ingress: [{ ip: '127.0.0.1' }] } : {} } : undefined);
}
