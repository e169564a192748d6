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
  /** Failures by status or error, so that a lost request tells why. */
  failures: Readonly<Record<string, number>>;
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
  const failures: Record<string, number> = {};
  const fail = (reason: string): void => {
    totals.failed += 1;
    failures[reason] = (failures[reason] ?? 0) + 1;
  };
  let wanted = rps;
  let due = 0;
  let last = performance.now();
  let inFlight = 0;
  let second = { at: last, sent: 0, rate: 0 };

  const send = (): void => {
    totals.sent += 1;
    if (inFlight >= MAX_IN_FLIGHT) {
      fail('too many in flight');
      return;
    }
    inFlight += 1;
    let done = false;
    const finish = (reason?: string): void => {
      if (done) return;
      done = true;
      inFlight -= 1;
      if (reason === undefined) totals.ok += 1;
      else fail(reason);
    };
    const request = httpRequest(target, { agent, headers: { 'user-agent': 'weft-load' }, timeout: 10_000 }, (response) => {
      const { statusCode = 0 } = response;
      response.on('error', (error) => finish(`answer cut off: ${error.message}`));
      response.on('end', () => finish(statusCode < 500 ? undefined : `status ${statusCode}`));
      response.resume();
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 10 s')));
    request.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
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
    status: () => ({ rps: wanted, actualRps: Math.round(second.rate * 10) / 10, ...totals, failures: { ...failures } }),
    stop: () => {
      clearInterval(timer);
      agent.destroy();
    },
  };
}
