// Watches whether the application behind a sidecar answers, so that peers stop choosing it when it does not.

import { connect } from 'node:net';

export interface HealthCheckOptions {
  /** All of which must answer. */
  ports: readonly number[];
  /** HTTP path of the first that must answer below 400; absent = a TCP connection is enough, as of the others. */
  path?: string;
  intervalMs: number;
  /** Failures in a row before the application counts as unhealthy; one success makes it healthy again. */
  failureThreshold: number;
  onChange: (health: 'healthy' | 'unhealthy', reason: string) => void;
}

/** Starts checking at once; returns the stop function. */
export function startHealthCheck(options: HealthCheckOptions): () => void {
  let failures = 0;
  let health: 'unknown' | 'healthy' | 'unhealthy' = 'unknown';
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const check = async (): Promise<void> => {
    const asked = options.ports.map((port, i) => (i > 0 || options.path === undefined ? tcpProblem(port) : httpProblem(port, options.path)));
    const problem = (await Promise.all(asked)).find((p) => p !== undefined);
    if (stopped) return;
    failures = problem === undefined ? 0 : failures + 1;
    const next = problem === undefined ? 'healthy' : failures >= options.failureThreshold ? 'unhealthy' : health;
    if (next !== health && next !== 'unknown') {
      health = next;
      options.onChange(next, problem ?? 'it answers');
    }
    timer = setTimeout(() => void check(), options.intervalMs);
  };
  void check();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** Resolves to what is wrong, or undefined when a connection opens within a second. */
function tcpProblem(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const finish = (problem: string | undefined): void => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(1_000, () => finish(`no connection to port ${port} within 1 s`));
    socket.once('connect', () => finish(undefined));
    socket.once('error', (error) => finish(error.message));
  });
}

async function httpProblem(port: number, path: string): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(1_000), redirect: 'manual' });
    await response.body?.cancel();
    return response.status < 400 ? undefined : `${path} answered ${response.status}`;
  } catch (error) {
    return `${path}: ${(error as Error).message}`;
  }
}
