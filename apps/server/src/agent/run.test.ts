import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import type { MeshObject } from '@weft/mesh-core/model';
import { expect, test } from 'vitest';
import { holdPort, isFree } from './ports.ts';
import { chooseUpstreams, leave, runInMesh } from './run.ts';
import { parseProgramPort, servedPorts, unservedPorts } from './served-ports.ts';
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
  await expect(
    runInMesh({ ...options, ports: [{ port }], envoyPair: false, portBase: 22_000, stateDir: '/nowhere', command: ['node'] }, () => undefined),
  ).rejects.toThrow(`another process listens on port ${port}: stop it, or have the program listen on another port`);
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
  const plan = await planWorkload(
    { service: 'x', namespace: 'y', version: 'v1', ports: [], upstreams: [...upstreams, ...foreign] },
    { allocate: async () => 1 },
  );
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

test('a program serves the port of its Service that leads to it: by target port, number, name, or as the only one', () => {
  const service = (ports: object[]) => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'x', namespace: 'y' }, spec: { ports } });
  const program = (...ports: string[]) => ({ service: 'x', namespace: 'y', protocol: 'http', ports: ports.map(parseProgramPort) });
  const served = (port: number, ...ports: object[]) => {
    const [{ appPort, ...found } = { appPort: 0 }] = servedPorts(program(String(port)), [service(ports)]);
    expect(appPort).toBe(port);
    return found;
  };
  const [web, admin] = [
    { name: 'http-web', port: 80, targetPort: 9000 },
    { name: 'tcp-admin', port: 9001 },
  ];
  expect(servedPorts({ ...program('9000'), namespace: 'z', protocol: 'tcp' }, [service([web])])).toEqual([
    { appPort: 9000, servicePort: 9000, portName: 'tcp' },
  ]);
  expect(served(9000, admin, web)).toEqual({ servicePort: 80, portName: 'http-web' });
  expect(served(9001, admin, web)).toEqual({ servicePort: 9001, portName: 'tcp-admin' });
  expect(served(9002, admin, { name: 'http', port: 8000 })).toEqual({ servicePort: 8000, portName: 'http' });
  expect(served(9002, web)).toEqual({ servicePort: 80, portName: 'http-web' });
  expect(() => served(9002, admin, web)).toThrow('--port 9002: which port of Service y/x is it? It has tcp-admin 9001, http-web 80 -> 9000.');
  expect(() => served(9002, { port: 9002 })).toThrow('It has (without a name) 9002. Give that one a name');

  // Several, and those that say which they are.
  const all = (ports: string[], ...there: object[]) => servedPorts(program(...ports), there.length === 0 ? [] : [service(there)]).map(Object.values);
  const both = [
    [7000, 9001, 'tcp-admin'],
    [9000, 80, 'http-web'],
  ];
  expect(all(['tcp-admin:7000', '9000'], admin, web)).toEqual(both);
  expect(all(['http:9000', 'grpc:9001'])).toEqual([
    [9000, 9000, 'http'],
    [9001, 9001, 'grpc'],
  ]);
  expect(() => all(['9000', '9001'])).toThrow('--port 9001 and --port 9000 would both be port http of Service y/x: name each once, like --port http:9000');
  expect(() => all(['http-web:9000', '9000'], admin, web)).toThrow('--port 9000 is there twice');
  expect(() => all(['web:9000'], admin, web)).toThrow('--port web:9000: which port of Service y/x is it?');
  for (const text of ['x', 'A:1', ':1', '1:2:3', 'grpc:'])
    expect(() => parseProgramPort(text)).toThrow(`--port ${text}: write <port> or <name>:<port>, like 9000 or grpc:9000`);
  const found = servedPorts(program('9000'), [service([admin, web])]);
  expect(unservedPorts(program('9000'), found, [service([admin, web])])).toEqual(['tcp-admin 9001']);
});

test('the Service a program got goes with it, unless somebody has applied another in its place', async () => {
  const own = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x', namespace: 'y' }, spec: { ports: [{ name: 'http', port: 9000 }] } };
  const removed = async (stored: MeshObject) => {
    const kinds: string[] = [];
    await leave({ namespace: 'y', workload: 'x-v1', service: 'x' }, own, {
      remove: async ({ kind }) => void kinds.push(kind),
      list: async (kind) => (kind === 'Service' ? [stored] : []),
      untilAcknowledged: async () => undefined,
    });
    return kinds;
  };
  expect(await removed(structuredClone(own))).toEqual(['WorkloadEntry', 'Service']);
  expect(await removed({ ...own, spec: { ports: [{ name: 'http', port: 80 }] } })).toEqual(['WorkloadEntry']);
});
