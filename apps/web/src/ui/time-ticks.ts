import { scaleTime } from 'd3';
import { clock } from './format.ts';

/** About `count` round times from `start` to `end` (Unix ms), each with its label: seconds where a tick is not on a minute. */
export function timeTicks(start: number, end: number, count: number): { at: number; label: string }[] {
  const scale = scaleTime().domain([start, end]);
  const some = scale.ticks(count);
  // Its steps are far apart: of five minutes it makes one tick or five.
  const all = (some.length < 2 ? scale.ticks(count + 1) : some).map(Number);
  const every = Math.ceil(all.length / (count + 1));
  const ticks = all.filter((_, i) => i % every === 0);
  const length = ticks.every((at) => at % 60_000 === 0) ? 5 : 8;
  return ticks.map((at) => ({ at, label: clock(at).slice(0, length) }));
}
