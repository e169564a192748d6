// Sheds requests before the process falls over: when too many are under way, the heap is nearly full, or the event loop lags. What
// Envoy's overload manager does with its action stop_accepting_requests.

import { getHeapStatistics } from 'node:v8';

export interface OverloadLimits {
  /** Requests under way in the process. */
  maxActiveRequests: number;
  /** Share of the heap limit in use. */
  maxHeapFraction: number;
  /** Median lag of the event loop over a second, twice in a row. */
  maxLoopDelayMs: number;
}

export interface OverloadSample {
  heapFraction: number;
  loopDelayMs: number;
}

/** Far from what a busy proxy reaches, below what kills it. */
export const defaultOverloadLimits: OverloadLimits = { maxActiveRequests: 65_536, maxHeapFraction: 0.95, maxLoopDelayMs: 1_000 };
const sampleEveryMs = 1_000;
const lookEveryMs = 200;

export class OverloadMonitor {
  /** Requests refused so far. */
  shed = 0;
  private active = 0;
  private saturated = false;
  private late = false;
  private readonly limits: OverloadLimits;
  private readonly log: (message: string) => void;

  constructor(limits: OverloadLimits, log: (message: string) => void) {
    this.limits = limits;
    this.log = log;
  }

  /** False = answer 503. A request let in must be released once. */
  admit(): boolean {
    if (this.saturated || this.active >= this.limits.maxActiveRequests) {
      this.shed++;
      return false;
    }
    this.active++;
    return true;
  }

  release(): void {
    this.active--;
  }

  observe({ heapFraction, loopDelayMs }: OverloadSample): void {
    const { maxHeapFraction, maxLoopDelayMs } = this.limits;
    // One long turn, like the first configuration of a large mesh, is over when it is seen: the second in a row says there is too much to do.
    const late = loopDelayMs >= maxLoopDelayMs;
    const saturated = heapFraction >= maxHeapFraction || (late && this.late);
    this.late = late;
    if (saturated !== this.saturated)
      this.log(
        saturated
          ? `overloaded: heap ${Math.round(heapFraction * 100)} %, event loop ${Math.round(loopDelayMs)} ms late; requests get 503`
          : `no longer overloaded; ${this.shed} requests were refused so far`,
      );
    this.saturated = saturated;
  }
}

/** A monitor fed from this process once a second; `stop` ends that. */
export function startOverloadMonitor(limits: OverloadLimits, log: (message: string) => void): { monitor: OverloadMonitor; stop(): void } {
  const monitor = new OverloadMonitor(limits, log);
  const lags: number[] = [];
  let dueAt = performance.now() + lookEveryMs;
  let sampleAt = dueAt + sampleEveryMs;
  // How late a look comes is the lag. Node's own histogram of it takes 0.4 MB and wakes the process fifty times a second.
  const timer = setInterval(() => {
    const now = performance.now();
    lags.push(Math.max(0, now - dueAt));
    dueAt = now + lookEveryMs;
    if (now < sampleAt) return;
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
    monitor.observe({ heapFraction: used / limit, loopDelayMs: lags.sort((a, b) => a - b)[lags.length >> 1] ?? 0 });
    lags.length = 0;
    sampleAt = now + sampleEveryMs;
  }, lookEveryMs).unref();
  return { monitor, stop: () => clearInterval(timer) };
}
