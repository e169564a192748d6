// VirtualServices whose rules delegate to others, flattened before anything else looks at them.

import { type HttpMatchSpec, type HttpRouteSpec, type VirtualServiceSpec, resolveHost } from '../config/index.ts';
import type { MeshObject } from '../model/index.ts';

type VirtualService = MeshObject<VirtualServiceSpec>;

/** The VirtualServices that have hosts, their delegating rules replaced by the delegates' rules; a rule whose delegate is missing is dropped. */
export function withDelegates(all: readonly VirtualService[], domainSuffix: string): VirtualService[] {
  const isLeaf = (vs: VirtualService): boolean => (vs.spec.hosts ?? []).length === 0;
  const leaves = new Map(all.filter(isLeaf).map((vs) => [`${vs.metadata.namespace}/${vs.metadata.name}`, vs]));
  return all
    .filter((vs) => !isLeaf(vs))
    .map((root) => {
      if (root.spec.http?.some((rule) => rule.delegate !== undefined) !== true) return root;
      const http = root.spec.http.flatMap((rule) => {
        if (rule.delegate === undefined) return [rule];
        const leaf = leaves.get(`${rule.delegate.namespace ?? root.metadata.namespace}/${rule.delegate.name}`);
        return (leaf?.spec.http ?? []).flatMap((inner) => merge(rule, inner, leaf?.metadata.namespace ?? root.metadata.namespace, domainSuffix));
      });
      return { ...root, spec: { ...root.spec, http } };
    });
}

function merge(root: HttpRouteSpec, leaf: HttpRouteSpec, leafNamespace: string, domainSuffix: string): HttpRouteSpec[] {
  const rootMatches = (root.match ?? []).length === 0 ? [{}] : (root.match ?? []);
  const leafMatches = (leaf.match ?? []).length === 0 ? [{}] : (leaf.match ?? []);
  const match = rootMatches.flatMap((r) => leafMatches.map((l) => mergeMatch(r, l)).filter((m) => m !== undefined));
  if (match.length === 0) return [];
  const { delegate: _, ...inherited } = root;
  const name = [root.name, leaf.name].filter((n) => n !== undefined).join('-');
  // Short host names mean the delegate's namespace, which the merged rule no longer knows.
  const absolute = <D extends { host: string }>(destination: D): D => ({ ...destination, host: resolveHost(destination.host, leafNamespace, domainSuffix) });
  return [
    {
      ...inherited,
      ...leaf,
      match,
      ...(name === '' ? {} : { name }),
      ...(leaf.route === undefined ? {} : { route: leaf.route.map((r) => ({ ...r, destination: absolute(r.destination) })) }),
      ...(leaf.mirror === undefined ? {} : { mirror: absolute(leaf.mirror) }),
      ...(leaf.mirrors === undefined ? {} : { mirrors: leaf.mirrors.map((m) => ({ ...m, destination: absolute(m.destination) })) }),
    },
  ];
}

/** Both conditions at once; undefined when they contradict each other, or when that cannot be told. */
function mergeMatch(root: HttpMatchSpec, leaf: HttpMatchSpec): HttpMatchSpec | undefined {
  const merged: Record<string, unknown> = { ...root, ...leaf };
  for (const key of ['headers', 'withoutHeaders', 'queryParams', 'sourceLabels'] as const) {
    const outer: Record<string, unknown> = root[key] ?? {};
    const inner: Record<string, unknown> = leaf[key] ?? {};
    if (Object.keys(inner).some((k) => k in outer && JSON.stringify(outer[k]) !== JSON.stringify(inner[k]))) return undefined;
    if (root[key] !== undefined || leaf[key] !== undefined) merged[key] = { ...outer, ...inner };
  }
  for (const key of ['uri', 'method', 'scheme', 'authority', 'port', 'sourceNamespace', 'gateways'] as const) {
    const [outer, inner] = [root[key], leaf[key]];
    if (outer === undefined || inner === undefined || JSON.stringify(outer) === JSON.stringify(inner)) continue;
    if (key !== 'uri' || !isWithin(root.uri, leaf.uri)) return undefined;
  }
  return merged as HttpMatchSpec;
}

function isWithin(outer: HttpMatchSpec['uri'], inner: HttpMatchSpec['uri']): boolean {
  const path = inner?.exact ?? inner?.prefix;
  return outer?.prefix !== undefined && path !== undefined && path.startsWith(outer.prefix);
}
