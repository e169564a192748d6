// Taking a proxy out of use without losing a request, through the admin interface both data planes have.

const POLL_MS = 50;
/** Time for busy keep-alive connections to get a response that says `connection: close`. */
const NOTICE_MS = 500;
/** A kept connection on which nothing was asked for so long is idle: its client has not just been slow to ask again. */
const QUIET_MS = 2_000;

type Stats = ReadonlyMap<string, number>;

/** Resolves when no request is on its way to the application behind the proxy, or after `limitMs`. */
export async function untilApplicationIdle(adminPort: number, limitMs: number): Promise<void> {
  await until(adminPort, limitMs, (stats) => total(stats, /^cluster\.inbound\|.*\.upstream_rq_active$/) === 0);
}

/**
 * Envoy ends at once on SIGTERM, so its connections are run down before: responses say `connection: close` (or GOAWAY), then
 * the listeners close, then requests and TCP connections under way get until `limitMs`. Kept connections are told with their
 * next response; those that have none are given up once all of them are idle.
 */
export async function drainEnvoy(adminPort: number, limitMs: number): Promise<void> {
  const post = (path: string): Promise<unknown> => fetch(`http://127.0.0.1:${adminPort}${path}`, { method: 'POST', signal: AbortSignal.timeout(1_000) });
  try {
    await post('/healthcheck/fail');
    await new Promise((resolve) => setTimeout(resolve, NOTICE_MS));
    await post('/drain_listeners');
    let asked = -1;
    let lastAsked = 0;
    await until(adminPort, limitMs, (stats) => {
      const kept = total(stats, /^http\.(?!admin).*\.downstream_cx_active$/);
      const tcp = total(stats, /^listener\.(?!admin)(?!.*\.worker_\d+\.).*\.downstream_cx_active$/) - kept;
      const requests = total(stats, /^http\.(?!admin).*\.downstream_rq_total$/);
      if (requests !== asked) lastAsked = Date.now();
      asked = requests;
      if (tcp > 0 || total(stats, /^http\.(?!admin).*\.downstream_rq_active$/) > 0) return false;
      return kept === 0 || Date.now() - lastAsked >= QUIET_MS;
    });
  } catch {
    // It is gone already.
  }
}

async function until(adminPort: number, limitMs: number, isDone: (stats: Stats) => boolean): Promise<void> {
  const end = Date.now() + limitMs;
  while (Date.now() < end) {
    const stats = await readStats(adminPort);
    if (stats === undefined || isDone(stats)) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Gauges and counters by name; undefined when nobody answers. */
async function readStats(adminPort: number): Promise<Stats | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${adminPort}/stats`, { signal: AbortSignal.timeout(1_000) });
    const lines = (await response.text()).split('\n').map((line) => /^(.*): (\d+)$/.exec(line));
    return new Map(lines.flatMap((m): [string, number][] => (m === null ? [] : [[m[1] ?? '', Number(m[2])]])));
  } catch {
    return undefined;
  }
}

function total(stats: Stats, name: RegExp): number {
  let sum = 0;
  for (const [key, value] of stats) if (name.test(key)) sum += value;
  return sum;
}
