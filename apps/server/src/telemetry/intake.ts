// Takes OTLP: HTTP with protobuf (4318) and gRPC (4317). Bytes go to the decoder as they are, over both doors.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Server, ServerCredentials, type ServerReadableStream, type ServiceDefinition, type sendUnaryData, type ServerUnaryCall, status } from '@grpc/grpc-js';
import { decodeMetrics, decodeTraces, type OtlpResourceMetrics, type OtlpResourceSpans } from '@weft/mesh-core/telemetry';
import { accessLogReader } from './access-log-intake.ts';
import { IntakeListenError, IntakeRefusal } from './errors.ts';

export interface IntakeOptions {
  host: string;
  /** 0 = any free port. */
  httpPort: number;
  grpcPort: number;
  metrics(resources: OtlpResourceMetrics[]): void;
  traces(resources: OtlpResourceSpans[]): void;
  log(message: string): void;
}

export interface Intake {
  /** Throws {@link IntakeListenError} when a port is taken; nothing is left open then. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Valid after `start`. */
  readonly ports: { http: number; grpc: number };
}

const MAX_BODY = 16 * 1024 * 1024;
/** Telemetry compresses 10-30 times; more is a bomb. */
const MAX_RATIO = 200;
const unzip = promisify(gunzip);

export function createIntake(options: IntakeOptions): Intake {
  const http = createServer((request, response) => void handle(options, request, response));
  // A client that stops in the middle of its body must not hold a connection for the 5 min Node allows.
  http.requestTimeout = 30_000;
  const grpc = grpcServer(options);
  const ports = { http: options.httpPort, grpc: options.grpcPort };
  return {
    ports,
    async start() {
      await new Promise<void>((resolve, reject) => {
        http.once('error', (error) => reject(new IntakeListenError(`${options.host}:${options.httpPort}`, error.message)));
        http.listen(options.httpPort, options.host, resolve);
      });
      ports.http = (http.address() as AddressInfo).port;
      try {
        ports.grpc = await new Promise<number>((resolve, reject) => {
          grpc.bindAsync(`${options.host}:${options.grpcPort}`, ServerCredentials.createInsecure(), (error, port) =>
            error === null ? resolve(port) : reject(error),
          );
        });
      } catch (error) {
        await closeHttp(http);
        throw new IntakeListenError(`${options.host}:${options.grpcPort}`, reasonOf(error));
      }
    },
    async stop() {
      grpc.forceShutdown();
      await closeHttp(http);
    },
  };
}

async function closeHttp(server: ReturnType<typeof createServer>): Promise<void> {
  if (!server.listening) return;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function handle(options: IntakeOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const accept = acceptorOf(options, request);
    accept(await body(request));
    response.writeHead(200, { 'content-type': 'application/x-protobuf', 'content-length': 0 }).end();
  } catch (error) {
    const refusal = asRefusal(options, error);
    // google.rpc.Status, as the protocol asks: field 1 code, field 2 message.
    const status = new BinaryWriter().tag(1, WireType.Varint).int32(refusal.grpcCode).tag(2, WireType.LengthDelimited).string(refusal.message).finish();
    // The rest of a body that was not read to its end would be taken for the next request.
    const close = request.complete ? {} : { connection: 'close' };
    if (!response.headersSent)
      response.writeHead(refusal.status, { 'content-type': 'application/x-protobuf', 'content-length': status.length, ...close }).end(status);
  }
}

function acceptorOf(options: IntakeOptions, request: IncomingMessage): (bytes: Uint8Array) => void {
  const path = request.url?.split('?')[0];
  if (path !== '/v1/metrics' && path !== '/v1/traces')
    throw new IntakeRefusal(404, status.UNIMPLEMENTED, `no such path ${path}; use POST /v1/metrics or /v1/traces`);
  if (request.method !== 'POST') throw new IntakeRefusal(405, status.UNIMPLEMENTED, `${request.method} is not allowed here; use POST`);
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/x-protobuf')
    throw new IntakeRefusal(415, status.INVALID_ARGUMENT, `content-type ${type ?? 'none'} is not taken; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`);
  return path === '/v1/metrics' ? (bytes) => options.metrics(decoded(decodeMetrics, bytes)) : (bytes) => options.traces(decoded(decodeTraces, bytes));
}

async function body(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) throw new IntakeRefusal(413, status.RESOURCE_EXHAUSTED, `the body is larger than ${MAX_BODY} bytes; send smaller batches`);
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks, size);
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return bytes;
  if (encoding !== 'gzip') throw new IntakeRefusal(415, status.INVALID_ARGUMENT, `content-encoding ${encoding} is not taken; use gzip or none`);
  try {
    return await unzip(bytes, { maxOutputLength: Math.min(4 * MAX_BODY, Math.max(64 * 1024, bytes.length * MAX_RATIO)) });
  } catch (error) {
    const tooLarge = error instanceof RangeError;
    throw new IntakeRefusal(
      tooLarge ? 413 : 400,
      tooLarge ? status.RESOURCE_EXHAUSTED : status.INVALID_ARGUMENT,
      tooLarge ? 'the body unpacks to too much' : `the body is no gzip: ${reasonOf(error)}`,
    );
  }
}

function decoded<T>(decode: (bytes: Uint8Array) => T, bytes: Uint8Array): T {
  try {
    return decode(bytes);
  } catch (error) {
    throw new IntakeRefusal(400, status.INVALID_ARGUMENT, `not an OTLP export request: ${reasonOf(error)}`);
  }
}

function asRefusal(options: IntakeOptions, error: unknown): IntakeRefusal {
  if (error instanceof IntakeRefusal) return error;
  options.log(`telemetry intake failed: ${reasonOf(error)}`);
  return new IntakeRefusal(500, status.INTERNAL, 'internal error');
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function grpcServer(options: IntakeOptions): Server {
  const server = new Server({ 'grpc.max_receive_message_length': MAX_BODY });
  const door = (service: string, accept: (bytes: Uint8Array) => void): void => {
    server.addService(passThrough(`/opentelemetry.proto.collector.${service}/Export`), {
      export(call: ServerUnaryCall<Uint8Array, Uint8Array>, callback: sendUnaryData<Uint8Array>) {
        try {
          accept(call.request);
          callback(null, new Uint8Array());
        } catch (error) {
          const refusal = asRefusal(options, error);
          callback({ code: refusal.grpcCode, details: refusal.message });
        }
      },
    });
  };
  door('metrics.v1.MetricsService', (bytes) => options.metrics(decoded(decodeMetrics, bytes)));
  // Envoy's gRPC access log: a stream that is only read.
  server.addService(passThrough('/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs', true), {
    export(call: ServerReadableStream<Uint8Array, Uint8Array>, callback: sendUnaryData<Uint8Array>) {
      const read = accessLogReader(Date.now);
      call.on('data', (bytes: Uint8Array) => {
        try {
          options.metrics(read(bytes));
        } catch (error) {
          options.log(`access log refused: ${reasonOf(error)}`);
        }
      });
      call.on('error', () => undefined);
      call.on('end', () => callback(null, new Uint8Array()));
    },
  });
  door('trace.v1.TraceService', (bytes) => options.traces(decoded(decodeTraces, bytes)));
  return server;
}

/** A method with one answer, whose messages stay bytes. */
function passThrough(path: string, requestStream = false): ServiceDefinition {
  const serialize = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
  const deserialize = (bytes: Buffer): Uint8Array => bytes;
  return {
    export: {
      path,
      requestStream,
      responseStream: false,
      requestSerialize: serialize,
      requestDeserialize: deserialize,
      responseSerialize: serialize,
      responseDeserialize: deserialize,
    },
  };
}
