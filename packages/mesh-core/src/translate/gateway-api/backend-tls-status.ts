// Status of BackendTLSPolicies: of each target, for sidecars, and of each Gateway with a route to one.

import type { MeshObject } from '../../model/index.ts';
import { type BackendTlsPolicy, type PolicyFault, type Referred, type TargetRef, targetFault, trustFault } from './backend-tls.ts';
import { CONTROLLER, MESH_CONTROLLER } from './classes.ts';
import { parentKind } from './parents.ts';
import type { Condition } from './status.ts';
import { type GatewayWorld, keyOf } from './world.ts';

/** So many the API has room for. */
const MAX_ANCESTORS = 16;

interface Ancestor {
  ancestorRef: object;
  controllerName: string;
  conditions: Condition[];
}

/** What policies of a world refer to. */
export function referredOf({ services, entries, configMaps, domainSuffix }: GatewayWorld): Referred {
  return { services: new Map(services.map((s) => [keyOf(s), s])), entries: new Map(entries.map((e) => [keyOf(e), e])), configMaps, domainSuffix };
}

/** What is wrong for a target: of the policy, or of the target itself. */
function faultsOf(policy: BackendTlsPolicy, ref: TargetRef, { policies, referred }: { policies: readonly BackendTlsPolicy[]; referred: Referred }) {
  return { trust: trustFault(policy, referred), target: targetFault(policy, ref, { policies, referred }) };
}

export function backendTlsStatus(
  policy: BackendTlsPolicy,
  world: GatewayWorld,
  condition: (object: MeshObject, type: string, good: boolean, reason: string, message: string) => Condition,
): object {
  const known = { policies: world.tlsPolicies, referred: referredOf(world) };
  const conditionsOf = ({ trust, target }: ReturnType<typeof faultsOf>): Condition[] => {
    const bad: PolicyFault | undefined = target ?? trust;
    const more = policy.spec.validation.caCertificateRefs?.[1] === undefined ? '' : '; only the first of caCertificateRefs is used';
    const accepted = condition(policy, 'Accepted', bad === undefined, bad?.reason ?? 'Accepted', bad?.message ?? `Configuration is valid${more}`);
    if (target?.reason === 'IgnoredByIstio') return [accepted];
    const { reference } = trust ?? {};
    return [
      accepted,
      condition(policy, 'ResolvedRefs', reference === undefined, reference?.reason ?? 'ResolvedRefs', reference?.message ?? 'Configuration is valid'),
    ];
  };
  const targets = policy.spec.targetRefs.map((ref) => ({ ref, faults: faultsOf(policy, ref, known) }));
  const worst = targets.find(({ faults }) => faults.target !== undefined) ?? targets[0];
  const gateways = worst?.faults.target?.reason === 'IgnoredByIstio' ? [] : gatewaysWith(policy, world);
  const ancestors: Ancestor[] = [
    ...targets.map(({ ref, faults }) => ({ ancestorRef: ref, controllerName: MESH_CONTROLLER, conditions: conditionsOf(faults) })),
    ...gateways.map(({ namespace, name }) => ({
      ancestorRef: {
        ...{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name },
        ...(namespace === policy.metadata.namespace ? {} : { namespace }),
      },
      controllerName: CONTROLLER,
      conditions: worst === undefined ? [] : conditionsOf(worst.faults),
    })),
  ];
  return { ancestors: ancestors.slice(0, MAX_ANCESTORS) };
}

/** Gateways of ours that a route sends from to a target of the policy. */
function gatewaysWith({ metadata, spec }: BackendTlsPolicy, { routes, listeners }: GatewayWorld): { namespace: string; name: string }[] {
  const found = new Map<string, { namespace: string; name: string }>();
  for (const route of routes) {
    const { namespace } = route.metadata;
    const backends = (route.spec.rules ?? []).flatMap((rule) => rule.backendRefs ?? []);
    const isNamed = backends.some(
      ({ group = '', kind = 'Service', name, namespace: home = namespace }) =>
        home === metadata.namespace && spec.targetRefs.some((t) => t.group === group && t.kind === kind && t.name === name),
    );
    if (!isNamed) continue;
    for (const ref of route.spec.parentRefs ?? []) {
      const gateway = { namespace: ref.namespace ?? namespace, name: ref.name };
      const key = `${gateway.namespace}/${gateway.name}`;
      if (parentKind(ref) === 'Gateway' && listeners.has(key)) found.set(key, gateway);
    }
  }
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, gateway]) => gateway);
}
