import { type GraphNode, type GraphSnapshot, HEALTH } from '@weft/mesh-core/api';
import { Link } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import { useSeries } from '../../data/hooks.ts';
import { millis, percent, rate } from '../../ui/format.ts';
import { SparkChart } from '../../ui/spark-chart.tsx';
import { SplitPanel } from '../traffic-split/split-panel.tsx';
import { useSplitControl } from '../traffic-split/use-split-control.ts';
import { PanelHead } from './panel-head.tsx';

/** Figures, split and charts of one node. */
export function NodePanel({ graph, node, close }: { graph: GraphSnapshot; node: GraphNode; close(): void }): ReactElement {
  const [tab, setTab] = useState<'Traffic' | 'Traces' | 'YAML'>('Traffic');
  const [inRps = 0, inErrors = 0, outRps = 0, , , p95 = -1, , health = 0] = graph.nodeRows[graph.nodes.indexOf(node)] ?? [];
  const [name, namespace] = node.service?.split('.') ?? [];
  const mtls = graph.edges.some((e, i) => e.target === node.id && (graph.edgeRows[i]?.[7] ?? -1) > 0.99);
  const word = HEALTH[health] ?? 'unknown';
  return (
    <aside className="panel" aria-label={`Details of ${node.label}`}>
      <PanelHead
        title={node.workload ?? node.label}
        chip={<span className={`chip ${word === 'healthy' ? 'ok' : word === 'degraded' ? 'warn' : word === 'failing' ? 'err' : ''}`}>{word}</span>}
        figures={{
          Requests: rate(node.kind === 'gateway' ? outRps : inRps),
          Errors: percent(inErrors),
          p95: millis(p95),
          Transport: mtls ? 'mTLS' : 'plain',
        }}
        close={close}
      />
      <div className="tabs" role="tablist">
        {(['Traffic', 'Traces', 'YAML'] as const).map((t) => (
          <button type="button" role="tab" aria-selected={t === tab} key={t} className={t === tab ? 'on' : ''} onClick={() => setTab(t)}>
            {t}
          </button>
        ))}
      </div>
      {tab === 'Traffic' && name !== undefined && namespace !== undefined && <Split namespace={namespace} name={name} />}
      {tab === 'Traffic' && <Charts id={node.id} />}
      {tab === 'Traces' && (
        <div className="sec">
          <Link to="/traces" search={{ service: `${name ?? node.app ?? node.label}.${node.namespace}` }}>
            Open traces of {node.label}
          </Link>
        </div>
      )}
      {tab === 'YAML' && (
        <div className="sec">
          {name === undefined ? (
            <span className="muted">No service stands for this node.</span>
          ) : (
            ['Service', 'VirtualService', 'DestinationRule'].map((kind) => (
              <div key={kind}>
                <Link to="/config" search={{ object: `${kind}/${namespace}/${name}` }}>
                  {kind} {name}
                </Link>
              </div>
            ))
          )}
        </div>
      )}
    </aside>
  );
}

function Split({ namespace, name }: { namespace: string; name: string }): ReactElement {
  return <SplitPanel control={useSplitControl(namespace, name)} />;
}
function Charts({ id }: { id: string }): ReactElement {
  const requests = useSeries('rps', id, 'version').data;
  const latency = useSeries('p95', id, 'version').data;
  return (
    <div className="sec">
      {requests && requests.lines.length > 0 && (
        <>
          <div className="h">Requests /s</div>
          <SparkChart series={requests} label="Requests per second" />
        </>
      )}
      {latency && latency.lines.length > 0 && (
        <>
          <div className="h">Latency p95, ms</div>
          <SparkChart series={latency} label="Latency p95" />
        </>
      )}
    </div>
  );
}
