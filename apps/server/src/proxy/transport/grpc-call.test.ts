// The client against grpc-js as the server.

import { Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import { constants, createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { createServer, type AddressInfo } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { createCertificateAuthority, type CertificateAuthority } from '../../certificates/ca.ts';
import { type GrpcCall, startGrpcCall } from './grpc-call.ts';

type Stream = ServerDuplexStream<Buffer, Buffer>;
const METHOD = '/test.Echo/Talk';

/** An authority with the key and certificate of a server. */
async function createMeshAuthority(): Promise<{ ca: CertificateAuthority; key: string; cert: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'weft-grpc-call-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const ca = await createCertificateAuthority({ stateDir: dir, trustDomain: 'cluster.local' });
  const leaf = await ca.issueLeaf({ trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 's' }, { hostNames: [{ type: 'dns', value: 'localhost' }] });
  return { ca, key: leaf.privateKeyPem, cert: leaf.certificatePem };
}

async function serve(talk: (stream: Stream) => void): Promise<{ address: string; rootCaPem: string; server: Server }> {
  const { ca, key, cert } = await createMeshAuthority();
  const server = new Server();
  onTestFinished(() => server.forceShutdown());
  const same = (bytes: Buffer): Buffer => bytes;
  const coding = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
  server.addService({ Talk: { path: METHOD, requestStream: true, responseStream: true, ...coding } }, { Talk: talk });
  const credentials = ServerCredentials.createSsl(null, [{ private_key: Buffer.from(key), cert_chain: Buffer.from(cert) }]);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  );
  return { address: `127.0.0.1:${port}`, rootCaPem: ca.rootCaPem, server };
}

/** Says something; resolves at the end of the call. */
function call(
  { address, rootCaPem }: { address: string; rootCaPem: string },
  say: (call: GrpcCall) => void,
  more: { deadlineMs?: number; headers?: Record<string, string>; onMessage?: (message: Uint8Array, call: GrpcCall) => void } = {},
): Promise<{ messages: Buffer[]; error: string | undefined }> {
  return new Promise((resolve) => {
    const messages: Buffer[] = [];
    const { onMessage, ...rest } = more;
    const made = startGrpcCall({
      ...{ address, rootCaPem, identity: undefined, method: METHOD, ...rest },
      onMessage: (message) => {
        messages.push(Buffer.from(message));
        onMessage?.(message, made);
      },
      onEnd: (error) => resolve({ messages, error: error?.message }),
    });
    say(made);
  });
}

test('messages of any size go both ways in order, and metadata arrives', async () => {
  const sizes = [0, 1, 70_000, 3_000_000, 5];
  let token: unknown;
  const server = await serve((stream) => {
    [token] = stream.metadata.get('authorization');
    stream.on('data', (message: Buffer) => stream.write(message)).on('end', () => stream.end());
  });
  const { messages, error } = await call(
    server,
    (made) => {
      for (const size of sizes) made.send(Buffer.alloc(size, size % 251));
      made.finish();
    },
    { headers: { authorization: 'Bearer t' } },
  );
  expect(error).toBeUndefined();
  expect(messages.map((message) => message.length)).toEqual(sizes);
  expect(messages.every((message, i) => message.equals(Buffer.alloc(sizes[i] ?? 0, (sizes[i] ?? 0) % 251)))).toBe(true);
  expect(token).toBe('Bearer t');
});

test('a status is told with its message, before and after messages', async () => {
  const server = await serve((stream) => {
    stream.on('data', (message: Buffer) => {
      if (message.length > 0) stream.write(message);
      stream.emit('error', { code: status.PERMISSION_DENIED, details: 'not for you: ä' });
    });
  });
  expect(await call(server, (made) => made.send(Buffer.alloc(0)))).toEqual({ messages: [], error: 'gRPC status 7: not for you: ä' });
  expect(await call(server, (made) => made.send(Buffer.from('x')))).toEqual({ messages: [Buffer.from('x')], error: 'gRPC status 7: not for you: ä' });
});

test('a call ends with an error when nobody listens, the certificate is of another CA, the time is over or the server goes', async () => {
  const server = await serve((stream) => void stream.on('data', (message: Buffer) => stream.write(message)));
  const other = await serve(() => undefined);
  const port = await new Promise<number>((resolve) => {
    const free = createServer().listen(0, '127.0.0.1', () => {
      const address = free.address();
      free.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
  expect((await call({ ...server, address: `127.0.0.1:${port}` }, (made) => made.finish())).error).toContain('ECONNREFUSED');
  expect((await call({ ...server, rootCaPem: other.rootCaPem }, (made) => made.finish())).error).toContain('certificate');
  expect((await call(other, (made) => made.finish(), { deadlineMs: 50 })).error).toBe('no answer in time');
  const gone = await call(server, (made) => made.send(Buffer.from('x')), { onMessage: () => server.server.forceShutdown() });
  expect(gone.error).toBeDefined();
});

test('a message that cannot be read ends the call, a closed call says nothing more', async () => {
  const server = await serve((stream) => void stream.on('data', (message: Buffer) => stream.write(message)));
  const unread = await call(server, (made) => made.send(Buffer.from('x')), {
    onMessage: () => {
      throw new Error('no sense');
    },
  });
  expect(unread.error).toBe('no sense');
  let heard = 0;
  await new Promise<void>((resolve) => {
    const closed: GrpcCall = startGrpcCall({
      ...{ address: server.address, rootCaPem: server.rootCaPem, identity: undefined, method: METHOD },
      onMessage: () => {
        heard++;
        closed.close();
        closed.send(Buffer.from('y'));
        setImmediate(resolve);
      },
      onEnd: () => heard++,
    });
    closed.send(Buffer.from('x'));
  });
  expect(heard).toBe(1);
});

test.each<[string, (stream: ServerHttp2Stream) => void, string]>([
  ['a status of HTTP', (stream) => stream.respond({ ':status': 503 }, { endStream: true }), 'HTTP status 503'],
  ['a head and no status', (stream) => stream.respond({ ':status': 200 }, { endStream: true }), 'the call ended without a status'],
  ['GOAWAY for a reason', (stream) => stream.session?.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM), 'the server ended the connection (GOAWAY 11)'],
  ['a reset', (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM), 'the server ended the stream'],
])('a server that answers with %s is told of as that', async (_, answer, error) => {
  const { ca, ...server } = await createMeshAuthority();
  const http2 = createSecureServer(server);
  onTestFinished(() => void http2.close());
  http2.on('stream', (stream) => {
    stream.on('error', () => undefined);
    answer(stream);
  });
  await new Promise<void>((resolve) => http2.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(http2.address() as AddressInfo).port}`;
  expect((await call({ address, rootCaPem: ca.rootCaPem }, (made) => made.send(Buffer.from('x')))).error).toBe(error);
});

test('an identity that comes back resumes its TLS session and is still known by its certificate; another starts anew', async () => {
  const { ca, ...server } = await createMeshAuthority();
  const http2 = createSecureServer({ ...server, ca: ca.rootCaPem, requestCert: true, rejectUnauthorized: true });
  onTestFinished(() => void http2.close());
  const seen: { reused: boolean; name: string | undefined }[] = [];
  http2.on('session', ({ socket }) => {
    const tls = socket as TLSSocket;
    seen.push({ reused: tls.isSessionReused(), name: tls.getPeerX509Certificate()?.subjectAltName });
  });
  http2.on('stream', (stream) => {
    stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end();
  });
  await new Promise<void>((resolve) => http2.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(http2.address() as AddressInfo).port}`;
  const identityOf = async (serviceAccount: string): Promise<{ keyPem: string; chainPem: string }> => {
    const leaf = await ca.issueLeaf({ trustDomain: 'cluster.local', namespace: 'a', serviceAccount });
    return { keyPem: leaf.privateKeyPem, chainPem: leaf.certificatePem };
  };
  const [one, other] = [await identityOf('one'), await identityOf('other')];
  for (const identity of [one, one, other, one])
    await new Promise<void>((resolve, reject) => {
      const made = startGrpcCall({
        ...{ address, rootCaPem: ca.rootCaPem, identity, method: METHOD, onMessage: () => undefined },
        onEnd: (error) => (error === undefined ? resolve() : reject(error)),
      });
      made.finish();
    });
  const name = (serviceAccount: string): string => `URI:spiffe://cluster.local/ns/a/sa/${serviceAccount}`;
  expect(seen).toEqual([
    { reused: false, name: name('one') },
    { reused: true, name: name('one') },
    { reused: false, name: name('other') },
    { reused: true, name: name('one') },
  ]);
});
