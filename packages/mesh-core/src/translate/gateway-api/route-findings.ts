// What becomes of a route: which of its parents take it, and which of its references lead nowhere.

import { hostMatches, resolveHost } from '../../config/index.ts';
import { granted } from './grants.ts';
import { type Attachment, type Denial, type ParentRef, attachmentsOf, parentKind } from './parents.ts';
import { type AnyRoute, type GatewayWorld, keyOf } from './world.ts';

export interface ParentFinding {
  ref: ParentRef;
  /** In `spec.parentRefs`. */
  index: number;
  /** How many listeners took it; a Service counts as one. */
  bound: number;
  denied?: Denial;
  /** Whether what it names is there; of what is not, or is somebody else's, no status is told. */
  missing?: string;
  /** For sidecars, where backends of other namespaces need no grant. */
  mesh: boolean;
}

export interface RefFinding {
  reason: 'RefNotPermitted' | 'BackendNotFound' | 'InvalidKind';
  message: string;
  path: string;
}

/** One for each parent that is ours, or is not there. */
export function parentFindings(route: AnyRoute, world: GatewayWorld): ParentFinding[] {
  const attachments = attachmentsOf(route, route.kind, world.listeners);
  return (route.spec.parentRefs ?? []).flatMap((ref, index): ParentFinding[] => {
    const kind = parentKind(ref);
    const key = `${ref.namespace ?? route.metadata.namespace}/${ref.name}`;
    if (kind === 'Gateway') {
      const all = attachments.filter((a) => a.index === index);
      if (!world.listeners.has(key)) return world.foreign.has(key) ? [] : [{ ...{ ref, index, bound: 0, mesh: false }, missing: `Gateway ${key}` }];
      const bound = all.filter((a) => a.denied === undefined).length;
      const denied = bound > 0 ? undefined : worst(all);
      return [{ ref, index, bound, mesh: false, ...(denied === undefined ? {} : { denied }) }];
    }
    if (kind === undefined) return [];
    const there = kind === 'Service' ? world.services.some((s) => keyOf(s) === key) : world.entries.some((e) => keyOf(e) === key);
    const what = kind === 'Service' ? 'service' : 'service entry';
    const denied: Denial = { reason: 'NoMatchingParent', message: `parent ${what}: ${JSON.stringify(ref.name)} not found` };
    return [{ ...{ ref, index, bound: there ? 1 : 0, mesh: true }, ...(there ? {} : { denied, missing: `${kind} ${key}` }) }];
  });
}

const ORDER = ['NotAllowedByListeners', 'NoMatchingListenerHostname', 'NoMatchingParent'] as const;

/** Of several reasons the one nearest to being taken; those of the same kind are told together. */
function worst(attachments: readonly Attachment[]): Denial {
  for (const reason of ORDER) {
    const same = attachments.flatMap(({ denied }) => (denied?.reason === reason ? [denied] : []));
    const byLabels = same.some((d) => d.byLabels === true) ? { byLabels: true as const } : {};
    if (same.length > 0) return { reason, message: same.map((d) => d.message).join('; '), ...byLabels };
  }
  return { reason: 'NoMatchingParent', message: 'no listener is open' };
}

/** Backends of rules and mirrors that requests cannot be sent to. */
export function refFindings(route: AnyRoute, mesh: boolean, world: GatewayWorld): RefFinding[] {
  const { namespace } = route.metadata;
  return (route.spec.rules ?? []).flatMap((rule, i) => {
    const backends = (rule.backendRefs ?? []).map((ref, j) => ({ ref, path: `spec.rules[${i}].backendRefs[${j}]` }));
    const mirrors = (('filters' in rule ? rule.filters : undefined) ?? []).flatMap((f, j) =>
      f.type === 'RequestMirror' ? [{ ref: f.requestMirror.backendRef, path: `spec.rules[${i}].filters[${j}].requestMirror.backendRef` }] : [],
    );
    return [...backends, ...mirrors].flatMap(({ ref, path }): RefFinding[] => {
      const { group = '', kind = 'Service', name, namespace: home = namespace } = ref;
      if (!mesh && !granted(world.grants, { from: { kind: route.kind, namespace }, to: { group, kind, namespace: home, name } }))
        return [
          {
            reason: 'RefNotPermitted',
            message: `backendRef ${name}/${home} not accessible to a ${route.kind} in namespace "${namespace}" (missing a ReferenceGrant?)`,
            path,
          },
        ];
      const isService = group === '' && kind === 'Service';
      if (!isService && !(group === 'networking.istio.io' && kind === 'Hostname'))
        return [
          {
            reason: 'InvalidKind',
            message: `referencing unsupported backendRef: group ${JSON.stringify(group)} kind ${JSON.stringify(kind)}`,
            path: `${path}.kind`,
          },
        ];
      const host = isService ? resolveHost(name, home, world.domainSuffix) : name;
      return hasHost(host, world) ? [] : [{ reason: 'BackendNotFound', message: `backend(${host}) not found`, path: `${path}.name` }];
    });
  });
}

function hasHost(host: string, { services, entries, domainSuffix }: GatewayWorld): boolean {
  return (
    services.some((s) => resolveHost(s.metadata.name, s.metadata.namespace, domainSuffix) === host) ||
    entries.some((e) => e.spec.hosts.some((h) => hostMatches(h, host)))
  );
}
