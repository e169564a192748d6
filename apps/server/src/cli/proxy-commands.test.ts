// Commands about proxies against a server and an admin interface of their own.
import { once } from 'node:events';
import { type RequestListener, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Command } from 'commander';
import { afterEach, expect, test, vi } from 'vitest';
import { registerProxy } from './proxy-commands.ts';
import { serverOption } from './server-option.ts';

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

async function serve(answer: RequestListener): Promise<number> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function weft(...args: string[]): Promise<string> {
  let printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((printed += String(text)), true));
  const program = new Command('weft').addOption(serverOption(process.env)).exitOverride();
  registerProxy(program);
  await program.parseAsync(args, { from: 'user' });
  return printed;
}

test('pages of the admin interface are shown as they are, and its refusals with what it says', async () => {
  const adminPort = await serve(({ method = '', url = '' }, response) => void response.writeHead(url === '/stats' ? 405 : 200).end(`${method} ${url}\n`));
  const proxy = { id: 'sidecar~127.0.0.1~a-v1.shop~shop.svc.cluster.local', namespace: 'shop', state: 'synced', adminPort, types: [] };
  const port = await serve((_, response) => void response.setHeader('content-type', 'application/json').end(JSON.stringify({ items: [proxy] })));
  // The variable `weft up` takes its port from, too.
  vi.stubEnv('WEFT_SERVER', undefined);
  vi.stubEnv('WEFT_PORT', String(port));
  expect(await weft('proxy', 'admin', 'a-v1')).toBe('GET /help\n');
  expect(await weft('proxy', 'admin', 'a-v1.shop', '/clusters?format=json')).toBe('GET /clusters?format=json\n');
  expect(await weft('proxy', 'admin', 'a-v1', 'logging?level=debug', '--post')).toBe('POST /logging?level=debug\n');
  await expect(weft('proxy', 'admin', 'a-v1', 'stats')).rejects.toThrow('the admin interface of a-v1.shop answered 405 to GET /stats: GET /stats');
  vi.stubEnv('WEFT_PORT', '1');
  vi.stubEnv('WEFT_SERVER', `http://127.0.0.1:${port}`);
  expect(await weft('proxy', 'admin', 'a-v1', 'ready')).toBe('GET /ready\n');
});
