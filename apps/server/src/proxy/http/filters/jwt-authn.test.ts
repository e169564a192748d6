import { connect } from 'node:http2';
import { expect, onTestFinished, test } from 'vitest';
import type { JwtAuthn, JwtProvider } from '../../config/jwt-model.ts';
import { startApp, track } from '../../listener/testing/app.ts';
import { chain, cluster, listener, manager, type Rig, startRig } from '../../listener/testing/rig.ts';
import { jwk, jwks, token } from '../jwt/testing/tokens.ts';

const provider: JwtProvider = {
  ...{ issuer: 'one', audiences: [], jwks: jwks(jwk('rsa')), forward: false, fromHeaders: [], fromParams: [], fromCookies: [], payloadHeader: '' },
  ...{ padPayload: false, payloadKey: 'payload', headerKey: '', failureKey: '', spaceDelimitedClaims: [], clockSkewSeconds: 60 },
  ...{ claimHeaders: [{ header: 'x-sub', claim: 'sub' }], clearRouteCache: false },
};
const config: JwtAuthn = {
  providers: new Map([['p', provider]]),
  rules: [{ match: { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], query: [] }, requirement: { kind: 'provider', provider: 'p' } }],
  bypassCorsPreflight: false,
  stripFailureResponse: false,
};

interface Seen {
  rig: Rig;
  ask(path: string, headers: Record<string, string>): Promise<string>;
  clock: { now: number };
}

/** Over HTTP/2, as between sidecars; the application answers with path, `x-sub` and `authorization`. */
async function start(): Promise<Seen> {
  const app = await startApp(({ url, headers }, response) => response.end([url, headers['x-sub'], headers.authorization].join(' ')));
  const clock = { now: 1_000_000 };
  const http = manager({ filters: [{ kind: 'jwt-authn', config }, { kind: 'router' }] });
  const deps = { timeOfDay: () => clock.now };
  const rig = track(await startRig({ listener: listener({ chains: [chain({ http })] }), clusters: [cluster([app])], deps }));
  const session = connect(`http://127.0.0.1:${rig.port}`);
  onTestFinished(() => session.destroy());
  const ask: Seen['ask'] = (path, headers) =>
    new Promise((resolve, reject) => {
      let text = '';
      const stream = session.request({ ':path': path, ...headers });
      stream.on('response', ({ ':status': status }) => (text = `${status} `)).on('error', reject);
      stream.setEncoding('utf8').on('data', (part: string) => (text += part));
      stream.on('end', () => resolve(text));
    });
  return { rig, ask, clock };
}

const good = token({ iss: 'one', sub: 'sue', exp: 1000 });

test('over HTTP/2; a token that is remembered ends when it says', async () => {
  const { rig, ask, clock } = await start();
  const asked = (): Promise<string> => ask('/a', { authorization: `Bearer ${good}`, 'x-sub': 'eve' });
  expect([await asked(), await asked()]).toEqual(['200 /a sue ', '200 /a sue ']);
  clock.now = 1_060_999;
  expect(await asked()).toBe('200 /a sue ');
  clock.now = 1_061_000;
  expect(await asked()).toBe('401 Jwt is expired');
  expect(rig.records.map(({ details }) => details)).toEqual([...Array.from({ length: 3 }, () => 'via_upstream'), 'jwt_authn_access_denied{Jwt_is_expired}']);
  expect(rig.runtime.stats().counters).toMatchObject({ 'http.test.jwt_authn.allowed': 3, 'http.test.jwt_authn.denied': 1 });
});

test('a parameter that held a token is gone, every one of that name, and the others are as they were', async () => {
  const { ask } = await start();
  expect(await ask(`/a?x=%20%2f+y&access_token=${good}&z&access%5Ftoken=b`, {})).toBe('200 /a?x=%20%2f+y&z sue ');
});
