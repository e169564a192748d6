// The way from the proxies to the control plane, which can be cut as the death of its process cuts it: without a word.

import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

export interface Link {
  port: number;
  /** Ends what goes over it; what comes is refused until it is mended. */
  cut(): void;
  mend(): void;
  close(): void;
}

export async function startLink(target: () => number): Promise<Link> {
  const open = new Set<Socket>();
  let up = true;
  const server = createServer({ noDelay: true }, (socket) => {
    if (!up) return void socket.resetAndDestroy();
    const other = connect({ port: target(), host: '127.0.0.1', noDelay: true });
    for (const [one, to] of [
      [socket, other],
      [other, socket],
    ] as const) {
      open.add(one);
      one.on('error', () => undefined).on('close', () => (open.delete(one), to.destroy()));
      one.pipe(to);
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const cut = (): void => {
    up = false;
    for (const socket of open) socket.resetAndDestroy();
  };
  return { port: (server.address() as AddressInfo).port, cut, mend: () => void (up = true), close: () => (cut(), server.close()) };
}
