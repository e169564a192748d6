// Tokens as jwt_authn of stock Envoy judges them, and the embedded proxy beside it: the same table for both.

import type { JsonWebKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { base64url, jwk, jwks, token } from '../../src/proxy/http/jwt/testing/tokens.ts';
import { type Answer, type Question, startWorld, type World } from './jwt-world.ts';
import { PLANES } from './planes.ts';

const inline = (...keys: JsonWebKey[]): object => ({ local_jwks: { inline_string: jwks(...keys) } });
const named = inline(jwk('rsa', { kid: 'r' }), jwk('p256', { kid: 'e' }), jwk('secret', { kid: 's' }));
const providers = {
  main: {
    ...{ issuer: 'one', audiences: ['x', 'https://y/'], ...named, payload_in_metadata: 'payload' },
    ...{ forward_payload_header: 'x-payload', failed_status_in_metadata: 'failed', header_in_metadata: 'head' },
    claim_to_headers: [
      { header_name: 'X-Sub', claim_name: 'sub' },
      { header_name: 'x-deep', claim_name: 'a.b' },
      { header_name: 'x-any', claim_name: 'v' },
    ],
  },
  kept: {
    ...{ issuer: 'two', ...named, forward: true, from_headers: [{ name: 'X-Jwt', value_prefix: 'tok=' }, { name: 'x-raw' }], from_params: ['tok'] },
    ...{ from_cookies: ['ck'], forward_payload_header: 'x-kept', pad_forward_payload_header: true },
  },
  taken: { issuer: 'two', ...named, from_headers: [{ name: 'x-raw' }], from_params: ['tok'], from_cookies: ['ck'] },
  any: { ...inline(jwk('rsa')) },
  rs: { issuer: 'one', ...inline(jwk('rsa', { alg: 'RS256' }), jwk('other', { alg: 'RS512' })) },
  p384: { issuer: 'one', ...inline(jwk('p384')) },
  p521: { issuer: 'one', ...inline(jwk('p521')) },
  ed: { issuer: 'one', ...inline(jwk('ed')) },
  secret: { issuer: 'one', ...inline(jwk('secret')) },
  strict: { issuer: 'one', ...inline(jwk('rsa')), subjects: { prefix: 's' }, require_expiration: true, max_lifetime: '100s', clock_skew_seconds: 5 },
};
const provider = (provider_name: string): object => ({ provider_name });
const any = (...requirements: object[]): object => ({ requires_any: { requirements } });
const all = (...requirements: object[]): object => ({ requires_all: { requirements } });
const missing = { allow_missing: {} };
const rule = (prefix: string, requires?: object, more: object = {}): object => ({
  match: { prefix, ...more },
  ...(requires === undefined ? {} : { requires }),
});
const rules = [
  ...Object.keys(providers).map((name) => rule(`/${name}/`, provider(name))),
  rule('/free'),
  rule('/other-aud', { provider_and_audiences: { provider_name: 'main', audiences: ['z'] } }),
  rule('/istio', any(provider('main'), missing)),
  rule('/several', any(provider('taken'), missing)),
  rule('/two', any(provider('main'), provider('taken'), all(any(provider('main'), missing), any(provider('taken'), missing)))),
  rule('/or', any(provider('main'), provider('kept'))),
  rule('/ro', any(provider('kept'), provider('main'))),
  rule('/and', all(provider('main'), provider('taken'))),
  rule('/lax', any(provider('main'), missing, provider('taken'), { allow_missing_or_failed: {} })),
  rule('/header', provider('main'), { headers: [{ name: 'x-when', string_match: { exact: 'q' } }] }),
  { match: { path: '/exactly' }, requirement_name: 'by name' },
];
const config = { providers, rules, requirement_map: { 'by name': provider('main') }, bypass_cors_preflight: true };

const now = Math.floor(Date.now() / 1000);
const good = { iss: 'one', sub: 'sue', aud: 'x', exp: now + 3600 };
const second = { iss: 'two', sub: 'bob' };
const bearer = (text: string): Record<string, string> => ({ authorization: `Bearer ${text}` });
const told = (path: string, headers: Answer['headers'] = {}): Answer => ({ status: 200, path, headers });
const payloadOf = (text: string): string => text.split('.')[1] ?? '';
const asked = (text: string, path = '/main/'): Question => ({ path, headers: bearer(text) });
const refused = (body: string, path = '/main/', status = 401): Answer => ({
  ...{ status, body },
  challenge: `Bearer realm="http://app.test${path}"${body === 'Jwt is missing' ? '' : ', error="invalid_token"'}`,
});
const form = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections';
const fails = 'Jwt verification fails';
const noKey = "Jwks doesn't have key to match kid or alg from Jwt";
const goodToken = token(good);
const secondToken = token(second);
const raw = (more: string): string => `${JSON.stringify(good).slice(0, -1)},${more}}`;
const spoofed = { 'x-sub': 'eve', 'X-Payload': 'eve', 'x-kept': 'eve' };
const passed = (text: string, more: Answer['headers'] = {}, path = '/main/'): [Question, Answer] => [
  asked(text, path),
  told(path, { 'x-payload': payloadOf(text), 'x-sub': 'sue', ...more }),
];
const bad = (claims: object | string | Buffer, text: string, status = 401): [Question, Answer] => [asked(token(claims)), refused(text, '/main/', status)];
const signed = (name: string, alg: string, key: Parameters<typeof jwk>[0]): [string, Question, Answer] => [
  `${alg} by ${key}`,
  asked(token(good, { alg, key }), `/${name}/`),
  told(`/${name}/`),
];
const misSigned = (name: string, header: object, key: Parameters<typeof jwk>[0], text: string): [Question, Answer] => [
  asked(token(good, { header, key }), `/${name}/`),
  refused(text, `/${name}/`),
];

const cases: [string, Question, Answer][] = [
  ['none', { path: '/main/?q=1' }, refused('Jwt is missing', '/main/?q=1')],
  ['no rule', { path: '/else', headers: bearer('zz') }, told('/else', { authorization: 'Bearer zz' })],
  ['a rule that asks for nothing', { path: '/free', headers: bearer('zz') }, told('/free', { authorization: 'Bearer zz' })],
  ['good', ...passed(goodToken)],
  ['by name', ...passed(goodToken, {}, '/exactly')],
  [
    'where none is needed: a good one does not make up for a bad one beside it',
    { path: '/several?tok=zz', headers: { 'x-raw': secondToken } },
    refused(form, '/several?tok=zz'),
  ],
  [
    'where none is needed: of several bad ones the one furthest behind is told',
    { path: '/several?tok=zz', headers: { 'x-raw': token({ ...second, exp: 1 }), cookie: `ck=${secondToken}` } },
    refused(form, '/several?tok=zz'),
  ],
  ['a header of the match', { path: '/header', headers: { 'x-when': 'q' } }, refused('Jwt is missing', '/header')],
  ['without it', { path: '/header' }, told('/header')],
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const).map((alg) => signed('any', alg, 'rsa')),
  ...(['HS256', 'HS384', 'HS512'] as const).map((alg) => signed('secret', alg, 'secret')),
  signed('p384', 'ES384', 'p384'),
  signed('p521', 'ES512', 'p521'),
  signed('ed', 'EdDSA', 'ed'),
  ['ES256', ...passed(token(good, { alg: 'ES256', key: 'p256' }))],
  ['alg none', ...misSigned('main', { alg: 'none' }, 'rsa', 'Jwt header [alg] is not supported')],
  ['alg none, unsigned', asked(`${base64url('{"alg":"none"}')}.${payloadOf(goodToken)}.`), refused(form)],
  ['no alg', asked(`${base64url('{}')}.${payloadOf(goodToken)}.aa`), refused('Jwt header [alg] field is required and must be a string')],
  ['alg of another key', ...misSigned('any', { alg: 'ES256' }, 'rsa', fails)],
  ['the public key as a secret', ...misSigned('any', { alg: 'HS256' }, 'secret', fails)],
  ['kid', ...passed(token(good, { header: { kid: 'r' } }))],
  ['kid of another key', ...misSigned('main', { kid: 'e' }, 'rsa', fails)],
  ['kid of none', ...misSigned('main', { kid: '../r' }, 'rsa', noKey)],
  ['kid no text', ...misSigned('main', { kid: 1 }, 'rsa', 'Jwt header [kid] field is not a string')],
  ['alg the key is not for', asked(token(good, { alg: 'RS384' }), '/rs/'), refused(noKey, '/rs/')],
  ['signed by another', ...misSigned('main', {}, 'other', fails)],
  ['its own key in the header', ...misSigned('main', { jwk: jwk('other'), jku: 'http://127.0.0.1:1/' }, 'other', fails)],
  ['Ed25519, short', asked(`${token(good, { alg: 'EdDSA', key: 'ed' }).slice(0, -10)}`, '/ed/'), refused('Jwt ED25519 signature is wrong length', '/ed/')],
  ['a claim changed', asked(goodToken.replace(payloadOf(goodToken), base64url(JSON.stringify({ ...good, sub: 'eve' })))), refused(fails)],
  ['expired', ...bad({ ...good, exp: now - 120 }, 'Jwt is expired')],
  ['expired just now', ...passed(token({ ...good, exp: now - 30 }))],
  ['not yet', ...bad({ ...good, nbf: now + 120 }, 'Jwt not yet valid')],
  ['soon', ...passed(token({ ...good, nbf: now + 30 }))],
  ['for ever', ...passed(token({ ...good, exp: undefined }))],
  ['exp 0', ...passed(token({ ...good, exp: 0 }))],
  ['exp with a fraction', ...passed(token({ ...good, exp: now + 60.5 }))],
  ['exp as text', ...bad({ ...good, exp: '99999999999' }, 'Jwt payload [exp] field is not an integer')],
  ['exp before 1970', ...bad({ ...good, exp: -1 }, 'Jwt payload [exp] field is not a positive 64 bit integer')],
  ['exp beyond all bounds', ...bad({ ...good, exp: 2 ** 64 }, 'Jwt payload [exp] field is not a positive 64 bit integer')],
  ['nbf as text', ...bad({ ...good, nbf: 'x' }, 'Jwt payload [nbf] field is not an integer')],
  ['iat as text', ...bad({ ...good, iat: 'x' }, 'Jwt payload [iat] field is not an integer')],
  ['iat before 1970', ...bad({ ...good, iat: -2 }, 'Jwt payload [iat] field is not a positive 64 bit integer')],
  ['another issuer', ...bad({ ...good, iss: 'two' }, 'Jwt issuer is not configured')],
  ['no issuer', ...bad({ ...good, iss: undefined }, 'Jwt issuer is not configured')],
  ['iss no text', ...bad({ ...good, iss: 1 }, 'Jwt payload [iss] field is not a string')],
  ['sub no text', ...bad({ ...good, sub: null }, 'Jwt payload [sub] field is not a string')],
  ['jti no text', ...bad({ ...good, jti: {} }, 'Jwt payload [jti] field is not a string')],
  ['any issuer', asked(token({ iss: 'who' }), '/any/'), told('/any/')],
  ['no audience', ...bad({ ...good, aud: undefined }, 'Audiences in Jwt are not allowed', 403)],
  ['another audience', ...bad({ ...good, aud: ['q', 'w'] }, 'Audiences in Jwt are not allowed', 403)],
  ['audience empty', ...bad({ ...good, aud: '' }, 'Audiences in Jwt are not allowed', 403)],
  ['one of the audiences', ...passed(token({ ...good, aud: ['q', 'x'] }))],
  ['an audience’s scheme and slash do not count', ...passed(token({ ...good, aud: 'http://y' }))],
  ['aud no text', ...bad({ ...good, aud: ['x', 3] }, 'Jwt payload [aud] field is not a string or string list')],
  ['audiences of the rule', ...passed(token({ ...good, aud: 'z' }), {}, '/other-aud')],
  ['those of the provider do not count then', asked(goodToken, '/other-aud'), refused('Audiences in Jwt are not allowed', '/other-aud', 403)],
  ['two parts', asked('a.b'), refused(form)],
  ['four parts', asked(`${goodToken}.x`), refused(form)],
  ['an empty part', ...passed(`${goodToken}.`)],
  ['header no base64url', asked('a+b/.b.c'), refused('Jwt header is an invalid Base64url encoded')],
  ['header of a wrong length', asked('abcde.b.c'), refused('Jwt header is an invalid Base64url encoded')],
  ['header no JSON', asked(`${base64url('xx')}.b.c`), refused('Jwt header is an invalid JSON')],
  ['header no object', asked(`${base64url('[]')}.b.c`), refused('Jwt header is an invalid JSON')],
  ['payload no base64url', asked(`${base64url('{"alg":"RS256"}')}.$$.c`), refused('Jwt payload is an invalid Base64url encoded')],
  ['payload no JSON', ...bad('{', 'Jwt payload is an invalid JSON')],
  ['payload no object', ...bad('[]', 'Jwt payload is an invalid JSON')],
  ['a claim twice', ...bad(raw('"sub":"eve"'), 'Jwt payload is an invalid JSON')],
  ['a claim twice, spelt otherwise', ...bad(raw(String.raw`"s\u0075b":"eve"`), 'Jwt payload is an invalid JSON')],
  ['a name twice further inside', ...bad(raw('"z":[{"a":1,"a":2}]'), 'Jwt payload is an invalid JSON')],
  ['a name twice, not in one object', ...passed(token(raw('"z":[{"a":1},{"a":"sub"}]')))],
  ['no UTF-8', ...bad(Buffer.from(raw('"z":"\xff"'), 'latin1'), 'Jwt payload is an invalid JSON')],
  ['half a surrogate pair', ...bad(raw(String.raw`"z":"\ud800"`), 'Jwt payload is an invalid JSON')],
  ['a number too big', ...bad(raw('"z":1e999'), 'Jwt payload is an invalid JSON')],
  ['deep', ...passed(token(raw(`"z":${'['.repeat(90)}${']'.repeat(90)}`)))],
  ['too deep', ...bad(raw(`"z":${'['.repeat(150)}${']'.repeat(150)}`), 'Jwt payload is an invalid JSON')],
  ['signature no base64url', asked(`${goodToken}$`), refused('Jwt signature is an invalid Base64url encoded')],
  ['signature with padding', ...passed(`${goodToken}==`)],
  ['bearer in small letters', { path: '/main/', headers: { authorization: `bearer ${goodToken}` } }, refused('Jwt is missing')],
  ['another scheme', { path: '/main/', headers: { authorization: 'Basic abc' } }, refused('Jwt is missing')],
  ['nothing behind bearer', { path: '/main/', headers: { authorization: 'Bearer ' } }, refused('Jwt is missing')],
  ['spaces behind bearer', { path: '/main/', headers: { authorization: `Bearer   ${goodToken}` } }, passed(goodToken)[1]],
  ['more behind the token', asked(`${goodToken},x`), refused('Jwt signature is an invalid Base64url encoded')],
  ['two fields', { path: '/main/', headers: { authorization: [`Bearer ${goodToken}`, `Bearer ${goodToken}`] } }, refused(form)],
  ['two fields, one for others', { path: '/main/', headers: { authorization: ['Basic abc', `Bearer ${goodToken}`] } }, passed(goodToken)[1]],
  ['two fields of another name', { path: '/kept/', headers: { 'x-raw': [secondToken, 'zz'] } }, refused(form, '/kept/')],
  ['parameter', { path: `/main/?a=1&access_token=${goodToken}&b=2` }, { ...passed(goodToken)[1], path: '/main/?a=1&b=2' }],
  ['parameter alone', { path: `/main/?access_token=${goodToken}` }, passed(goodToken)[1]],
  ['parameter, twice', { path: `/main/?access_token=${goodToken}&access_token=zz` }, passed(goodToken)[1]],
  ['parameter, escaped', { path: `/main/?access%5ftoken=${goodToken.replace('.', '%2E')}` }, passed(goodToken)[1]],
  ['parameter, empty', { path: '/main/?access_token=' }, refused(form, '/main/?access_token=')],
  ['two tokens, both good', { path: `/two?tok=${secondToken}`, headers: bearer(goodToken) }, { ...passed(goodToken)[1], path: `/two?tok=${secondToken}` }],
  ['two places, one bad', { path: '/main/?access_token=zz', headers: bearer(goodToken) }, refused(form, '/main/?access_token=zz')],
  ['headers of claims nobody brings', { path: '/free', headers: spoofed }, told('/free')],
  ['headers of claims without a rule', { path: '/else', headers: spoofed }, told('/else')],
  [
    'headers of claims the token has not',
    { path: '/main/', headers: { ...spoofed, ...bearer(token({ ...good, sub: undefined })) } },
    told('/main/', { 'x-payload': payloadOf(token({ ...good, sub: undefined })) }),
  ],
  ...Object.entries({
    ...{ '42': 42, '0': 0, '1.500000': 1.5, '-3.000000': -3, '10000000000000000000': 1e19, '100000000000000000000.000000': 1e20 },
    ...{
      true: true,
      false: false,
      text: 'text',
      'Ã¼': 'ü',
      'W10=': [],
      'WyLDv8O/w78/Pz9cdTAwM2UiLG51bGwsLTAuNV0=': ['ÿÿÿ???>', null, -0.5],
      'eyJhIjoiIn0=': { a: '' },
    },
  }).map(([text, v]): [string, Question, Answer] => [`claim ${JSON.stringify(v)}`, ...passed(token({ ...good, v }), { 'x-any': text })]),
  ['claim null', ...passed(token({ ...good, v: null }))],
  ['claim empty', ...passed(token({ ...good, v: '' }))],
  ['claim inside', ...passed(token({ ...good, a: { b: 'deep' } }), { 'x-deep': 'deep' })],
  ['claim with a dot', ...passed(token({ ...good, 'a.b': 'flat' }))],
  ['claim of a prototype', ...passed(token({ ...good, a: 'x', constructor: 1 }))],
  ['claim no header can hold', asked(token({ ...good, v: 'a\r\nx-evil: 1' })), { status: 503, body: 'invalid header value for: x-any' }],
  ['kept: plain', { path: '/kept/', headers: { 'x-raw': secondToken } }, told('/kept/', { 'x-raw': secondToken, 'x-kept': padded(secondToken) })],
  [
    'kept: prefix',
    { path: '/kept/', headers: { 'x-jwt': `tok=: ${secondToken}` } },
    told('/kept/', { 'x-jwt': `tok=: ${secondToken}`, 'x-kept': padded(secondToken) }),
  ],
  ['kept: parameter', { path: `/kept/?tok=${secondToken}` }, told(`/kept/?tok=${secondToken}`, { 'x-kept': padded(secondToken) })],
  ...[`a=b; ck=${secondToken}; c=d`, `ck="${secondToken}"`, `ck=${secondToken}; ck=bad`].map((cookie): [string, Question, Answer] => [
    `kept: ${cookie.slice(0, 9)}`,
    { path: '/kept/', headers: { cookie } },
    told('/kept/', { cookie, 'x-kept': padded(secondToken) }),
  ]),
  ['another cookie', { path: '/kept/', headers: { cookie: `ckk=${secondToken}; xck=${secondToken}; ck` } }, refused('Jwt is missing', '/kept/')],
  ['a place the provider does not name', asked(secondToken, '/kept/'), refused('Jwt is missing', '/kept/')],
  ['taken: header', { path: '/taken/', headers: { 'x-raw': secondToken } }, told('/taken/')],
  ['taken: parameter', { path: `/taken/?a=1&tok=${secondToken}&b=c` }, told('/taken/?a=1&b=c')],
  ['taken: cookies stay', { path: '/taken/', headers: { cookie: `ck=${secondToken}` } }, told('/taken/', { cookie: `ck=${secondToken}` })],
  ['allowed to be missing', { path: '/istio' }, told('/istio')],
  ['but not to be bad', asked('zz', '/istio'), refused(form, '/istio')],
  ['nor of another', asked(secondToken, '/istio'), refused('Jwt issuer is not configured', '/istio')],
  ['nor for others', asked(token({ ...good, aud: 'q' }), '/istio'), refused('Audiences in Jwt are not allowed', '/istio', 403)],
  ['allowed, and there', ...passed(goodToken, {}, '/istio')],
  ['two: none', { path: '/two' }, told('/two')],
  ['two: the first', ...passed(goodToken, {}, '/two')],
  ['two: the second', { path: `/two?tok=${secondToken}` }, told('/two')],
  ['two: the first bad', { path: `/two?tok=${secondToken}`, headers: bearer('zz') }, told('/two', { authorization: 'Bearer zz' })],
  ['two: both bad', { path: '/two?tok=zz', headers: bearer(token({ ...good, exp: 5 })) }, refused('Jwt is expired', '/two?tok=zz')],
  ['or: none', { path: '/or' }, refused('Jwt is missing', '/or')],
  ['or: either', { path: '/or', headers: { 'x-raw': secondToken } }, told('/or', { 'x-raw': secondToken, 'x-kept': padded(secondToken) })],
  ['or: the last failure is told', { path: '/or', headers: { 'x-raw': 'zz', ...bearer(token({ ...good, exp: 1 })) } }, refused(form, '/or')],
  ['ro: the last failure is told', { path: '/ro', headers: { 'x-raw': 'zz', ...bearer(token({ ...good, exp: 1 })) } }, refused('Jwt is expired', '/ro')],
  ['or: but not that there is none', asked(token({ ...good, exp: 1 }), '/or'), refused('Jwt is expired', '/or')],
  ['or: unknown is more than missing', asked(secondToken, '/or'), refused('Jwt issuer is not configured', '/or')],
  ['ro: unknown is more than missing', asked(secondToken, '/ro'), refused('Jwt issuer is not configured', '/ro')],
  ['and: one', asked(goodToken, '/and'), refused('Jwt is missing', '/and')],
  ['and: both', { path: `/and?tok=${secondToken}`, headers: bearer(goodToken) }, { ...passed(goodToken)[1], path: '/and' }],
  ['lax: bad', asked('zz', '/lax'), told('/lax', { authorization: 'Bearer zz' })],
  ['lax: good', ...passed(goodToken, {}, '/lax')],
  ['lax: good beside bad', { path: '/lax?tok=zz', headers: bearer(goodToken) }, { ...passed(goodToken)[1], path: '/lax?tok=zz' }],
  ['strict: good', asked(token({ ...good, exp: now + 50 }), '/strict/'), told('/strict/')],
  ['strict: subject', asked(token({ ...good, exp: now + 50, sub: 'bob' }), '/strict/'), refused(fails, '/strict/')],
  ['strict: no end', asked(token({ ...good, exp: undefined }), '/strict/'), refused(fails, '/strict/')],
  ['strict: too long', asked(goodToken, '/strict/'), refused(fails, '/strict/')],
  ['strict: skew', asked(token({ ...good, exp: now - 30 }), '/strict/'), refused('Jwt is expired', '/strict/')],
  ['preflight', { path: '/main/', method: 'OPTIONS', headers: { origin: 'http://o', 'access-control-request-method': 'GET', 'x-sub': 'eve' } }, told('/main/')],
  ['no preflight', { path: '/main/', method: 'OPTIONS', headers: { origin: 'http://o' } }, refused('Jwt is missing')],
  ['a long path', { path: `/main/${'y'.repeat(400)}` }, refused('Jwt is missing', `/main/${'y'.repeat(250)}`)],
  [
    'https in front',
    { path: '/main/', headers: { 'x-forwarded-proto': 'https' } },
    { ...refused('Jwt is missing'), challenge: 'Bearer realm="https://app.test/main/"' },
  ],
  ['HEAD', { path: '/main/', method: 'HEAD' }, { status: 401, challenge: 'Bearer realm="http://app.test/main/"' }],
  [
    'gRPC',
    { path: '/main/', method: 'POST', headers: { 'content-type': 'application/grpc', ...bearer('zz') } },
    { status: 200, grpc: `16 ${form}`, challenge: refused(form).challenge ?? '' },
  ],
  [
    'gRPC, audience',
    { path: '/main/', method: 'POST', headers: { 'content-type': 'application/grpc', ...bearer(token({ ...good, aud: 'q' })) } },
    { status: 200, grpc: '7 Audiences in Jwt are not allowed', challenge: refused(form).challenge ?? '' },
  ],
  ['no route, no token', { path: '/main/nowhere' }, refused('Jwt is missing', '/main/nowhere')],
  ['no route', asked(goodToken, '/main/nowhere'), { status: 418 }],
];

function padded(text: string): string {
  const payload = payloadOf(text);
  return payload + '='.repeat((4 - (payload.length % 4)) % 4);
}

describe.each(PLANES)('%s', (plane) => {
  let world: World;
  const seen: [Answer, string][] = [];
  beforeAll(async () => {
    world = await startWorld(plane, config, [{ match: { prefix: '/main/nowhere' }, directResponse: { status: 418 } }]);
  });
  afterAll(async () => {
    // Of those that were asked: one line each.
    const lines = await world.stop();
    expect(lines).toEqual(
      seen.map(([{ status, body, grpc }, name]) => {
        const text = grpc?.replace(/^\d+ /, '') ?? (name === 'HEAD' ? 'Jwt is missing' : (body ?? ''));
        if (status === 503) return `DPE filter_removed_required_request_headers{${text.replaceAll(' ', '_')}}`;
        if (text !== '') return `- jwt_authn_access_denied{${text.replaceAll(' ', '_')}}`;
        return status === 418 ? '- direct_response' : '- via_upstream';
      }),
    );
  });

  test.each(cases)('%s', async (name, question, answer) => {
    const told = await world.ask(question);
    seen.push([told, name]);
    expect(told).toEqual(answer);
  });
});

const claim = (...path: string[]): object => ({
  metadata: {
    filter: 'envoy.filters.http.jwt_authn',
    path: ['payload', ...path].map((key) => ({ key })),
    value: { list_match: { one_of: { string_match: { exact: 'write' } } } },
  },
});

describe.each(PLANES)('%s, with routes and rules behind', (plane) => {
  const one = {
    ...{ issuer: 'one', ...named, payload_in_metadata: 'payload', normalize_payload_in_metadata: { space_delimited_claims: ['scope'] } },
    ...{ claim_to_headers: [{ header_name: 'x-sub', claim_name: 'sub' }], clear_route_cache: true },
  };
  const setting = { providers: { one }, rules: [rule('/open'), rule('/', provider('one'))], strip_failure_response: true };
  const routes = [{ match: { prefix: '/', headers: [{ name: 'x-sub', stringMatch: { exact: 'teapot' } }] }, directResponse: { status: 418 } }];
  const group = (exact: string, invert = false): object => ({
    filter: 'envoy.filters.http.jwt_authn',
    path: [{ key: 'payload' }, { key: 'group' }],
    value: { orMatch: { valueMatchers: [{ listMatch: { oneOf: { stringMatch: { exact } } } }, { stringMatch: { exact } }] } },
    ...(invert ? { invert: true } : {}),
  });
  const byGroup = [
    { match: { prefix: '/', dynamicMetadata: [group('a'), group('b', true)] }, directResponse: { status: 202 } },
    { match: { prefix: '/group', dynamicMetadata: [group('b', true)] }, directResponse: { status: 204 } },
  ];
  const permissions = [{ any: true }];
  const policies = {
    scope: { permissions, principals: [claim('scope'), claim('a', 'b')] },
    header: { permissions, principals: [{ header: { name: 'x-sub', string_match: { exact: 'ann' } } }] },
    gone: { permissions: [{ url_path: { path: { exact: '/gone' } } }], principals: [{ not_id: { header: { name: 'authorization', present_match: true } } }] },
  };
  const denied: Answer = { status: 403, body: 'RBAC: access denied' };

  test('the route is chosen by what the token says, rules see that alone', async () => {
    const world = await startWorld(plane, setting, routes, { action: 'ALLOW', policies });
    const ask = (claims: object, path = '/', more: object = {}): Promise<Answer> =>
      world.ask({ path, headers: { ...bearer(token({ iss: 'one', ...claims })), ...more } });
    expect(await ask({ sub: 'teapot', scope: 'read write' })).toEqual({ status: 418 });
    expect(await ask({ sub: 'bob', scope: 'read write' })).toEqual(told('/', { 'x-sub': 'bob' }));
    expect(await ask({ a: { b: ['write'] } })).toEqual(told('/'));
    expect(await ask({ sub: 'bob', scope: 'read' })).toEqual(denied);
    expect(await ask({ sub: 'ann' })).toEqual(told('/', { 'x-sub': 'ann' }));
    expect(await ask({ sub: 'bob' }, '/gone')).toEqual(told('/gone', { 'x-sub': 'bob' }));
    // Nothing of a client’s own counts.
    expect(await ask({}, '/', { 'x-sub': 'ann' })).toEqual(denied);
    expect(await world.ask({ path: '/open', headers: { 'x-sub': 'ann' } })).toEqual(denied);
    expect(await world.ask({ path: '/open', headers: { 'x-sub': 'teapot' } })).toEqual(denied);
    // Clients of this one are told nothing but the status.
    expect(await world.ask({ path: '/' })).toEqual({ status: 401 });
    expect(await ask({ exp: 5 })).toEqual({ status: 401 });
    expect((await world.stop()).slice(-2)).toEqual(['- jwt_authn_access_denied{Jwt_is_missing}', '- jwt_authn_access_denied{Jwt_is_expired}']);
  });

  test('claims choose the route; without a token there are none', async () => {
    const world = await startWorld(plane, setting, byGroup as Parameters<typeof startWorld>[2]);
    const ask = (claims: object, path = '/'): Promise<Answer> => world.ask({ path, headers: bearer(token({ iss: 'one', ...claims })) });
    const answers = [{ group: 'a' }, { group: ['c', 'a'] }, { group: ['a', 'b'] }, { group: { a: 'a' } }, {}].map((claims) => ask(claims));
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([202, 202, 200, 200, 200]);
    expect([await ask({}, '/group'), await ask({ group: 'b' }, '/group'), await world.ask({ path: '/open', headers: { group: 'a' } })]).toEqual([
      { status: 204 },
      told('/group'),
      told('/open'),
    ]);
    await world.stop();
  });
});
