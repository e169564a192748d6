// The client against grpc-js as the server.

import { Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import { createServer } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createCertificateAuthority } from '../../certificates/ca.ts';
import { type GrpcCall, startGrpcCall } from './grpc-call.ts';

type Stream = ServerDuplexStream<Buffer, Buffer>;
const METHOD = '/test.Echo/Talk';

async function serve(talk: (stream: Stream) => void): Promise<{ address: string; rootCaPem: string; server: Server }> {
  const dir = await mkdtemp(join(tmpdir(), 'weft-grpc-call-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const ca = await createCertificateAuthority({ stateDir: dir, trustDomain: 'cluster.local' });
  const leaf = await ca.issueLeaf({ trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 's' }, { hostNames: [{ type: 'dns', value: 'localhost' }] });
  const server = new Server();
  onTestFinished(() => server.forceShutdown());
  const same = (bytes: Buffer): Buffer => bytes;
  const coding = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
  server.addService({ Talk: { path: METHOD, requestStream: true, responseStream: true, ...coding } }, { Talk: talk });
  const credentials = ServerCredentials.createSsl(null, [{ private_key: Buffer.from(leaf.privateKeyPem), cert_chain: Buffer.from(leaf.certificatePem) }]);
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
