import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { holdPort, isFree } from './ports.ts';
import { chooseUpstreams, runInMesh } from './run.ts';
import { planWorkload, upstreamEnvironment } from './workload.ts';

const listening = async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
};

test('a port another process listens on is told before anything starts', async () => {
  const { server, port } = await listening();
  const own = { service: 'x', namespace: 'y', version: 'v1', labels: {}, locality: '' };
  const options = { server: 'http://127.0.0.1:1', ...own, protocol: 'http', upstreams: [], proxy: 'embedded' } as const;
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

test('the address of an upstream has the scheme of what is spoken there, as far as that is declared', async () => {
  const metadata = { name: 'db', namespace: 'y' };
  const ports = [
    { name: 'mongo', port: 27017 },
    { name: 'http-web', port: 80 },
    { name: 'web', port: 443, appProtocol: 'https' },
    { name: 'tcp-raw', port: 9000 },
    { name: 'grpc', port: 50051 },
    { name: 'constructor', port: 81 },
  ];
  const service = { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports } };
  const spec = { hosts: ['api.example.com'], ports: [{ number: 443, name: 'x', protocol: 'TLS' }] };
  const entry = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata, spec };
  const upstreams = chooseUpstreams({ service: 'x', namespace: 'y', upstreams: [] }, [service], []);
  const foreign = chooseUpstreams({ service: 'x', namespace: 'y', upstreams: ['api.example.com'] }, [service], [entry]);
  const plan = await planWorkload({ service: 'x', namespace: 'y', version: 'v1', upstreams: [...upstreams, ...foreign] }, { allocate: async () => 1 });
  const scheme = (name: string) => upstreamEnvironment(plan)[`${name}_URL`]?.split(':')[0];
  expect(['DB', 'DB_80', 'DB_443', 'DB_9000', 'DB_50051', 'DB_81', 'API_EXAMPLE_COM'].map(scheme)).toEqual([
    'mongodb',
    'http',
    'https',
    'tcp',
    'http',
    'http',
    'tls',
  ]);
});
