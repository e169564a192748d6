import { scaleTime } from 'd3';
import { clock } from './format.ts';

/** About `count` round times from `start` to `end` (Unix ms), each with its label: seconds where a tick is not on a minute. */
export function timeTicks(start: number, end: number, count: number): { at: number; label: string }[] {
  const ticks = scaleTime().domain([start, end]).ticks(count).map(Number);
  const length = ticks.every((at) => at % 60_000 === 0) ? 5 : 8;
  return ticks.map((at) => ({ at, label: clock(at).slice(0, length) }));
}
