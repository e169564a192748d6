// Puts nodes into boxes: one per namespace, and inside it one per app that has several nodes.

import type { GraphBox, GraphNode, GraphType } from '../api/graph.ts';

/** Sets `box` and `label` of the nodes and answers the boxes, outermost first. */
export function assignBoxes(nodes: readonly GraphNode[], type: GraphType): GraphBox[] {
  const boxes = new Map<string, GraphBox>();
  const apps = type === 'versionedApp' ? appsOf(nodes) : new Map<GraphNode, string>();
  const sizes = new Map<string, number>();
  for (const key of apps.values()) sizes.set(key, (sizes.get(key) ?? 0) + 1);
  for (const node of nodes) {
    if (node.namespace === '') continue;
    const parent = `ns:${node.namespace}`;
    if (!boxes.has(parent)) boxes.set(parent, { id: parent, kind: 'namespace', label: node.namespace, namespace: node.namespace });
    node.box = parent;
    const app = apps.get(node);
    const boxed = app !== undefined && (sizes.get(app) ?? 0) > 1;
    if (boxed) {
      const name = app.slice(app.indexOf('/') + 1);
      node.box = `app:${app}`;
      if (!boxes.has(node.box)) boxes.set(node.box, { id: node.box, kind: 'app', label: name, namespace: node.namespace, parent });
    }
    if (type === 'versionedApp' && node.kind === 'workload') node.label = (boxed ? node.version : node.app) ?? node.label;
  }
  return [...boxes.values()].toSorted((a, b) => (a.kind === b.kind ? (a.id < b.id ? -1 : 1) : a.kind === 'namespace' ? -1 : 1));
}

/** `<namespace>/<app>` per node; a service's node belongs to the app its workloads are of. */
function appsOf(nodes: readonly GraphNode[]): Map<GraphNode, string> {
  const appOfService = new Map<string, string>();
  const apps = new Map<GraphNode, string>();
  for (const node of nodes) {
    if (node.kind !== 'workload' || node.app === undefined) continue;
    apps.set(node, `${node.namespace}/${node.app}`);
    if (node.service !== undefined && !appOfService.has(node.service)) appOfService.set(node.service, `${node.namespace}/${node.app}`);
  }
  for (const node of nodes)
    if (node.kind === 'service' && node.service !== undefined) apps.set(node, appOfService.get(node.service) ?? `${node.namespace}/${node.label}`);
  return apps;
}
