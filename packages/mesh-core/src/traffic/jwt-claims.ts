// What a token says, judged as Envoy judges it. Signatures are someone else's.

import type { JsonObject, JsonValue } from '../wire/well-known.ts';
import { type JwtFailure, jwtFailures } from './jwt-status.ts';

/** Of the algorithms Envoy has; `none` is none of them. */
const ALGORITHM = /^(?:(?:RS|PS|ES|HS)(?:256|384|512)|EdDSA)$/;

export interface JwtHeader {
  alg: string;
  /** '' = none. */
  kid: string;
}

export interface JwtClaims {
  issuer: string;
  subject: string;
  audiences: readonly string[];
  /** Seconds; 0 = none. */
  expires: number;
  notBefore: number;
}

function own(json: JsonObject, name: string): JsonValue | undefined {
  return Object.hasOwn(json, name) ? json[name] : undefined;
}

export function readJwtHeader(header: JsonObject): JwtHeader | JwtFailure {
  const alg = own(header, 'alg');
  const kid = own(header, 'kid');
  if (typeof alg !== 'string') return jwtFailures.headerAlg;
  if (!ALGORITHM.test(alg)) return jwtFailures.unknownAlg;
  if (kid === undefined) return { alg, kid: '' };
  return typeof kid === 'string' ? { alg, kid } : jwtFailures.headerKid;
}

export function readJwtClaims(payload: JsonObject): JwtClaims | JwtFailure {
  const issuer = text(payload, 'iss');
  const subject = text(payload, 'sub');
  if (issuer === undefined) return jwtFailures.iss;
  if (subject === undefined) return jwtFailures.sub;
  const issuedAt = seconds(payload, 'iat', jwtFailures.iatType, jwtFailures.iatRange);
  const notBefore = seconds(payload, 'nbf', jwtFailures.nbfType, jwtFailures.nbfRange);
  const expires = seconds(payload, 'exp', jwtFailures.expType, jwtFailures.expRange);
  if (typeof issuedAt !== 'number') return issuedAt;
  if (typeof notBefore !== 'number') return notBefore;
  if (typeof expires !== 'number') return expires;
  if (text(payload, 'jti') === undefined) return jwtFailures.jti;
  const audiences = list(own(payload, 'aud'));
  return audiences === undefined ? jwtFailures.aud : { issuer, subject, audiences, expires, notBefore };
}

/** '' where there is none, undefined for what is no text. */
function text(payload: JsonObject, name: string): string | undefined {
  const value = own(payload, name);
  return value === undefined ? '' : typeof value === 'string' ? value : undefined;
}

function seconds(payload: JsonObject, name: string, type: JwtFailure, range: JwtFailure): number | JwtFailure {
  const value = own(payload, name);
  if (value === undefined) return 0;
  if (typeof value !== 'number') return type;
  return value < 0 || value >= 2 ** 64 ? range : Math.floor(value);
}

function list(value: JsonValue | undefined): readonly string[] | undefined {
  if (value === undefined) return [];
  if (typeof value === 'string') return [value];
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
}

/** `now` and `skew` in seconds. */
export function jwtTimeFailure({ expires, notBefore }: JwtClaims, now: number, skew: number): JwtFailure | undefined {
  if (now + skew < notBefore) return jwtFailures.notYetValid;
  return expires > 0 && now > expires + skew ? jwtFailures.expired : undefined;
}

/** As Envoy compares audiences: without scheme and the slash at the end. None configured = any will do. */
export function compileAudiences(allowed: readonly string[]): (audiences: readonly string[]) => boolean {
  if (allowed.length === 0) return () => true;
  const known = new Set(allowed.map(bareAudience));
  return (audiences) => audiences.some((audience) => known.has(bareAudience(audience)));
}

function bareAudience(audience: string): string {
  return audience.replace(/^https?:\/\//, '').replace(/\/$/, '');
}

/** Claims that are lists of words become lists. */
export function normalizedPayload(payload: JsonObject, spaceDelimited: readonly string[]): JsonObject {
  let changed = payload;
  for (const name of spaceDelimited) {
    const value = own(payload, name);
    const words = typeof value === 'string' ? value.split(' ').filter((word) => word !== '') : [];
    if (words.length > 0) changed = { ...changed, [name]: words };
  }
  return changed;
}

/** The claim at a path with dots. */
export function claimAt(payload: JsonObject, path: string): JsonValue | undefined {
  let value: JsonValue | undefined = payload;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    value = own(value, name);
  }
  return value;
}

/** A claim that is neither list nor object as the text of a header; undefined = it goes into none. */
export function claimText(value: JsonValue | undefined): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value;
  if (typeof value === 'number') return numberText(value);
  return typeof value === 'boolean' ? String(value) : undefined;
}

/** Of lists and objects, which go encoded; `<` and `>` as protobuf writes them. */
export function claimJson(value: JsonValue | undefined): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return JSON.stringify(value).replaceAll(/[<>\u007f]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`);
}

/** Unsigned integers of 64 bits as such, others with six decimals. */
function numberText(value: number): string {
  if (!Number.isInteger(value)) return value.toFixed(6);
  const whole = BigInt(value).toString();
  return value >= 0 && value < 2 ** 64 ? whole : `${whole}.000000`;
}
