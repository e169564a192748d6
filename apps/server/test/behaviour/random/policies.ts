// Random AuthorizationPolicies and RequestAuthentications.

import type { Random } from '../../fuzz/random.ts';
import { ISSUER, OTHER_ISSUER } from '../harness/tokens.ts';
import type { Manifest } from './parts.ts';
import { HOSTS, defined, one, several } from './words.ts';

export function policies(random: Random): Manifest[] {
  const some = (values: readonly string[]): string[] => several(random, 2, () => random.pick(values));
  const field = (name: string, values: readonly string[], chance: number): object =>
    defined({ [name]: one(random, chance, () => some(values)), [`not${name[0]?.toUpperCase()}${name.slice(1)}`]: one(random, chance * 3, () => some(values)) });
  const blocks = ['127.0.0.1', '127.0.0.0/8', '10.0.0.0/8', '1.2.3.4', '::1'];
  const paths = ['/a', '/a*', '*b', '*', '/A', '/a/{*}', '/{**}', '/x%2Fy', '/caf%C3%A9', '/a.b', '*.html', '/{*}/b', '/a/{**}/b', '/'];
  const source = (): object => ({
    ...field('ipBlocks', blocks, 3),
    ...field('remoteIpBlocks', blocks, 3),
    ...field('requestPrincipals', [`${ISSUER}/alice`, '*', `${OTHER_ISSUER}/*`, '*alice'], 4),
    ...field('principals', ['*', 'cluster.local/ns/shop/sa/web'], 8),
    ...field('namespaces', ['shop', '*'], 8),
  });
  const operation = (): object => ({
    ...field('hosts', [...HOSTS, '*.test', 'H1.test', 'h1*', '*:80', '*'], 4),
    ...field('methods', ['GET', 'P*', '*', 'HEAD', 'get'], 3),
    ...field('paths', paths, 2),
    ...field('ports', ['80', '8080'], 10),
  });
  const conditions: readonly (readonly [string, readonly string[]])[] = [
    ['request.headers[x-a]', ['1', 'a*', '*b', '*', 'ab']],
    ['request.headers[X-B]', ['1', '*', 'a,b']],
    ['request.headers[:method]', ['GET']],
    ['request.headers[host]', ['h1.test']],
    ['source.ip', blocks],
    ['remote.ip', blocks],
    ['request.auth.claims[scope]', ['read', 'write']],
    ['request.auth.claims[team][name]', ['blue', 'b*']],
    ['request.auth.audiences', ['shop', 's*']],
    ['request.auth.principal', [`${ISSUER}/alice`, '*']],
    ['destination.port', ['80', '8080']],
    ['connection.sni', ['*']],
  ];
  const condition = (): object => {
    const [key, values] = random.pick(conditions);
    return random.below(3) === 0 ? { key, notValues: some(values) } : { key, values: some(values) };
  };
  const nonEmpty = (fields: object, key: string): object[] => (Object.keys(fields).length === 0 ? [] : [{ [key]: fields }]);
  const ruleOf = (): object => {
    const [from, to] = [
      several(random, 2, source).flatMap((s) => nonEmpty(s, 'source')),
      several(random, 2, operation).flatMap((o) => nonEmpty(o, 'operation')),
    ];
    return defined({
      from: random.below(3) === 0 && from.length > 0 ? from : undefined,
      to: random.below(3) > 0 && to.length > 0 ? to : undefined,
      when: one(random, 3, () => several(random, 2, condition)),
    });
  };
  const count = random.below(4);
  const authorization = Array.from({ length: count }, (_, i): Manifest => {
    const action = random.pick(['ALLOW', 'ALLOW', 'DENY', 'AUDIT']);
    return ['security.istio.io/v1 AuthorizationPolicy', `p${i}`, { action, rules: several(random, 4, ruleOf) }];
  });
  return [...authorization, ...(random.below(2) === 0 ? [tokens(random)] : [])];
}

function tokens(random: Random): Manifest {
  const jwtRule = (issuer: string): object =>
    defined({
      issuer,
      jwks: '$JWKS',
      audiences: one(random, 4, () => several(random, 2, () => random.pick(['shop', 'other']))),
      fromHeaders: one(random, 4, () => [defined({ name: random.pick(['x-token', 'Authorization']), prefix: one(random, 2, () => 'Bearer ') })]),
      fromParams: one(random, 4, () => ['token']),
      fromCookies: one(random, 4, () => ['token']),
      outputPayloadToHeader: one(random, 4, () => 'x-payload'),
      outputClaimToHeaders: one(random, 3, () =>
        several(random, 2, () => ({ header: random.pick(['x-sub', 'X-Team']), claim: random.pick(['sub', 'team.name', 'exp', 'nothing', 'team', 'aud']) })),
      ),
      forwardOriginalToken: one(random, 2, () => true),
    });
  return ['security.istio.io/v1 RequestAuthentication', 'tokens', { jwtRules: (random.below(2) === 0 ? [ISSUER] : [ISSUER, OTHER_ISSUER]).map(jwtRule) }];
}
