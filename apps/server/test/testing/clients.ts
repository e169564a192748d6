// Clients that never stop asking, half of them on kept connections, half on a new one per request, and what became of it.
import { Agent, request } from 'node:http';

/**
 * `refused`: nobody listened. `unread`: the kernel reset the connection before anyone had read the request; it may be sent
 * again, and clients do. `broken`: the request was taken and lost, or answered with another status than 200.
 */
type Outcome = 'ok' | 'refused' | 'unread' | 'broken';

export function hit(url: string, agent: Agent | false = false): Promise<Outcome> {
  return new Promise((resolve) => {
    const outgoing = request(url, { agent }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode === 200 ? 'ok' : 'broken'));
      response.once('error', () => resolve('broken'));
    });
    outgoing.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') return resolve('refused');
      // Node says "socket hang up" when the other side closed without a reset, that is with everything read.
      resolve(error.code === 'EPIPE' || (error.code === 'ECONNRESET' && error.message !== 'socket hang up') ? 'unread' : 'broken');
    });
    outgoing.end();
  });
}

export interface Clients {
  seen: Record<Outcome | 'inFlight', number>;
  /** Resolves when the last answer is in. */
  stop(): Promise<void>;
  /** Resolves when every client has been refused. */
  refused: Promise<void>;
}

/** With `untilRefused` a client ends when it is refused, else it goes on. */
export function startClients(url: string, options: { count: number; untilRefused: boolean }): Clients {
  const seen = { ok: 0, refused: 0, unread: 0, broken: 0, inFlight: 0 };
  let running = true;
  const client = async (keepAlive: boolean): Promise<void> => {
    const agent = keepAlive && new Agent({ keepAlive: true, maxSockets: 1 });
    while (running) {
      seen.inFlight += 1;
      const outcome = await hit(url, agent);
      seen.inFlight -= 1;
      seen[outcome] += 1;
      if (outcome === 'refused' && options.untilRefused) break;
    }
    if (agent !== false) agent.destroy();
  };
  const ended = Promise.all(Array.from({ length: options.count }, (_, i) => client(i % 2 === 1))).then(() => undefined);
  return {
    seen,
    refused: ended,
    stop: () => {
      running = false;
      return ended;
    },
  };
}
