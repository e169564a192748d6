// The graph on two canvases: a still layer drawn on change, and a layer of moving requests. No framework in here.

import { type ZoomTransform, select, timer, zoom, zoomIdentity } from 'd3';
import type { GraphSnapshot } from '@weft/mesh-core/api';
import { type Curve, edgeCurve, pointAt } from './curve.ts';
import { drawStill } from './draw-still.ts';
import { type Layout, type Rect, layoutGraph } from './layout.ts';
import { type Palette, readPalette } from './palette.ts';

export type LabelKind = 'rate' | 'errors' | 'p95' | 'share';
export interface SceneView {
  layout: Layout;
  curves: Map<string, Curve>;
  transform: { x: number; y: number; k: number };
}
export interface SceneOptions {
  still: HTMLCanvasElement;
  moving: HTMLCanvasElement;
  host: HTMLElement;
  /** After every change of layout or zoom, for whoever lays real elements over the picture. */
  onView(view: SceneView): void;
  onBackground(): void;
}
export interface SceneInput {
  graph: GraphSnapshot;
  label: LabelKind;
  /** Requests on their way; still where the person wants less motion. */
  motion: boolean;
  selected: string | undefined;
  /** Ids to keep bright; undefined = all. */
  bright: ReadonlySet<string> | undefined;
}
export interface GraphScene {
  update(input: SceneInput): void;
  /** Reads the colours again. */
  restyle(): void;
  fit(): void;
  zoomBy(factor: number): void;
  destroy(): void;
}

const LABEL_HALF = { w: 32, h: 14 };

/** Takes over the two canvases until `destroy`. */
export function createGraphScene(options: SceneOptions): GraphScene {
  const { still, moving, host } = options;
  const reduced = matchMedia('(prefers-reduced-motion: reduce)').matches;
  let palette: Palette = readPalette();
  let input: SceneInput | undefined;
  let layout: Layout | undefined;
  let layoutKey = '';
  let curves = new Map<string, Curve>();
  let transform: ZoomTransform = zoomIdentity;
  let touched = false;
  let elapsedMs = 0;

  const behaviour = zoom<HTMLElement, unknown>()
    .scaleExtent([0.15, 3])
    .on('zoom', (event: { transform: ZoomTransform; sourceEvent: unknown }) => {
      transform = event.transform;
      if (event.sourceEvent) touched = true;
      draw();
    });
  const root = select(host).call(behaviour).on('dblclick.zoom', null);
  root.on('click.pick', (event: MouseEvent) => {
    if (event.target === host || event.target === still) options.onBackground();
  });

  const prepare = (canvas: HTMLCanvasElement): CanvasRenderingContext2D | undefined => {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: w, clientHeight: h } = host;
    if (canvas.width !== w * ratio || canvas.height !== h * ratio) {
      canvas.width = w * ratio;
      canvas.height = h * ratio;
    }
    const context = canvas.getContext('2d') ?? undefined;
    context?.setTransform(ratio, 0, 0, ratio, 0, 0);
    context?.clearRect(0, 0, w, h);
    context?.translate(transform.x, transform.y);
    context?.scale(transform.k, transform.k);
    return context;
  };
  const draw = (): void => {
    if (input === undefined || layout === undefined) return;
    const context = prepare(still);
    if (context !== undefined) drawStill(context, input, layout, curves, palette);
    options.onView({ layout, curves, transform: { x: transform.x, y: transform.y, k: transform.k } });
  };
  const animate = (): void => {
    const context = prepare(moving);
    if (context === undefined || input === undefined || !input.motion) return;
    input.graph.edges.forEach((edge, i) => {
      const [rps = 0, errors = 0] = input?.graph.edgeRows[i] ?? [];
      const curve = curves.get(edge.id);
      if (rps <= 0 || curve === undefined || input?.bright?.has(edge.id) === false) return;
      // More requests, more dots: up to eight at a time, each 1.8 s on its way.
      const [middleX, middleY] = pointAt(curve, 0.5);
      const count = Math.min(8, Math.max(1, Math.round(Math.log2(1 + rps))));
      for (let n = 0; n < count; n++) {
        const turn = elapsedMs / 1_800 + n / count;
        const [x, y] = pointAt(curve, turn % 1);
        // The label in the middle stays readable.
        if (Math.abs(x - middleX) < LABEL_HALF.w && Math.abs(y - middleY) < LABEL_HALF.h) continue;
        // Golden-ratio spacing shows the error share without chance.
        const failed = errors > 0 && ((Math.floor(turn) * count + n) * 0.618) % 1 < Math.max(errors, 0.02);
        context.beginPath();
        if (failed) {
          context.moveTo(x, y - 5);
          context.lineTo(x + 5, y);
          context.lineTo(x, y + 5);
          context.lineTo(x - 5, y);
          context.fillStyle = palette.err;
          context.fill();
        } else {
          context.arc(x, y, 3.4, 0, 7);
          context.fillStyle = palette.node;
          context.fill();
          context.lineWidth = 1.6;
          context.strokeStyle = palette.ok;
          context.stroke();
        }
      }
    });
  };
  const ticker = reduced
    ? undefined
    : timer((elapsed) => {
        if (elapsed - elapsedMs < 30) return;
        elapsedMs = elapsed;
        animate();
      });
  const fit = (): void => {
    if (layout === undefined) return;
    const { clientWidth: w, clientHeight: h } = host;
    const { bounds } = layout;
    const k = Math.min(1.15, (w - 32) / bounds.w, (h - 150) / bounds.h);
    behaviour.transform(root, zoomIdentity.translate((w - bounds.w * k) / 2 - bounds.x * k, (h - bounds.h * k) / 2 - bounds.y * k).scale(k));
  };
  const observer = new ResizeObserver(() => (touched ? draw() : fit()));
  observer.observe(host);

  return {
    update(next) {
      input = next;
      const { graph } = next;
      const key = JSON.stringify([graph.nodes.map((n) => [n.id, n.label, n.box]), graph.edges.map((e) => e.id)]);
      const changed = key !== layoutKey;
      if (changed) {
        layoutKey = key;
        layout = layoutGraph(graph);
        curves = curvesOf(graph, layout.nodes);
        if (!touched) fit();
      }
      draw();
    },
    restyle() {
      palette = readPalette();
      draw();
    },
    fit() {
      touched = false;
      fit();
    },
    zoomBy: (factor) => behaviour.scaleBy(root, factor),
    destroy() {
      ticker?.stop();
      observer.disconnect();
      root.on('.zoom', null).on('click.pick', null);
    },
  };
}

function curvesOf(graph: GraphSnapshot, nodes: Map<string, Rect>): Map<string, Curve> {
  const curves = new Map<string, Curve>();
  const bySource = new Map<string, GraphSnapshot['edges']>();
  for (const edge of graph.edges) bySource.set(edge.source, [...(bySource.get(edge.source) ?? []), edge]);
  for (const [source, edges] of bySource) {
    const from = nodes.get(source);
    const targets = edges.filter((e) => nodes.has(e.target)).sort((a, b) => (nodes.get(a.target)?.y ?? 0) - (nodes.get(b.target)?.y ?? 0));
    targets.forEach((edge, i) => {
      const to = nodes.get(edge.target);
      const step = from !== undefined && from.w > 40 ? 10 : 0;
      if (from !== undefined && to !== undefined) curves.set(edge.id, edgeCurve(from, to, (i - (targets.length - 1) / 2) * step));
    });
  }
  return curves;
}
