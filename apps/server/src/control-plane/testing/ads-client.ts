// A bare ADS client for tests: real grpc-js over a real socket, every message in a queue.

import { Client, Metadata, credentials as grpcCredentials } from '@grpc/grpc-js';
import type { ChannelCredentials, ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '@weft/mesh-core/gen/envoy/service/discovery/v3/discovery_pb';
import type { DeltaDiscoveryResponse, DiscoveryResponse } from '@weft/mesh-core/gen/envoy/service/discovery/v3/discovery_pb';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '@weft/mesh-core/gen/security/v1alpha1/ca_pb';

const pass = (bytes: Buffer): Buffer => bytes;
const DEADLINE_MS = 5_000;
const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService';

/** Resolves messages in order of arrival; rejects with the stream's error. */
class Queue<T> {
  readonly #items: T[] = [];
  readonly #waiters: { resolve: (item: T) => void; reject: (error: Error) => void }[] = [];
  #error: Error | undefined;

  push(item: T): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#items.push(item);
    else waiter.resolve(item);
  }

  fail(error: Error): void {
    this.#error = error;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  get waiting(): number {
    return this.#items.length;
  }

  take(): T[] {
    return this.#items.splice(0);
  }

  next(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    if (this.#error !== undefined) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing came within ${DEADLINE_MS} ms`)), DEADLINE_MS);
      this.#waiters.push({
        resolve: (value) => {
          clearTimeout(timer);
          resolve(value);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
    });
  }
}

interface TestStream<Request, Response> {
  send(request: Request): void;
  next(): Promise<Response>;
  /** Messages that have arrived and were not taken. */
  readonly waiting: number;
  /** Ends our side and gives everything that still came until the server ended its own. */
  drain(): Promise<Response[]>;
  close(): void;
}

export type SotwStream = TestStream<MessageInitShape<typeof DiscoveryRequestSchema>, DiscoveryResponse>;
export type DeltaStream = TestStream<MessageInitShape<typeof DeltaDiscoveryRequestSchema>, DeltaDiscoveryResponse>;

function open<Request, Response>(
  port: number,
  credentials: ChannelCredentials,
  path: string,
  encode: (r: Request) => Uint8Array,
  decode: (b: Buffer) => Response,
): TestStream<Request, Response> {
  const client = new Client(`localhost:${port}`, credentials);
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(path, pass, pass);
  const queue = new Queue<Response>();
  call.on('data', (bytes: Buffer) => queue.push(decode(bytes)));
  call.on('error', (error: ServiceError) => queue.fail(error));
  call.on('end', () => queue.fail(new Error('the server ended the stream')));
  const ended = new Promise<void>((resolve) => call.on('end', () => resolve()));
  return {
    send: (request) => void call.write(Buffer.from(encode(request))),
    next: () => queue.next(),
    get waiting() {
      return queue.waiting;
    },
    drain: async () => {
      call.end();
      await ended;
      return queue.take();
    },
    close: () => {
      call.cancel();
      client.close();
    },
  };
}

export function openSotw(
  port: number,
  credentials: ChannelCredentials = grpcCredentials.createInsecure(),
  path = `${ADS}/StreamAggregatedResources`,
): SotwStream {
  return open(
    port,
    credentials,
    path,
    (r: MessageInitShape<typeof DiscoveryRequestSchema>) => toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, r)),
    (b) => fromBinary(DiscoveryResponseSchema, b),
  );
}

export function openDelta(
  port: number,
  credentials: ChannelCredentials = grpcCredentials.createInsecure(),
  path = `${ADS}/DeltaAggregatedResources`,
): DeltaStream {
  return open(
    port,
    credentials,
    path,
    (r: MessageInitShape<typeof DeltaDiscoveryRequestSchema>) => toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, r)),
    (b) => fromBinary(DeltaDiscoveryResponseSchema, b),
  );
}

/** Calls IstioCertificateService/CreateCertificate; rejects with grpc-js' ServiceError. */
export function createCertificate(port: number, credentials: ChannelCredentials, csr: string, token?: string): Promise<string[]> {
  const client = new Client(`localhost:${port}`, credentials);
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  const bytes = Buffer.from(toBinary(IstioCertificateRequestSchema, create(IstioCertificateRequestSchema, { csr, validityDuration: 86_400n })));
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      '/istio.v1.auth.IstioCertificateService/CreateCertificate',
      pass,
      pass,
      bytes,
      metadata,
      { deadline: Date.now() + DEADLINE_MS },
      (error, reply) => {
        client.close();
        if (error !== null) reject(error);
        else if (reply === undefined) reject(new Error('no reply'));
        else resolve(fromBinary(IstioCertificateResponseSchema, reply).certChain);
      },
    );
  });
}
