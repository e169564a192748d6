// HTTP filters as the request path runs them: per route, compiled once, outermost first. A route without any has no chain at all.

import type { DynamicMetadata, StringPredicate } from '@weft/mesh-core/traffic';
import type { HeaderBlock } from '../../../http-wire/codec-h1/header-block.ts';
import type { ResponseHead } from '../../../http-wire/codec-h1/response-head.ts';
import type { Route, VirtualHost } from '../../config/model.ts';
import type { ConnectionContext } from '../downstream.ts';
import type { HeaderValueSource } from '../header-values.ts';
import type { HeadersView, RequestRecord } from '../hooks.ts';

/** What a filter sees of a request and may do to it. Valid until its `onEnd`. */
export interface FilteredRequest extends HeadersView, HeaderValueSource {
  readonly context: ConnectionContext;
  readonly record: RequestRecord;
  /**
   * Answers in the route's stead: body as latin1, response flag ('' = none), Envoy's details, extra field lines. `grpcStatus` for
   * gRPC clients where it is not the one the HTTP status stands for; `type` of the body where it is no plain text.
   */
  answer(status: number, body: string, flag: string, details: string, extraLines?: string, grpcStatus?: number, type?: string): void;
  /** Goes on after a step that said `wait`: at once, or after `ms`. */
  continueRequest(): void;
  continueAfter(ms: number): void;
  /** Names in lower case. */
  setRequestHeader(name: string, value: string): void;
  removeRequestHeader(name: string): void;
  /** Takes fields away, or adds one, for all who look from now on: other filters, routes, the log. False = it cannot be sent. */
  hideRequestHeaders(names: ReadonlySet<string>): void;
  appendRequestHeader(name: string, value: string): boolean;
  setPath(path: string): void;
  setAuthority(authority: string): void;
  /** Looks the route up once more, with what has changed. */
  chooseRouteAgain(): void;
  setResponseHeader(name: string, value: string): void;
  addResponseHeader(name: string, value: string): void;
  removeResponseHeader(name: string): void;
  /** Adds a short response flag. */
  flag(name: string): void;
  /** Sees the request body as it arrives (mirroring); undefined = nobody. */
  tap: BodyTap | undefined;
  /** What of the body has arrived and is held, latin1, made anew each time; how much that is; and whether it has a body, or any to come. */
  readonly heldBody: string;
  readonly heldBytes: number;
  readonly bodiless: boolean;
  readonly complete: boolean;
  /** Holds that much of the body at least; 0 = no more than for any other request. */
  holdBody(bytes: number): void;
  /** Somebody who has to do with the request until it ends. */
  accompany(companion: RequestCompanion): void;
  /** Those that came. */
  readonly fields: HeaderBlock;
  /** What filters have found out, by their names; undefined = nothing. */
  metadata: DynamicMetadata | undefined;
  /** The request may steer this proxy by its headers. */
  readonly internal: boolean;
  /** Address of the client as far as that is trusted at an edge. */
  readonly sourceIp: string;
  /** Of a field as it came, name in lower case. */
  values(side: 'request' | 'response', name: string): string[];
  /** Whether any value of the field that came passes; undefined = there is none. */
  some(name: string, test: StringPredicate): boolean | undefined;
  /** Names of fields that filters have taken away, and the lines they have put there. */
  readonly requestDrop: ReadonlySet<string> | undefined;
  readonly requestLinesAdded: string;
}

export interface RequestCompanion {
  /** As a filter's. */
  onResponse(head: ResponseHead | undefined): void;
  /** Once, however the request ended. */
  onEnd(): void;
}

/** Bytes are valid during the call only, and held by now where somebody holds them. */
export interface BodyTap {
  data(bytes: Buffer, start: number, end: number): void;
  end(trailers: string): void;
  /** The client went away or the request was answered before it was complete. */
  abort(): void;
}

export interface RouteFilter {
  /** `next`, or `stop`: it has answered, or will call `continueRequest`. */
  onRequest?(request: FilteredRequest): 'next' | 'stop';
  /** Before the head of a response leaves; `head` is the upstream's, undefined for an answer of our own. */
  onResponse?(request: FilteredRequest, status: number, head: ResponseHead | undefined): void;
  /** Once, however the request ended; also when no other method was called. */
  onEnd?(request: FilteredRequest): void;
}

export interface RouteFilters {
  request: readonly RouteFilter[];
  response: readonly RouteFilter[];
  end: readonly RouteFilter[];
}

/** The filter a route needs of one kind; undefined = the route does not use it. */
export type RouteFilterFactory = (route: Route, host: VirtualHost) => RouteFilter | readonly RouteFilter[] | undefined;

/** Undefined when the route uses none. Requests pass `factories` in order, responses in reverse. */
export function compileFilters(route: Route, host: VirtualHost, factories: readonly RouteFilterFactory[]): RouteFilters | undefined {
  const filters = factories.flatMap((factory) => factory(route, host) ?? []);
  if (filters.length === 0) return undefined;
  return {
    request: filters.filter((filter) => filter.onRequest !== undefined),
    response: filters.filter((filter) => filter.onResponse !== undefined).toReversed(),
    end: filters.filter((filter) => filter.onEnd !== undefined),
  };
}
