// A provider of external authorization as MeshConfig names it: the service AuthorizationPolicies with action CUSTOM ask.

/** What of a request's body the service is shown. */
export interface CheckedBody {
  maxRequestBytes?: number | undefined;
  allowPartialMessage?: boolean | undefined;
  packAsBytes?: boolean | undefined;
}

interface Check {
  /** `host` or `namespace/host`, in full. */
  service: string;
  port: number;
  timeout?: string | undefined;
  failOpen?: boolean | undefined;
  clearRouteCache?: boolean | undefined;
  /** A status code, as text. */
  statusOnError?: string | undefined;
  includeRequestBodyInCheck?: CheckedBody | undefined;
}

export type GrpcCheck = Check;

/** Headers are `name`, `start*` or `*end`. */
export interface HttpCheck extends Check {
  pathPrefix?: string | undefined;
  includeRequestHeadersInCheck?: readonly string[] | undefined;
  /** The old name of it. */
  includeHeadersInCheck?: readonly string[] | undefined;
  includeAdditionalHeadersInCheck?: Readonly<Record<string, string>> | undefined;
  headersToUpstreamOnAllow?: readonly string[] | undefined;
  headersToDownstreamOnDeny?: readonly string[] | undefined;
  headersToDownstreamOnAllow?: readonly string[] | undefined;
}

/** One of the two; the other kinds MeshConfig knows are of no use here. */
export interface ExtensionProvider {
  name: string;
  envoyExtAuthzHttp?: HttpCheck | undefined;
  envoyExtAuthzGrpc?: GrpcCheck | undefined;
}
