// Each object belongs to one case: where two write the same one, the last to write is judged in the other's place, and passes or fails by chance.

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

function everythingIn(behaviour: Case): MeshObject[] {
  const later = behaviour.steps.flatMap((step) => (step.kind === 'apply' || step.kind === 'remove' ? yamlObjects(step.objects, 'embedded', NOWHERE) : []));
  return [...objectsOf(behaviour, 'embedded', NOWHERE), ...later];
}

const nameOf = ({ area, name }: Case): string => `"${area} / ${name}"`;
