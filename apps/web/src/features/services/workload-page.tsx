import { HEALTH } from '@weft/mesh-core/api';
import { Link, useParams } from '@tanstack/react-router';
import { IconCpu, IconHierarchy, IconTimeline } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { useGraph, useProxies, useSecurity } from '../../data/hooks.ts';
import { badgeWords } from '../../graph-canvas/badges.ts';
import { Facts } from '../../ui/facts.tsx';
import { millis, percent, rate } from '../../ui/format.ts';
import { HealthChip } from '../../ui/health-chip.tsx';
import { State } from '../../ui/state.tsx';
import { Neighbours } from './neighbours.tsx';
import { RequestLog } from './request-log.tsx';
import { BreakdownCharts, GoldenCharts } from './traffic-charts.tsx';

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
  const [inRps = 0, inErrors = 0, outRps = 0, outErrors = 0, , p95 = -1, , health = 0] = graph.data.nodeRows[at] ?? [];
  const gateway = node.kind === 'gateway';
  const [service, serviceNamespace] = node.service?.split('.') ?? [];
  const objects = [...(security?.peerAuthentication === undefined ? [] : [security.peerAuthentication]), ...(security?.policies ?? [])];
  return (
    <div className="page" key={node.id}>
      <header className="dh">
        <h2>{name}</h2>
        <span className="chip line">{namespace}</span>
        <HealthChip health={HEALTH[health] ?? 'unknown'} />
        {[...(node.inMesh ? [] : ['no sidecar']), ...badgeWords(node.badges)].map((word) => (
          <span className="chip" key={word}>
            {word}
          </span>
        ))}
        <span style={{ flex: 1 }} />
        <Link className="btn sm" to="/graph" search={{ node: node.id, type: 'workload' }}>
          <IconHierarchy size={14} aria-hidden="true" />
          Show on graph
        </Link>
        <Link className="btn sm" to="/traces" search={{ service: `${node.app ?? name}.${namespace}` }}>
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
            Requests: <b>{gateway ? `${rate(outRps)} sent on` : `${rate(inRps)} in, ${rate(outRps)} out`}</b>,
            Errors: <b>{percent(gateway ? outErrors : inErrors)}</b>,
            p95: <b>{millis(p95)}</b>,
            'App, version': [node.app, node.version].filter(Boolean).join(', ') || '–',
            Service:
              service === undefined || serviceNamespace === undefined ? (
                'none selects it'
              ) : (
                <Link to="/services/$namespace/$name" params={{ namespace: serviceNamespace, name: service }}>
                  {service}
                </Link>
              ),
            'Mutual TLS': security?.mtls.toLowerCase() ?? '–',
            Identity: <span className="mono">{security?.identity ?? '–'}</span>,
            Policies:
              objects.length === 0
                ? 'none'
                : objects.map((o, i) => (
                    <span key={`${o.kind}/${o.namespace}/${o.name}`}>
                      {i > 0 && ', '}
                      <Link to="/config" search={{ object: `${o.kind}/${o.namespace}/${o.name}` }}>
                        {o.kind} {o.name}
                      </Link>
                    </span>
                  )),
          }}
        />
      </header>
      <GoldenCharts of={node.id} />
      <Neighbours belongs={(n) => n.id === node.id} />
      {!gateway && <BreakdownCharts of={node.id} />}
      <section className="card">
        <RequestLog service={`${node.app ?? name}.${namespace}`} workload={name} />
      </section>
    </div>
  );
}
