import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type PortBook, openPortBook } from './ports.ts';
import { planWorkload, serviceFor, upstreamEnvironment, workloadEntry } from './workload.ts';

let next = 1_000;
const ports: PortBook = { allocate: async () => (next += 1) };
const own = { service: 'curl', namespace: 'foo', version: 'v1' };
const echo = 'tcp-echo.foo.svc.cluster.local';

test('the names of a service are those of its first port; further ones have their number in them', async () => {
  const upstreams = [
    { host: echo, port: 9000 },
    { host: echo, port: 9001 },
    { host: 'reviews.bookinfo.svc.cluster.local', port: 9080 },
    { host: '*.example.com', port: 443, protocol: 'TLS' },
  ];
  const plan = await planWorkload({ ...own, ports: [{ servicePort: 80 }], upstreams }, ports);
  const [first, second, third, wildcard] = plan.upstreams.map((u) => u.listenPort);
  expect(upstreamEnvironment(plan)).toMatchObject({
    TCP_ECHO_URL: `http://127.0.0.1:${first}`,
    TCP_ECHO_SERVICE_PORT: String(first),
    TCP_ECHO_9001_URL: `http://127.0.0.1:${second}`,
    WEFT_UPSTREAM_TCP_ECHO_9001: `127.0.0.1:${second}`,
    WEFT_UPSTREAM_REVIEWS_BOOKINFO: `127.0.0.1:${third}`,
    ANY_EXAMPLE_COM_URL: `tls://127.0.0.1:${wildcard}`,
  });
});

test('a program without a port has a sidecar that takes nothing in', async () => {
  expect((await planWorkload({ ...own, ports: [], upstreams: [] }, ports)).inbound).toEqual([]);
});

test('a program with two ports has a sidecar with two, and both are told to peers', async () => {
  const served = [
    { servicePort: 80, portName: 'http', appPort: 9000 },
    { servicePort: 7070, portName: 'grpc', appPort: 9001 },
  ];
  const plan = await planWorkload({ ...own, ports: served, upstreams: [] }, ports);
  const [http, grpc] = plan.inbound.map((p) => p.listenPort);
  expect(http).not.toBe(grpc);
  expect(plan.inbound).toMatchObject(served.map(({ portName: name, ...rest }) => ({ name, ...rest })));
  expect(workloadEntry(plan).spec).toMatchObject({ ports: { http, grpc } });
  expect(serviceFor(plan).spec).toMatchObject({
    ports: [
      { name: 'http', port: 80 },
      { name: 'grpc', port: 7070 },
    ],
  });
});

test('the port a program is about to listen on is not given to its sidecar', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const file = join(mkdtempSync(join(tmpdir(), 'weft-ports-')), 'ports');
  expect(await openPortBook(file, port).allocate('a')).toBe(port);
  expect(await openPortBook(file, port, [port]).allocate('a')).toBeGreaterThan(port);
});

test('agents that start at once are given ports of their own, and find them again', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const dir = join(mkdtempSync(join(tmpdir(), 'weft-ports-')), 'ports');
  const books = ['a', 'b', 'c'].map((agent) => ({ agent, book: openPortBook(dir, port) }));
  const given: number[] = [];
  for (const { agent, book } of books) given.push(await book.allocate(`${agent}/inbound`));
  expect(new Set(given).size).toBe(3);
  const again = openPortBook(dir, port);
  for (const [i, { agent }] of books.entries()) expect(await again.allocate(`${agent}/inbound`)).toBe(given[i]);
});
