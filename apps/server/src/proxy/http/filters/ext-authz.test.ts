import { createServer, type Http2Server } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { ExtAuthz, HttpAuthorizationService } from '../../config/ext-authz-model.ts';
import type { ClusterConfig } from '../../config/model.ts';
import { createTracer } from '../../tracing/tracer.ts';
import { checkSpan } from '../ext-authz/check-span.ts';
import type { CallSpan } from '../hooks.ts';
import { KeptBody } from '../kept-body.ts';
import { startApp, track } from '../../listener/testing/app.ts';
import { chain, cluster, exchangeRaw, listener, manager, type RawServer, type Rig, route, routes, startRaw, startRig } from '../../listener/testing/rig.ts';

const service: HttpAuthorizationService = {
  ...{ kind: 'http', cluster: 'authz', timeoutMs: 0, pathPrefix: '', headersToAdd: [], upstreamHeaders: [], upstreamHeadersToAppend: [] },
  ...{ clientHeadersOnSuccess: [], clientHeaders: [], metadataHeaders: [] },
};
const config: ExtAuthz = {
  ...{ service, statPrefix: '', failureModeAllow: false, tellsFailureMode: false, clearRouteCache: false, statusOnError: 403, denyAtDisable: false },
  ...{ enabled: { numerator: 100, of: 100 }, takesMetadata: true },
  check: { allowedHeaders: [], disallowedHeaders: [], rawHeaders: false, tlsSession: false, metadataNamespaces: [], routeMetadataNamespaces: [] },
};

/** `authorizers`: ports of the service, none = there is no such cluster. The application answers with the length of the body. */
async function serve(parts: Partial<ExtAuthz>, authorizers?: readonly number[], more: Partial<ClusterConfig> = {}): Promise<Rig> {
  const app = await startApp((request, response) => {
    let length = 0;
    request.on('data', (part: Buffer) => (length += part.length)).on('end', () => response.end(`app ${length}`));
  });
  const filters = [{ kind: 'ext-authz' as const, name: 'ext', config: { ...config, ...parts } }, { kind: 'router' as const }];
  return track(
    await startRig({
      listener: listener({ chains: [chain({ http: manager({ filters }) })] }),
      clusters: [cluster([app]), ...(authorizers === undefined ? [] : [cluster(authorizers, { name: 'authz', ...more })])],
      routes: routes([route({})]),
    }),
  );
}

/** Answers nothing by itself. */
async function silent(): Promise<RawServer> {
  const raw = await startRaw(() => undefined);
  onTestFinished(() => raw.close());
  return raw;
}

const PATIENT = { timeout: 15_000 };
const get = 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n';
const ask = ({ port }: Rig, request = get): Promise<string> => exchangeRaw(port, request);
const status = async (rig: Rig): Promise<number> => Number((await ask(rig)).split(' ')[1]);

test('a service that is not there: no cluster, no endpoint, nobody listening, or one that breaks off', async () => {
  const breaking = await startRaw((_, socket) => socket.destroy());
  const gone = await startRaw(() => undefined);
  await gone.close();
  onTestFinished(() => breaking.close());
  for (const authorizers of [undefined, [], [gone.port], [breaking.port]]) {
    const closed = await serve({ statusOnError: 503 }, authorizers);
    expect(await status(closed)).toBe(503);
    expect(closed.records).toMatchObject([{ responseFlags: 'UAEX', details: 'ext_authz_error', attempts: 0 }]);
    const open = await serve({ failureModeAllow: true }, authorizers);
    expect(await status(open)).toBe(200);
    expect(open.runtime.stats().counters).toMatchObject({
      ...{ 'http.test.ext_authz.error': 1, 'http.test.ext_authz.failure_mode_allowed': 1, 'http.test.ext_authz.ok': 0 },
      ...{ 'cluster.app.ext_authz.error': 1, 'cluster.app.ext_authz.failure_mode_allowed': 1 },
    });
  }
});

test('who answers at once, at the end of a body, is heard like others: upstreams get it once', async () => {
  const upstream = await startRaw((chunk, socket) => {
    if (chunk.endsWith('0\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  });
  onTestFinished(() => upstream.close());
  const filters = [
    { kind: 'ext-authz' as const, name: 'ext', config: { ...config, failureModeAllow: true, body: { maxBytes: 9, allowPartial: true, asBytes: false } } },
  ];
  const rig = track(await startRig({ listener: listener({ chains: [chain({ http: manager({ filters }) })] }), clusters: [cluster([upstream.port])] }));
  const post = 'POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n';
  for (let i = 0; i < 3; i++) expect(await ask(rig, post)).toMatch(/ok$/);
  expect(upstream.received).toHaveLength(1);
  expect(upstream.received[0]?.match(/4\r\nbody\r\n0\r\n\r\n(?=POST|$)/g)).toHaveLength(3);
});

test('a service that is late counts as one that is not there, and its cluster lets go of the request', async () => {
  const rig = await serve({ service: { ...service, timeoutMs: 30 }, statPrefix: 'mine' }, [(await silent()).port]);
  expect(await status(rig)).toBe(403);
  const stats = rig.runtime.stats();
  expect(stats.counters).toMatchObject({ 'http.test.ext_authz.mine.error': 1, 'http.test.ext_authz.mine.denied': 0 });
  expect(stats.clusters.find(({ name }) => name === 'authz')).toMatchObject({ activeRequests: 0, timeouts: 1 });
});

test('a client that leaves is no longer asked about', async () => {
  const authorizer = await silent();
  const rig = await serve({}, [authorizer.port]);
  const client = connect(rig.port, '127.0.0.1', () => client.write(get));
  await vi.waitFor(() => expect(authorizer.received).toHaveLength(1), PATIENT);
  const left = new Promise((resolve) => authorizer.sockets[0]?.once('close', resolve));
  client.destroy();
  await left;
  await vi.waitFor(() => expect(rig.records).toMatchObject([{ status: 0, responseFlags: 'DC' }]), PATIENT);
  expect(rig.runtime.stats().clusters.find(({ name }) => name === 'authz')).toMatchObject({ activeRequests: 0 });
});

test('all of a body that may be asked about is held, however it comes; what comes meanwhile goes on behind it', async () => {
  const asked: number[] = [];
  const authorizer = await startApp((request, response) => {
    let length = 0;
    request
      .on('data', (part: Buffer) => (length += part.length))
      .on('end', () => {
        asked.push(length);
        setTimeout(() => response.end(), 10);
      });
  });
  // More than is held for any other request.
  const size = 200_000;
  const rig = await serve({ body: { maxBytes: size, allowPartial: false, asBytes: false } }, [authorizer]);
  const body = 'x'.repeat(size);
  expect(await ask(rig, `POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${size}\r\n\r\n${body}`)).toMatch(/app 200000$/);
  const chunked = `POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n${size.toString(16)}\r\n${body}\r\n`;
  let socket: Socket | undefined;
  const answer = new Promise<string>((resolve) => {
    let text = '';
    socket = connect(rig.port, '127.0.0.1', () => socket?.write(chunked));
    socket.on('data', (part: Buffer) => (text += part.toString())).on('close', () => resolve(text));
  });
  // The end comes by itself.
  await vi.waitFor(() => expect(socket?.bytesWritten).toBe(chunked.length), PATIENT);
  setTimeout(() => socket?.write('0\r\n\r\n'), 20);
  expect(await answer).toMatch(/app 200000/);
  const partial = await serve({ body: { maxBytes: 100_000, allowPartial: true, asBytes: false } }, [authorizer]);
  expect(await ask(partial, `POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${size}\r\n\r\n${body}`)).toMatch(/app 200000$/);
  expect(asked).toEqual([size, size, 100_000]);
});

test('a call over gRPC that goes wrong is no answer', async () => {
  const answers: ((server: Http2Server) => void)[] = [
    (server) =>
      server.on('stream', (stream) => stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' }, { endStream: true })),
    (server) => server.on('stream', (stream) => stream.respond({ ':status': 500 }, { endStream: true })),
    // A status of OK without a message, and messages that are none.
    (server) => server.on('stream', (stream) => stream.respond({ ':status': 200, 'grpc-status': '0' }, { endStream: true })),
    ...['0000000001ff', '0100000000', '0000ffffff'].map((frame) => (server: Http2Server) => {
      server.on('stream', (stream) => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' })).end(Buffer.from(frame, 'hex'));
      });
    }),
  ];
  for (const answer of answers) {
    const server = createServer();
    answer(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { http } = cluster([]);
    const rig = await serve(
      { service: { kind: 'grpc', cluster: 'authz', authority: 'authz.test', timeoutMs: 1000, metadata: [] } },
      [(server.address() as AddressInfo).port],
      { http: { ...http, protocol: 'http2' } },
    );
    expect(await status(rig)).toBe(403);
    expect(rig.records).toMatchObject([{ details: 'ext_authz_error' }]);
  }
});

test('an answer nobody can read to its end is none', async () => {
  const endless = await startApp((_, response) => {
    const more = (): boolean => response.destroyed || (response.write('x'.repeat(65_536)) && more());
    response.on('drain', more);
    more();
  });
  expect(await status(await serve({}, [endless]))).toBe(403);
});

test('a check is a span below the request’s, told as Envoy tells it; without one the service is told of the request’s trace', async () => {
  const parents: string[] = [];
  let answer = 200;
  const authorizer = await startApp(({ headers }, response) => {
    parents.push(String(headers['traceparent']));
    response.statusCode = answer;
    response.end();
  });
  const calls: CallSpan[] = [];
  const filters = [{ kind: 'ext-authz' as const, name: 'ext', config }];
  const tracing = { samplingPercent: 100, direction: 'egress' as const, customTags: [] };
  const rig = track(
    await startRig({
      listener: listener({ chains: [chain({ http: manager({ filters, tracing }) })] }),
      clusters: [cluster([await startApp((_, response) => response.end())]), cluster([authorizer], { name: 'authz' })],
      deps: { tracer: createTracer(() => 0), onCall: (call) => calls.push(call) },
    }),
  );
  expect(await status(rig)).toBe(200);
  answer = 401;
  expect(await status(rig)).toBe(401);
  answer = 503;
  expect(await status(rig)).toBe(403);
  const address = `127.0.0.1:${authorizer}`;
  const shared = { component: 'proxy', upstream_cluster: 'authz', 'upstream_cluster.name': 'authz', 'http.protocol': 'HTTP/1.1', response_flags: '-' };
  const attributes = { ...shared, upstream_address: address, 'peer.address': address };
  expect(calls.map(({ name, failed, attributes: told }) => ({ name, failed, told }))).toEqual(
    [
      { status: 200, failed: false, word: 'OK', authz: 'ok' },
      { status: 401, failed: true, word: 'Unauthorized', authz: 'unauthorized' },
      { status: 503, failed: true, word: 'Service Unavailable', authz: 'unauthorized', error: { error: true } },
    ].map(({ status: code, failed, word, authz, error = {} }) => ({
      ...{ name: 'async authz egress', failed },
      told: { ...attributes, 'http.status_code': code, ext_authz_http_status: word, ext_authz_status: `ext_authz_${authz}`, ...error },
    })),
  );
  expect(parents).toEqual(calls.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`));
  expect(calls.map(({ traceId, parentSpanId }) => [traceId, parentSpanId])).toEqual(rig.records.map(({ trace }) => [trace?.traceId, trace?.spanId]));
  // Not recorded: no span.
  await ask(rig, get.replace('\r\n\r\n', '\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n\r\n'));
  expect(calls).toHaveLength(3);
  expect(parents[3]).toBe('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00');
});

test('a check over gRPC is a span too', () => {
  const grpc = { kind: 'grpc', cluster: 'authz', authority: 'authz.test', timeoutMs: 0, metadata: [] } as const;
  const answered = { status: 200, flags: '-', address: '', fields: [], body: Buffer.alloc(0), trailers: 'grpc-status: 0\r\n', serviceMs: 1 };
  const told = { component: 'proxy', upstream_cluster: 'authz', upstream_address: 'authz.test' };
  const name = 'async envoy.service.auth.v3.Authorization.Check egress';
  expect([
    checkSpan(grpc, answered, { kind: 'denied', status: 403, headers: [], body: '', metadata: undefined }),
    checkSpan(grpc, { ...answered, status: 504, trailers: '' }, { kind: 'error' }),
  ]).toEqual([
    { name, failed: false, attributes: { ...told, 'grpc.status_code': '0', ext_authz_status: 'ext_authz_unauthorized' } },
    { name, failed: true, attributes: { ...told, 'grpc.status_code': '14', error: true } },
  ]);
});

test('a body in many pieces is put together once', async () => {
  const authorizer = await startApp((_, response) => response.end());
  const rig = await serve({ body: { maxBytes: 64 * 1024, allowPartial: false, asBytes: false } }, [authorizer]);
  const toString = vi.spyOn(KeptBody.prototype, 'toString');
  onTestFinished(() => toString.mockRestore());
  const pieces = '1\r\nx\r\n'.repeat(10_000);
  const answer = await ask(rig, `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n${pieces}0\r\n\r\n`);
  expect(answer).toMatch(/app 10000/);
  expect(toString.mock.calls.length).toBeLessThan(5);
});
