// RequestAuthentications of a proxy as one JWT filter: requests without token pass, those with a bad one do not.

import type { JsonObject } from '@bufbuild/protobuf';
import type { JwtRule, RequestAuthenticationSpec } from '../config/index.ts';
import type { MeshObject, ProxyNode } from '../model/index.ts';
import { any, without } from './common.ts';
import { keysFor } from './key-sets.ts';
import { derived, sameElements } from './memo.ts';
import { type Mesh, ofKind } from './mesh.ts';
import { concerns } from './policy-targets.ts';

type RequestAuthentication = MeshObject<RequestAuthenticationSpec>;

/** Where Istio, and what asks for claims after it, has the payload of a token in dynamic metadata. */
const PAYLOAD = 'payload';
/** Claims whose text is a list by their standard (RFC 8693), as Istio reads them. */
const LISTS_BY_SPACE = ['permission', 'scope'];

/** Policies of the root namespace and the proxy's own that select it, oldest first; all of them hold. */
export function requestAuthenticationsFor(mesh: Mesh, node: ProxyNode): readonly RequestAuthentication[] {
  const { rootNamespace } = mesh.settings;
  const { namespace } = node;
  const near = derived<Mesh, readonly RequestAuthentication[]>(
    mesh,
    `request authentications|${namespace}`,
    (m) =>
      ofKind<RequestAuthenticationSpec>(m, 'RequestAuthentication').filter(
        ({ metadata }) => metadata.namespace === rootNamespace || metadata.namespace === namespace,
      ),
    sameElements,
  );
  return near.filter((policy) => concerns(policy, node));
}

/** None, or the filter. */
export function jwtFilters(mesh: Mesh, node: ProxyNode): JsonObject[] {
  const rules = requestAuthenticationsFor(mesh, node)
    .flatMap(({ spec }) => spec.jwtRules ?? [])
    .map((rule) => ({ ...rule, issuer: rule.issuer ?? '' }))
    .toSorted((a, b) => (a.issuer < b.issuer ? -1 : a.issuer > b.issuer ? 1 : 0));
  if (rules.length === 0) return [];
  const names = rules.map((_, i) => `origins-${i}`);
  return [
    {
      name: 'envoy.filters.http.jwt_authn',
      typedConfig: any('envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication', {
        providers: Object.fromEntries(rules.map((rule, i) => [`origins-${i}`, provider(mesh, rule, node.role === 'router')])),
        rules: [{ match: { prefix: '/' }, requires: requirement(names) }],
        bypassCorsPreflight: true,
      }),
    },
  ];
}

function provider(mesh: Mesh, rule: JwtRule, clearRouteCache: boolean): JsonObject {
  const list = <T>(values: readonly T[] | undefined): T[] | undefined => (values === undefined || values.length === 0 ? undefined : [...values]);
  return without({
    issuer: rule.issuer || undefined,
    audiences: list(rule.audiences),
    localJwks: { inlineString: keysFor(mesh, rule).jwks },
    forward: rule.forwardOriginalToken === true ? true : undefined,
    fromHeaders: list(rule.fromHeaders?.map(({ name, prefix }) => ({ name, ...(prefix ? { valuePrefix: prefix } : {}) }))),
    fromParams: list(rule.fromParams),
    fromCookies: list(rule.fromCookies),
    forwardPayloadHeader: rule.outputPayloadToHeader || undefined,
    payloadInMetadata: PAYLOAD,
    normalizePayloadInMetadata: { spaceDelimitedClaims: [...new Set([...LISTS_BY_SPACE, ...(rule.spaceDelimitedClaims ?? [])])].toSorted() },
    claimToHeaders: list(rule.outputClaimToHeaders?.map(({ header, claim }) => ({ headerName: header, claimName: claim }))),
    // Routes of a gateway may ask what the token claims.
    clearRouteCache: clearRouteCache ? true : undefined,
  });
}

/** One of them has a token for it and takes it, or there is no token for any. One rule says the second by itself. */
function requirement(names: readonly string[]): JsonObject {
  const one = (name: string): JsonObject => ({ providerName: name });
  const any = (requirements: JsonObject[]): JsonObject => ({ requiresAny: { requirements } });
  const orMissing = (name: string): JsonObject => any([one(name), { allowMissing: {} }]);
  const [only = ''] = names;
  return names.length === 1 ? orMissing(only) : any([...names.map(one), { requiresAll: { requirements: names.map(orMissing) } }]);
}
