// A proxy or a listener that goes: requests under way end well, clients are told, nothing new comes in.

import { type Case, admin, http, raw, service, until } from '../case.ts';
import { absent } from '../harness/match.ts';

const area = 'drain';

export const DRAIN: readonly Case[] = [
  {
    area,
    name: 'a listener whose service goes: no new connections, requests under way end well, no later one on their connections (GOAWAY)',
    random: true,
    services: [service('drain-listener', { app: 'a', direct: true })],
    steps: [
      http({ expect: { status: 200 } }),
      http({ do: { hold: true }, background: true, expect: { status: 200, app: 'a' } }),
      // Envoy begins to say so by and by, over its drain time of minutes.
      http({ http2: true, do: { hold: true }, background: true, expect: { status: 200, app: 'a' }, on: { embedded: { goaway: 2 ** 31 - 1 } } }),
      { kind: 'remove', objects: 'kind: Service\nmetadata: { name: drain-listener }\nspec: { ports: [{ name: http, port: 80 }] }' },
      until(raw({ send: ['GET / HTTP/1.1\r\n\r\n'], expect: { failed: 'refused' } })),
    ],
  },
  {
    area,
    name: 'a proxy told to drain: connection: close and GOAWAY from /healthcheck/fail on, no new connections after /drain_listeners',
    random: true,
    services: [service('drain-proxy', { app: 'a', direct: true })],
    steps: [
      admin('drained', '/ready', { status: 200, body: 'LIVE\n' }),
      http({ from: 'drained', expect: { status: 200 } }),
      admin('drained', '/reset_counters', { status: 200, body: 'OK\n' }, 'POST'),
      http({ from: 'drained', do: { hold: true }, background: true, expect: { status: 200, app: 'a', headers: { connection: 'close' } } }),
      http({ from: 'drained', http2: true, do: { hold: true }, background: true, expect: { status: 200, app: 'a', goaway: 2 ** 31 - 1 } }),
      http({ from: 'drained', http2: true, expect: { status: 200, goaway: absent } }),
      admin('drained', '/healthcheck/fail', { status: 200, body: 'OK\n' }, 'POST'),
      admin('drained', '/ready', { status: 503, body: 'DRAINING\n' }),
      http({ from: 'drained', expect: { status: 200, headers: { connection: 'close' } } }),
      http({ from: 'drained', http2: true, expect: { status: 200, app: 'a', goaway: 2 ** 31 - 1 } }),
      admin('drained', '/drain_listeners', { status: 200, body: 'OK\n' }, 'POST'),
      until(raw({ from: 'drained', send: ['GET / HTTP/1.1\r\n\r\n'], expect: { failed: 'refused' } })),
    ],
  },
];
