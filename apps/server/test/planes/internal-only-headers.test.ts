// Headers only requests from inside may bring (internal_only_headers of a route table), on both data planes.

import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PLANES, object, onManager, startPlane } from './planes.ts';

const host = 'app.test';
const NAMES = ['X-Secret', 'x-envoy-attempt-count', 'x-envoy-ip-tags', 'x-envoy-original-path', 'x-envoy-mine', 'user-agent'];
const LOOPBACK = onManager({ internal_address_config: { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] } });

type Table = { internalOnlyHeaders?: string[]; virtualHosts: { includeRequestAttemptCount?: boolean; routes: object[] }[] };

/** Asks `path` with every one of the names; answers which of them arrived, or the status where no application was asked. */
async function start(plane: (typeof PLANES)[number], names: string[], attemptCount = false): Promise<(inside: boolean) => Promise<unknown>> {
  const app = createServer(({ headers }, response) =>
    response.end(JSON.stringify(Object.fromEntries(NAMES.map((name) => [name, headers[name.toLowerCase()]]).filter(([, value]) => value !== undefined)))),
  );
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    app.closeAllConnections();
    app.close();
  });
  const objects = [
    object('ServiceEntry', 'app', {
      ...{ hosts: [host], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
      endpoints: [{ address: '127.0.0.1', ports: { http: (app.address() as AddressInfo).port } }],
    }),
    object('networking.istio.io/v1alpha3 EnvoyFilter', 'inside', { configPatches: [LOOPBACK] }),
  ];
  const port = await startPlane(plane, objects, {
    node: { upstreams: [{ host, port: 80, listenPort: 1 }] },
    routes: (table) => {
      const changed = table as unknown as Table;
      changed.internalOnlyHeaders = names;
      for (const virtualHost of changed.virtualHosts) {
        virtualHost.includeRequestAttemptCount = attemptCount;
        virtualHost.routes.unshift({ match: { prefix: '/matched', headers: [{ name: 'x-secret', presentMatch: true }] }, directResponse: { status: 418 } });
      }
    },
  });
  return (inside) =>
    new Promise((resolve, reject) => {
      const headers = { host, ...Object.fromEntries(NAMES.map((name) => [name, 'told'])), ...(inside ? { 'x-forwarded-for': '127.0.0.1' } : {}) };
      const sent = request({ port: port(`${host}_80`), host: '127.0.0.1', agent: false, path: names.length === 1 ? '/matched' : '/', headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve(response.statusCode === 200 ? JSON.parse(text) : response.statusCode)).on('error', reject);
      });
      sent.on('error', reject).end();
    });
}

const told = (...names: string[]): Record<string, string> => Object.fromEntries(names.map((name) => [name, 'told']));

describe.each(PLANES)('%s', (plane) => {
  test('from outside they do not arrive, whatever they are; from inside they do', async () => {
    const ask = await start(plane, NAMES);
    expect(await ask(false)).toEqual({});
    expect(await ask(true)).toEqual(told(...NAMES));
  });

  test('those the table does not name arrive, but for what nobody outside may say at all', async () => {
    const ask = await start(plane, ['x-secret', 'x-envoy-mine']);
    expect(await ask(false)).toEqual(told('x-envoy-attempt-count', 'x-envoy-original-path', 'user-agent'));
  });

  test('what the proxy says in their place is said', async () => {
    const ask = await start(plane, ['x-secret', 'x-envoy-attempt-count'], true);
    expect(await ask(false)).toMatchObject({ 'x-envoy-attempt-count': '1' });
  });

  test('no route is found by one that does not count', async () => {
    const ask = await start(plane, ['x-secret']);
    expect(await ask(true)).toBe(418);
    expect(await ask(false)).toEqual(told(...NAMES.filter((name) => name !== 'X-Secret' && name !== 'x-envoy-ip-tags')));
  });
});
