// What is wrong with BackendTLSPolicies, as findings of the analysis: the conditions of their status, with fields, and the
// DestinationRules that take their place.

import { type DestinationRuleSpec, resolveHost } from '../../config/index.ts';
import { type MeshObject, type Problem, refOf, unresolved } from '../../model/index.ts';
import { type BackendTlsPolicy, type PolicyFault, type Referred, type TargetRef, targetFault, targetOf, trustFault } from './backend-tls.ts';
import { referredOf } from './backend-tls-status.ts';
import type { GatewayWorld } from './world.ts';

type Rule = MeshObject<DestinationRuleSpec>;

export function backendTlsProblems(world: GatewayWorld, rules: readonly Rule[]): Problem[] {
  if (world.tlsPolicies.length === 0) return [];
  const referred = referredOf(world);
  return world.tlsPolicies.flatMap((policy) => policyProblems(policy, { policies: world.tlsPolicies, referred, rules }));
}

function policyProblems(
  policy: BackendTlsPolicy,
  { policies, referred, rules }: { policies: readonly BackendTlsPolicy[]; referred: Referred; rules: readonly Rule[] },
): Problem[] {
  const told = (severity: Problem['severity'], code: string, path: string, message: string): Problem => ({
    ...{ severity, code, path, message },
    ref: refOf(policy),
  });
  const faulty = (fault: PolicyFault, effect: string): Problem => {
    const { reason, message, reference, path } = fault;
    const missing = reason === 'TargetNotFound' || reference?.reason === 'InvalidCACertificateRef';
    const text = `${reference?.reason ?? reason}: ${reference?.message ?? message}${effect}.`;
    // Another object may yet mend it.
    return missing ? unresolved(told('error', 'IST0101', path, text)) : told(reason === 'IgnoredByIstio' ? 'info' : 'error', 'WEFT_NOT_ACCEPTED', path, text);
  };
  const targets = policy.spec.targetRefs.map((ref, i) => ({ ref, i, fault: targetFault(policy, ref, { policies, referred }) }));
  const ignored = targets.find((t) => t.fault?.reason === 'IgnoredByIstio')?.fault;
  if (ignored !== undefined) return [faulty(ignored, '')];
  const trust = trustFault(policy, referred);
  const more = policy.spec.validation.caCertificateRefs?.[1];
  return [
    ...(trust === undefined ? [] : [faulty(trust, '; connections to its targets fail')]),
    ...(more === undefined
      ? []
      : [
          told(
            'warning',
            'WEFT_NO_EFFECT',
            'spec.validation.caCertificateRefs[1]',
            'Has no effect here: the first bundle counts; put all certificates into one ConfigMap.',
          ),
        ]),
    ...targets.flatMap(({ ref, i, fault }) =>
      fault !== undefined
        ? [faulty(fault, '')]
        : replacing(policy, ref, { referred, rules }).map((message) => told('warning', 'WEFT_NO_EFFECT', `spec.targetRefs[${i}]`, message)),
    ),
  ];
}

/** DestinationRules that say otherwise for a target: of its own namespace where they have TLS settings, of others for the clients there. */
function replacing(policy: BackendTlsPolicy, ref: TargetRef, { referred, rules }: { referred: Referred; rules: readonly Rule[] }): string[] {
  const target = targetOf(policy, ref, referred);
  const port = target?.ports.find((p) => p.name === ref.sectionName)?.number;
  return rules.flatMap(({ metadata: { namespace, name }, spec: { host, trafficPolicy, workloadSelector } }) => {
    if (target?.hosts.includes(resolveHost(host, namespace, referred.domainSuffix)) !== true) return [];
    const selective = Object.keys(workloadSelector?.matchLabels ?? {}).length > 0;
    if (selective || namespace !== policy.metadata.namespace) {
      const clients = selective ? 'the workloads it selects' : `clients in namespace ${namespace}`;
      return [`DestinationRule ${namespace}/${name} takes its place for ${clients}: give it the TLS settings they need.`];
    }
    // Settings for a port replace all that holds for the others.
    const ofPorts = (trafficPolicy?.portLevelSettings ?? []).filter((p) => (port === undefined ? true : p.tls !== undefined && p.port.number === port));
    const own = port === undefined && trafficPolicy?.tls !== undefined ? 'TLS settings' : ofPorts.map((p) => `settings for port ${p.port.number}`).join(', ');
    return own === '' ? [] : [`DestinationRule ${namespace}/${name} has ${own} of its own, which come first.`];
  });
}
