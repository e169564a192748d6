import type { GraphSnapshot } from '@weft/mesh-core/api';
import { type ReactElement, useRef } from 'react';
import { pointAt } from '../../graph-canvas/curve.ts';
import type { SceneView } from '../../graph-canvas/scene.ts';
import type { SplitControl } from '../traffic-split/use-split-control.ts';

/** Drag handles on the split's edges: up gives a version more, down less; release writes it. */
export function WeightHandles({
  graph,
  view,
  service,
  control,
}: {
  graph: GraphSnapshot;
  view: SceneView;
  service: string;
  control: SplitControl;
}): ReactElement {
  const start = useRef({ y: 0, weight: 0 });
  return (
    <>
      {graph.edges
        .filter((e) => e.source === service)
        .map((edge) => {
          const curve = view.curves.get(edge.id);
          const workload = graph.nodes.find((n) => n.id === edge.target)?.workload;
          const d = control.split?.destinations.find((x) => workload !== undefined && x.workloads.includes(workload));
          if (curve === undefined || d === undefined || control.split?.blocked !== undefined) return null;
          const [x, y] = pointAt(curve, 0.5);
          const weight = control.weights[d.subset] ?? 0;
          return (
            <button
              type="button"
              key={edge.id}
              className="chip acc wh"
              data-testid={`graph-weight-${d.subset}`}
              aria-label={`Drag to set the weight of ${d.subset}, now ${weight} %`}
              style={{ left: x - 26, top: y - 11, width: 52, height: 22, background: 'var(--accent-soft)', justifyContent: 'center' }}
              onPointerDown={(e) => {
                e.stopPropagation();
                e.currentTarget.setPointerCapture(e.pointerId);
                start.current = { y: e.clientY, weight };
              }}
              onMouseDown={(e) => e.stopPropagation()}
              onPointerMove={(e) => {
                if (e.currentTarget.hasPointerCapture(e.pointerId)) control.drag(d.subset, start.current.weight + (start.current.y - e.clientY) / 2);
              }}
              onPointerUp={() => {
                if (control.dirty) void control.apply();
              }}
              onKeyDown={(e) => {
                if (e.key === 'ArrowUp') control.drag(d.subset, weight + 1);
                if (e.key === 'ArrowDown') control.drag(d.subset, weight - 1);
                if (e.key === 'Enter' && control.dirty) void control.apply();
              }}
            >
              ↕ {weight} %
            </button>
          );
        })}
    </>
  );
}
