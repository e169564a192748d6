// EnvoyFilters whose operation does not do what it says.

import type { MeshObject, Problem } from '../model/index.ts';
import { problem } from './analyze-mesh.ts';
import type { EnvoyFilterSpec } from './envoy-filter.ts';

type EnvoyFilter = MeshObject<EnvoyFilterSpec>;
type Patch = NonNullable<EnvoyFilterSpec['configPatches']>[number];

const NOT_LISTS = new Set(['ROUTE_CONFIGURATION', 'HTTP_ROUTE']);
const REPLACEABLE = new Set(['HTTP_FILTER', 'NETWORK_FILTER', 'VIRTUAL_HOST']);
const BESIDE = new Set(['INSERT_BEFORE', 'INSERT_AFTER', 'REMOVE', 'REPLACE']);

/** `all` in the order they are applied. */
export function envoyFilterProblems(all: readonly EnvoyFilter[]): Problem[] {
  /** Filters some earlier patch touches for one version of the proxy only. */
  const versioned = new Set<string>();
  return all.flatMap((filter) =>
    (filter.spec.configPatches ?? []).flatMap((patch, i) => {
      const found = patchProblem(filter, patch, `spec.configPatches[${i}].patch.operation`, versioned);
      if (patch.match?.proxy?.proxyVersion) versioned.add(touched(patch));
      return found === undefined ? [] : [found];
    }),
  );
}

function patchProblem(filter: EnvoyFilter, patch: Patch, path: string, versioned: ReadonlySet<string>): Problem | undefined {
  const { operation } = patch.patch;
  const { applyTo } = patch;
  if (operation === 'ADD' && NOT_LISTS.has(applyTo)) return problem(filter, 'error', 'IST0153', path, `ADD does nothing with applyTo ${applyTo}.`);
  if (operation === 'REMOVE' && NOT_LISTS.has(applyTo)) return problem(filter, 'error', 'IST0154', path, `REMOVE does nothing with applyTo ${applyTo}.`);
  if (operation === 'REPLACE' && !REPLACEABLE.has(applyTo))
    return problem(filter, 'error', 'IST0152', path, `REPLACE is for HTTP_FILTER, NETWORK_FILTER and VIRTUAL_HOST only, not ${applyTo}.`);
  if (!BESIDE.has(operation) || (filter.spec.priority ?? 0) !== 0) return undefined;
  const byVersion = versioned.has(touched(patch));
  return problem(
    filter,
    'warning',
    byVersion ? 'IST0155' : 'IST0151',
    path,
    `${operation} hangs on what is there already${byVersion ? ', and another EnvoyFilter changes that for one proxy version only' : ''}: set a priority, or use INSERT_FIRST or ADD.`,
  );
}

function touched({ match, patch }: Patch): string {
  const name = patch.value?.['name'];
  return typeof name === 'string' ? name : (match?.listener?.filterChain?.filter?.name ?? '');
}
