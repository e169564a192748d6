// What a rule requires of a request, compiled to one function. It may change the request on its way to a verdict (as Envoy does):
// headers of claims, metadata, the token taken out.

import { compileAudiences, isJwtFailure, type JwtFailure, jwtFailures } from '@weft/mesh-core/traffic';
import type { JsonObject } from '@weft/mesh-core/wire';
import type { JwtRequirement } from '../../config/jwt-model.ts';
import type { FilteredRequest } from '../filters/chain.ts';
import { compileLocations, type FoundToken } from './locations.ts';
import type { AudienceCheck, ProviderAtWork } from './provider.ts';
import type { JwtToken } from './token.ts';

/** A request on its way through the filter. */
export interface JwtRequest {
  readonly request: FilteredRequest;
  /** Seconds since 1970. */
  readonly now: number;
  /** Whether anything was found good that asks for another look at the routes. */
  reroutes: boolean;
  /** A header that cannot be sent, '' = none. */
  badHeader: string;
  addMetadata(fields: JsonObject): void;
  read(text: string): JwtToken | JwtFailure;
}

/** Undefined = the requirement is met. */
export type Verifier = (subject: JwtRequest) => JwtFailure | undefined;
type Providers = ReadonlyMap<string, ProviderAtWork>;

export function compileRequirement(requirement: JwtRequirement, providers: Providers, siblings: readonly ProviderAtWork[] = []): Verifier {
  switch (requirement.kind) {
    case 'provider': {
      const provider = providers.get(requirement.provider);
      // Decoding has seen to that.
      if (provider === undefined) return () => jwtFailures.unknownIssuer;
      return requireProvider(provider, requirement.audiences === undefined ? provider.audiences : compileAudiences(requirement.audiences));
    }
    case 'all': {
      const all = requirement.requirements.map((one) => compileRequirement(one, providers));
      return (subject) => {
        for (const verify of all) {
          const failure = verify(subject);
          if (failure !== undefined) return failure;
        }
        return undefined;
      };
    }
    case 'any':
      return requireAny(requirement.requirements, providers);
    default:
      return allowMissing(siblings.length > 0 ? siblings : [...providers.values()], requirement.kind === 'allow-missing-or-failed');
  }
}

/** Every token that stands where the provider's may stand has to be good. */
function requireProvider(provider: ProviderAtWork, audiences: AudienceCheck): Verifier {
  const find = compileLocations([provider.config]);
  const judge: Verifier = (subject) => {
    const tokens = find(subject.request);
    if (tokens.length === 0) return jwtFailures.missing;
    for (const found of tokens.toReversed()) {
      const token = subject.read(found.text);
      if (isJwtFailure(token)) return token;
      if (!found.allows(token.claims.issuer)) return jwtFailures.unknownIssuer;
      const failure = provider.failure(found.text, token, audiences, subject.now);
      if (failure !== undefined) return failure;
      accept(subject, provider, found, token);
    }
    return undefined;
  };
  const { failureKey } = provider.config;
  if (failureKey === '') return judge;
  return (subject) => {
    const failure = judge(subject);
    // Of a request without a token there is nothing to tell.
    if (failure !== undefined && failure !== jwtFailures.missing) subject.addMetadata({ [failureKey]: { code: failure.code, message: failure.text } });
    return failure;
  };
}

/** Every token has to be good, or with `failed` none; whose it is its issuer tells. */
function allowMissing(providers: readonly ProviderAtWork[], failed: boolean): Verifier {
  const find = compileLocations(providers.map(({ config }) => config));
  return (subject) => {
    for (const found of find(subject.request).toReversed()) {
      const failure = judge(found, subject);
      if (failure !== undefined && !failed) return failure;
    }
    return undefined;
  };

  function judge(found: FoundToken, subject: JwtRequest): JwtFailure | undefined {
    const token = subject.read(found.text);
    if (isJwtFailure(token)) return token;
    const { issuer } = token.claims;
    const provider = providers.find(({ config }) => config.issuer === issuer) ?? providers.find(({ config }) => config.issuer === '');
    if (provider === undefined || !found.allows(issuer)) return jwtFailures.unknownIssuer;
    const failure = provider.failure(found.text, token, provider.audiences, subject.now);
    if (failure === undefined) accept(subject, provider, found, token);
    return failure;
  }
}

/** Of several failures the last counts that says more than: no token, or not one of ours. */
function requireAny(requirements: readonly JwtRequirement[], providers: Providers): Verifier {
  const named = requirements.flatMap((one) => (one.kind === 'provider' ? (providers.get(one.provider) ?? []) : []));
  const isLax = ({ kind }: JwtRequirement): boolean => kind === 'allow-missing' || kind === 'allow-missing-or-failed';
  const lax = requirements.find(({ kind }) => kind === 'allow-missing-or-failed') ?? requirements.find(isLax);
  const ordered = [...requirements.filter((one) => !isLax(one)), ...(lax === undefined ? [] : [lax])];
  const any = ordered.map((one) => compileRequirement(one, providers, isLax(one) ? named : []));
  return (subject) => {
    let told: JwtFailure = jwtFailures.missing;
    for (const verify of any) {
      const failure = verify(subject);
      if (failure === undefined) return undefined;
      const vague = failure === jwtFailures.missing || (failure === jwtFailures.unknownIssuer && told !== jwtFailures.missing);
      if (!vague) told = failure;
    }
    return told;
  };
}

function accept(subject: JwtRequest, provider: ProviderAtWork, found: FoundToken, token: JwtToken): void {
  const { request } = subject;
  const { config } = provider;
  const { headers, metadata } = provider.tells(token);
  for (const [name, value] of headers) if (!request.appendRequestHeader(name, value)) subject.badHeader = name;
  if (!config.forward) found.remove(request);
  subject.addMetadata(metadata);
  if (config.clearRouteCache) subject.reroutes = true;
}
