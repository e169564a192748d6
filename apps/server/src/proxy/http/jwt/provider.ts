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
  /** Keys of the metadata with what goes there. */
  metadata(token: JwtToken): JsonObject;
  /** Headers for the upstream, in order, as UTF-8 in latin1. */
  headers(token: JwtToken): (readonly [name: string, value: string])[];
}

export function compileProvider(config: JwtProvider, memory: TokenMemory): ProviderAtWork {
  const keys = parseJwks(config.jwks);
  const subjects = config.subjects === undefined ? undefined : compileStringMatch(config.subjects);
  const signed = new WeakSet<JwtToken>();
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
      signed.add(token);
      memory.keep(text, token);
      return undefined;
    },
    metadata(token) {
      const { payloadKey, headerKey, spaceDelimitedClaims } = config;
      return {
        ...(headerKey === '' ? {} : { [headerKey]: token.header }),
        ...(payloadKey === '' ? {} : { [payloadKey]: normalizedPayload(token.payload, spaceDelimitedClaims) }),
      };
    },
    headers({ payload, payloadPart }) {
      const { payloadHeader, padPayload, claimHeaders } = config;
      const padding = padPayload ? '='.repeat((4 - (payloadPart.length % 4)) % 4) : '';
      const lines: [string, string][] = payloadHeader === '' ? [] : [[payloadHeader, payloadPart + padding]];
      for (const { header, claim } of claimHeaders) {
        const value = claimAt(payload, claim);
        const json = claimJson(value);
        const text = json === undefined ? claimText(value) : Buffer.from(json).toString('base64');
        if (text !== undefined) lines.push([header, Buffer.from(text).toString('latin1')]);
      }
      return lines;
    },
  };
}

function lives(expires: number, now: number, max: number | undefined): boolean {
  return max === undefined || (expires > 0 && expires - now <= max);
}
