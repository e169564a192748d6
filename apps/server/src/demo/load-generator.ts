// Steady open-loop load: requests leave on schedule whether or not earlier ones were answered, so a slow mesh shows as
// latency and failures and not as less load.

import { Agent, request as httpRequest } from 'node:http';
import { performance } from 'node:perf_hooks';

export interface LoadStatus {
  rps: number;
  actualRps: number;
  sent: number;
  ok: number;
  failed: number;
}

const TICK_MS = 10;
/** Requests under way at most; beyond it a request counts as failed at once, so memory stays bounded. */
const MAX_IN_FLIGHT = 2_000;

export interface LoadGenerator {
  setRps(rps: number): void;
  status(): LoadStatus;
  stop(): void;
}

/** Starts sending `rps` GETs a second to `target`. A request fails on any status >= 500, a transport error or 10 s without answer. */
export function startLoad(target: string, rps: number): LoadGenerator {
  const agent = new Agent({ keepAlive: true, maxSockets: 128 });
  const totals = { sent: 0, ok: 0, failed: 0 };
  let wanted = rps;
  let due = 0;
  let last = performance.now();
  let inFlight = 0;
  let second = { at: last, sent: 0, rate: 0 };

  const send = (): void => {
    totals.sent += 1;
    if (inFlight >= MAX_IN_FLIGHT) {
      totals.failed += 1;
      return;
    }
    inFlight += 1;
    let done = false;
    const finish = (ok: boolean): void => {
      if (done) return;
      done = true;
      inFlight -= 1;
      if (ok) totals.ok += 1;
      else totals.failed += 1;
    };
    const request = httpRequest(target, { agent, headers: { 'user-agent': 'weft-load' }, timeout: 10_000 }, (response) => {
      response.on('error', () => finish(false));
      response.on('end', () => finish((response.statusCode ?? 599) < 500));
      response.resume();
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 10 s')));
    request.on('error', () => finish(false));
    request.end();
  };

  const timer = setInterval(() => {
    const now = performance.now();
    // A stalled process must not answer with a burst: at most 100 ms of load are made up for.
    due += (Math.min(now - last, 100) / 1000) * wanted;
    last = now;
    while (due >= 1) {
      due -= 1;
      send();
    }
    if (now - second.at >= 1000) second = { at: now, sent: totals.sent, rate: ((totals.sent - second.sent) * 1000) / (now - second.at) };
  }, TICK_MS);

  return {
    setRps: (value) => {
      wanted = value;
      due = 0;
    },
    status: () => ({ rps: wanted, actualRps: Math.round(second.rate * 10) / 10, ...totals }),
    stop: () => {
      clearInterval(timer);
      agent.destroy();
    },
  };
}
