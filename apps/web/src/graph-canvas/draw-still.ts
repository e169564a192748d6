import { EDGE_COLUMNS, type GraphNode, HEALTH, NODE_COLUMNS } from '@weft/mesh-core/api';
import { byteRate, millis, perSecondText, percent } from '../ui/format.ts';
import { activity } from './activity.ts';
import { drawBadges } from './badges.ts';
import { type Curve, pointAt } from './curve.ts';
import type { Layout, Rect } from './layout.ts';
import { type Palette, healthColor } from './palette.ts';
import type { SceneInput } from './scene.ts';

const FONT = '"Inter Variable", Inter, sans-serif';
const LOCK = new Path2D(
  'M3.5 8.5a1.5 1.5 0 011.5-1.5h6a1.5 1.5 0 011.5 1.500v3.500a1.500 1.500 0 01-1.500 1.500h-6a1.500 1.500 0 01-1.500-1.500zM5.500 7V5a2.500 2.500 0 015 0v2',
);
const SPLIT = new Path2D('M2 8h4l4-4h4M6 8l4 4h4');
const WARN = HEALTH.indexOf('degraded');
const cell = (row: readonly number[] | undefined, columns: readonly string[], name: string): number => row?.[columns.indexOf(name)] ?? 0;

/** Boxes, edges, cards and labels, in this order. */
export function drawStill(c: CanvasRenderingContext2D, input: SceneInput, layout: Layout, curves: Map<string, Curve>, p: Palette): void {
  const { graph, selected } = input;
  const dim = (id: string): void => void (c.globalAlpha = input.bright === undefined || input.bright.has(id) ? 1 : 0.25);
  for (const box of [...graph.boxes].sort((a) => (a.kind === 'namespace' ? -1 : 1))) {
    const rect = layout.boxes.get(box.id);
    if (rect === undefined) continue;
    const app = box.kind === 'app';
    const port = graph.nodes.find((n) => n.kind === 'service' && n.box === box.id);
    const on = app && selected !== undefined && port?.id === selected;
    c.globalAlpha = 1;
    if (on) card(c, { x: rect.x - 4, y: rect.y - 4, w: rect.w + 8, h: rect.h + 8 }, 17, `${p.accent}24`);
    card(c, rect, app ? 13 : 14, app ? p.surface : p.nsFill, on ? p.accent : app ? p.nodeLine : p.nsLine, on ? 2 : 1);
    text(c, fitted(c, box.label, rect.w - 28, app ? `600 13.5px ${FONT}` : `500 12px ${FONT}`), rect.x + 16, rect.y + 26, c.font, app ? p.text : p.text3);
  }
  graph.edges.forEach((edge, i) => {
    const curve = curves.get(edge.id);
    if (curve === undefined) return;
    dim(edge.id);
    const row = graph.edgeRows[i];
    const rps = cell(row, EDGE_COLUMNS, 'rps');
    const idle = rps <= 0 && cell(row, EDGE_COLUMNS, 'bytes') <= 0;
    c.strokeStyle = idle ? p.idle : healthColor(p, cell(row, EDGE_COLUMNS, 'health'));
    c.lineWidth = idle ? 1.5 : Math.min(7, 2 + Math.log2(1 + rps) * 0.55);
    c.setLineDash(idle ? [2, 6] : []);
    c.lineCap = 'round';
    if (edge.id === selected) {
      c.shadowColor = p.accent;
      c.shadowBlur = 10;
    }
    c.beginPath();
    c.moveTo(curve[0], curve[1]);
    c.bezierCurveTo(curve[2], curve[3], curve[4], curve[5], curve[6] - 6, curve[7]);
    c.stroke();
    c.setLineDash([]);
    c.shadowBlur = 0;
    c.fillStyle = c.strokeStyle;
    c.beginPath();
    c.moveTo(curve[6], curve[7]);
    c.lineTo(curve[6] - 9, curve[7] - 4.8);
    c.lineTo(curve[6] - 9, curve[7] + 4.8);
    c.fill();
  });
  graph.nodes.forEach((node, i) => {
    const rect = layout.nodes.get(node.id);
    if (rect === undefined) return;
    dim(node.id);
    if (node.kind === 'service' && rect.w === 30) drawPort(c, rect, p);
    else drawNode(c, node, graph.nodeRows[i], rect, node.id === selected, p);
  });
  graph.edges.forEach((edge, i) => {
    const curve = curves.get(edge.id);
    if (curve === undefined) return;
    dim(edge.id);
    const row = graph.edgeRows[i];
    const share = cell(row, EDGE_COLUMNS, 'share');
    const shown =
      input.label === 'errors'
        ? percent(cell(row, EDGE_COLUMNS, 'errors'))
        : input.label === 'p95'
          ? millis(cell(row, EDGE_COLUMNS, 'p95'))
          : share >= 0 && (input.label === 'share' || input.label === 'rate')
            ? `${Math.round(share * 100)} %`
            : edge.protocol === 'tcp'
              ? byteRate(cell(row, EDGE_COLUMNS, 'bytes'))
              : perSecondText(cell(row, EDGE_COLUMNS, 'rps'));
    drawLabel(c, shown, cell(row, EDGE_COLUMNS, 'mtls') > 0.5 && share < 0, pointAt(curve, 0.5), p);
  });
  c.globalAlpha = 1;
}

function card(c: CanvasRenderingContext2D, r: Rect, radius: number, fill: string, line?: string, width = 1): void {
  c.beginPath();
  c.roundRect(r.x, r.y, r.w, r.h, radius);
  c.fillStyle = fill;
  c.fill();
  if (line === undefined) return;
  c.strokeStyle = line;
  c.lineWidth = width;
  c.stroke();
}
function text(c: CanvasRenderingContext2D, value: string, x: number, y: number, font: string, color: string, align: CanvasTextAlign = 'left'): void {
  c.font = font;
  c.fillStyle = color;
  c.textAlign = align;
  c.fillText(value, x, y);
}
function drawPort(c: CanvasRenderingContext2D, r: Rect, p: Palette): void {
  card(c, r, 15, p.accent, p.surface, 3);
  c.save();
  c.translate(r.x + 7, r.y + 7);
  c.strokeStyle = p.onAccent;
  c.lineWidth = 1.4;
  c.stroke(SPLIT);
  c.restore();
}
function drawNode(c: CanvasRenderingContext2D, node: GraphNode, row: readonly number[] | undefined, r: Rect, on: boolean, p: Palette): void {
  const figures = { inRps: cell(row, NODE_COLUMNS, 'inRps'), outRps: cell(row, NODE_COLUMNS, 'outRps'), tcpBytes: cell(row, NODE_COLUMNS, 'tcpBytes') };
  const does = activity(node, figures);
  const idle = does.length === 0;
  if (on) card(c, { x: r.x - 4, y: r.y - 4, w: r.w + 8, h: r.h + 8 }, 13, `${p.accent}24`);
  c.setLineDash(idle ? [4, 3] : []);
  card(c, r, 10, p.node, on ? p.accent : p.nodeLine, on ? 2 : 1);
  const x = r.x + 25;
  const y = r.y + r.h / 2;
  c.beginPath();
  if (node.kind === 'gateway') {
    c.moveTo(x - 13, y - 11.5);
    c.lineTo(x + 4.5, y - 11.5);
    c.lineTo(x + 14, y);
    c.lineTo(x + 4.5, y + 11.5);
    c.lineTo(x - 13, y + 11.5);
    c.closePath();
  } else if (node.kind === 'external') {
    c.moveTo(x, y - 14);
    c.lineTo(x + 14, y);
    c.lineTo(x, y + 14);
    c.lineTo(x - 14, y);
    c.closePath();
  } else if (node.kind === 'service') {
    c.moveTo(x - 6.8, y - 12.2);
    c.lineTo(x + 6.8, y - 12.2);
    c.lineTo(x + 13.8, y);
    c.lineTo(x + 6.8, y + 12.2);
    c.lineTo(x - 6.8, y + 12.2);
    c.lineTo(x - 13.8, y);
    c.closePath();
  } else c.arc(x, y, 13, 0, 7);
  c.strokeStyle = idle ? p.idle : healthColor(p, cell(row, NODE_COLUMNS, 'health'));
  c.lineWidth = 2;
  c.stroke();
  c.setLineDash([]);
  if (!idle) drawHealth(c, cell(row, NODE_COLUMNS, 'health'), x + 11, y + 10, p);
  c.strokeStyle = p.text2;
  c.lineWidth = 1.3;
  c.strokeRect(x - 4.5, y - 4.5, 9, 9);
  const inBox = node.box?.startsWith('app:') === true;
  const version = node.version !== undefined && !inBox && node.kind === 'workload' ? `${node.version} · ` : '';
  const room = r.w - 57;
  const lines = idle ? ['no traffic'] : [`${version}${does[0]}`, ...does.slice(1)];
  // Two lines under the name only fit closer together.
  const [top, step] = lines.length > 1 ? [16, 14] : [22, 16];
  text(c, fitted(c, node.label, room, `600 13px ${FONT}`), r.x + 47, r.y + top, c.font, idle ? p.text2 : p.text);
  lines.forEach((line, i) => text(c, fitted(c, line, room + 8, `400 11.5px ${FONT}`), r.x + 47, r.y + top + step * (i + 1), c.font, p.text3));
  drawBadges(c, node.badges, r, p);
}
/** A triangle for degraded, an octagon for failing, so that colour is not the only word. */
function drawHealth(c: CanvasRenderingContext2D, health: number, x: number, y: number, p: Palette): void {
  if (health < WARN) return;
  const corners = health > WARN ? 8 : 3;
  c.beginPath();
  for (let i = 0; i < corners; i++) {
    const angle = (2 * Math.PI * i) / corners + (corners === 3 ? -Math.PI / 2 : Math.PI / 8);
    c.lineTo(x + 6 * Math.cos(angle), y + 6 * Math.sin(angle));
  }
  c.closePath();
  c.fillStyle = healthColor(p, health);
  c.fill();
  c.strokeStyle = p.node;
  c.lineWidth = 1.5;
  c.stroke();
}
/** The text, cut with an ellipsis where it is wider than `room`; sets the font. */
function fitted(c: CanvasRenderingContext2D, value: string, room: number, font: string): string {
  c.font = font;
  if (c.measureText(value).width <= room) return value;
  let end = value.length - 1;
  while (end > 1 && c.measureText(`${value.slice(0, end)}…`).width > room) end--;
  return `${value.slice(0, end)}…`;
}
function drawLabel(c: CanvasRenderingContext2D, value: string, lock: boolean, [x, y]: [number, number], p: Palette): void {
  c.font = `600 11px ${FONT}`;
  const w = c.measureText(value).width + (lock ? 30 : 16);
  card(c, { x: x - w / 2, y: y - 10, w, h: 20 }, 10, p.node, p.nodeLine);
  text(c, value, x + (lock ? 7 : 0), y + 4, c.font, p.text, 'center');
  if (!lock) return;
  c.save();
  c.translate(x - w / 2 + 6, y - 5.5);
  c.scale(0.6875, 0.6875);
  c.strokeStyle = p.text3;
  c.lineWidth = 1.4;
  c.stroke(LOCK);
  c.restore();
}
