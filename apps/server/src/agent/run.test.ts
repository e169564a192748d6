import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { holdPort, isFree } from './ports.ts';
import { runInMesh } from './run.ts';

const listening = async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
};

test('a port another process listens on is told before anything starts', async () => {
  const { server, port } = await listening();
  const options = { server: 'http://127.0.0.1:1', service: 'x', namespace: 'y', version: 'v1', protocol: 'http', upstreams: [], proxy: 'embedded' } as const;
  await expect(runInMesh({ ...options, port, envoyPair: false, portBase: 22_000, stateDir: '/nowhere', command: ['node'] }, () => undefined)).rejects.toThrow(
    `another process listens on port ${port}: stop it, or have the program listen on another port`,
  );
  server.close();
});

test('nobody else gets the port of a program before it starts; then it is free, though somebody has tried it', async () => {
  const { server, port } = await listening();
  server.close();
  await once(server, 'close');
  const release = await holdPort(port);
  await expect(holdPort(port)).rejects.toThrow(`port ${port}`);
  const tried = connect(port, '127.0.0.1');
  await once(tried, 'error');
  await release();
  expect(await isFree(port)).toBe(true);
});
