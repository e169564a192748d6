// What jwt_authn is told, decoded.

import type { RouteMatch, StringMatch } from './model.ts';

export interface JwtAuthn {
  providers: ReadonlyMap<string, JwtProvider>;
  /** The first that matches decides. */
  rules: readonly JwtRule[];
  bypassCorsPreflight: boolean;
  /** Clients are told nothing but the status. */
  stripFailureResponse: boolean;
}

export interface JwtProvider {
  /** '' = any. */
  issuer: string;
  /** Empty = any. */
  audiences: readonly string[];
  subjects?: StringMatch;
  /** Most a token may still live; Infinity = it has to say how long. */
  maxLifetimeSeconds?: number;
  /** A JSON Web Key Set. */
  jwks: string;
  /** The token goes on to the upstream. */
  forward: boolean;
  /** Places tokens are looked for in; none at all = `Authorization: Bearer` and the parameter `access_token`. Names in lower case. */
  fromHeaders: readonly { name: string; prefix: string }[];
  fromParams: readonly string[];
  fromCookies: readonly string[];
  /** Header for the payload, lower case; '' = none. */
  payloadHeader: string;
  padPayload: boolean;
  /** Keys in the metadata of the request, '' = it does not go there. */
  payloadKey: string;
  headerKey: string;
  failureKey: string;
  spaceDelimitedClaims: readonly string[];
  clockSkewSeconds: number;
  claimHeaders: readonly { header: string; claim: string }[];
  /** The route is looked up once more with what is then known of the request. */
  clearRouteCache: boolean;
}

/** Without a requirement every request will do. */
export interface JwtRule {
  match: RouteMatch;
  requirement?: JwtRequirement;
}

export type JwtRequirement =
  /** `audiences` in place of the provider's. */
  | { kind: 'provider'; provider: string; audiences?: readonly string[] }
  | { kind: 'any' | 'all'; requirements: readonly JwtRequirement[] }
  | { kind: 'allow-missing' | 'allow-missing-or-failed' };
