// RequestAuthentications that select nobody, whose tokens nobody could check, or that show what is secret.

import { DEFAULT_MESH_SETTINGS, type MeshObject, type Problem } from '../model/index.ts';
import { type Mesh, problem, selectsAny } from './analyze-mesh.ts';
import { hasPrivateKey, hasUsableKey } from './jwks.ts';
import { type JwtRule, type RequestAuthenticationSpec, isHttpUrl, keyServerOf } from './request-authentication.ts';
import { matches } from './label-index.ts';

type RequestAuthentication = MeshObject<RequestAuthenticationSpec>;

export function requestAuthenticationProblems(policy: RequestAuthentication, mesh: Mesh): Problem[] {
  return [...selectsNobody(policy, mesh), ...(policy.spec.jwtRules ?? []).flatMap((rule, i) => keyProblems(policy, rule, `spec.jwtRules[${i}]`))];
}

/** Gateway proxies that are not connected count by the Gateways that select them. */
function selectsNobody(policy: RequestAuthentication, mesh: Mesh): Problem[] {
  const wanted = policy.spec.selector?.matchLabels ?? {};
  const { namespace } = policy.metadata;
  if (Object.keys(wanted).length === 0) return [];
  if (selectsAny(mesh, wanted, namespace === DEFAULT_MESH_SETTINGS.rootNamespace ? undefined : namespace)) return [];
  if ([...mesh.gateways.values()].some((g) => matches(g.spec.selector, wanted))) return [];
  const labels = Object.entries(wanted).map(([key, value]) => `${key}=${value}`);
  return [problem(policy, 'warning', 'KIA0004', 'spec.selector.matchLabels', `No workload of namespace ${namespace} has the labels ${labels.join(', ')}.`)];
}

function keyProblems(policy: RequestAuthentication, rule: JwtRule, path: string): Problem[] {
  const { issuer = 'this rule', jwks } = rule;
  if (!jwks)
    return keyServerOf(rule) !== undefined || isHttpUrl(issuer)
      ? []
      : [problem(policy, 'error', 'WEFT_NO_KEYS', path, `Every token of ${issuer} is refused: it is no URL to find keys by. Give jwks or jwksUri.`)];
  if (!hasUsableKey(jwks))
    return [
      problem(
        policy,
        'error',
        'WEFT_NO_KEYS',
        `${path}.jwks`,
        `Every token of ${issuer} is refused: proxies can use none of these keys. They look for {"keys": [...]} with RSA, P-256, P-384, P-521, Ed25519 or symmetric ones.`,
      ),
    ];
  return hasPrivateKey(jwks)
    ? [
        problem(
          policy,
          'warning',
          'WEFT_PRIVATE_KEY',
          `${path}.jwks`,
          `Holds what signs tokens of ${issuer}, for everybody who may read it: only public keys are needed.`,
        ),
      ]
    : [];
}
