// What a test starts and what ends with it.

import { type RequestListener, createServer } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { onTestFinished } from 'vitest';

export function track<T extends { close(): Promise<void> }>(thing: T): T {
  onTestFinished(() => thing.close());
  return thing;
}

/** Port of an HTTP/1.1 application. */
export async function startApp(handler: RequestListener): Promise<number> {
  const server = createServer(handler);
  onTestFinished(() => server.closeAllConnections());
  return listening(server);
}

/** Port of a server that was not listening yet. */
export async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}
