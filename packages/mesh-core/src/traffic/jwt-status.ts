// What can be wrong with a token or its keys: Envoy's names, numbers and words for it.

/** Envoy's number of a failure, and what it tells the client. */
export interface JwtFailure {
  readonly code: number;
  readonly text: string;
}

const failure = (code: number, text: string): JwtFailure => ({ code, text });
const payload = (code: number, claim: string, what: string): JwtFailure => failure(code, `Jwt payload [${claim}] field is not ${what}`);

export const jwtFailures = {
  missing: failure(1, 'Jwt is missing'),
  notYetValid: failure(2, 'Jwt not yet valid'),
  expired: failure(3, 'Jwt is expired'),
  badFormat: failure(4, 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'),
  headerBase64: failure(5, 'Jwt header is an invalid Base64url encoded'),
  headerJson: failure(6, 'Jwt header is an invalid JSON'),
  headerAlg: failure(7, 'Jwt header [alg] field is required and must be a string'),
  unknownAlg: failure(8, 'Jwt header [alg] is not supported'),
  headerKid: failure(9, 'Jwt header [kid] field is not a string'),
  payloadBase64: failure(10, 'Jwt payload is an invalid Base64url encoded'),
  payloadJson: failure(11, 'Jwt payload is an invalid JSON'),
  iss: payload(12, 'iss', 'a string'),
  sub: payload(13, 'sub', 'a string'),
  iatType: payload(14, 'iat', 'an integer'),
  iatRange: payload(15, 'iat', 'a positive 64 bit integer'),
  nbfType: payload(16, 'nbf', 'an integer'),
  nbfRange: payload(17, 'nbf', 'a positive 64 bit integer'),
  expType: payload(18, 'exp', 'an integer'),
  expRange: payload(19, 'exp', 'a positive 64 bit integer'),
  jti: payload(20, 'jti', 'a string'),
  aud: payload(21, 'aud', 'a string or string list'),
  signatureBase64: failure(22, 'Jwt signature is an invalid Base64url encoded'),
  ed25519Length: failure(23, 'Jwt ED25519 signature is wrong length'),
  unknownIssuer: failure(24, 'Jwt issuer is not configured'),
  audience: failure(25, 'Audiences in Jwt are not allowed'),
  signature: failure(26, 'Jwt verification fails'),
  noSuchKey: failure(32, "Jwks doesn't have key to match kid or alg from Jwt"),
} satisfies Readonly<Record<string, JwtFailure>>;

export function isJwtFailure(value: object | undefined): value is JwtFailure {
  return value !== undefined && 'code' in value;
}
