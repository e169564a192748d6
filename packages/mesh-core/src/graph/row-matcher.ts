// Finds the rows behind something on the graph, for its charts.

import type { Catalog } from './catalog.ts';
import { destinationEnd, type End, sourceEnd } from './ends.ts';

type Labels = Readonly<Record<string, string>>;

/**
 * A filter for rows that belong to `of`: a node id, `edge:<edge id>`, or undefined for the whole mesh. A node's rows are the
 * ones it receives (a gateway or a root: the ones it sends). An id nothing matches gives a filter that matches nothing.
 */
export function rowMatcher(of: string | undefined, catalog: Catalog): (labels: Labels) => boolean {
  if (of === undefined || of === '') return () => true;
  if (!of.startsWith('edge:')) {
    const sends = of.startsWith('gw:') || of === 'unknown';
    return (labels) => idsOf(sends ? sourceEnd(labels, catalog) : destinationEnd(labels, catalog)).has(of);
  }
  const edge = of.slice('edge:'.length);
  const arrow = edge.indexOf('>');
  const source = edge.slice(0, arrow);
  const target = edge.slice(arrow + 1, edge.lastIndexOf(':'));
  const protocol = edge.slice(edge.lastIndexOf(':') + 1);
  return (labels) => {
    if ((labels['request_protocol'] ?? 'http') !== protocol) return false;
    const targets = idsOf(destinationEnd(labels, catalog));
    if (!targets.has(target)) return false;
    // From a service's node to one of its versions: whoever called.
    return (source.startsWith('svc:') && !target.startsWith('svc:') && targets.has(source)) || idsOf(sourceEnd(labels, catalog)).has(source);
  };
}

function idsOf(end: End): Set<string> {
  return new Set([end.workloadId, end.appId, end.serviceId].filter((id) => id !== undefined));
}
