// What a policy is attached to: a selector, or references to Gateways, Services and their like.

import { z } from 'zod';
import { selector } from './schema-parts.ts';

const KINDS = new Set(['core/Service', 'networking.istio.io/ServiceEntry', 'gateway.networking.k8s.io/Gateway', 'gateway.networking.k8s.io/GatewayClass']);

export const targetRef = z
  .strictObject({
    group: z.string().optional(),
    kind: z.string(),
    name: z.string().min(1),
    namespace: z.literal('', 'must be absent: a target lies in the namespace of the policy').optional(),
  })
  .refine((t) => KINDS.has(`${t.group || 'core'}/${t.kind}`), `must refer to one of ${[...KINDS].join(', ')}`);

export type TargetRef = z.infer<typeof targetRef>;

/** A Gateway of the Gateway API: of what can be named only its proxies run here. */
export function isGatewayTarget({ group, kind }: TargetRef): boolean {
  return group === 'gateway.networking.k8s.io' && kind === 'Gateway';
}

/** Fields every policy with targets has. */
export const policyTargets = { selector: selector.optional(), targetRef: targetRef.optional(), targetRefs: z.array(targetRef).max(16).optional() };

/** For `refine`: at most one way to say whom a policy is for. */
export function hasOneTarget(policy: { selector?: unknown; targetRef?: unknown; targetRefs?: readonly unknown[] | undefined }): boolean {
  return [policy.selector, policy.targetRef, policy.targetRefs?.length ? policy.targetRefs : undefined].filter((t) => t !== undefined).length <= 1;
}
export const ONE_TARGET = 'must have only one of selector, targetRef, targetRefs';
