import type { Rect } from './layout.ts';

export type Curve = readonly [x0: number, y0: number, x1: number, y1: number, x2: number, y2: number, x3: number, y3: number];

/** Cubic from the right side of `from` to the left side of `to`; edges of one source leave spread over its side (`spread` in px). */
export function edgeCurve(from: Rect, to: Rect, spread: number): Curve {
  const x0 = from.x + from.w;
  const y0 = from.y + from.h / 2 + spread;
  const x3 = to.x - 3;
  const y3 = to.y + to.h / 2;
  const bend = Math.max(40, Math.abs(x3 - x0) / 2);
  return [x0, y0, x0 + bend, y0, x3 - bend, y3, x3, y3];
}

/** Point at `t` in 0-1. */
export function pointAt(c: Curve, t: number): [number, number] {
  const u = 1 - t;
  const a = u * u * u,
    b = 3 * u * u * t,
    d = 3 * u * t * t,
    e = t * t * t;
  return [a * c[0] + b * c[2] + d * c[4] + e * c[6], a * c[1] + b * c[3] + d * c[5] + e * c[7]];
}
