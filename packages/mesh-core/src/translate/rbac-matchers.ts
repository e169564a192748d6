// Values of an AuthorizationPolicy as Envoy's matchers: `a*`, `*a`, `*` for anything but nothing, and everything else as it is.

import type { JsonObject } from '@bufbuild/protobuf';
import { parseIpRange } from '../traffic/index.ts';
import { any } from './common.ts';

const ANYTHING: JsonObject = { safeRegex: { regex: '.+' } };

/** `before` stands in front of whatever the value names. */
export function stringMatcher(value: string, before = ''): JsonObject {
  if (value === '*') return ANYTHING;
  if (value.startsWith('*')) return before === '' ? { suffix: value.slice(1) } : { safeRegex: { regex: `${before}.*${literal(value.slice(1))}` } };
  return value.endsWith('*') ? { prefix: `${before}${value.slice(0, -1)}` } : { exact: `${before}${value}` };
}

/** Of a header the value `*` asks for presence. */
export function headerMatcher(name: string, value: string, ignoreCase = false): JsonObject {
  if (value === '*') return { name, presentMatch: true };
  return { name, stringMatch: { ...stringMatcher(value), ...(ignoreCase ? { ignoreCase } : {}) } };
}

/** `{*}` and `{**}` are `*` and `**` to Envoy. */
export function templateMatcher(path: string): JsonObject {
  const pathTemplate = path.replaceAll('{*}', '*').replaceAll('{**}', '**');
  return { name: 'uri-template', typedConfig: any('envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', { pathTemplate }) };
}

export function cidrRange(block: string): JsonObject {
  const { address, length } = parseIpRange(block);
  return { addressPrefix: address, prefixLen: length };
}

/** A namespace, with wildcards anywhere, in the identity of a peer. */
export function namespaceMatcher(namespace: string): JsonObject {
  return { safeRegex: { regex: `.*/ns/${namespace.split('*').map(literal).join('.*')}/.*` } };
}

/** `account` of the policy's namespace, or `namespace/account`. */
export function serviceAccountMatcher(value: string, home: string): JsonObject {
  const [namespace, account] = value.includes('/') ? (value.split('/') as [string, string]) : [home, value];
  return { safeRegex: { regex: `spiffe://.+/ns/${literal(namespace)}/(.+/|)sa/${literal(account)}(/.+)?` } };
}

export function trustDomainMatcher(value: string): JsonObject {
  if (value === '*') return { prefix: 'spiffe://' };
  const [before = '', after] = value.split('*');
  return after === undefined ? { prefix: `spiffe://${value}/` } : { safeRegex: { regex: `spiffe://${literal(before)}[^/]*${literal(after)}/.*` } };
}

const JWT_FILTER = 'envoy.filters.http.jwt_authn';

/** A claim of the token, by its way through the payload. */
function claim(way: readonly string[], value: JsonObject): JsonObject {
  return { filter: JWT_FILTER, path: ['payload', ...way].map((key) => ({ key })), value };
}

/** A claim that is one of the values, or a list that has one of them. */
export function claimMatcher(way: readonly string[], values: readonly string[]): JsonObject {
  const value = oneOf(values.map((v) => ({ stringMatch: stringMatcher(v) })));
  return claim(way, { orMatch: { valueMatchers: [{ listMatch: { oneOf: value } }, value] } });
}

/** Metadata other filters leave; a value in brackets asks for an element of a list. */
export function metadataMatcher(filter: string, key: string, values: readonly string[]): JsonObject {
  const value = oneOf(
    values.map((v) =>
      v.startsWith('[') && v.endsWith(']')
        ? { listMatch: { oneOf: { stringMatch: stringMatcher(v.replaceAll(/^[[\]]+|[[\]]+$/g, '')) } } }
        : { stringMatch: stringMatcher(v) },
    ),
  );
  return { filter, path: [{ key }], value };
}

function oneOf(matchers: readonly JsonObject[]): JsonObject {
  return matchers.length === 1 ? (matchers[0] as JsonObject) : { orMatch: { valueMatchers: [...matchers] } };
}

/** `issuer/subject` of a token. The last slash parts them: issuers are URLs. */
export function requestPrincipalMatchers(value: string): readonly [issuer: JsonObject, subject: JsonObject] {
  const [issuer, subject] = issuerAndSubject(value);
  return [claim(['iss'], { stringMatch: issuer }), claim(['sub'], { stringMatch: subject })];
}

function issuerAndSubject(value: string): readonly [JsonObject, JsonObject] {
  if (value === '*') return [ANYTHING, ANYTHING];
  const slash = value.lastIndexOf('/');
  const [issuer, subject] = slash < 0 ? [value, ''] : [value.slice(0, slash), value.slice(slash + 1)];
  // A star at the start is the issuer's, one at the end the subject's; without a slash it stands for the part that is not there.
  if (value.startsWith('*'))
    return slash < 0 ? [ANYTHING, { suffix: value.slice(1) }] : [issuer === '*' ? ANYTHING : { suffix: issuer.slice(1) }, { exact: subject }];
  if (value.endsWith('*'))
    return slash < 0 ? [{ prefix: value.slice(0, -1) }, ANYTHING] : [{ exact: issuer }, subject === '*' ? ANYTHING : { prefix: subject.slice(0, -1) }];
  return [{ exact: issuer }, { exact: subject }];
}

/** As RE2 reads the text itself. */
function literal(text: string): string {
  return text.replaceAll(/[\\.+*?()|[\]{}^$]/g, String.raw`\$&`);
}
