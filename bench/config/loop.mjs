// Loaded into the server process by run.mjs: tells, over IPC, the longest turn of its event loop and its CPU since it was asked last,
// and with --profile writes where the time between two questions went.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const loop = monitorEventLoopDelay({ resolution: 2 });
loop.enable();
let cpu = process.cpuUsage();
const dir = process.env.BENCH_PROFILE;
const session = new Session();
if (dir !== undefined) {
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.start');
}

const answer = async (step) => {
  const { user, system } = process.cpuUsage(cpu);
  const told = { longestMs: loop.max / 1e6, cpuMs: (user + system) / 1e3, rssMb: process.memoryUsage.rss() / 1e6 };
  if (dir !== undefined) {
    const { profile } = await session.post('Profiler.stop');
    writeFileSync(`${dir}/${String(step)}.cpuprofile`, JSON.stringify(profile));
    await session.post('Profiler.start');
  }
  loop.reset();
  cpu = process.cpuUsage();
  process.send(told);
};
process.on('message', (step) => void answer(step));
