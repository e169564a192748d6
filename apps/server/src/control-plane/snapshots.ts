// The mesh as every class of proxies sees it: built once per change, shared by all proxies of the class.

import type { ProxyStatus } from '@weft/mesh-core/api';
import type { MeshObject, MeshSettings, ProxyNode } from '@weft/mesh-core/model';
import type { ResourceSet } from '@weft/mesh-core/xds';

type ProxyFacts = Pick<ProxyStatus, 'telemetry' | 'labels' | 'envoyFilters' | 'missingKeys'>;

/** The translator, see mesh-core/translate. */
export interface Translator<Mesh> {
  /** `previous` hands over what it has encoded already. */
  buildMesh(objects: readonly MeshObject[], settings: MeshSettings, previous?: Mesh): Mesh;
  translate(mesh: Mesh, node: ProxyNode, settings: MeshSettings): ResourceSet;
  /** Makes piece by piece what takes longest for a proxy; `translate` finds it then. */
  prepare?(mesh: Mesh, node: ProxyNode): Iterator<void>;
  /** Proxies with the same class get the same resources. */
  proxyClass(node: ProxyNode): string;
  /** What a proxy's status says about its translation. */
  proxyFacts?(mesh: Mesh, node: ProxyNode, settings: MeshSettings): ProxyFacts;
}

export interface Snapshots {
  /** Resources of a proxy from the current mesh. */
  of(node: ProxyNode): ResourceSet;
  factsOf(node: ProxyNode): ProxyFacts;
  /** The work of {@link of} that takes longest, piece by piece. */
  prepare(node: ProxyNode): Iterator<void>;
  /** Another after each `rebuild`. */
  mesh(): unknown;
  /** Starts over with these objects. */
  rebuild(objects: Iterable<MeshObject>): void;
  /** What proxies would get if these were the objects; nothing is kept. */
  trial(objects: Iterable<MeshObject>): (node: ProxyNode) => ResourceSet;
}

export function createSnapshots<Mesh>(translator: Translator<Mesh>, settings: MeshSettings): Snapshots {
  let last: Mesh | undefined;
  const build = (objects: Iterable<MeshObject>, keep: boolean): ((node: ProxyNode) => ResourceSet) => {
    const mesh = translator.buildMesh([...objects], settings, last);
    if (keep) last = mesh;
    const sets = new Map<string, ResourceSet>();
    return (node) => {
      const key = translator.proxyClass(node);
      let set = sets.get(key);
      if (set === undefined) {
        set = translator.translate(mesh, node, settings);
        sets.set(key, set);
      }
      return set;
    };
  };
  let current = build([], true);
  return {
    of: (node) => current(node),
    prepare: (node) => (last === undefined ? undefined : translator.prepare?.(last, node)) ?? [][Symbol.iterator](),
    mesh: () => last,
    factsOf: (node) => (last === undefined ? {} : (translator.proxyFacts?.(last, node, settings) ?? {})),
    rebuild: (objects) => {
      current = build(objects, true);
    },
    trial: (objects) => build(objects, false),
  };
}
