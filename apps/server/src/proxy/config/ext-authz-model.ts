// What the filters of external authorization are told, decoded.

import type { Fraction, MetadataMatchSpec } from '@weft/mesh-core/traffic';
import type { StringMatch } from './model.ts';

export interface ExtAuthz {
  service: AuthorizationService;
  /** Part of the names of its counters, '' = none. */
  statPrefix: string;
  /** Who could not be asked about may go on, and where `tells` is set is told so to the upstream. */
  failureModeAllow: boolean;
  tellsFailureMode: boolean;
  /** Absent = bodies are not asked about. */
  body?: CheckedBody;
  /** The route is looked up once more with what the service has changed. */
  clearRouteCache: boolean;
  statusOnError: number;
  /** Share of the requests, and those with this metadata, that are asked about. */
  enabled: Fraction;
  enabledMetadata?: MetadataMatchSpec;
  /** Requests that are not asked about are refused. */
  denyAtDisable: boolean;
  check: CheckContents;
  /** What the service says of a request becomes metadata of it. */
  takesMetadata: boolean;
}

export interface CheckedBody {
  maxBytes: number;
  /** A longer body is asked about by its beginning; else it is refused. */
  allowPartial: boolean;
  /** As bytes in place of text. */
  asBytes: boolean;
}

/** What the service is told. */
export interface CheckContents {
  /** Absent = all. */
  allowedHeaders?: readonly StringMatch[];
  disallowedHeaders: readonly StringMatch[];
  /** In a list, as they came. */
  rawHeaders: boolean;
  tlsSession: boolean;
  metadataNamespaces: readonly string[];
  routeMetadataNamespaces: readonly string[];
}

export type AuthorizationService = GrpcAuthorizationService | HttpAuthorizationService;

export interface GrpcAuthorizationService {
  kind: 'grpc';
  cluster: string;
  authority: string;
  /** 0 = none. */
  timeoutMs: number;
  metadata: readonly { name: string; value: string }[];
}

export interface HttpAuthorizationService {
  kind: 'http';
  cluster: string;
  timeoutMs: number;
  pathPrefix: string;
  /** Values may hold commands. */
  headersToAdd: readonly { name: string; value: string }[];
  /** Fields of an answer that lets a request pass: for the upstream in place of its own, behind its own, and for the client. */
  upstreamHeaders: readonly StringMatch[];
  upstreamHeadersToAppend: readonly StringMatch[];
  clientHeadersOnSuccess: readonly StringMatch[];
  /** Of one that does not; empty = all. */
  clientHeaders: readonly StringMatch[];
  metadataHeaders: readonly StringMatch[];
}

/** What a route says of the filter. */
export interface RouteExtAuthz {
  contextExtensions: Readonly<Record<string, string>>;
  /** In place of the filter's. */
  body?: CheckedBody | 'off';
}

export interface NetworkExtAuthz {
  /** What the names of its counters begin with. */
  statPrefix: string;
  service: GrpcAuthorizationService;
  failureModeAllow: boolean;
  enabledMetadata?: MetadataMatchSpec;
  tlsSession: boolean;
}
