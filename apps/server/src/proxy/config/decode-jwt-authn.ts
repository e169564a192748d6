// jwt_authn. What a newer Envoy may ask for and this proxy does not know must not become "anybody": what says nothing is refused.

import { parseJwks } from '../http/jwt/jwks.ts';
import { decodeStringMatch } from './decode-common.ts';
import { decodeMatch } from './decode-route-match.ts';
import type { Fields } from './fields.ts';
import type { JwtAuthn, JwtProvider, JwtRequirement, JwtRule } from './jwt-model.ts';

/** Seconds a clock may be wrong, where nothing is said. */
const defaultSkew = 60;

interface Known {
  providers: ReadonlyMap<string, JwtProvider>;
  named: ReadonlyMap<string, JwtRequirement | undefined>;
}

export function decodeJwtAuthn(fields: Fields): JwtAuthn {
  const providers = new Map(entries(fields.object('providers')).map(([name, provider]) => [name, decodeProvider(provider)]));
  const named = new Map(entries(fields.object('requirementMap')).map(([name, one]) => [name, decodeRequirement(one, providers)]));
  const jwt: JwtAuthn = {
    providers,
    rules: fields.list('rules').map((rule) => decodeRule(rule, { providers, named })),
    bypassCorsPreflight: fields.flag('bypassCorsPreflight'),
    stripFailureResponse: fields.flag('stripFailureResponse'),
  };
  fields.ignore('statPrefix');
  fields.end();
  return jwt;
}

function entries(map: Fields | undefined): [string, Fields][] {
  return (map?.keys() ?? []).flatMap((key): [string, Fields][] => {
    const value = map?.object(key);
    return value === undefined ? [] : [[key, value]];
  });
}

function decodeProvider(fields: Fields): JwtProvider {
  const subjects = fields.object('subjects');
  const lifetime = fields.has('maxLifetime') ? fields.ms('maxLifetime') / 1000 : fields.flag('requireExpiration') ? Number.POSITIVE_INFINITY : undefined;
  const normalize = fields.object('normalizePayloadInMetadata');
  const provider: JwtProvider = {
    issuer: fields.text('issuer'),
    audiences: fields.texts('audiences'),
    ...(subjects === undefined ? {} : { subjects: decodeStringMatch(subjects) }),
    ...(lifetime === undefined ? {} : { maxLifetimeSeconds: lifetime }),
    jwks: decodeJwks(fields),
    forward: fields.flag('forward'),
    fromHeaders: fields.list('fromHeaders').map((header) => {
      const from = { name: header.text('name').toLowerCase(), prefix: header.text('valuePrefix') };
      if (from.name === '') header.problem('name', 'is missing');
      header.end();
      return from;
    }),
    fromParams: fields.texts('fromParams'),
    fromCookies: fields.texts('fromCookies'),
    payloadHeader: fields.text('forwardPayloadHeader').toLowerCase(),
    padPayload: fields.flag('padForwardPayloadHeader'),
    payloadKey: fields.text('payloadInMetadata'),
    headerKey: fields.text('headerInMetadata'),
    failureKey: fields.text('failedStatusInMetadata'),
    spaceDelimitedClaims: normalize?.texts('spaceDelimitedClaims') ?? [],
    clockSkewSeconds: fields.number('clockSkewSeconds') || defaultSkew,
    claimHeaders: fields.list('claimToHeaders').map((one) => {
      const claim = { header: one.text('headerName').toLowerCase(), claim: one.text('claimName') };
      if (claim.header === '' || claim.claim === '') one.problem('headerName', 'header and claim must have a name');
      one.end();
      return claim;
    }),
    clearRouteCache: fields.flag('clearRouteCache'),
  };
  // How many tokens are remembered is this proxy's own choice.
  fields.ignore('jwtCacheConfig', 'requireExpiration');
  normalize?.end();
  fields.end();
  return provider;
}

function decodeJwks(fields: Fields): string {
  const source = fields.object('localJwks');
  const bytes = source?.text('inlineBytes') ?? '';
  const text = bytes === '' ? (source?.text('inlineString') ?? '') : Buffer.from(bytes, 'base64').toString();
  const remote = fields.has('remoteJwks');
  if (remote) fields.problem('remoteJwks', 'this proxy fetches no keys: they have to come inline');
  fields.ignore('remoteJwks');
  source?.end();
  const keys = remote ? [] : parseJwks(text);
  if (typeof keys === 'string') fields.problem('localJwks', source === undefined ? 'is missing' : `of no use: ${keys}`);
  return text;
}

function decodeRule(fields: Fields, { providers, named }: Known): JwtRule {
  const match = decodeMatch(fields.object('match'));
  const requires = fields.object('requires');
  const name = fields.text('requirementName');
  if (name !== '' && !named.has(name)) fields.problem('requirementName', `there is no requirement ${name}`);
  const requirement = requires === undefined ? named.get(name) : decodeRequirement(requires, providers);
  fields.end();
  return { match, ...(requirement === undefined ? {} : { requirement }) };
}

function decodeRequirement(fields: Fields, providers: Known['providers']): JwtRequirement | undefined {
  const requirement = readRequirement(fields, providers);
  if (requirement === undefined) fields.problem('requiresType', 'says nothing this proxy knows');
  fields.end();
  return requirement;
}

function readRequirement(fields: Fields, providers: Known['providers']): JwtRequirement | undefined {
  const provider = (of: Fields): string => {
    const name = of.text('providerName');
    if (!providers.has(name)) of.problem('providerName', `there is no provider ${name}`);
    return name;
  };
  if (fields.has('providerName')) return { kind: 'provider', provider: provider(fields) };
  const restricted = fields.object('providerAndAudiences');
  if (restricted !== undefined) {
    const audiences = restricted.texts('audiences');
    const one: JwtRequirement = { kind: 'provider', provider: provider(restricted), ...(audiences.length === 0 ? {} : { audiences }) };
    restricted.end();
    return one;
  }
  for (const [key, kind] of [
    ['requiresAny', 'any'],
    ['requiresAll', 'all'],
  ] as const) {
    const group = fields.object(key);
    if (group === undefined) continue;
    const requirements = group.list('requirements').flatMap((one) => decodeRequirement(one, providers) ?? []);
    if (requirements.length < 2) group.problem('requirements', 'at least two are needed');
    group.end();
    return { kind, requirements };
  }
  fields.ignore('allowMissingOrFailed', 'allowMissing');
  if (fields.has('allowMissingOrFailed')) return { kind: 'allow-missing-or-failed' };
  return fields.has('allowMissing') ? { kind: 'allow-missing' } : undefined;
}
