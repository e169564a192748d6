import { request, Agent } from 'node:http';
import { expect, test } from 'vitest';
import { cluster, exchangeRaw, listener, route, routes, startRaw, startRig, chain, manager } from './testing/rig.ts';
import { startApp, track } from './testing/app.ts';

interface Answer {
  status: number;
  body: string;
  headers: Record<string, unknown>;
  trailers: Record<string, unknown>;
}

function ask(
  port: number,
  options: { method?: string; path?: string; headers?: Record<string, string>; body?: string | Buffer; agent?: Agent; chunked?: boolean } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        port,
        host: '127.0.0.1',
        method: options.method ?? 'GET',
        path: options.path ?? '/',
        headers: options.headers ?? {},
        ...(options.agent === undefined ? {} : { agent: options.agent }),
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('latin1'), headers: response.headers, trailers: response.trailers }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(options.body);
  });
}

test('forwards a request and tells about it', async () => {
  const upstream = await startApp((incoming, response) => response.end(JSON.stringify(incoming.headers)));
  const rig = track(await startRig({ clusters: [cluster([upstream])] }));
  const answer = await ask(rig.port, { path: '/a?b=1', headers: { 'x-mine': 'yes', connection: 'x-private', 'x-private': 'no' } });
  const seen = JSON.parse(answer.body) as Record<string, string>;
  expect(answer.status).toBe(200);
  expect(answer.headers).toMatchObject({ server: 'envoy' });
  expect(answer.headers['x-envoy-upstream-service-time']).toMatch(/^\d+$/);
  expect(seen).toMatchObject({ 'x-mine': 'yes', 'x-envoy-attempt-count': '1', 'x-forwarded-proto': 'http', host: `127.0.0.1:${rig.port}` });
  expect(seen['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  expect(seen['x-private']).toBeUndefined();
  expect(rig.records).toHaveLength(1);
  expect(rig.records[0]).toMatchObject({
    status: 200,
    responseFlags: '-',
    path: '/a?b=1',
    attempts: 1,
    upstreamAddress: `127.0.0.1:${upstream}`,
    requestBodyBytes: 0,
  });
});

test('keeps connections on both sides and serves pipelined requests in order', async () => {
  let connections = 0;
  const upstream = await startApp((incoming, response) => response.end(incoming.url));
  const rig = track(await startRig({ clusters: [cluster([upstream])] }));
  const one = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`;
  const text = await exchangeRaw(rig.port, one('/1') + one('/2') + one('/3'), (seen) => seen.includes('/3'));
  expect([...text.matchAll(/\r\n\r\n(\/\d)/g)].map((match) => match[1])).toEqual(['/1', '/2', '/3']);
  connections = rig.runtime.stats().clusters[0]?.totalConnections ?? 0;
  expect(connections).toBe(1);
});

test('streams large bodies both ways, with lengths and chunked', async () => {
  const upstream = await startApp((incoming, response) => incoming.pipe(response));
  const rig = track(await startRig({ clusters: [cluster([upstream])] }));
  const body = Buffer.alloc(3_000_000, 'abcdefghij');
  const known = await ask(rig.port, { method: 'POST', body, headers: { 'content-length': String(body.length) } });
  expect(known.body === body.toString('latin1')).toBe(true);
  const chunked = await ask(rig.port, { method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } });
  expect(chunked.body === body.toString('latin1')).toBe(true);
  expect(rig.records.map((record) => record.requestBodyBytes)).toEqual([body.length, body.length]);
});

test('passes trailers on and drops chunk extensions', async () => {
  const upstream = track(
    await startRaw((_, socket) => socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\ngrpc-status: 5\r\n\r\n')),
  );
  const rig = track(await startRig({ clusters: [cluster([upstream.port])] }));
  const text = await exchangeRaw(
    rig.port,
    'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2;e=1\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n',
    (seen) => seen.endsWith('\r\n\r\n') && seen.includes('grpc'),
  );
  expect(text.endsWith('\r\n\r\n3\r\nabc\r\n0\r\ngrpc-status: 5\r\n\r\n')).toBe(true);
  expect(upstream.received[0]?.endsWith('\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n')).toBe(true);
  expect(rig.records[0]?.grpcStatus).toBe('5');
});

test('HEAD, 204 and 304 have no body; HTTP/1.0 gets an unchunked body and a close', async () => {
  const upstream = await startApp((incoming, response) => {
    response.statusCode = Number(incoming.url?.slice(1) ?? 200);
    response.write('some');
    response.end(' body');
  });
  const rig = track(await startRig({ clusters: [cluster([upstream])] }));
  for (const status of [204, 304]) expect(await ask(rig.port, { path: `/${status}` })).toMatchObject({ status, body: '' });
  expect(await ask(rig.port, { method: 'HEAD', path: '/200' })).toMatchObject({ status: 200, body: '' });
  const old = await exchangeRaw(rig.port, 'GET /200 HTTP/1.0\r\nhost: a\r\n\r\n');
  expect(old).toMatch(/connection: close\r\n/);
  expect(old.endsWith('\r\n\r\nsome body')).toBe(true);
});

test('100-continue reaches the application and comes back', async () => {
  const upstream = await startApp((incoming, response) => incoming.pipe(response));
  const rig = track(await startRig({ clusters: [cluster([upstream])] }));
  const text = await exchangeRaw(rig.port, 'PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nok', (seen) => seen.includes('ok'));
  expect(text.startsWith('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n')).toBe(true);
});

test('an upgrade becomes a byte pipe; h2c is not taken, one not listed is refused', async () => {
  const upstream = track(
    await startRaw((chunk, socket) => {
      if (!chunk.startsWith('GET')) socket.write(`echo:${chunk}`);
      else if (/upgrade: websocket/.test(chunk)) socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno');
    }),
  );
  const rig = track(await startRig({ clusters: [cluster([upstream.port])] }));
  const ask2 = (kind: string): string => `GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: ${kind}\r\nhttp2-settings: x\r\n\r\n`;
  expect(await exchangeRaw(rig.port, `${ask2('websocket')}early`, (seen) => seen.includes('echo:'))).toMatch(/^HTTP\/1.1 101 [\s\S]*echo:early$/);
  expect(await exchangeRaw(rig.port, ask2('h2c'), (seen) => seen.endsWith('no'))).toMatch(/^HTTP\/1.1 200/);
  expect(upstream.received[1]).not.toMatch(/upgrade|http2-settings/i);
  expect(await exchangeRaw(rig.port, ask2('other'), (seen) => seen.includes('\r\n\r\n'))).toMatch(/^HTTP\/1.1 403/);
  expect(rig.records.find((record) => record.details === 'upgrade_failed')).toMatchObject({ cluster: { name: 'app' }, attempts: 0 });
});

test('an upstream that breaks off in the body breaks the client connection too', async () => {
  const upstream = track(await startRaw((_, socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')));
  const rig = track(await startRig({ clusters: [cluster([upstream.port])] }));
  await expect(ask(rig.port)).rejects.toThrow(/aborted|hang up|reset/i);
  expect(rig.records[0]).toMatchObject({ status: 200, responseFlags: 'UPE', details: 'upstream_reset_after_response_started{protocol_error}' });
});

test.each([
  ['both lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na'],
  ['bare LF', 'HTTP/1.1 200 OK\ncontent-length: 0\n\n      '],
  ['NUL', 'HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n'],
  ['folding', 'HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 0\r\n\r\n'],
  ['unasked 101', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n'],
])('refuses a response with %s', async (_, response) => {
  const upstream = track(await startRaw((__, socket) => socket.write(response, 'latin1')));
  const rig = track(await startRig({ clusters: [cluster([upstream.port])] }));
  expect((await ask(rig.port)).status).toBe(502);
  expect(rig.records[0]?.responseFlags).toBe('UPE');
});

test('answers of its own: no route, no cluster, no host, no connection, reset, redirect, direct response', async () => {
  const closer = track(await startRaw((_, socket) => socket.destroy()));
  const noOps = { add: [], remove: [] };
  const to = (name: string, path: string): ReturnType<typeof route> =>
    route(
      { clusters: [{ name, weight: 1, requestHeaders: noOps, responseHeaders: noOps }] },
      { match: { path: { kind: 'exact', value: path }, caseSensitive: true, headers: [], query: [] } },
    );
  const at = (path: string): Partial<ReturnType<typeof route>> => ({
    match: { path: { kind: 'prefix', value: path }, caseSensitive: true, headers: [], query: [] },
  });
  const rig = track(
    await startRig({
      clusters: [cluster([], { name: 'empty' }), cluster([1], { name: 'dead' }), cluster([closer.port], { name: 'closer' })],
      routes: routes([
        to('missing', '/nc'),
        to('empty', '/uh'),
        to('dead', '/uf'),
        to('closer', '/uc'),
        route({ kind: 'redirect', status: 301, scheme: 'https', stripQuery: false }, at('/go')),
        route({ kind: 'direct-response', status: 418, body: Buffer.from('tea') }, at('/tea')),
      ]),
    }),
  );
  const seen = [];
  for (const path of ['/nr', '/nc', '/uh', '/uf', '/uc', '/go?x=1', '/tea']) seen.push(await ask(rig.port, { path }));
  expect(seen.map((answer) => answer.status)).toEqual([404, 503, 503, 503, 503, 301, 418]);
  expect(rig.records.map((record) => record.responseFlags)).toEqual(['NR', 'NC', 'UH', 'UF', 'UC', '-', '-']);
  expect(seen[5]?.headers['location']).toBe(`https://127.0.0.1:${rig.port}/go?x=1`);
  expect(seen[6]?.body).toBe('tea');
});

test('a listener with no client certificate chain closes plaintext when the chain is TLS only', async () => {
  const tlsOnly = chain({ match: { transportProtocol: 'tls', applicationProtocols: [], serverNames: [] } });
  const rig = track(await startRig({ listener: listener({ inspectTls: true, chains: [tlsOnly] }) }));
  expect(await exchangeRaw(rig.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')).toBe('');
  expect(rig.runtime.stats().listeners[0]?.refusedConnections).toBe(1);
});

test('a client that leaves is DC and frees the upstream', async () => {
  const upstream = track(await startRaw(() => undefined));
  const rig = track(await startRig({ clusters: [cluster([upstream.port])], listener: listener({ chains: [chain({ http: manager() })] }) }));
  const { connect } = await import('node:net');
  const client = connect(rig.port, '127.0.0.1', () => client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
  await expect.poll(() => upstream.received[0] ?? '').toMatch(/GET/);
  client.destroy();
  await expect.poll(() => rig.records[0]).toMatchObject({ status: 0, responseFlags: 'DC' });
  await expect.poll(() => rig.runtime.stats().clusters[0]?.activeConnections).toBe(0);
});

test('a virtual host that requires TLS redirects plaintext; a rewrite on a regex match replaces the whole path', async () => {
  const upstream = await startApp((incoming, response) => response.end(incoming.url));
  const rewritten = route({ prefixRewrite: '/new' }, { match: { path: { kind: 'regex', value: '/v\\d' }, caseSensitive: true, headers: [], query: [] } });
  const table = routes([rewritten]);
  const rig = track(await startRig({ clusters: [cluster([upstream])], routes: table }));
  expect((await ask(rig.port, { path: '/v1?a=b' })).body).toBe('/new?a=b');
  rig.runtime.applyRoutes({ ...table, virtualHosts: table.virtualHosts.map((host) => ({ ...host, requireTls: true })) });
  expect(await ask(rig.port, { path: '/v1?a=b', headers: { host: 'shop.test' } })).toMatchObject({
    status: 301,
    headers: { location: 'https://shop.test/v1?a=b' },
  });
});
