// What is sent through both data planes, and what comes of it.

import type { Http2Case } from './http2-client.ts';
import type { Message } from './messages.ts';

/** What the application does about one request. */
export interface Answer {
  /** As soon as the head is here, or when the whole request is. */
  when: 'head' | 'end';
  /** Written one after another, each in a turn of its own. Of HTTP/2: frames, where stream 1 stands for the request's. */
  parts: readonly string[];
  /** What of a request's body, or of a tunnel, must be here before the rest. */
  until?: string;
  last?: string;
  /** With the connection. */
  after: After;
}

/** 'end, reset': of a connection half closed. */
export type After = 'keep' | 'end' | 'reset' | 'end, reset';

/** The client leaves in the middle of it. What it asks for last comes on a connection of its own. */
export interface Leave {
  /** All is written; or the application, or the client, has seen a head and as much of a body. */
  once: 'written' | 'arrived' | 'answered';
  body: string;
  /** What else the application must have seen. */
  heard?: string;
  /** Written then. */
  bytes: string;
  how: After;
}

/** Which of a mesh's proxies: the client's, the application's, or the one at the edge; or the client's, and behind it the application's. */
export type ListenerKind = 'outbound' | 'inbound' | 'gateway' | 'mesh';

export interface Case {
  seed: number;
  /** In failures, where the bytes do not say it. */
  about?: string;
  /** Bytes and how many final answers to wait for before they are written. */
  writes: readonly { bytes: string; after: number }[];
  /** Of the requests in them, as far as they are such. */
  methods: readonly string[];
  answers: readonly Answer[];
  /** In place of `writes`. */
  http2?: Http2Case;
  /** The application speaks HTTP/2, and begins its first connection with these frames. */
  opening?: string;
  leaves?: Leave;
  /** The client leaves while the application says or does something: what comes first is chance. */
  uncertain?: true;
  /** Default: outbound. */
  listener?: ListenerKind;
}

export interface Seen {
  requests: Message[];
  /** Behind them. */
  tunnel: string[];
  /** How each connection of the application went. */
  connections: string[];
}

export interface Outcome extends Seen {
  answers: Message[];
  /** Behind the last answer. */
  rest: string;
  end: string;
  log: string[];
  /** The access log of the second of two sidecars. */
  behind: string[];
  /** The client's address, each its own: by it the log tells who it was. */
  from: string;
}

/** The last request of each case: it ends the connection, and whatever a request before has left unread shows in it. */
export const LAST = '/the-last';
