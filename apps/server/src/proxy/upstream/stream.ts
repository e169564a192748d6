// One request on its way to one endpoint, whatever the protocol: HTTP/1.1 connections and HTTP/2 streams implement it.

import type { WireMeter } from '../../http-wire/socket/wire-meter.ts';
import type { Socket } from 'node:net';
import type { ResponseHead } from '../../http-wire/codec-h1/response-head.ts';

/** As `upgrade`: CONNECT as it is, without a protocol. No token, so no client can ask for it. */
export const PLAIN_CONNECT = ':connect';

/** Of an answer nobody wants this much is read, and for so long, to use its connection again. */
export const discardLimit: number = 64 * 1024;
export const discardMs = 1000;

export interface UpstreamRequest {
  method: string;
  path: string;
  authority: string;
  scheme: 'http' | 'https';
  /** Field lines without Host and framing, each with its line end. */
  lines: string;
  /** `Body.*` */
  body: number;
  /** With `Body.length`. */
  length: number;
  /** Asks to leave HTTP: the value of Upgrade, '' = no. */
  upgrade: string;
}

export interface UpstreamStream {
  /** Gathers the head; nothing leaves before `flush`. */
  start(request: UpstreamRequest, events: UpstreamEvents): void;
  data(bytes: Buffer, start: number, end: number, shared: boolean): void;
  text(body: string): void;
  end(trailers: string): void;
  /** False = `onUpstreamDrain` follows. */
  flush(): boolean;
  pause(): void;
  resume(): void;
  /** The answer is no longer wanted, or the client of a tunnel is gone; no event follows. */
  abort(): void;
  /** The rest of the answer is read and dropped, so that the connection can be used again. */
  discard(): void;
  /** After 101: bytes both ways. */
  tunnel(): void;
  /** This side of a tunnel sends no more. */
  tunnelEnd(): void;
  /** Of the connection that carries it. */
  readonly socket: Socket;
}

/**
 * `connection`: it ended; `remote-reset`: the peer ended this stream; `connect-error`: it did as what is behind its tunnel ended;
 * `refused`: the peer has not looked at the request; `protocol`: what came cannot be trusted, or the peer says so of the request.
 */
export type StreamFailure = 'connection' | 'remote-reset' | 'connect-error' | 'refused' | 'protocol';

/**
 * `refused`: nobody listens there; `unresolved`: its name has no address; `no-resolver`: nobody could say whether it has;
 * `overflow`: there is a connection, but the cluster has as many requests as it may.
 */
export type ConnectFailure = 'connection' | 'refused' | 'unresolved' | 'no-resolver' | 'timeout' | 'tls' | 'overflow';

export interface UpstreamEvents {
  /** Where its bytes are counted. */
  readonly meter?: WireMeter | undefined;
  onUpstreamInterim(head: ResponseHead): void;
  /** Final head, or 101. `head` is valid during the call only. */
  onUpstreamHead(head: ResponseHead): void;
  onUpstreamData(bytes: Buffer, start: number, end: number, shared: boolean): void;
  /** End of one read: time to flush. */
  onUpstreamFlush(): void;
  onUpstreamEnd(trailers: string): void;
  onUpstreamFailed(kind: StreamFailure): void;
  onUpstreamDrain(): void;
  /** The other side of a tunnel sends no more. */
  onTunnelEnd(): void;
}

/** Waits for a stream of an endpoint. */
export interface StreamWaiter {
  /** Wants extended CONNECT (RFC 8441) of a connection of HTTP/2, or else one of HTTP/1.1. */
  readonly tunnel: boolean;
  onStream(stream: UpstreamStream): void;
  /** `why`: as in access logs; '' = there is nothing more to say. */
  onConnectFailed(reason: ConnectFailure, why?: string): void;
}
