// A JSON Web Token read, not yet believed.

import {
  isJwtFailure,
  type JwtClaims,
  type JwtFailure,
  jwtFailures,
  type JwtHeader,
  parseJsonObject,
  readJwtClaims,
  readJwtHeader,
} from '@weft/mesh-core/traffic';
import type { JsonObject } from '@weft/mesh-core/wire';
import { decodeBase64Url } from './base64url.ts';

export interface JwtToken {
  alg: JwtHeader['alg'];
  kid: JwtHeader['kid'];
  claims: JwtClaims;
  header: JsonObject;
  payload: JsonObject;
  /** As it stands in the token. */
  payloadPart: string;
  /** What the signature is of. */
  signed: string;
  signature: Buffer;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function parseJwt(text: string): JwtToken | JwtFailure {
  // Empty sections do not count (as Envoy).
  const parts = text.split('.').filter((part) => part !== '');
  const [headerPart = '', payloadPart = '', signaturePart = ''] = parts;
  if (parts.length !== 3) return jwtFailures.badFormat;
  const header = readPart(headerPart, jwtFailures.headerBase64, jwtFailures.headerJson);
  if (isJwtFailure(header)) return header;
  const head = readJwtHeader(header.json);
  if (isJwtFailure(head)) return head;
  const payload = readPart(payloadPart, jwtFailures.payloadBase64, jwtFailures.payloadJson);
  if (isJwtFailure(payload)) return payload;
  const claims = readJwtClaims(payload.json);
  if (isJwtFailure(claims)) return claims;
  const signature = decodeBase64Url(signaturePart);
  if (signature === undefined) return jwtFailures.signatureBase64;
  return { ...head, claims, header: header.json, payload: payload.json, payloadPart, signed: `${headerPart}.${payloadPart}`, signature };
}

function readPart(part: string, badBase64: JwtFailure, badJson: JwtFailure): { json: JsonObject } | JwtFailure {
  const bytes = decodeBase64Url(part);
  if (bytes === undefined) return badBase64;
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return badJson;
  }
  const json = parseJsonObject(text);
  return json === undefined ? badJson : { json };
}
