// Redirects a route follows in the client's place, on both data planes.

import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PLANES, object, startPlane } from './planes.ts';

const host = 'app.test';

interface Seen {
  /** Status, Location and body the client gets. */
  answer: string;
  /** Method, path, original URL and body of every request that reached the application, and how many ids they had. */
  requests: string[];
  ids: number;
}

interface World {
  ask(method: string, location: string, status?: number, body?: string): Promise<Seen>;
}

/** An application that redirects to what `x-to` says, from `/from` and whatever begins with it; /end answers. */
async function start(plane: (typeof PLANES)[number], internalRedirectPolicy: object): Promise<World> {
  let requests: string[] = [];
  const ids = new Set<unknown>();
  const app = createServer((incoming, response) => {
    let body = '';
    incoming.setEncoding('utf8').on('data', (part: string) => (body += part));
    incoming.on('end', () => {
      const { method, url, headers } = incoming;
      requests.push(`${method} ${url} ${String(headers['x-envoy-original-url'] ?? '-')} ${body}`.trim());
      ids.add(headers['x-request-id']);
      if (url?.startsWith('/from') === true) response.writeHead(Number(headers['x-status']), { location: String(headers['x-to']) });
      response.end(url);
    });
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    app.closeAllConnections();
    app.close();
  });
  const entry = object('ServiceEntry', 'app', {
    ...{ hosts: [host], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
    endpoints: [{ address: '127.0.0.1', ports: { http: (app.address() as AddressInfo).port } }],
  });
  const port = await startPlane(plane, [entry], {
    node: { upstreams: [{ host, port: 80, listenPort: 1 }] },
    routes: (table) => {
      const { virtualHosts } = table as unknown as { virtualHosts: { domains: string[]; routes: { route: { internalRedirectPolicy: object } }[] }[] };
      for (const virtualHost of virtualHosts) {
        virtualHost.domains = [host];
        for (const { route } of virtualHost.routes) route.internalRedirectPolicy = internalRedirectPolicy;
      }
    },
  });
  const ask = (method: string, location: string, status = 302, body = ''): Promise<Seen> => {
    requests = [];
    ids.clear();
    return new Promise((resolve, reject) => {
      const headers = { host, 'x-to': location, 'x-status': status };
      const sent = request({ port: port(`${host}_80`), host: '127.0.0.1', agent: false, method, path: '/from?a', headers }, (response) => {
        let text = `${response.statusCode} ${response.headers.location ?? '-'} `;
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve({ answer: text, requests, ids: ids.size })).on('error', reject);
      });
      sent.on('error', reject).end(body);
    });
  };
  return { ask };
}

const first = `GET /from?a -`;
/** As it went out: a sidecar names the port. */
const from = `http://${host}:80/from?a`;

describe.each(PLANES)('%s', (plane) => {
  test('an absolute Location is followed, with the same id', async () => {
    const { ask } = await start(plane, {});
    expect(await ask('GET', `http://${host}/end?q=1#here`)).toEqual({ answer: '200 - /end?q=1', requests: [first, `GET /end?q=1 ${from}`], ids: 1 });
    expect(await ask('GET', `http://${host}`)).toEqual({ answer: '200 - /', requests: [first, `GET / ${from}`], ids: 1 });
  });

  test('the body goes along, or the method becomes GET', async () => {
    const { ask } = await start(plane, { redirectResponseCodes: [303, 307] });
    const posted = 'POST /from?a - hello';
    expect(await ask('POST', `http://${host}/end`, 307, 'hello')).toMatchObject({ requests: [posted, `POST /end ${from} hello`] });
    expect(await ask('POST', `http://${host}/end`, 303, 'hello')).toMatchObject({ answer: '200 - /end', requests: [posted, `GET /end ${from}`] });
  });

  test.each([
    ['a relative Location', '/end', 302],
    ['another scheme', `https://${host}/end`, 302],
    ['a host without a route', 'http://other.test/end', 302],
    ['no URL', 'http://a b/end', 302],
    ['no Location', '', 302],
    ['a status that is not listed', `http://${host}/end`, 301],
  ])('%s is the client’s own business', async (_, location, status) => {
    const { ask } = await start(plane, {});
    expect(await ask('GET', location, status)).toMatchObject({ answer: `${status} ${location} /from?a`, requests: [first] });
  });

  test('as many as the policy says; another scheme where it says so', async () => {
    const { ask } = await start(plane, { maxInternalRedirects: 2, allowCrossSchemeRedirect: true });
    const again = `http://${host}/from/again`;
    const { answer, requests } = await ask('GET', again);
    expect([answer, requests]).toEqual([`302 ${again} /from/again`, [first, `GET /from/again ${from}`, `GET /from/again http://${host}:80/from/again`]]);
    expect(await ask('GET', `https://${host}/end`)).toMatchObject({ answer: '200 - /end' });
  });
});
