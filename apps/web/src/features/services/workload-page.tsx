import { refKey } from '@weft/mesh-core/model';
import { Link, useParams } from '@tanstack/react-router';
import { IconCpu, IconHierarchy, IconTimeline } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { nodeFigures, ownTraffic } from '../../data/graph-figures.ts';
import { useGraph, useProxies, useSecurity } from '../../data/hooks.ts';
import { serviceOfNode, tracedName } from '../../data/node-names.ts';
import { nodeWords } from '../../graph-canvas/badge-words.ts';
import { Facts } from '../../ui/facts.tsx';
import { byteRate, millis, percent, rate } from '../../ui/format.ts';
import { HealthChip } from '../../ui/health-chip.tsx';
import { ObjectLink, ServiceLink } from '../../ui/links.tsx';
import { State } from '../../ui/state.tsx';
import { Neighbours } from './neighbours.tsx';
import { RequestLog } from './request-log.tsx';
import { BreakdownCharts, GoldenCharts, TcpChart } from './traffic-charts.tsx';

/** One workload: figures, neighbours, its proxies, and what guards it. */
export function WorkloadPage(): ReactElement {
  const { namespace, name } = useParams({ from: '/workloads/$namespace/$name' });
  const graph = useGraph('workload');
  const proxies = useProxies().data?.filter((p) => p.namespace === namespace && p.workload === name) ?? [];
  const security = useSecurity().data?.items.find((w) => w.namespace === namespace && w.workload === name);
  const at = graph.data?.nodes.findIndex((n) => n.namespace === namespace && n.workload === name) ?? -1;
  const node = graph.data?.nodes[at];
  if (graph.data === undefined || node === undefined)
    return (
      <div className="page">
        <State error={graph.error ?? (graph.data === undefined ? undefined : `There is no workload ${namespace}/${name}.`)} />
      </div>
    );
  const figures = nodeFigures(graph.data.nodeRows[at]);
  const { inRps, outRps, p95, tcpBytes } = figures;
  const tcp = tcpBytes > 0;
  const http = !tcp || inRps > 0 || outRps > 0;
  const gateway = node.kind === 'gateway';
  const service = serviceOfNode(node);
  const traced = tracedName(node);
  const objects = [...(security?.peerAuthentication === undefined ? [] : [security.peerAuthentication]), ...(security?.policies ?? [])];
  return (
    <div className="page" key={node.id}>
      <header className="dh">
        <h2>{name}</h2>
        <span className="chip line">{namespace}</span>
        <HealthChip health={figures.health} />
        {nodeWords(node).map((word) => (
          <span className="chip" key={word}>
            {word}
          </span>
        ))}
        <span style={{ flex: 1 }} />
        <Link className="btn sm" to="/graph" search={{ node: node.id, type: 'workload' }}>
          <IconHierarchy size={14} aria-hidden="true" />
          Show on graph
        </Link>
        <Link className="btn sm" to="/traces" search={{ service: traced }}>
          <IconTimeline size={14} aria-hidden="true" />
          Traces
        </Link>
        {proxies.map((p) => (
          <Link className="btn sm" key={p.id} to="/proxies" search={{ proxy: p.id }}>
            <IconCpu size={14} aria-hidden="true" />
            Proxy
          </Link>
        ))}
        <Facts
          of={{
            ...(http ? { Requests: <b>{gateway ? `${rate(outRps)} sent on` : `${rate(inRps)} in, ${rate(outRps)} out`}</b> } : {}),
            ...(tcp ? { Traffic: <b>{byteRate(tcpBytes)}</b> } : {}),
            Errors: <b>{percent(ownTraffic(node, figures).errors)}</b>,
            p95: <b>{millis(p95)}</b>,
            'App, version': [node.app, node.version].filter(Boolean).join(', ') || '–',
            Service: service === undefined ? 'none selects it' : <ServiceLink {...service} />,
            'Mutual TLS': security?.mtls.toLowerCase() ?? '–',
            Identity: <span className="mono">{security?.identity ?? '–'}</span>,
            Policies:
              objects.length === 0
                ? 'none'
                : objects.map((o, i) => (
                    <span key={refKey(o)}>
                      {i > 0 && ', '}
                      <ObjectLink of={o} />
                    </span>
                  )),
          }}
        />
      </header>
      {http && <GoldenCharts of={node.id} />}
      {tcp && <TcpChart of={node.id} />}
      <Neighbours belongs={(n) => n.id === node.id} />
      {!gateway && http && <BreakdownCharts of={node.id} />}
      <section className="card">
        <RequestLog service={traced} workload={name} />
      </section>
    </div>
  );
}
