import type { GraphSnapshot } from '@weft/mesh-core/api';
import { type ReactElement, type ReactNode, useEffect, useRef, useState } from 'react';
import { useSettings } from '../../data/settings.ts';
import { nodeFigures } from '../../data/graph-figures.ts';
import { edgeName } from '../../data/node-names.ts';
import { badgeWords } from '../../graph-canvas/badge-words.ts';
import { pointAt } from '../../graph-canvas/curve.ts';
import { type GraphScene, type LabelKind, type SceneView, createGraphScene } from '../../graph-canvas/scene.ts';

interface Props {
  graph: GraphSnapshot;
  label: LabelKind;
  motion: boolean;
  selected: string | undefined;
  bright: ReadonlySet<string> | undefined;
  onSelect(selection: { node?: string; edge?: string }): void;
  /** Extra elements in graph coordinates. */
  children?: (view: SceneView) => ReactNode;
}

/** The scene with real, focusable buttons over what it paints. */
export function GraphCanvas({ graph, label, motion, selected, bright, onSelect, children }: Props): ReactElement {
  const host = useRef<HTMLDivElement>(null);
  const still = useRef<HTMLCanvasElement>(null);
  const moving = useRef<HTMLCanvasElement>(null);
  const scene = useRef<GraphScene>(undefined);
  const select = useRef(onSelect);
  useEffect(() => {
    select.current = onSelect;
  }, [onSelect]);
  const [view, setView] = useState<SceneView>();
  const theme = useSettings((s) => s.theme);
  useEffect(() => {
    if (!host.current || !still.current || !moving.current) return;
    const made = createGraphScene({
      host: host.current,
      still: still.current,
      moving: moving.current,
      onView: setView,
      onBackground: () => select.current({}),
    });
    scene.current = made;
    return () => made.destroy();
  }, []);
  useEffect(() => scene.current?.update({ graph, label, motion, selected, bright }), [graph, label, motion, selected, bright]);
  useEffect(() => {
    const frame = requestAnimationFrame(() => scene.current?.restyle());
    return () => cancelAnimationFrame(frame);
  }, [theme]);
  const t = view?.transform;
  return (
    <>
      <div ref={host} style={{ position: 'absolute', inset: 0 }} data-testid="graph-canvas">
        <canvas ref={still} />
        <canvas ref={moving} aria-hidden="true" />
        {view && t && (
          <div className="overlay" style={{ transform: `translate(${t.x}px,${t.y}px) scale(${t.k})` }}>
            {graph.edges.map((edge) => {
              const curve = view.curves.get(edge.id);
              if (curve === undefined) return null;
              const [x, y] = pointAt(curve, 0.5);
              return (
                <button
                  type="button"
                  key={edge.id}
                  data-testid={`graph-edge-${edge.id}`}
                  aria-label={edgeName(edge, graph.nodes)}
                  style={{ left: x - 28, top: y - 11, width: 56, height: 22 }}
                  onClick={() => onSelect({ edge: edge.id })}
                />
              );
            })}
            {graph.nodes.map((node, i) => {
              const r = view.layout.nodes.get(node.id);
              const { inRps, outRps, tcpBytes } = nodeFigures(graph.nodeRows[i]);
              const rps = Math.max(inRps, outRps);
              const words = badgeWords(node.badges);
              return (
                r && (
                  <button
                    type="button"
                    key={node.id}
                    data-testid={`graph-node-${node.id}`}
                    aria-pressed={node.id === selected}
                    aria-label={[
                      `${node.kind} ${node.workload ?? node.label}`,
                      ...(rps > 0 || tcpBytes <= 0 ? [`${rps.toFixed(1)} requests per second`] : []),
                      ...(tcpBytes > 0 ? [`${tcpBytes.toFixed(0)} bytes per second`] : []),
                      ...words,
                    ].join(', ')}
                    title={words.join(', ')}
                    style={{ left: r.x, top: r.y, width: r.w, height: r.h }}
                    onClick={() => onSelect({ node: node.id })}
                  />
                )
              );
            })}
            {children?.(view)}
          </div>
        )}
      </div>
      <div className="zoom">
        <button type="button" className="btn icon sm" aria-label="Zoom out" onClick={() => scene.current?.zoomBy(0.8)}>
          −
        </button>
        <span className="num">{Math.round((t?.k ?? 1) * 100)} %</span>
        <button type="button" className="btn icon sm" aria-label="Zoom in" onClick={() => scene.current?.zoomBy(1.25)}>
          +
        </button>
        <button type="button" className="btn icon sm" aria-label="Fit" onClick={() => scene.current?.fit()}>
          ⤢
        </button>
      </div>
    </>
  );
}
