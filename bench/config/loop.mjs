// Loaded into the server process by run.mjs: tells, over IPC, the longest turns of its event loop and its CPU since it was asked last,
// and with --profile writes where the time between two questions went.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { PerformanceObserver } from 'node:perf_hooks';

const TICK_MS = 2;
/** Turns from here on are looked at. */
const LONG_MS = 20;
/** [begin, end] in ms. */
let turns = [];
let pauses = [];
let last = performance.now();
setInterval(() => {
  const now = performance.now();
  if (now - last > LONG_MS) turns.push([last, now]);
  last = now;
}, TICK_MS).unref();
const collect = (entries) => pauses.push(...entries.map(({ startTime, duration }) => [startTime, startTime + duration]));
const observer = new PerformanceObserver((list) => collect(list.getEntries()));
observer.observe({ entryTypes: ['gc'] });

let cpu = process.cpuUsage();
const dir = process.env.BENCH_PROFILE;
const session = new Session();
if (dir !== undefined) {
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
}

const length = ([from, to]) => to - from;
const longest = (times) => Math.max(0, ...times);
/** What of a turn is no pause of the garbage collector. */
const ownOf = ([from, to]) => to - from - pauses.reduce((sum, [a, b]) => sum + Math.max(0, Math.min(b, to) - Math.max(a, from)), 0);

const answer = async (step) => {
  const { user, system } = process.cpuUsage(cpu);
  collect(observer.takeRecords());
  const told = {
    turnMs: longest(turns.map(length)),
    ownMs: longest(turns.map(ownOf)),
    pauseMs: longest(pauses.map(length)),
    cpuMs: (user + system) / 1e3,
    rssMb: process.memoryUsage.rss() / 1e6,
  };
  if (dir !== undefined) {
    const { profile } = await session.post('Profiler.stop');
    const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now();
    writeFileSync(`${dir}/${String(step)}.cpuprofile`, JSON.stringify({ ...profile, turns: turns.map((t) => [...t.map((ms) => ms + offset), ownOf(t)]) }));
    await session.post('Profiler.start');
  }
  [turns, pauses] = [[], []];
  last = performance.now();
  cpu = process.cpuUsage();
  process.send(told);
};
process.on('message', (step) => void answer(step));
