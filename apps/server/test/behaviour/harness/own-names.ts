// Each object belongs to one case: where two write the same one, the last to write is judged in the other's place, and passes or fails by chance.
// So does each host: a rule for hosts of other cases decides what these see, and they pass or fail by what it says.

import { type DestinationRuleSpec, type ServiceEntrySpec, type VirtualServiceSpec, hostMatches, resolveHost } from '@weft/mesh-core/config';
import { type MeshObject, refKey, refOf } from '@weft/mesh-core/model';
import type { Case } from '../case.ts';
import { objectsOf, yamlObjects } from './objects.ts';

let given = 0;
const port = (): number => 1 + (given++ % 60_000);
/** Names do not depend on ports and certificates. */
const NOWHERE = { appPort: port, inboundPort: port, openedPort: port, certificates: { path: () => 'x', text: () => 'x', hash: () => 'x', spki: () => 'x' } };

/**
 * Objects that two cases have, as lines that name both. Cases that run alone may have the same: each is taken back before the
 * next. Those with a client of their own share nothing.
 */
export function sharedObjects(cases: readonly Case[]): string[] {
  const owners = new Map<string, Case>();
  const told: string[] = [];
  for (const behaviour of cases) {
    if (behaviour.own !== undefined) continue;
    for (const ref of new Set(everythingIn(behaviour).map((object) => refKey(refOf(object))))) {
      const owner = owners.get(ref) ?? behaviour;
      owners.set(ref, owner);
      if (owner !== behaviour && !(owner.alone === true && behaviour.alone === true)) told.push(`${ref}: ${nameOf(owner)}, and ${nameOf(behaviour)}`);
    }
  }
  return told;
}

/** Rules of cases that run together for hosts of others among these, as lines that name both. */
export function strayRules(cases: readonly Case[]): string[] {
  const together = cases.filter((c) => c.own === undefined && c.alone !== true).map((behaviour) => ({ behaviour, objects: everythingIn(behaviour) }));
  const hosts = together.flatMap(({ behaviour, objects }) => objects.flatMap((o) => hostsOf(o).map((host) => ({ host, behaviour }))));
  return together.flatMap(({ behaviour, objects }) =>
    objects.flatMap((object) => {
      const rules = ruledBy(object);
      const reached = hosts.find((h) => h.behaviour !== behaviour && rules.some((rule) => hostMatches(rule, h.host)));
      return reached === undefined ? [] : [`${refKey(refOf(object))}: ${nameOf(behaviour)}, for ${reached.host}: ${nameOf(reached.behaviour)}`];
    }),
  );
}

/** Hosts the object brings. */
function hostsOf({ kind, metadata, spec }: MeshObject): string[] {
  if (kind === 'Service') return [resolveHost(metadata.name, metadata.namespace)];
  return kind === 'ServiceEntry' ? (spec as ServiceEntrySpec).hosts : [];
}

/** Hosts whose requests or endpoints the object decides on, by sidecars. */
function ruledBy(object: MeshObject): string[] {
  const { kind, metadata, spec } = object;
  if (kind === 'DestinationRule') return [resolveHost((spec as DestinationRuleSpec).host, metadata.namespace)];
  if (kind === 'ServiceEntry') return hostsOf(object).filter((host) => !host.startsWith('*'));
  if (kind !== 'VirtualService') return [];
  const { hosts = [], gateways = ['mesh'] } = spec as VirtualServiceSpec;
  return gateways.includes('mesh') ? hosts.map((host) => resolveHost(host, metadata.namespace)) : [];
}

function everythingIn(behaviour: Case): MeshObject[] {
  const later = behaviour.steps.flatMap((step) => (step.kind === 'apply' || step.kind === 'remove' ? yamlObjects(step.objects, 'embedded', NOWHERE) : []));
  return [...objectsOf(behaviour, 'embedded', NOWHERE), ...later];
}

const nameOf = ({ area, name }: Case): string => `"${area} / ${name}"`;
