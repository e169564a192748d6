import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type Handler, createHandler } from './bookinfo.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function serve(handler: Handler): Promise<string> {
  const server = createServer((request, response) => void handler(request, response)).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('whoever signs in on the page is the header end-user of what it asks for, until they sign out', async () => {
  const users: (string | undefined)[] = [];
  const reviews = await serve((request, response) => {
    users.push(request.headers['end-user'] as string | undefined);
    response.end('{"version":"v1","reviews":[]}');
  });
  const page = await serve(createHandler({ name: 'productpage', version: 'v1', port: 0, upstreams: { reviews, details: reviews } }));
  const post = (path: string, body = ''): Promise<Response> => fetch(`${page}${path}`, { method: 'POST', redirect: 'manual', body: new URLSearchParams(body) });

  const signedIn = await post('/login', 'username=jason&passwd=');
  expect([signedIn.status, signedIn.headers.get('location')]).toEqual([302, 'productpage']);
  const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? '';
  expect(await (await fetch(`${page}/productpage`, { headers: { cookie } })).text()).toContain('jason <button>Sign out');
  await (await fetch(`${page}/productpage`, { headers: { 'end-user': 'ada' } })).text();
  expect(users).toEqual(['jason', 'jason', 'ada', 'ada']);
  expect((await post('/logout')).headers.get('set-cookie')).toContain('Max-Age=0');
  expect((await post('/login', 'username=a%0d%0ab')).status).toBe(400);
});

test('the page asks a second time for reviews that do not come or fail, and no third', async () => {
  const answers: (number | undefined)[] = [undefined, 503, 504, 200, 200];
  let asked = 0;
  const reviews = await serve((request, response) => {
    const status = answers[asked];
    asked += 1;
    if (status === undefined) return void request.socket.destroy();
    response.writeHead(status).end('{"version":"v1","reviews":[]}');
  });
  const page = await serve(createHandler({ name: 'productpage', version: 'v1', port: 0, upstreams: { reviews } }));
  const read = async (): Promise<string> => (await fetch(`${page}/productpage`)).text();
  expect(await read()).toContain('product reviews are currently unavailable (503)');
  expect(asked).toBe(2);
  expect(await read()).not.toContain('product reviews are currently unavailable');
  expect(asked).toBe(4);
  await read();
  expect(asked).toBe(5);
});
