// Opaque TCP through the proxy, on real sockets.

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { ClusterConfig, ListenerConfig, NetworkFilter, TcpProxy, WeightedCluster } from '../config/model.ts';
import type { ClusterStats, TcpRecord } from '../http/hooks.ts';
import { testAuthority } from './testing/certificates.ts';
import { chain, cluster, endpoint, listener, routes, startRig, type Rig } from './testing/rig.ts';

const to = (name: string, weight = 1): WeightedCluster => ({ name, weight, requestHeaders: { add: [], remove: [] }, responseHeaders: { add: [], remove: [] } });
const tcp = (overrides: Partial<TcpProxy> = {}): TcpProxy => ({ statPrefix: 'tcp', clusters: [to('app')], idleTimeoutMs: 0, ...overrides });

async function server(onSocket: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const made: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    made.close();
    for (const socket of sockets) socket.destroy();
  });
  return (made.address() as AddressInfo).port;
}

interface TcpRig extends Rig {
  tcp: TcpRecord[];
}

async function rigWith(
  config: Partial<ListenerConfig> & { proxy?: Partial<TcpProxy>; guards?: readonly NetworkFilter[] },
  clusters: readonly ClusterConfig[],
  clock?: () => number,
): Promise<TcpRig> {
  const records: TcpRecord[] = [];
  const { proxy, guards, ...rest } = config;
  const { http: _, ...bare } = chain();
  const rig = await startRig({
    listener: listener({ chains: [{ ...bare, tcp: tcp(proxy), ...(guards === undefined ? {} : { guards }) }], ...rest }),
    clusters,
    deps: { onTcp: (record) => records.push({ ...record }), ...(clock === undefined ? {} : { clock }) },
  });
  onTestFinished(() => rig.close());
  return { ...rig, tcp: records };
}

function client(port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}

async function read(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => (text += part));
  await new Promise((resolve) => socket.once('close', resolve).once('end', resolve));
  return text;
}

test('each side may end its half first', async () => {
  const port = await server((socket) => {
    let got = '';
    socket.on('data', (part) => (got += part.toString('latin1')));
    // Answers only once the client has ended.
    socket.on('end', () => socket.end(`got ${got}`));
  });
  const rig = await rigWith({}, [cluster([port])]);
  const socket = client(rig.port);
  socket.end('hello');
  expect(await read(socket)).toBe('got hello');
  await vi.waitFor(() => expect(rig.tcp.map((r) => r.phase)).toEqual(['opened', 'closed']));
  expect(rig.tcp[1]).toMatchObject({ receivedBytes: 5, sentBytes: 9, responseFlags: '-' });
});

test('a server that speaks first is heard at once, and one that ends first still listens', async () => {
  const heard: string[] = [];
  const port = await server((socket) => {
    socket.end('220 ready');
    socket.on('data', (part) => heard.push(part.toString('latin1')));
  });
  const rig = await rigWith({}, [cluster([port])]);
  const socket = client(rig.port);
  expect(await read(socket)).toBe('220 ready');
  socket.end('bye');
  await vi.waitFor(() => expect(heard.join('')).toBe('bye'));
});

test('a reader that stalls stops the writer, and memory stays bounded', async () => {
  let stalled: Socket | undefined;
  const port = await server((socket) => {
    socket.pause();
    stalled = socket;
  });
  const rig = await rigWith({}, [cluster([port])]);
  const socket = client(rig.port);
  const piece = Buffer.alloc(1024 * 1024);
  const before = process.memoryUsage();
  socket.on('connect', () => {
    for (let i = 0; i < 200; i++) socket.write(piece);
  });
  await vi.waitFor(() => expect(stalled).toBeDefined());
  // The kernel's buffers fill, then nothing moves any more.
  let last = -1;
  await vi.waitFor(
    () => {
      const now = socket.bytesWritten - socket.writableLength;
      const same = now === last;
      last = now;
      expect(same).toBe(true);
    },
    { interval: 200, timeout: 5_000 },
  );
  expect(last).toBeLessThan(40 * 1024 * 1024);
  expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(20 * 1024 * 1024);
});

test.each<[string, () => Promise<number[]>, Partial<TcpProxy>, string]>([
  ['nobody listens', async () => [await deadPort()], {}, 'UF,URX'],
  ['there is no endpoint', async () => [], {}, 'UH'],
  ['there is no such cluster', async () => [1], { clusters: [to('other')] }, 'NC'],
])('%s: the client is closed and the record says why', async (_, ports, proxy, flags) => {
  const rig = await rigWith({ proxy }, [cluster(await ports())]);
  await read(client(rig.port));
  await vi.waitFor(() => expect(rig.tcp.map((r) => [r.phase, r.responseFlags])).toEqual([['closed', flags]]));
});

/** Nobody listens there. */
async function deadPort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

test('a full connection pool is UO; the next connection is served when there is room', async () => {
  const port = await server((socket) => socket.pipe(socket));
  const rig = await rigWith({}, [cluster([port], { circuitBreaker: { maxConnections: 1, maxPendingRequests: 1, maxRequests: 1, maxRetries: 1 } })]);
  const first = client(rig.port);
  first.write('a');
  await new Promise((resolve) => first.once('data', resolve));
  await read(client(rig.port));
  expect(rig.tcp.at(-1)).toMatchObject({ phase: 'closed', responseFlags: 'UO' });
  expect(rig.runtime.stats().clusters[0]).toMatchObject({ connectionOverflow: 1, overflow: 0 });
  first.destroy();
  await vi.waitFor(() => expect(rig.tcp.at(-1)).toMatchObject({ phase: 'closed', responseFlags: '-' }));
  const third = client(rig.port);
  third.end('c');
  expect(await read(third)).toBe('c');
});

test('another endpoint is tried while attempts are left', async () => {
  const dead = await deadPort();
  const alive = await server((socket) => socket.pipe(socket));
  const rig = await rigWith({ proxy: { maxConnectAttempts: 2 } }, [cluster([dead, alive])]);
  for (let i = 0; i < 4; i++) {
    const socket = client(rig.port);
    socket.end('x');
    expect(await read(socket)).toBe('x');
  }
  expect(rig.runtime.stats().clusters[0]?.connectFailures).toBeGreaterThan(0);
});

test("an upstream's reset is passed on as a reset (UR)", async () => {
  const port = await server((socket) => socket.once('data', () => socket.resetAndDestroy()));
  const rig = await rigWith({}, [cluster([port])]);
  const socket = client(rig.port);
  const failure = new Promise<NodeJS.ErrnoException>((resolve) => socket.once('error', resolve));
  socket.write('x');
  expect((await failure).code).toBe('ECONNRESET');
  await vi.waitFor(() => expect(rig.tcp.at(-1)).toMatchObject({ phase: 'closed', responseFlags: 'UR' }));
});

test("a client's reset is passed on as a reset, its end as an end", async () => {
  const ends: string[] = [];
  let ended = (): void => undefined;
  const port = await server((socket) => {
    const over = (how: string) => () => {
      ends.push(how);
      ended();
    };
    socket
      .on('data', (chunk) => socket.write(chunk))
      .once('end', over('end'))
      .once('error', over('reset'));
  });
  const rig = await rigWith({}, [cluster([port])]);
  for (const leave of ['resetAndDestroy', 'end'] as const) {
    const socket = client(rig.port);
    const left = new Promise<void>((resolve) => (ended = resolve));
    socket.write('x');
    socket.once('data', () => socket[leave]());
    await left;
  }
  expect(ends).toEqual(['reset', 'end']);
});

test('bytes of an open connection are reported every 5 s, then idle and life time end it', async () => {
  let skipped = 0;
  const port = await server((socket) => socket.pipe(socket));
  const rig = await rigWith({ proxy: { idleTimeoutMs: 20_000 } }, [cluster([port])], () => performance.now() + skipped);
  const socket = client(rig.port);
  socket.write('12345');
  await new Promise((resolve) => socket.once('data', resolve));
  skipped += 5_001;
  await vi.waitFor(() =>
    expect(rig.tcp.map((r) => [r.phase, r.newReceivedBytes])).toEqual([
      ['opened', 0],
      ['bytes', 5],
    ]),
  );
  skipped += 14_000;
  socket.write('6');
  await new Promise((resolve) => socket.once('data', resolve));
  skipped += 8_000;
  await vi.waitFor(() => expect(rig.tcp.at(-1)).toMatchObject({ phase: 'bytes', newReceivedBytes: 1, receivedBytes: 6 }));
  skipped += 13_000;
  await read(socket);
  await vi.waitFor(() => expect(rig.tcp.at(-1)).toMatchObject({ phase: 'closed', receivedBytes: 6, newReceivedBytes: 0, responseFlags: '-' }));

  const short = await rigWith({ proxy: { maxConnectionDurationMs: 60_000 } }, [cluster([port])], () => performance.now() + skipped);
  const second = client(short.port);
  second.write('x');
  await new Promise((resolve) => second.once('data', resolve));
  skipped += 60_001;
  await read(second);
  expect(short.tcp.at(-1)).toMatchObject({ phase: 'closed', responseFlags: 'DT' });
});

test('weights divide connections', async () => {
  const hits = { a: 0, b: 0 };
  const a = await server((socket) => socket.end(`${hits.a++}`));
  const b = await server((socket) => socket.end(`${hits.b++}`));
  let draw = 0;
  const records: TcpRecord[] = [];
  const { http: _, ...bare } = chain();
  const rig = await startRig({
    listener: listener({ chains: [{ ...bare, tcp: tcp({ clusters: [to('a', 3), to('b', 1)] }) }] }),
    clusters: [cluster([a], { name: 'a' }), cluster([b], { name: 'b' })],
    deps: { random: () => (draw++ % 8) / 8, onTcp: (record) => records.push({ ...record }) },
  });
  onTestFinished(() => rig.close());
  for (let i = 0; i < 16; i++) await read(client(rig.port));
  expect(hits.a + hits.b).toBe(16);
  expect(hits.a).toBeGreaterThan(hits.b);
  expect(records[0]).toMatchObject({ cluster: { name: expect.any(String) as string } });
});

test('two hops over mutual TLS: both identities, half close in both directions, back-pressure', async () => {
  const authority = await testAuthority();
  const [clientId, serverId] = ['spiffe://cluster.local/ns/a/sa/client', 'spiffe://cluster.local/ns/a/sa/server'];
  const port = await server((socket) => {
    let size = 0;
    socket.on('data', (part) => (size += part.length));
    socket.on('end', () => socket.end(String(size)));
  });
  const secrets = async (rig: Rig, uri: string): Promise<void> => {
    rig.runtime.applySecret({ kind: 'validation', name: 'ROOTCA', caPem: authority.caPem });
    rig.runtime.applySecret({ kind: 'certificate', name: 'default', ...(await authority.issue(uri)) });
  };
  const { http: _, ...bare } = chain();
  const own = { certificateSecret: 'default', validationSecret: 'ROOTCA' };
  const inbound = await rigWith(
    {
      direction: 'inbound',
      inspectTls: true,
      chains: [
        {
          ...bare,
          tls: { certificateSecrets: ['default'], validationSecret: 'ROOTCA', requireClientCertificate: true, alpn: ['istio'], peerSans: [] },
          tcp: tcp(),
        },
      ],
    },
    [cluster([port])],
  );
  await secrets(inbound, serverId);
  const versions = { verify: true, minVersion: 'TLSv1.2' as const, maxVersion: 'TLSv1.3' as const };
  const tls = { ...own, ...versions, sni: 'outbound_.9000_._.db', alpn: ['istio'], peerSans: [{ kind: 'exact' as const, value: serverId, ignoreCase: false }] };
  const outbound = await rigWith({}, [
    cluster([], {
      tls,
      endpoints: {
        clusterName: 'app',
        localities: [{ region: '', zone: '', subZone: '', priority: 0, weight: 0, endpoints: [endpoint(inbound.port)] }],
        overprovisioning: 140,
        weightedPriorityHealth: false,
      },
    }),
  ]);
  await secrets(outbound, clientId);
  const socket = client(outbound.port);
  socket.end(Buffer.alloc(3_000_000));
  expect(await read(socket)).toBe('3000000');
  await vi.waitFor(() =>
    expect(inbound.tcp.at(-1)).toMatchObject({ phase: 'closed', receivedBytes: 3_000_000, tls: true, peer: { principal: clientId }, serverName: tls.sni }),
  );
  expect(outbound.tcp.at(-1)).toMatchObject({ phase: 'closed', receivedBytes: 3_000_000, sentBytes: 7 });
});

test('listener filters tell HTTP, TLS and the rest apart; what says nothing in time goes on as TCP', async () => {
  const echo = await server((socket) => socket.pipe(socket));
  const talk = await server((socket) => socket.write('server first'));
  const { http, ...bare } = chain();
  const match = { transportProtocol: 'raw_buffer' as const, serverNames: [], applicationProtocols: ['http/1.0', 'http/1.1', 'h2c'] };
  const rig = await rigWith(
    {
      inspectTls: true,
      inspectHttp: true,
      filtersTimeoutMs: 50,
      continueOnFiltersTimeout: true,
      chains: [
        { ...bare, name: 'http', match, ...(http === undefined ? {} : { http: { ...http, routes: { inline: routes([]) } } }) },
        {
          ...bare,
          name: 'tls',
          match: { ...match, transportProtocol: 'tls', applicationProtocols: [], serverNames: ['*.test'] },
          tcp: tcp({ clusters: [to('echo')] }),
        },
      ],
      defaultChain: { ...bare, name: 'rest', tcp: tcp({ clusters: [to('talk')] }) },
    },
    [cluster([echo], { name: 'echo' }), cluster([talk], { name: 'talk' })],
  );
  const first = async (bytes: string | Buffer): Promise<string> => {
    const socket = client(rig.port);
    socket.write(bytes);
    const [part] = await new Promise<[Buffer]>((resolve) => socket.once('data', (data: Buffer) => resolve([data])));
    return part.toString('latin1');
  };
  expect(await first('GET / HTTP/1.1\r\nhost: a\r\n\r\n')).toMatch(/^HTTP\/1.1 404 /);
  expect(await first('\u0000binary')).toBe('server first');
  expect(await first('')).toBe('server first');
  // A hello is passed on unread.
  const hello = Buffer.from(
    '160301004001000038030300000000000000000000000000000000000000000000000000000000000000000000021301010000110000000b0009000006782e74657374',
    'hex',
  );
  hello.writeUInt16BE(hello.length - 5, 3);
  hello.writeUIntBE(hello.length - 9, 6, 3);
  hello.writeUInt16BE(hello.length - 52, 50);
  expect(Buffer.from(await first(hello), 'latin1').toString('hex')).toBe(hello.toString('hex'));
});

test('behind a PROXY header the client is the one it names; without a valid one there is no service', async () => {
  const port = await server((socket) => socket.pipe(socket));
  const { http: _, ...bare } = chain();
  const source = { sourcePrefixRanges: [{ address: '203.0.113.0', length: 24 }], transportProtocol: 'any' as const, serverNames: [], applicationProtocols: [] };
  const rig = await rigWith({ proxyProtocol: { optional: false, refusedVersions: [2] }, chains: [{ ...bare, match: source, tcp: tcp() }] }, [cluster([port])]);
  const answer = async (bytes: string): Promise<string> => {
    const socket = client(rig.port);
    socket.end(bytes, 'latin1');
    return read(socket);
  };
  expect(await answer('PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\nhello')).toBe('hello');
  await vi.waitFor(() =>
    expect(rig.tcp.at(-1)).toMatchObject({
      phase: 'closed',
      downstreamAddress: '203.0.113.9:4711',
      directAddress: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    }),
  );
  expect(await answer('PROXY TCP4 198.51.100.9 10.0.0.1 4711 443\r\nhello')).toBe('');
  expect(await answer('\r\n\r\n\u0000\r\nQUIT\n \u0000\u0000\u0000hello')).toBe('');
  expect(await answer('hello')).toBe('');
});

test('a connection that is refused is no upstream’s business, even where that would speak first; it is counted', async () => {
  let connected = 0;
  const port = await server((socket) => {
    connected++;
    socket.write('secret');
  });
  const filter = (action: 'allow' | 'deny', of: 'source' | 'direct-remote'): NetworkFilter => ({
    kind: 'rbac',
    scope: `${action}.`,
    config: {
      rules: {
        action,
        policies: [{ name: 'p', permissions: [{ kind: 'any' }], principals: [{ kind: 'ip', of, range: { address: '127.0.0.1', length: 32 } }] }],
      },
      statPrefix: '',
      shadowStatPrefix: '',
    },
  });
  const rig = await rigWith({ guards: [filter('allow', 'source'), filter('deny', 'direct-remote')] }, [cluster([port])]);
  // One that says nothing is closed too.
  expect(await read(client(rig.port))).toBe('');
  expect(connected).toBe(0);
  await vi.waitFor(() => expect(rig.tcp.map(({ phase }) => phase)).toEqual(['opened', 'closed']));
  expect(rig.tcp[1]).toMatchObject({ responseFlags: '-', terminationDetails: 'rbac_access_denied_matched_policy[p]' });
  expect(rig.runtime.stats().counters).toEqual({ 'allow.rbac.allowed': 1, 'allow.rbac.denied': 0, 'deny.rbac.allowed': 0, 'deny.rbac.denied': 1 });
});

test('a connection another service is asked about waits for it; the service is asked no longer when the client has gone', async () => {
  let connected = 0;
  const port = await server((socket) => {
    connected++;
    socket.write('hello');
  });
  const authorizer = await server(() => undefined);
  const service = { kind: 'grpc', cluster: 'authz', authority: 'a.test', timeoutMs: 60_000, metadata: [] } as const;
  const asked = { kind: 'ext-authz', statPrefix: 's', service, failureModeAllow: true, tlsSession: false } as const;
  const rig = await rigWith({ guards: [asked] }, [cluster([port]), cluster([authorizer], { name: 'authz' })]);
  const authz = (): ClusterStats | undefined => rig.runtime.stats().clusters.find(({ name }) => name === 'authz');
  const leaving = client(rig.port);
  await vi.waitFor(() => expect(authz()?.activeRequests).toBe(1), { timeout: 15_000 });
  leaving.resetAndDestroy();
  await vi.waitFor(() => expect(authz()?.activeRequests).toBe(0), { timeout: 15_000 });
  expect(connected).toBe(0);
  await vi.waitFor(() => expect(rig.tcp).toMatchObject([{ phase: 'closed', responseFlags: '-', details: '' }]), { timeout: 15_000 });
  // Nobody is there to be asked.
  const open = await rigWith({ guards: [asked] }, [cluster([port])]);
  expect(await new Promise((resolve) => client(open.port).once('data', (part: Buffer) => resolve(part.toString())))).toBe('hello');
  const shut = await rigWith({ guards: [{ ...asked, failureModeAllow: false }] }, [cluster([port])]);
  expect(await read(client(shut.port))).toBe('');
  await vi.waitFor(
    () => expect(shut.tcp.at(-1)).toMatchObject({ phase: 'closed', responseFlags: 'UAEX', details: 'ext_authz_error', terminationDetails: '' }),
    { timeout: 15_000 },
  );
  expect([open, shut].map(({ runtime }) => runtime.stats().counters)).toMatchObject([
    { 'ext_authz.s.total': 1, 'ext_authz.s.error': 1, 'ext_authz.s.failure_mode_allowed': 1, 'ext_authz.s.cx_closed': 0 },
    { 'ext_authz.s.total': 1, 'ext_authz.s.error': 1, 'ext_authz.s.failure_mode_allowed': 0, 'ext_authz.s.cx_closed': 1 },
  ]);
});

test('TLS to a server that is asked for by its address has no server name', async () => {
  const { chainPem, keyPem } = await (await testAuthority()).issue('spiffe://cluster.local/ns/a/sa/b');
  const asked: unknown[] = [];
  const secure = createTlsServer({ cert: chainPem, key: keyPem }, (socket) => {
    asked.push(socket.servername);
    socket.end();
  });
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void secure.close());
  for (const sni of ['127.0.0.1', 'db.test']) {
    const tls = { verify: false, minVersion: 'TLSv1.2' as const, maxVersion: 'TLSv1.3' as const, sni, alpn: [], peerSans: [] };
    const rig = await rigWith({}, [cluster([(secure.address() as AddressInfo).port], { tls })]);
    await read(client(rig.port));
  }
  expect(asked).toEqual([false, 'db.test']);
});
