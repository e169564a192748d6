// Which proxies a policy is for: those its selector fits, or those of the Gateways it names.

import { type TargetRef, isGatewayTarget, matches } from '../config/index.ts';
import type { MeshObject, ProxyNode } from '../model/index.ts';
import { GATEWAY_NAME_LABEL } from './gateway-api/semantics.ts';

type Labels = Readonly<Record<string, string>>;

export interface Targeted {
  selector?: { matchLabels?: Labels | undefined } | undefined;
  targetRef?: TargetRef | undefined;
  targetRefs?: readonly TargetRef[] | undefined;
}

/** What a policy names instead of a selector. */
export function targetsOf({ targetRef, targetRefs = [] }: Targeted): readonly TargetRef[] {
  return targetRefs.length > 0 ? targetRefs : targetRef === undefined ? [] : [targetRef];
}

/** Of policies a proxy may see, those that are for it. Only Gateways of the policy's own namespace can be named. */
export function concerns({ metadata, spec }: MeshObject<Targeted>, node: Pick<ProxyNode, 'namespace' | 'labels'>): boolean {
  const targets = targetsOf(spec);
  // Labels are read only where a policy asks: proxies that differ in them then share what is made of the policies.
  if (targets.length === 0) return Object.keys(spec.selector?.matchLabels ?? {}).length === 0 || matches(node.labels, spec.selector?.matchLabels);
  return metadata.namespace === node.namespace && targets.some((t) => isGatewayTarget(t) && t.name === node.labels[GATEWAY_NAME_LABEL]);
}
