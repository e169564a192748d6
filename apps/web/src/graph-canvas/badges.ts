// Small marks on a node for the policies that act on its requests.

import type { GraphNode } from '@weft/mesh-core/api';
import type { Rect } from './layout.ts';
import type { Palette } from './palette.ts';

type Badge = GraphNode['badges'][number];
/** In a box of 16 by 16; the most telling first. */
const MARKS: Partial<Record<Badge, Path2D>> = {
  'fault-injection': new Path2D('M8.800 1.800L3.500 9h4l-.800 5.200L12.500 7h-4.300z'),
  'authorization-policy': new Path2D('M8 1.800l5 2v4c0 3.200-2.200 5.400-5 6.400c-2.800-1-5-3.200-5-6.400v-4z'),
  'circuit-breaker': new Path2D('M2 8h3.500M10.500 8H14M5.500 8a2.500 2.500 0 014.200-1.800M10.500 4v2.500H8'),
  'timeout-retry': new Path2D('M8 3.200a5 5 0 105 5M8 5.500v2.800l1.800 1.200M13 3.500v2.600h-2.600'),
  mirroring: new Path2D('M8 2.500v11M5.500 5L2.500 12h3zM10.500 5l3 7h-3z'),
  'request-routing': new Path2D('M2 8h4l4-4h4M12 2l2 2-2 2'),
  'missing-sidecar': new Path2D('M8 2.500v6M8 11.500v.200'),
};
const MOST = 3;

/** Draws up to three badges on the top right edge of a card. */
export function drawBadges(c: CanvasRenderingContext2D, badges: readonly Badge[], r: Rect, p: Palette): void {
  (Object.keys(MARKS) as Badge[])
    .filter((badge) => badges.includes(badge))
    .slice(0, MOST)
    .forEach((badge, i) => {
      const x = r.x + r.w - 14 - i * 20;
      c.beginPath();
      c.arc(x, r.y, 8.5, 0, 7);
      c.fillStyle = p.surface;
      c.fill();
      c.strokeStyle = p.nodeLine;
      c.lineWidth = 1;
      c.stroke();
      c.save();
      c.translate(x - 5.6, r.y - 5.6);
      c.scale(0.7, 0.7);
      c.strokeStyle = badge === 'fault-injection' || badge === 'missing-sidecar' ? p.warn : p.text2;
      c.lineWidth = 1.5;
      c.lineCap = 'round';
      c.lineJoin = 'round';
      const mark = MARKS[badge];
      if (mark !== undefined) c.stroke(mark);
      c.restore();
    });
}
