// Sheds requests before the process falls over: when too many are under way, the heap is nearly full, or the event loop lags. What
// Envoy's overload manager does with its action stop_accepting_requests.

import { monitorEventLoopDelay } from 'node:perf_hooks';
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
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  let sampledAt = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
    // The histogram counts the 20 ms it sleeps, and nothing when it wakes for the first time: it is empty when all the time was one turn.
    const loopDelayMs = delay.count === 0 ? now - sampledAt : delay.percentile(50) / 1e6 - 20;
    monitor.observe({ heapFraction: used / limit, loopDelayMs });
    delay.reset();
    sampledAt = now;
  }, sampleEveryMs).unref();
  return {
    monitor,
    stop() {
      clearInterval(timer);
      delay.disable();
    },
  };
}
