import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those the system gives to who asks for any port. */
const FIRST = 10_000;
const COUNT = 5_000;

const given = new Set<number>();

/** A port of 127.0.0.1 that nobody listens on now, and nobody is given until somebody asks for it by its number. */
export async function freePort(): Promise<number> {
  const port = FIRST + Math.floor(Math.random() * COUNT);
  if (given.has(port)) return await freePort();
  given.add(port);
  const server = createServer().listen(port, '127.0.0.1');
  const taken = await once(server, 'listening').then(
    () => false,
    () => true,
  );
  if (taken) return await freePort();
  server.close();
  await once(server, 'close');
  return port;
}
