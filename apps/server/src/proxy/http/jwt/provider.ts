// One provider at work: believes tokens, and hands on what they say.

import {
  claimAt,
  claimJson,
  claimText,
  compileAudiences,
  compileStringMatch,
  type JwtFailure,
  jwtFailures,
  jwtTimeFailure,
  normalizedPayload,
} from '@weft/mesh-core/traffic';
import type { JsonObject } from '@weft/mesh-core/wire';
import type { JwtProvider } from '../../config/jwt-model.ts';
import { parseJwks } from './jwks.ts';
import type { JwtToken } from './token.ts';
import type { TokenMemory } from './token-memory.ts';
import { signatureFailure } from './verify-signature.ts';

export type AudienceCheck = (audiences: readonly string[]) => boolean;

export interface ProviderAtWork {
  readonly config: JwtProvider;
  readonly audiences: AudienceCheck;
  /** Of all but where the token stood and whose it is. `now` in seconds; `text` is remembered when its signature holds. */
  failure(text: string, token: JwtToken, audiences: AudienceCheck, now: number): JwtFailure | undefined;
  /** Of a token found good. */
  tells(token: JwtToken): Told;
}

/** What goes on of a token. */
interface Told {
  /** By the keys it has there. */
  metadata: JsonObject;
  /** For the upstream, in order, as UTF-8 in latin1. */
  headers: readonly (readonly [name: string, value: string])[];
}

export function compileProvider(config: JwtProvider, memory: TokenMemory): ProviderAtWork {
  const keys = parseJwks(config.jwks);
  const subjects = config.subjects === undefined ? undefined : compileStringMatch(config.subjects);
  const signed = new WeakMap<JwtToken, Told>();
  return {
    config,
    audiences: compileAudiences(config.audiences),
    failure(text, token, audiences, now) {
      const { claims } = token;
      const late = jwtTimeFailure(claims, now, config.clockSkewSeconds);
      if (late !== undefined) {
        memory.forget(text);
        return late;
      }
      if (!audiences(claims.audiences)) return jwtFailures.audience;
      if (subjects?.(claims.subject) === false || !lives(claims.expires, now, config.maxLifetimeSeconds)) return jwtFailures.signature;
      if (signed.has(token)) return undefined;
      const failure = typeof keys === 'string' ? jwtFailures.noSuchKey : signatureFailure(token, keys);
      if (failure !== undefined) return failure;
      signed.set(token, toldOf(token, config));
      memory.keep(text, token);
      return undefined;
    },
    tells: (token) => signed.get(token) ?? toldOf(token, config),
  };
}

function toldOf({ header, payload, payloadPart }: JwtToken, config: JwtProvider): Told {
  const { payloadHeader, padPayload, claimHeaders, payloadKey, headerKey, spaceDelimitedClaims } = config;
  const padding = padPayload ? '='.repeat((4 - (payloadPart.length % 4)) % 4) : '';
  const headers: [string, string][] = payloadHeader === '' ? [] : [[payloadHeader, payloadPart + padding]];
  for (const { header: name, claim } of claimHeaders) {
    const value = claimAt(payload, claim);
    const json = claimJson(value);
    const text = json === undefined ? claimText(value) : Buffer.from(json).toString('base64');
    if (text !== undefined) headers.push([name, Buffer.from(text).toString('latin1')]);
  }
  const metadata = {
    ...(headerKey === '' ? {} : { [headerKey]: header }),
    ...(payloadKey === '' ? {} : { [payloadKey]: normalizedPayload(payload, spaceDelimitedClaims) }),
  };
  return { metadata, headers };
}

function lives(expires: number, now: number, max: number | undefined): boolean {
  return max === undefined || (expires > 0 && expires - now <= max);
}
