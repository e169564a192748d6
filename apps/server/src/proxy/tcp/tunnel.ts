// TCP inside HTTP (tunneling_config): a stream of the cluster's HTTP pools that behaves like a socket. It is connected when the
// upstream has answered CONNECT or POST with 2xx.

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import type { ResponseHead } from '../../http-wire/codec-h1/response-head.ts';
import type { Tunneling } from '../config/model.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import { type ConnectFailure, PLAIN_CONNECT, type StreamFailure, type StreamWaiter, type UpstreamEvents, type UpstreamStream } from '../upstream/stream.ts';

const CODES: Partial<Record<ConnectFailure, string>> = { refused: 'ECONNREFUSED', unresolved: 'ENOTFOUND' };

class TunnelError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export class Tunnel extends Duplex implements StreamWaiter, UpstreamEvents {
  /** Plain CONNECT needs nobody's leave. */
  readonly tunnel = false;
  private readonly endpoint: EndpointState;
  private readonly config: Tunneling;
  private readonly authority: string;
  private stream: UpstreamStream | undefined;
  private written: ((error?: Error) => void) | undefined;
  private waiting = true;

  /** Starts when the caller has returned to the event loop, as a socket does. */
  constructor(endpoint: EndpointState, config: Tunneling, serverName: string) {
    super({ allowHalfOpen: true });
    this.endpoint = endpoint;
    this.config = config;
    this.authority = config.hostname.replaceAll('%REQUESTED_SERVER_NAME%', serverName);
    setImmediate(() => {
      if (!this.destroyed && !endpoint.acquire(this, false)) this.onConnectFailed('overflow');
    });
  }

  /** Of the connection that carries it. */
  get socket(): Socket | undefined {
    return this.stream?.socket;
  }

  onStream(stream: UpstreamStream): void {
    const { authority, config, endpoint } = this;
    this.waiting = false;
    this.stream = stream;
    endpoint.cluster.breaker.begin();
    const post = config.usePost;
    stream.start(
      {
        method: post ? 'POST' : 'CONNECT',
        path: post ? config.postPath : authority,
        ...{ authority, scheme: 'http', lines: config.lines, length: -1 },
        body: post ? Body.chunked : Body.none,
        upgrade: post ? '' : PLAIN_CONNECT,
      },
      this,
    );
    stream.flush();
  }

  onConnectFailed(reason: ConnectFailure): void {
    this.waiting = false;
    this.destroy(new TunnelError(CODES[reason] ?? reason, `no connection: ${reason}`));
  }

  onUpstreamInterim(): void {}

  onUpstreamHead(head: ResponseHead): void {
    // An extended or plain CONNECT of HTTP/2 is told as 101.
    if (head.status !== 101 && (head.status < 200 || head.status > 299)) {
      this.destroy(new TunnelError('TUNNEL_REFUSED', `tunnel_response_${head.status}`));
      return;
    }
    if (!this.config.usePost) this.stream?.tunnel();
    this.emit('connect');
  }

  onUpstreamData(bytes: Buffer, start: number, end: number): void {
    // The buffer is used again after the call.
    if (!this.push(Buffer.from(bytes.subarray(start, end)))) this.stream?.pause();
  }

  onUpstreamFlush(): void {}

  onUpstreamEnd(): void {
    this.release();
    this.push(null);
  }

  onTunnelEnd(): void {
    this.push(null);
  }

  onUpstreamFailed(kind: StreamFailure): void {
    this.release();
    this.destroy(new TunnelError('ECONNRESET', kind));
  }

  onUpstreamDrain(): void {
    const { written } = this;
    this.written = undefined;
    written?.();
  }

  override _read(): void {
    this.stream?.resume();
  }

  override _write(chunk: Buffer, _: string, done: (error?: Error) => void): void {
    this.stream?.data(chunk, 0, chunk.length, false);
    if (this.stream?.flush() !== false) done();
    else this.written = done;
  }

  override _final(done: (error?: Error) => void): void {
    if (this.config.usePost) {
      this.stream?.end('');
      this.stream?.flush();
    } else this.stream?.tunnelEnd();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.waiting) this.endpoint.cancel(this);
    const { stream } = this;
    this.release();
    stream?.abort();
    done(error);
  }

  private release(): void {
    if (this.stream !== undefined) this.endpoint.cluster.breaker.requests--;
    this.stream = undefined;
  }
}
