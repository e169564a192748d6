// http-proxy with a keep-alive agent, the npm contender: PORT UPSTREAM.
import { Agent, createServer } from 'node:http';
import httpProxy from 'http-proxy';

const [port, upstream] = process.argv.slice(2).map(Number);
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${upstream}`, agent: new Agent({ keepAlive: true, maxSockets: 64 }) });
proxy.on('error', (_, __, response) => response.destroy());
createServer((request, response) => proxy.web(request, response)).listen(port, '127.0.0.1');
