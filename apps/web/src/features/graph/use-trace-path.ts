import { type GraphSnapshot, traceSchema } from '@weft/mesh-core/api';
import { useQuery } from '@tanstack/react-query';
import { request } from '../../data/client.ts';
import { tracedName } from '../../data/node-names.ts';

/** Nodes and edges a trace went through, by the services of its spans; undefined while no trace is asked for, or it is not there. */
export function useTracePath(traceId: string | undefined, graph: GraphSnapshot | undefined): ReadonlySet<string> | undefined {
  const trace = useQuery({
    queryKey: ['trace', traceId],
    enabled: traceId !== undefined,
    queryFn: () => request(traceSchema, `/traces/${traceId}`),
    staleTime: Infinity,
  });
  if (graph === undefined || traceId === undefined || trace.data === undefined) return undefined;
  const services = new Set(trace.data.spans.map((s) => s.service));
  // Of a service with versions only those that had spans.
  const workloads = new Set(trace.data.spans.map((s) => String(s.resource['weft.workload'] ?? '')));
  const through = graph.nodes.filter((n) => {
    return services.has(tracedName(n)) && (n.kind !== 'workload' || workloads.size < 2 || n.workload === undefined || workloads.has(n.workload));
  });
  const ids = new Set(through.map((n) => n.id));
  return new Set([...ids, ...graph.edges.filter((e) => ids.has(e.source) && ids.has(e.target)).map((e) => e.id)]);
}
