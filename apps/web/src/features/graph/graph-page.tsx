import type { GraphSnapshot } from '@weft/mesh-core/api';
import { IconLock } from '@tabler/icons-react';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import { useLiveGraph } from '../../data/hooks.ts';
import type { LabelKind } from '../../graph-canvas/scene.ts';
import { State } from '../../ui/state.tsx';
import { useSplitControl } from '../traffic-split/use-split-control.ts';
import { LoadControl } from './load-control.tsx';
import { GraphCanvas } from './graph-canvas.tsx';
import { EdgePanel } from './edge-panel.tsx';
import { NodePanel } from './node-panel.tsx';
import { WeightHandles } from './weight-handles.tsx';

const TYPES = [
  ['versionedApp', 'Versions'],
  ['service', 'Services'],
  ['workload', 'Workloads'],
] as const;

/** The live picture of the mesh with a panel for what is selected. */
export function GraphPage(): ReactElement {
  const search = useSearch({ from: '/graph' });
  const navigate = useNavigate({ from: '/graph' });
  const [type, setType] = useState<GraphSnapshot['graphType']>('versionedApp');
  const [label, setLabel] = useState<LabelKind>('rate');
  const [find, setFind] = useState('');
  const { graph, error } = useLiveGraph(type);
  const node = graph?.nodes.find((n) => n.id === search.node);
  const edge = graph?.edges.find((e) => e.id === search.edge);
  const select = (to: { node?: string; edge?: string }): void => void navigate({ search: to });
  return (
    <div className={`g ${node || edge ? '' : 'wide'}`}>
      <section className="cv" aria-label="Service graph">
        {graph === undefined ? (
          <State error={error}>Waiting for the first picture…</State>
        ) : graph.nodes.length === 0 ? (
          <State>No workloads and no traffic in this namespace yet.</State>
        ) : (
          <Picture graph={graph} label={label} selected={search.node ?? search.edge} find={find} onSelect={select} serviceOf={node} />
        )}
        <div className="tl">
          <span className="seg" role="group" aria-label="Graph type">
            {TYPES.map(([value, name]) => (
              <button type="button" key={value} className={type === value ? 'on' : ''} aria-pressed={type === value} onClick={() => setType(value)}>
                {name}
              </button>
            ))}
          </span>
          <select className="pill" aria-label="Label" value={label} onChange={(e) => setLabel(e.target.value as LabelKind)}>
            <option value="rate">Requests /s</option>
            <option value="errors">Errors</option>
            <option value="p95">p95</option>
          </select>
          <LoadControl />
        </div>
        <div className="tr">
          <input className="field" placeholder="Find a node" aria-label="Find" value={find} onChange={(e) => setFind(e.target.value)} />
        </div>
        <div className="legend" aria-label="Legend">
          <span>
            <i style={{ background: 'var(--g-ok)' }} />
            Healthy
          </span>
          <span>
            <i style={{ background: 'var(--g-warn)' }} />
            Degraded
          </span>
          <span>
            <i style={{ background: 'var(--g-err)' }} />
            Failing
          </span>
          <span>
            <i className="dash" />
            Idle
          </span>
          <span>
            <svg width="11" height="11">
              <path d="M5.500,.5l5,5l-5,5l-5,-5z" fill="var(--g-err)" />
            </svg>
            Error
          </span>
          <span>
            <svg width="11" height="11">
              <circle cx="5.5" cy="5.5" r="3.4" fill="var(--node)" stroke="var(--g-ok)" strokeWidth="1.6" />
            </svg>
            Request
          </span>
          <span>
            <IconLock size={12} stroke={1.5} aria-hidden="true" />
            mTLS
          </span>
        </div>
        <ul className="sr" aria-label="Traffic">
          {graph?.edges.map((e, i) => (
            <li key={e.id}>
              {e.source} to {e.target}: {graph.edgeRows[i]?.[0]?.toFixed(1)} per second
            </li>
          ))}
        </ul>
      </section>
      {graph && node && <NodePanel key={node.id} graph={graph} node={node} close={() => select({})} />}
      {graph && edge && <EdgePanel graph={graph} edge={edge} close={() => select({})} />}
    </div>
  );
}

function Picture({
  graph,
  label,
  selected,
  find,
  onSelect,
  serviceOf,
}: {
  graph: GraphSnapshot;
  label: LabelKind;
  selected: string | undefined;
  find: string;
  onSelect(to: { node?: string; edge?: string }): void;
  serviceOf: GraphSnapshot['nodes'][number] | undefined;
}): ReactElement {
  const wanted = find.trim().toLowerCase();
  const bright = wanted === '' ? undefined : new Set(graph.nodes.filter((n) => `${n.id} ${n.label}`.toLowerCase().includes(wanted)).map((n) => n.id));
  const service = serviceOf?.service?.split('.');
  const port =
    serviceOf === undefined ? undefined : graph.nodes.find((n) => n.kind === 'service' && n.service === serviceOf.service && n.box?.startsWith('app:'));
  return (
    <GraphCanvas graph={graph} label={label} selected={selected} bright={bright} onSelect={onSelect}>
      {(view) => port && service && <Handles key={port.id} graph={graph} view={view} port={port.id} name={service[0] ?? ''} namespace={service[1] ?? ''} />}
    </GraphCanvas>
  );
}
function Handles({
  graph,
  view,
  port,
  name,
  namespace,
}: {
  graph: GraphSnapshot;
  view: Parameters<typeof WeightHandles>[0]['view'];
  port: string;
  name: string;
  namespace: string;
}): ReactElement {
  const control = useSplitControl(namespace, name);
  return <WeightHandles graph={graph} view={view} service={port} control={control} />;
}
