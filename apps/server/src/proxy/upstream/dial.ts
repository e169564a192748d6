// Makes a connection to an endpoint: TCP, TLS with the check of the peer's identity, and the protocol both sides know.

import { connect as connectPlain, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, TLSSocket } from 'node:tls';
import type { Endpoint, ProxyProtocolVersion } from '../config/model.ts';
import { WheelTimer, type TimerTarget, type TimerWheel } from '../transport/timer-wheel.ts';
import { readBuffer, readPlainly } from '../../http-wire/socket/direct-reads.ts';
import { type ClientAddresses, connectAnnounced } from './announced.ts';
import { failureText } from './failure-text.ts';
import { socketTarget } from './host-and-port.ts';
import type { ConnectFailure } from './stream.ts';
import { type UpstreamTlsPlan, verification } from './tls-plan.ts';

/** Takes what a connection reads. `shared`: the bytes change after the call. */
export interface Reader {
  read(bytes: Buffer, start: number, end: number, shared: boolean): void;
}

export interface DialOwner {
  onDialed(dial: Dial, socket: Socket, http2: boolean): void;
  onDialFailed(dial: Dial, reason: ConnectFailure): void;
}

export interface DialOptions {
  endpoint: Endpoint;
  tls: UpstreamTlsPlan | undefined;
  /** What to speak where TLS does not negotiate; `auto` is then HTTP/1.1. */
  protocol: 'http1' | 'http2' | 'auto';
  timeoutMs: number;
  wheel: TimerWheel;
  /** Says who is behind it before anything else. */
  announce: { version: ProxyProtocolVersion; client: ClientAddresses | undefined } | undefined;
}

/** Error codes that tell more than that there is no connection. */
const reasons: Readonly<Record<string, ConnectFailure>> = { ECONNREFUSED: 'refused', ENOTFOUND: 'unresolved' };

export class Dial implements TimerTarget {
  /** Set by the owner when dialed. */
  reader: Reader | undefined;
  private readonly owner: DialOwner;
  private readonly wheel: TimerWheel;
  private readonly socket: Socket;
  private readonly timer: WheelTimer = new WheelTimer(this);
  private readonly onClosed = (): void => this.fail(this.handshaking ? 'tls' : this.reason);
  private handshaking = false;
  private reason: ConnectFailure = 'connection';
  /** What the system or the TLS library says of a failure. */
  why = '';

  constructor(owner: DialOwner, options: DialOptions) {
    this.owner = owner;
    this.wheel = options.wheel;
    const target = socketTarget(options.endpoint);
    const { tls, protocol } = options;
    const callback = (count: number): boolean => {
      this.reader?.read(readBuffer, 0, count, true);
      return true;
    };
    const onread = { buffer: readBuffer, callback };
    if (options.announce !== undefined) {
      const secured = tls === undefined ? {} : { tls: tlsOptions(tls, protocol) };
      const socket = connectAnnounced({ target, ...options.announce, allowHalfOpen: false, ...secured });
      socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
        const negotiated = socket instanceof TLSSocket && socket.alpnProtocol === 'h2';
        this.ready(protocol === 'auto' ? negotiated : protocol === 'http2');
        socket.on('data', (chunk: Buffer) => this.reader?.read(chunk, 0, chunk.length, false));
      });
      this.socket = socket;
    } else if (tls === undefined) {
      this.socket = connectPlain({ ...target, noDelay: true, onread });
      this.socket.once('connect', () => {
        readPlainly(this.socket, callback);
        this.ready(protocol === 'http2');
      });
    } else {
      const socket = connectTls({
        // @types/node does not know `onread` here; TLSSocket hands it to its net.Socket.
        ...{ ...target, onread },
        ...tlsOptions(tls, protocol),
      });
      socket.setNoDelay(true);
      socket.once('connect', () => {
        this.handshaking = true;
      });
      // Comes before the first bytes: the reader is there in time.
      socket.once('secureConnect', () => this.ready(protocol === 'auto' ? socket.alpnProtocol === 'h2' : protocol === 'http2'));
      this.socket = socket;
    }
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.why = failureText(error);
      this.reason = reasons[error.code ?? ''] ?? (error.syscall === 'getaddrinfo' ? 'no-resolver' : 'connection');
      this.socket.destroy();
    });
    this.socket.once('close', this.onClosed);
    this.wheel.set(this.timer, options.timeoutMs);
  }

  onTimer(): void {
    this.fail('timeout');
  }

  close(): void {
    this.fail('connection');
  }

  private ready(http2: boolean): void {
    this.wheel.clear(this.timer);
    this.socket.removeListener('close', this.onClosed);
    this.owner.onDialed(this, this.socket, http2);
  }

  private fail(reason: ConnectFailure): void {
    this.wheel.clear(this.timer);
    this.socket.removeListener('close', this.onClosed);
    this.socket.destroy();
    this.owner.onDialFailed(this, reason);
  }
}

function tlsOptions(tls: UpstreamTlsPlan, protocol: DialOptions['protocol']): ConnectionOptions {
  return { ...verification(tls), ALPNProtocols: offered(tls.alpn, protocol) };
}

/** What is spoken anyway is all that is offered; protocols that are not HTTP (`istio`) stay. */
function offered(alpn: readonly string[], protocol: 'http1' | 'http2' | 'auto'): string[] {
  if (alpn.length === 0 && protocol !== 'auto') return [protocol === 'http2' ? 'h2' : 'http/1.1'];
  if (protocol === 'auto') return alpn.includes('h2') || alpn.includes('http/1.1') ? [...alpn] : [...alpn, 'h2', 'http/1.1'];
  const other = protocol === 'http1' ? 'h2' : 'http/1.1';
  const kept = alpn.filter((name) => name !== other);
  return protocol === 'http1' && !kept.includes('http/1.1') ? [...kept, 'http/1.1'] : kept;
}
