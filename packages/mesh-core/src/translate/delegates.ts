// VirtualServices whose rules delegate to others, flattened before anything else looks at them.

import { type HttpMatchSpec, type HttpRouteSpec, type StringMatchSpec, type VirtualServiceSpec, gatewayKey, resolveHost, visible } from '../config/index.ts';
import type { MeshObject } from '../model/index.ts';

type VirtualService = MeshObject<VirtualServiceSpec>;

/** The VirtualServices that have hosts, their delegating rules replaced by the delegates' rules; a rule whose delegate is missing, or not exported to the root's namespace, is dropped. */
export function withDelegates(all: readonly VirtualService[], domainSuffix: string): VirtualService[] {
  const isLeaf = (vs: VirtualService): boolean => (vs.spec.hosts ?? []).length === 0;
  const leaves = new Map(all.filter(isLeaf).map((vs) => [`${vs.metadata.namespace}/${vs.metadata.name}`, vs]));
  return all
    .filter((vs) => !isLeaf(vs))
    .map((root) => {
      if (root.spec.http?.some((rule) => rule.delegate !== undefined) !== true) return root;
      const http = root.spec.http.flatMap((rule) => {
        if (rule.delegate === undefined) return [rule];
        const leaf = leaves.get(`${rule.delegate.namespace || root.metadata.namespace}/${rule.delegate.name}`);
        if (leaf === undefined || !visible(leaf.spec.exportTo, leaf.metadata.namespace, root.metadata.namespace)) return [];
        return (leaf.spec.http ?? []).map((inner) => merge(rule, absolute(inner, leaf, domainSuffix), root)).filter((merged) => merged !== undefined);
      });
      return { ...root, spec: { ...root.spec, http } };
    });
}

/** Short names mean the delegate's namespace, which the merged rule no longer knows. */
function absolute(rule: HttpRouteSpec, { metadata: { namespace } }: VirtualService, domainSuffix: string): HttpRouteSpec {
  const full = <D extends { host: string }>(destination: D): D => ({ ...destination, host: resolveHost(destination.host, namespace, domainSuffix) });
  return {
    ...rule,
    ...(rule.route === undefined ? {} : { route: rule.route.map((r) => ({ ...r, destination: full(r.destination) })) }),
    ...(rule.mirror === undefined ? {} : { mirror: full(rule.mirror) }),
    ...(rule.mirrors === undefined ? {} : { mirrors: rule.mirrors.map((m) => ({ ...m, destination: full(m.destination) })) }),
    ...(rule.match === undefined
      ? {}
      : { match: rule.match.map((m) => (m.gateways === undefined ? m : { ...m, gateways: m.gateways.map((g) => gatewayKey(g, namespace)) })) }),
  };
}

/** What the leaf leaves out it has from the root. Undefined when the two contradict each other. */
function merge(root: HttpRouteSpec, leaf: HttpRouteSpec, owner: VirtualService): HttpRouteSpec | undefined {
  const rootMatches = (root.match ?? []).map((m) =>
    m.gateways === undefined ? m : { ...m, gateways: m.gateways.map((g) => gatewayKey(g, owner.metadata.namespace)) },
  );
  const match = mergeMatches(rootMatches, leaf.match ?? []);
  if (match === undefined) return undefined;
  const { delegate: _, match: _match, ...inherited } = root;
  const name = joined(root.name, leaf.name);
  return { ...inherited, ...leaf, ...(match.length === 0 ? {} : { match }), ...(name === undefined ? {} : { name }) };
}

/** Each match of the leaf under every match of the root that covers it; undefined when one is covered by none. */
function mergeMatches(root: readonly HttpMatchSpec[], leaf: readonly HttpMatchSpec[]): HttpMatchSpec[] | undefined {
  if (root.length === 0) return [...leaf];
  if (leaf.length === 0) return [...root];
  const merged = leaf.map((inner) => root.filter((outer) => !conflict(outer, inner)).map((outer) => mergeMatch(outer, inner)));
  return merged.some((list) => list.length === 0) ? undefined : merged.flat();
}

const MAPS = ['headers', 'withoutHeaders', 'queryParams', 'sourceLabels'] as const;

function mergeMatch(root: HttpMatchSpec, leaf: HttpMatchSpec): HttpMatchSpec {
  const name = joined(root.name, leaf.name);
  const maps = MAPS.filter((key) => root[key] !== undefined && leaf[key] !== undefined).map((key) => [key, { ...root[key], ...leaf[key] }]);
  const gateways = leaf.gateways?.length ? leaf.gateways : root.gateways;
  return {
    ...root,
    ...leaf,
    ...(Object.fromEntries(maps) as Partial<HttpMatchSpec>),
    ...(name === undefined ? {} : { name }),
    ...(gateways === undefined ? {} : { gateways }),
  };
}

/** Whether a request could meet the leaf's condition outside the root's, or that cannot be told (two patterns). */
function conflict(root: HttpMatchSpec, leaf: HttpMatchSpec): boolean {
  if ((['uri', 'scheme', 'method', 'authority'] as const).some((key) => stringConflict(root[key], leaf[key]))) return true;
  for (const key of ['headers', 'withoutHeaders', 'queryParams'] as const)
    if (Object.entries(leaf[key] ?? {}).some(([name, match]) => stringConflict(root[key]?.[name], match))) return true;
  if ((root.ignoreUriCase ?? false) !== (leaf.ignoreUriCase ?? false)) return true;
  if (root.port !== undefined && leaf.port !== undefined && root.port !== leaf.port) return true;
  if (root.sourceNamespace && leaf.sourceNamespace !== root.sourceNamespace) return true;
  if (Object.entries(leaf.sourceLabels ?? {}).some(([key, value]) => (root.sourceLabels?.[key] ?? value) !== value)) return true;
  const allowed = root.gateways ?? [];
  return allowed.length > 0 && (leaf.gateways ?? []).some((gateway) => !allowed.includes(gateway));
}

function stringConflict(root: StringMatchSpec | undefined, leaf: StringMatchSpec | undefined): boolean {
  if (root === undefined || leaf === undefined) return false;
  if (root.exact) return leaf.exact !== root.exact;
  const inner = leaf.prefix || leaf.exact;
  // Of regexes nobody can tell whether one lies within the other; `{}` on both sides says nothing either.
  return !(root.prefix && inner && inner.startsWith(root.prefix));
}

function joined(root: string | undefined, leaf: string | undefined): string | undefined {
  const name = [root, leaf].filter((part) => part).join('-');
  return name === '' ? undefined : name;
}
