import type { GraphSnapshot } from '@weft/mesh-core/api';
import { IconX } from '@tabler/icons-react';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactElement, useEffect, useEffectEvent, useMemo, useState } from 'react';
import { edgeFigures } from '../../data/graph-figures.ts';
import { useLiveGraph, useLiveState } from '../../data/hooks.ts';
import { edgeName, serviceOfNode } from '../../data/node-names.ts';
import { useSettings } from '../../data/settings.ts';
import type { LabelKind } from '../../graph-canvas/scene.ts';
import { perSecondText } from '../../ui/format.ts';
import { State } from '../../ui/state.tsx';
import { useSplitControl } from '../traffic-split/use-split-control.ts';
import { EdgePanel } from './edge-panel.tsx';
import { type Expression, matching, parseExpression, without } from './find-expression.ts';
import { GraphCanvas } from './graph-canvas.tsx';
import { type Display, GraphNotes, GraphTools, type GraphView } from './graph-tools.tsx';
import { Legend } from './legend.tsx';
import { NodePanel } from './node-panel.tsx';
import { useTracePath } from './use-trace-path.ts';
import { WeightHandles } from './weight-handles.tsx';
import './graph.css';

/** The live picture of the mesh with a panel for what is selected. The address holds all of it. */
export function GraphPage(): ReactElement {
  const search = useSearch({ from: '/graph' });
  const navigate = useNavigate({ from: '/graph' });
  const view: GraphView = { type: search.type ?? 'versionedApp', label: search.label ?? 'rate', find: search.find ?? '', hide: search.hide ?? '' };
  const [display, setDisplay] = useState<Display>({ idle: true, motion: true });
  const live = useLiveState() === 'live';
  const paused = useSettings((s) => s.paused);
  const { graph: whole, error } = useLiveGraph(view.type, display.idle);
  const found = useMemo(() => parseExpression(view.find), [view.find]);
  const hidden = useMemo(() => parseExpression(view.hide), [view.hide]);
  const graph = useMemo(() => shownOf(whole, hidden), [whole, hidden]);
  const path = useTracePath(search.trace, graph);
  const matches = useMemo(() => (graph === undefined || found.test === undefined ? path : matching(graph, found.test)), [graph, found, path]);
  const node = graph?.nodes.find((n) => n.id === search.node);
  const edge = graph?.edges.find((e) => e.id === search.edge);
  const select = (to: { node?: string; edge?: string }): void => void navigate({ search: ({ node: _node, edge: _edge, ...held }) => ({ ...held, ...to }) });
  const clear = useEffectEvent(() => select({}));
  const chosen = (node ?? edge) !== undefined;
  useEffect(() => {
    if (!chosen) return;
    const onKey = (event: KeyboardEvent): void => {
      const inField = event.target instanceof HTMLElement && event.target.closest('input, select, textarea, [role="dialog"]') !== null;
      if (event.key === 'Escape' && !inField) clear();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [chosen]);
  const change = ({ type, ...rest }: Partial<GraphView>): void => {
    const given = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, value === '' ? undefined : value]));
    // Ids of nodes differ between graph types.
    const cleared = type === undefined || type === view.type ? {} : { type, node: undefined, edge: undefined };
    void navigate({ search: (held) => ({ ...held, ...given, ...cleared }), replace: true });
  };
  return (
    <div className={`g ${node || edge ? '' : 'wide'}`}>
      <section className="cv" aria-label="Service graph">
        {/* Before the picture: nobody should step through hundreds of nodes to reach them. */}
        <GraphTools
          view={view}
          display={display}
          found={found}
          hidden={hidden}
          matches={found.test === undefined ? undefined : matches?.size}
          onView={change}
          onDisplay={(to) => setDisplay((held) => ({ ...held, ...to }))}
        />
        {graph === undefined ? (
          <State error={error}>Waiting for the first picture…</State>
        ) : graph.nodes.length === 0 ? (
          <State>
            {whole?.nodes.length === 0 ? 'No workloads and no traffic here yet. Widen the range, or choose another namespace.' : 'All of it is hidden.'}
          </State>
        ) : (
          <Picture
            graph={graph}
            label={view.label}
            motion={display.motion && live && !paused}
            selected={search.node ?? search.edge}
            matches={matches}
            onSelect={select}
            serviceOf={node}
          />
        )}
        {search.trace !== undefined && (
          <div className="gtrace chip acc">
            Path of trace {search.trace.slice(0, 16)}
            <button type="button" aria-label="Show all again" onClick={() => void navigate({ search: ({ trace: _trace, ...held }) => held })}>
              <IconX size={12} />
            </button>
          </div>
        )}
        <GraphNotes notes={graph?.notes ?? []} />
        <Legend />
        <ul className="sr" aria-label="Traffic">
          {graph?.edges.map((e, i) => (
            <li key={e.id}>
              {edgeName(e, graph.nodes)}: {perSecondText(edgeFigures(graph.edgeRows[i]).rps)} per second
            </li>
          ))}
        </ul>
      </section>
      {graph && node && <NodePanel key={node.id} graph={graph} node={node} close={() => select({})} />}
      {graph && edge && <EdgePanel graph={graph} edge={edge} close={() => select({})} />}
    </div>
  );
}

function shownOf(graph: GraphSnapshot | undefined, hidden: Expression): GraphSnapshot | undefined {
  return graph === undefined || hidden.test === undefined ? graph : without(graph, matching(graph, hidden.test));
}

/** What stays bright: what was found, else the selection with its neighbours; undefined = all. */
function brightOf(graph: GraphSnapshot, selected: string | undefined, matches: ReadonlySet<string> | undefined): ReadonlySet<string> | undefined {
  if (matches !== undefined) return matches;
  const edge = graph.edges.find((e) => e.id === selected);
  if (edge !== undefined) return new Set([edge.id, edge.source, edge.target]);
  const node = graph.nodes.find((n) => n.id === selected);
  if (node === undefined) return undefined;
  // A split belongs together: its port, its versions and what they touch.
  const own = new Set(graph.nodes.filter((n) => n.id === node.id || (n.box === node.box && n.box?.startsWith('app:') === true)).map((n) => n.id));
  const touched = graph.edges.filter((e) => own.has(e.source) || own.has(e.target));
  return new Set([...own, ...touched.flatMap((e) => [e.id, e.source, e.target])]);
}

function Picture({
  graph,
  label,
  motion,
  selected,
  matches,
  onSelect,
  serviceOf,
}: {
  graph: GraphSnapshot;
  label: LabelKind;
  motion: boolean;
  selected: string | undefined;
  matches: ReadonlySet<string> | undefined;
  onSelect(to: { node?: string; edge?: string }): void;
  serviceOf: GraphSnapshot['nodes'][number] | undefined;
}): ReactElement {
  const bright = useMemo(() => brightOf(graph, selected, matches), [graph, selected, matches]);
  const service = serviceOf && serviceOfNode(serviceOf);
  const port =
    serviceOf === undefined ? undefined : graph.nodes.find((n) => n.kind === 'service' && n.service === serviceOf.service && n.box?.startsWith('app:'));
  return (
    <GraphCanvas graph={graph} label={label} motion={motion} selected={selected} bright={bright} onSelect={onSelect}>
      {(view) => port && service && <Handles key={port.id} graph={graph} view={view} port={port.id} {...service} />}
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
