// Requests that are rare on paper and common in the field: targets that are no plain path, clients that offer to upgrade, cookies, large bodies.

import { type Case, arrivals, http, raw, service } from '../case.ts';
import { rule } from './parts.ts';

const area = 'protocols';
/** One request by these first lines, which ends its connection. */
const asked = (lines: string, text: RegExp, more: Partial<Parameters<typeof raw>[0]> = {}): ReturnType<typeof raw> =>
  raw({ ...more, send: [`${lines}\r\nx-key: \${key}\r\nx-request-id: \${id}\r\nconnection: close\r\n\r\n`], expect: { text } });

export const CORNERS: readonly Case[] = [
  {
    area,
    name: 'a target with scheme and host: these count, whatever Host says; by the Host-keyed listener and by a service’s own',
    services: [service('absolute')],
    steps: [
      asked('GET http://${host}/whole?q HTTP/1.1\r\nHost: nobody.example.com', /^HTTP\/1\.1 200 OK[^]*"path":"\/whole\?q"/, { from: 'http-proxy' }),
      asked('GET http://absolute HTTP/1.1\r\nHost: nobody.example.com', /^HTTP\/1\.1 200 OK[^]*"path":"\/"/, { from: 'http-proxy' }),
      asked('GET http://other.example.com/x HTTP/1.1\r\nHost: a', /^HTTP\/1\.1 200 OK[^]*"host":"absolute\./),
    ],
  },
  {
    area,
    name: 'targets that are no path: *, without a slash, with a fragment, with what is no character of a path',
    // Each is judged by itself: of what is refused here Envoy makes no span, and of a fragment a line in the log.
    random: true,
    services: [service('targets')],
    steps: [
      asked('OPTIONS * HTTP/1.1\r\nHost: a', /^HTTP\/1\.1 404 /),
      ...['plain', '/a#b', '/a?b#c', '/a%00b', '/\xe9'].map((target) => asked(`GET ${target} HTTP/1.1\r\nHost: a`, /^HTTP\/1\.1 400 /)),
      ...(
        [
          ['/a%zzb%2', '/a%zzb%2'],
          ['/a<b>{c}|^`?{|}', '/a%3Cb%3E%7Bc%7D%7C%5E%60?{|}'],
          ['/?a=/../b&c=%2e%2e', '/?a=/../b&c=%2e%2e'],
          ['/../../a/./b/../c', '/a/c'],
        ] as const
      ).map(([target, path]) => http({ path: target, expect: { status: 200, upstream: { path } } })),
    ],
  },
  {
    area,
    name: 'Host: empty, with spaces, an address of IPv6',
    services: [service('host-words')],
    steps: [
      asked('GET / HTTP/1.1\r\nHost:', /^HTTP\/1\.1 /),
      asked('GET / HTTP/1.1\r\nHost: a b', /^HTTP\/1\.1 400 /),
      asked('GET / HTTP/1.1\r\nHost: [::1]:80', /^HTTP\/1\.1 200 /),
    ],
  },
  {
    area,
    name: 'words of WebDAV are methods',
    services: [service('words')],
    differs: { 'http.method': 'spans of the embedded proxy tell the method as it is, those of Envoy _OTHER' },
    steps: [asked('PROPFIND /x HTTP/1.1\r\nHost: a', /^HTTP\/1\.1 200 OK[^]*"method":"PROPFIND"/)],
  },
  {
    area,
    name: 'what HTTP forbids and Envoy lets pass is refused by the embedded proxy: two Hosts, a password in Host, HTTP/1.9; unknown methods are by both',
    services: [service('stricter')],
    random: true,
    steps: (
      [
        ['GET / HTTP/1.1\r\nHost: a\r\nHost: b', /^HTTP\/1\.1 400 /, /^HTTP\/1\.1 200 /],
        ['GET / HTTP/1.1\r\nHost: user:password@a', /^HTTP\/1\.1 400 /, /^HTTP\/1\.1 200 /],
        ['GET / HTTP/1.9\r\nHost: a', /^HTTP\/1\.1 505 /, /^HTTP\/1\.0 200 /],
        ['BREW / HTTP/1.1\r\nHost: a', /^HTTP\/1\.1 400 /, /^HTTP\/1\.1 400 /],
        ['get / HTTP/1.1\r\nHost: a', /^HTTP\/1\.1 400 /, /^HTTP\/1\.1 400 /],
      ] as const
    ).map(([lines, embedded, envoy]) => ({ ...asked(lines, /./), on: { embedded: { text: embedded }, envoy: { text: envoy } } })),
  },
  {
    area,
    name: 'a client that offers HTTP/2 by upgrade (Upgrade: h2c, as Java’s does) is answered in HTTP/1.1',
    services: [service('offers-h2c')],
    steps: [
      raw({
        send: [
          'GET /java HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n\r\n',
        ],
        until: [/"path":"\/java"/],
        expect: { text: /^HTTP\/1\.1 200 OK/ },
      }),
    ],
  },
  {
    area,
    name: 'cookies: several of an answer stay several, several fields of an HTTP/2 request become one',
    services: [service('cookies')],
    steps: [
      http({ do: { headers: { 'set-cookie': 'a=1; Path=/\nb=2' } }, expect: { status: 200, headers: { 'set-cookie': 'a=1; Path=/\nb=2' } } }),
      http({ http2: true, do: { headers: { 'set-cookie': 'a=1\nb=2' } }, expect: { status: 200, headers: { 'set-cookie': 'a=1\nb=2' } } }),
      http({ http2: true, headers: { cookie: ['a=1', 'b=2', 'c=3; d=4'] }, expect: { status: 200, upstream: { headers: { cookie: 'a=1; b=2; c=3; d=4' } } } }),
    ],
  },
  {
    area,
    name: 'a body beyond the buffer of 1 MiB is not sent again',
    services: [service('body-kept', { app: 'a', direct: true }), service('body-beyond', { app: 'a', direct: true })],
    objects: ['body-kept', 'body-beyond'].map((name) => rule(name, 'retries: { attempts: 1, retryOn: 5xx, backoff: 1ms }')).join('---'),
    steps: [
      http({ method: 'POST', body: 'y'.repeat(900_000), do: { status: 500, first: 1, after: { body: 'again' } }, expect: { status: 200, body: 'again' } }),
      http({
        to: 'body-beyond',
        method: 'POST',
        body: 'y'.repeat(1_500_000),
        do: { status: 500, body: 'once', first: 1 },
        expect: { status: 500, body: 'once' },
      }),
      arrivals([{ app: 'a' }]),
    ],
  },
];
