// RequestAuthentication: whose tokens are taken, where they stand, what becomes of them, and where the keys come from. A policy is
// for a whole workload, which all cases share: each runs by itself, and its first request waits until connections of before are gone.

import { type Case, type HttpStep, http, service, until } from '../case.ts';
import { ISSUER, JWKS, OTHER_ISSUER, token } from '../harness/tokens.ts';
import { absent, type Expected } from '../harness/match.ts';
import { byHost, gateway } from './gateways.ts';

const area = 'request authentication';

/** For the server sidecar, or who has the label; rules in flow YAML. */
const authentication = (name: string, rules: readonly string[], labels = 'app: observed'): string => `
kind: RequestAuthentication
metadata: { name: ${name} }
spec: { selector: { matchLabels: { ${labels} } }, jwtRules: [${rules.join(', ')}] }
---`;
const jwks = `jwks: '${JWKS}'`;
const inline = (fields = '', issuer = ISSUER): string => `{ issuer: "${issuer}", ${jwks}${fields} }`;

const bearer = (text: string): Record<string, string> => ({ authorization: `Bearer ${text}` });
const refused = (body: string, status = 401): Expected => ({ status, body });
const bearing = (text: string, expect: Expected, step: Partial<HttpStep> = {}): HttpStep =>
  http({ ...step, headers: { ...bearer(text), ...step.headers }, expect });
/** Another payload under the signature of a good one. */
const tampered = [token({ sub: 'root' }).split('.').slice(0, 2), token().split('.')[2]].flat().join('.');
const DENIED = refused('RBAC: access denied', 403);
const EXPIRED = token({ exp: 1_000_000_000 });
/** Until the new listener is the one that answers. */
const inForce = until(bearing(EXPIRED, refused('Jwt is expired')));
const base = { area, alone: true as const, random: true as const };

export const AUTHENTICATION: readonly Case[] = [
  {
    ...base,
    name: 'without a token requests pass, with a good one too, with a bad one they are told why not',
    services: [service('ra-tokens')],
    objects: authentication('ra-tokens', [inline(', audiences: [shop, bank]')]),
    steps: [
      inForce,
      http({ expect: { status: 200 } }),
      bearing(token(), { status: 200, upstream: { headers: { authorization: absent } } }),
      bearing(token({ aud: ['x', 'bank'] }), { status: 200 }),
      bearing(token({ exp: undefined }), { status: 200 }),
      bearing(
        EXPIRED,
        {
          ...{ status: 401, body: 'Jwt is expired' },
          headers: { 'www-authenticate': /^Bearer realm="http:\/\/.*\/path\?x=1", error="invalid_token"$/, 'content-type': 'text/plain' },
        },
        { path: '/path?x=1' },
      ),
      bearing(token({ nbf: 4_000_000_000 }), refused('Jwt not yet valid')),
      bearing(token({ iss: OTHER_ISSUER }), refused('Jwt issuer is not configured')),
      bearing(token({ iss: undefined }), refused('Jwt issuer is not configured')),
      bearing(token({ aud: 'elsewhere' }), { status: 403, body: 'Audiences in Jwt are not allowed' }),
      bearing(token({ aud: undefined }), { status: 403, body: 'Audiences in Jwt are not allowed' }),
      bearing(token({}, { stranger: true }), refused('Jwt verification fails')),
      bearing(tampered, refused('Jwt verification fails')),
      bearing(token({}, { header: { kid: 'key-2' } }), refused("Jwks doesn't have key to match kid or alg from Jwt")),
      bearing(token({}, { header: { alg: 'none' } }), { status: 401 }),
      bearing(token({}, { header: { alg: 'HS256' }, stranger: true }), refused('Jwt verification fails')),
      bearing('a.b', refused('Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections')),
      http({ headers: { authorization: `Basic ${token()}` }, expect: { status: 200, upstream: { headers: { authorization: /^Basic / } } } }),
      http({ path: `/?access_token=${EXPIRED}`, expect: refused('Jwt is expired') }),
    ],
    telemetry: {
      logs: [{ status: '401', flags: '-', details: 'jwt_authn_access_denied{Jwt_is_expired}' }],
      metrics: [{ metric: 'istio_requests_total', reporter: 'source', response_code: '401' }],
    },
  },
  {
    ...base,
    name: 'tokens in a header of another name, with a prefix, in a parameter, in a cookie: there and nowhere else',
    services: [service('ra-places')],
    objects: authentication('ra-places', [
      inline(', fromHeaders: [{ name: x-token, prefix: "Token " }, { name: x-plain }], fromParams: [token], fromCookies: [session]'),
    ]),
    steps: [
      until(http({ headers: { 'x-token': `Token ${EXPIRED}` }, expect: refused('Jwt is expired') })),
      bearing(EXPIRED, { status: 200, upstream: { headers: { authorization: /^Bearer / } } }),
      http({ path: `/?access_token=${EXPIRED}`, expect: { status: 200 } }),
      http({ headers: { 'x-token': `Token ${token()}` }, expect: { status: 200, upstream: { headers: { 'x-token': absent } } } }),
      http({ headers: { 'x-token': EXPIRED }, expect: { status: 200 } }),
      http({ headers: { 'x-plain': EXPIRED }, expect: refused('Jwt is expired') }),
      http({ headers: { 'x-plain': token() }, expect: { status: 200, upstream: { headers: { 'x-plain': absent } } } }),
      http({ path: `/?a=1&token=${EXPIRED}`, expect: refused('Jwt is expired') }),
      http({ path: `/?a=1&token=${token()}&b=2`, expect: { status: 200 } }),
      http({ headers: { cookie: `a=1; session=${EXPIRED}` }, expect: refused('Jwt is expired') }),
      http({ headers: { cookie: `a=1; session=${token()}` }, expect: { status: 200 } }),
      http({ headers: { cookie: `sessions=${EXPIRED}` }, expect: { status: 200 } }),
    ],
  },
  {
    ...base,
    name: 'what the application is told: the token, its payload, claims; never what the client wrote in their place',
    services: [service('ra-told')],
    objects: authentication('ra-told', [
      inline(
        ', forwardOriginalToken: true, outputPayloadToHeader: x-payload, outputClaimToHeaders: [{ header: x-sub, claim: sub }, { header: x-team, claim: team.name }, { header: x-age, claim: age }, { header: x-none, claim: none }]',
      ),
    ]),
    steps: [
      inForce,
      bearing(
        token({ age: 7 }),
        {
          status: 200,
          upstream: {
            headers: { authorization: /^Bearer ey/, 'x-payload': /^ey[-_\w]+$/, 'x-sub': 'alice', 'x-team': 'blue', 'x-age': '7', 'x-none': absent },
          },
        },
        { headers: { 'x-sub': 'root', 'x-none': 'root', 'x-payload': 'forged' } },
      ),
      http({ headers: { 'x-sub': 'root' }, expect: { status: 200, upstream: { headers: { 'x-sub': absent } } } }),
    ],
  },
  {
    ...base,
    name: 'several rules and policies: a token of any of them is good',
    services: [service('ra-several')],
    objects: `${authentication('ra-several-1', [inline(', audiences: [none]'), inline('', OTHER_ISSUER)])}${authentication('ra-several-2', [inline(', fromHeaders: [{ name: x-token }]', 'https://third.example.com')])}`,
    steps: [
      inForce,
      http({ expect: { status: 200 } }),
      bearing(token({ iss: OTHER_ISSUER }), { status: 200 }),
      bearing(token(), { status: 403 }),
      http({ headers: { 'x-token': token({ iss: 'https://third.example.com' }) }, expect: { status: 200 } }),
      http({ headers: { 'x-token': token() }, expect: { status: 401 } }),
      bearing(token({ iss: 'https://fourth.example.com' }), { status: 401 }),
      bearing(token({ iss: OTHER_ISSUER }), { status: 200 }, { headers: { 'x-token': EXPIRED } }),
    ],
  },
  {
    ...base,
    name: 'a CORS preflight needs no token and is not looked at; other OPTIONS are',
    services: [service('ra-cors')],
    objects: authentication('ra-cors', [inline()]),
    steps: [
      inForce,
      bearing(EXPIRED, { status: 200 }, { method: 'OPTIONS', headers: { origin: 'https://shop.example.com', 'access-control-request-method': 'GET' } }),
      bearing(EXPIRED, refused('Jwt is expired'), { method: 'OPTIONS' }),
      bearing(EXPIRED, refused('Jwt is expired'), { method: 'OPTIONS', headers: { origin: 'https://shop.example.com' } }),
    ],
  },
  {
    ...base,
    name: 'keys from a server: while it has none every token is refused and the status says why; when it has, they are good',
    services: [service('ra-server'), service('ra-server-direct', { app: 'a', direct: true })],
    objects: authentication('ra-server', [`{ issuer: "${ISSUER}", jwksUri: "http://127.0.0.1:$PORT(a)/documents/$PLANE" }`]),
    steps: [
      until(bearing(token(), { status: 401 })),
      http({ expect: { status: 200 } }),
      { kind: 'status', workload: 'observed-v1', expect: { missingKeys: [{ rule: 0, reason: /\/documents\/(embedded|envoy) answered 404$/ }] } },
      http({ to: 'ra-server-direct', method: 'PUT', headers: { 'x-document': '${plane}' }, body: JWKS, expect: { status: 200 } }),
      until(bearing(token(), { status: 200 })),
      bearing(token({}, { stranger: true }), refused('Jwt verification fails')),
      { kind: 'status', workload: 'observed-v1', expect: { missingKeys: absent } },
    ],
  },
  {
    ...base,
    name: 'at a gateway: refused there; what passes may be told by a header to the service',
    services: [service('ra-gateway')],
    objects: `${gateway('ra-gateway', { protocol: 'HTTP', hosts: '"*"' })}${authentication('ra-gateway', [inline(', outputClaimToHeaders: [{ header: x-sub, claim: sub }]')], 'app: gateway')}
kind: VirtualService
metadata: { name: ra-gateway }
spec: { hosts: [ra.example.com], gateways: [ra-gateway], http: [{ route: [{ destination: { host: ra-gateway } }] }] }
`,
    steps: [
      byHost('ra.example.com', { at: 'ra-gateway', expect: { status: 200, app: 'a' } }),
      byHost('ra.example.com', {
        at: 'ra-gateway',
        headers: bearer(token()),
        expect: { status: 200, upstream: { headers: { authorization: absent, 'x-sub': 'alice' } } },
      }),
      byHost('ra.example.com', {
        at: 'ra-gateway',
        headers: bearer(EXPIRED),
        expect: { status: 401, body: 'Jwt is expired', headers: { 'www-authenticate': /error="invalid_token"/ } },
      }),
      byHost('ra.example.com', { at: 'ra-gateway', headers: { ...bearer('nonsense'), 'x-sub': 'root' }, expect: { status: 401 } }),
      byHost('nobody.example.com', { at: 'ra-gateway', headers: bearer(EXPIRED), expect: { status: 401 } }),
      byHost('nobody.example.com', { at: 'ra-gateway', headers: bearer(token()), expect: { status: 404 } }),
    ],
  },
  {
    ...base,
    name: 'routes of a gateway by what a token claims: text, a word of a list, under another claim, absence',
    services: [service('ra-routes', { app: 'a', version: 'v1' }, { app: 'b', version: 'v2' }, { app: 'c', version: 'v3' })],
    objects: `${gateway('ra-routes', { protocol: 'HTTP', hosts: '"*"' })}${authentication('ra-routes', [inline()], 'app: gateway')}
kind: DestinationRule
metadata: { name: ra-routes }
spec: { host: ra-routes, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }, { name: v3, labels: { version: v3 } }] }
---
kind: VirtualService
metadata: { name: ra-routes }
spec:
  hosts: [ra-routes.example.com]
  gateways: [ra-routes]
  http:
  - { match: [{ headers: { "@request.auth.claims.team.name": { exact: blue } } }], route: [{ destination: { host: ra-routes, subset: v2 } }] }
  - { match: [{ headers: { "@request.auth.claims[scope]": { exact: write } } }], route: [{ destination: { host: ra-routes, subset: v3 } }] }
  - { route: [{ destination: { host: ra-routes, subset: v1 } }] }
`,
    steps: (
      [
        [{}, 'b'],
        [{ team: { name: 'red' } }, 'c'],
        [{ team: { name: 'red' }, scope: 'read writer' }, 'a'],
        [{ team: 'blue', scope: ['write'] }, 'c'],
      ] as const
    )
      .map(([claims, app]) => byHost('ra-routes.example.com', { at: 'ra-routes', headers: bearer(token(claims)), expect: { status: 200, app } }))
      .concat([byHost('ra-routes.example.com', { at: 'ra-routes', expect: { status: 200, app: 'a' } })]),
  },
  {
    ...base,
    name: 'an AuthorizationPolicy asks who a token is of, for whom, and what it claims',
    services: [service('ra-policies')],
    objects: `${authentication('ra-policies', [inline()])}
kind: AuthorizationPolicy
metadata: { name: ra-policies }
spec:
  selector: { matchLabels: { app: observed } }
  action: DENY
  rules:
  - { from: [{ source: { notRequestPrincipals: ["*"] } }], to: [{ operation: { paths: [/ra-some] } }] }
  - { from: [{ source: { notRequestPrincipals: ["${ISSUER}/alice"] } }], to: [{ operation: { paths: [/ra-alice] } }] }
  - { to: [{ operation: { paths: [/ra-blue] } }], when: [{ key: "request.auth.claims[team][name]", notValues: [blue] }] }
  - { to: [{ operation: { paths: [/ra-write] } }], when: [{ key: "request.auth.claims[scope]", notValues: [write] }] }
  - { to: [{ operation: { paths: [/ra-shop] } }], when: [{ key: request.auth.audiences, notValues: [shop] }] }
`,
    steps: [
      inForce,
      until(http({ path: '/ra-some', expect: DENIED })),
      bearing(token(), { status: 200 }, { path: '/ra-some' }),
      bearing(token(), { status: 200 }, { path: '/ra-alice' }),
      bearing(token({ sub: 'bob' }), DENIED, { path: '/ra-alice' }),
      bearing(token(), { status: 200 }, { path: '/ra-blue' }),
      bearing(token({ team: { name: 'red' } }), DENIED, { path: '/ra-blue' }),
      bearing(token(), { status: 200 }, { path: '/ra-write' }),
      bearing(token({ scope: 'read' }), DENIED, { path: '/ra-write' }),
      bearing(token({ aud: ['x', 'shop'] }), { status: 200 }, { path: '/ra-shop' }),
      bearing(token({ aud: 'x' }), DENIED, { path: '/ra-shop' }),
      // Who a token is of is asked only of good ones.
      bearing(token({}, { stranger: true }), refused('Jwt verification fails'), { path: '/ra-alice' }),
      http({ path: '/ra-alice', expect: DENIED }),
      http({ expect: { status: 200 } }),
    ],
  },
];
