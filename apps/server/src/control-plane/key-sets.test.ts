// Real servers on ports of their own: what the translator is handed, and when.

import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { MeshObject } from '@weft/mesh-core/model';
import { createKeySets } from './key-sets.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A server whose answers a test changes; it keeps the paths it was asked for. */
async function server(answer: Answer): Promise<{ url: string; paths: string[]; become(next: Answer): void }> {
  let current = answer;
  const paths: string[] = [];
  const http = createServer((request, response) => {
    paths.push(request.url ?? '');
    current(request, response);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    http.closeAllConnections();
    return new Promise((resolve) => http.close(resolve));
  });
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, paths, become: (next) => (current = next) };
}

const says =
  (body: string, status = 200): Answer =>
  (_, response) =>
    response.writeHead(status).end(body);
const keys = (kid: string): string => JSON.stringify({ keys: [{ kty: 'RSA', n: 'abc', e: 'AQAB', kid }] });
const policy = (...jwtRules: object[]): MeshObject => ({
  ...{ apiVersion: 'security.istio.io/v1', kind: 'RequestAuthentication', metadata: { name: 'p', namespace: 'shop' } },
  spec: { jwtRules },
});

/** Follows these objects; `next` waits for the change after those already seen. */
function following(objects: readonly MeshObject[], times: { refreshMs?: number; retryMs?: number } = {}) {
  let changes = 0;
  let seen = 0;
  let wake: () => void = () => undefined;
  const logged: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  const keySets = createKeySets({
    ...times,
    log: (event) => logged.push(event),
    onChange: () => {
      changes += 1;
      wake();
    },
  });
  closers.push(keySets.stop);
  keySets.follow(objects);
  const next = async (): Promise<unknown[]> => {
    while (changes === seen) await new Promise<void>((resolve) => (wake = resolve));
    seen += 1;
    return keySets.objects().map((o) => o.spec);
  };
  return { keySets, next, logged };
}

test('a key server is asked once for all rules that name it, and what it says is handed on as it stands', async () => {
  const { url, paths } = await server(says(keys('one')));
  const { keySets, next } = following([policy({ issuer: 'a', jwksUri: `${url}/keys` }, { issuer: 'b', jwksUri: `${url}/keys` })]);
  expect(keySets.objects()).toEqual([]);
  expect(await next()).toEqual([{ jwks: keys('one') }]);
  expect(paths).toEqual(['/keys']);
  // An edit of something else asks nobody and keeps the object, which the translator compares by identity.
  const [before] = keySets.objects();
  keySets.follow([policy({ issuer: 'c', jwksUri: `${url}/keys`, timeout: '1s' })]);
  expect(keySets.objects()[0]).toBe(before);
  expect(paths).toEqual(['/keys']);
  keySets.follow([]);
  expect(keySets.objects()).toEqual([]);
});

test('an issuer without jwks and jwksUri is asked where its keys are', async () => {
  const { url, paths, become } = await server(says(''));
  become((request, response) => response.end(request.url === '/keys' ? keys('found') : JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` })));
  const { next } = following([policy({ issuer: `${url}/` })]);
  expect(await next()).toEqual([{ jwks: keys('found') }]);
  expect(paths).toEqual(['/.well-known/openid-configuration', '/keys']);
});

test('what cannot be had is told and tried again until it is there', async () => {
  const { url, become } = await server(says('down for lunch', 503));
  const { next, logged } = following([policy({ issuer: 'a', jwksUri: `${url}/keys` })], { retryMs: 1 });
  expect(await next()).toEqual([{ problem: `${url}/keys answered 503` }]);
  become(says(keys('back')));
  expect(await next()).toEqual([{ jwks: keys('back') }]);
  expect(logged[0]).toMatchObject({ level: 'warn', fields: { url: `${url}/keys`, reason: `${url}/keys answered 503`, attempt: 1 } });
  expect(logged.at(-1)).toMatchObject({ level: 'info', message: 'key set fetched' });
});

test('new keys come with the refresh; a server that fails then keeps its keys, one that has none left does not', async () => {
  const { url, paths, become } = await server(says(keys('one')));
  const { keySets, next, logged } = following([policy({ issuer: 'a', jwksUri: `${url}/keys` })], { refreshMs: 1, retryMs: 1 });
  expect(await next()).toEqual([{ jwks: keys('one') }]);
  become(says(keys('two')));
  expect(await next()).toEqual([{ jwks: keys('two') }]);
  const failedTwice = new Promise<void>((resolve) => {
    let failures = 0;
    become((_, response) => {
      response.writeHead(500).end();
      failures += 1;
      if (failures === 3) resolve();
    });
  });
  await failedTwice;
  expect(keySets.objects().map((o) => o.spec)).toEqual([{ jwks: keys('two') }]);
  expect(logged.some(({ message }) => message.endsWith('the one there is stays'))).toBe(true);
  become(says('{"keys":[]}'));
  expect(await next()).toEqual([{ jwks: '{"keys":[]}' }]);
  expect(paths.length).toBeGreaterThan(4);
});

const REFUSED: readonly [string, Answer, RegExp][] = [
  ['an answer that is no key set', says('<html>'), /^the answer of .* is no JSON Web Key Set$/],
  ['an answer that is too long', says(`{"keys":[],"x":"${'x'.repeat(300_000)}"}`), /is longer than 256 KiB$/],
  ['an answer that does not come', () => undefined, /did not answer within 0\.05 s$/],
  ['an answer that does not end', (_, response) => response.write('{'), /did not answer within 0\.05 s$/],
  ['a connection that is cut', (request) => request.socket.destroy(), /could not be asked: /],
  ['a redirect that has no end', (_, response) => response.writeHead(302, { location: '/again' }).end(), /leads on more than 5 times$/],
  [
    'a redirect to another scheme',
    (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    /leads to file:, which is not followed$/,
  ],
];
test.each(REFUSED)('%s', async (_, answer, problem) => {
  const { url } = await server(answer);
  // Only where nothing more comes is the wait part of the case.
  const timeout = problem.source.includes('within') ? '50ms' : '10s';
  const { next } = following([policy({ issuer: 'a', jwksUri: `${url}/keys`, timeout })]);
  expect(await next()).toEqual([{ problem: expect.stringMatching(problem) as unknown }]);
});

test('a redirect is followed', async () => {
  const { url, become } = await server(says(''));
  become((request, response) => (request.url === '/keys' ? response.writeHead(301, { location: '/new' }).end() : response.end(keys('moved'))));
  const { next } = following([policy({ issuer: 'a', jwksUri: `${url}/keys` })]);
  expect(await next()).toEqual([{ jwks: keys('moved') }]);
});

test('what is forgotten while it is asked for is not handed on, nor asked for again', async () => {
  let gone: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => (gone = resolve));
  const { url, paths } = await server((request) => request.on('close', () => gone()));
  let asked: () => void = () => undefined;
  const arrived = new Promise<void>((resolve) => (asked = resolve));
  const other = await server((_, response) => {
    asked();
    response.end(keys('other'));
  });
  const { keySets, next } = following([policy({ issuer: 'a', jwksUri: `${url}/keys` })], { retryMs: 1 });
  keySets.follow([policy({ issuer: 'a', jwksUri: `${other.url}/keys` })]);
  await arrived;
  expect(await next()).toEqual([{ jwks: keys('other') }]);
  if (paths.length > 0) await closed;
  expect(keySets.objects().map((o) => o.metadata.name)).toEqual([`keys ${other.url}/keys`]);
});
