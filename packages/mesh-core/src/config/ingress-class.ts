// Which Ingresses are ours, after istiod's ingress controller: by annotation, by IngressClass, or by what the MeshConfig says of the rest.

import type { MeshObject, MeshSettings } from '../model/index.ts';
import { CLASS_ANNOTATION, type IngressClassSpec, type IngressSpec } from './ingress.ts';

const CONTROLLER = 'istio.io/ingress-controller';

/** Undefined where gateway proxies serve the Ingress, else why they do not. `class` is the IngressClass it names, if there is one. */
export function unservedReason(
  { metadata, spec }: MeshObject<IngressSpec>,
  named: MeshObject<IngressClassSpec> | undefined,
  { ingress: { mode = 'STRICT', class: ours = 'istio' } = {} }: Pick<MeshSettings, 'ingress'>,
): string | undefined {
  const annotated = metadata.annotations?.[CLASS_ANNOTATION];
  const off = mode === 'OFF' || mode === 'UNSPECIFIED' ? `ingressControllerMode is ${mode} in MeshConfig` : undefined;
  if (annotated !== undefined)
    return off ?? (annotated === ours ? undefined : `its annotation ${CLASS_ANNOTATION} is ${annotated}, and the class served here is ${ours}`);
  if (named !== undefined)
    return named.spec.controller === CONTROLLER
      ? undefined
      : `the controller of IngressClass ${named.metadata.name} is ${named.spec.controller}, not ${CONTROLLER}`;
  if (mode === 'DEFAULT') return undefined;
  if (off !== undefined) return off;
  return spec.ingressClassName === undefined
    ? `it has no class: set the annotation ${CLASS_ANNOTATION} to ${ours}, or ingressClassName to an IngressClass of ${CONTROLLER}`
    : `there is no IngressClass ${spec.ingressClassName}`;
}

/** Those that gateway proxies serve. */
export function servedIngresses(
  ingresses: readonly MeshObject<IngressSpec>[],
  classes: readonly MeshObject<IngressClassSpec>[],
  settings: Pick<MeshSettings, 'ingress'>,
): MeshObject<IngressSpec>[] {
  const named = new Map(classes.map((c) => [c.metadata.name, c]));
  return ingresses.filter((i) => unservedReason(i, named.get(i.spec.ingressClassName ?? ''), settings) === undefined);
}

/** Labels of the gateway proxies that serve Ingresses. */
export function ingressSelector({ ingress: { selector = '', service = '' } = {} }: Pick<MeshSettings, 'ingress'>): { istio: string } {
  // The Service of the default installation has the selector it always had.
  return { istio: selector || (service === 'istio-ingressgateway' ? '' : service) || 'ingressgateway' };
}
