import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A connected pair, ended with the test: `near` accepted, `far` connecting. `path`: of a Unix socket; `asleep`: `near` is not read yet. */
export async function socketPair({ path, asleep = false }: { path?: string; asleep?: boolean } = {}): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: asleep });
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  const far = path === undefined ? connect((server.address() as AddressInfo).port, '127.0.0.1') : connect(path);
  const [near] = (await once(server, 'connection')) as [Socket];
  onTestFinished(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}
