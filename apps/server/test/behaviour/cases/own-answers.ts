// What the proxy says itself: with which fields, and which of the route's operations change it.

import { type Case, http, raw, service } from '../case.ts';
import { absent } from '../harness/match.ts';
import { rule } from './parts.ts';

const area = 'answers of the proxy';

/** One rule without destination. */
const bare = (name: string, fields: string): string => `
kind: VirtualService
metadata: { name: ${name} }
spec: { hosts: [${name}], http: [{ ${fields} }] }
`;

export const OWN_ANSWERS: readonly Case[] = [
  {
    area,
    name: 'without a body HTTP/2 is told no length, and a HEAD of HTTP/1.1 what a GET would be',
    services: [service('answer-empty')],
    objects: bare('answer-empty', 'directResponse: { status: 404 }'),
    steps: [
      http({ http2: true, expect: { status: 404, headers: { 'content-length': absent } } }),
      http({ expect: { status: 404, headers: { 'content-length': '0' } } }),
      http({ method: 'HEAD', expect: { status: 404, headers: { 'content-length': absent, 'transfer-encoding': 'chunked' } } }),
    ],
  },
  {
    area,
    name: 'a type the route sets is the answer’s, the name of the server is never its own to change, nor a date gone',
    services: [service('answer-fields'), service('answer-passed')],
    objects: `${bare(
      'answer-fields',
      'headers: { response: { set: { content-type: text/css, server: mine } } }, directResponse: { status: 200, body: { string: "a {}" } }',
    )}---${rule('answer-passed', 'headers: { response: { add: { server: mine }, remove: [date] } }')}`,
    steps: [
      http({ expect: { status: 200, headers: { 'content-type': 'text/css', server: 'envoy', date: '<date>' } } }),
      http({ to: 'answer-passed', expect: { status: 200, headers: { server: 'envoy', date: '<date>' } } }),
    ],
  },
  {
    area,
    name: 'what a filter answers in the place of a route that forwards has the route’s headers; a preflight has not',
    services: [service('answer-fault'), service('answer-preflight')],
    objects: `${rule(
      'answer-fault',
      'headers: { response: { add: { x-r: there } } }, fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }',
    )}---${rule('answer-preflight', 'headers: { response: { add: { x-r: there, access-control-allow-origin: mine } } }, corsPolicy: { allowOrigins: [{ exact: "*" }], allowMethods: ["*"], allowHeaders: ["*"] }')}`,
    steps: [
      http({ expect: { status: 418, headers: { 'x-r': 'there' } } }),
      http({
        to: 'answer-preflight',
        method: 'OPTIONS',
        headers: { origin: 'https://a.test', 'access-control-request-method': 'PUT', 'access-control-request-headers': 'x-one' },
        expect: {
          status: 200,
          headers: {
            'x-r': absent,
            'access-control-allow-origin': 'https://a.test',
            'access-control-allow-methods': 'PUT',
            'access-control-allow-headers': 'x-one',
          },
        },
      }),
      // The filter comes after the operations.
      http({
        to: 'answer-preflight',
        headers: { origin: 'https://a.test' },
        expect: { status: 200, headers: { 'x-r': 'there', 'access-control-allow-origin': 'https://a.test' } },
      }),
    ],
  },
  {
    area,
    name: 'a rule that answers has no CORS; of an answer with a place the place is the one that was asked for',
    services: [service('answer-place')],
    objects: bare('answer-place', 'corsPolicy: { allowOrigins: [{ exact: "*" }] }, directResponse: { status: 302 }'),
    steps: [
      http({
        path: '/here?q',
        headers: { host: 'place.test', origin: 'https://a.test' },
        expect: { status: 302, headers: { location: 'http://place.test/here?q', 'access-control-allow-origin': absent } },
      }),
    ],
  },
  {
    area,
    name: 'operations change the place a redirect tells; the port is written behind whatever authority is given',
    services: [service('answer-moved'), service('answer-unmoved'), service('answer-port')],
    objects: `${bare('answer-moved', 'headers: { response: { add: { location: more } } }, redirect: { authority: new.test }')}---${bare(
      'answer-unmoved',
      'headers: { response: { remove: [location] } }, redirect: { authority: new.test }',
    )}---${bare('answer-port', 'redirect: { authority: "new.test:81", port: 82 }')}`,
    steps: [
      http({ expect: { status: 301, headers: { location: 'http://new.test/,more' } } }),
      http({ to: 'answer-unmoved', expect: { status: 301, headers: { location: absent } } }),
      http({ to: 'answer-port', expect: { status: 301, headers: { location: 'http://new.test:81:82/' } } }),
    ],
  },
  {
    area,
    name: 'a client that came by no protocol gets nowhere',
    services: [service('answer-refused')],
    steps: [http({ headers: { 'x-forwarded-proto': '' }, expect: { status: 404, body: '' } })],
  },
  {
    area,
    name: 'the scheme of a redirect is that of the target, else of x-forwarded-proto in any case',
    services: [service('answer-scheme')],
    objects: bare('answer-scheme', 'redirect: { authority: new.test }'),
    steps: [
      http({ headers: { 'x-forwarded-proto': 'HTTPS' }, expect: { status: 301, headers: { location: 'https://new.test/' } } }),
      http({ http2: true, headers: { 'x-forwarded-proto': 'https' }, expect: { status: 301, headers: { location: 'http://new.test/' } } }),
      raw({
        send: ['GET http://old.test/a HTTP/1.1\r\nhost: x\r\nx-forwarded-proto: https\r\nx-key: ${key}\r\nx-request-id: ${id}\r\nconnection: close\r\n\r\n'],
        expect: { text: /location: http:\/\/new\.test\/a\r\n/ },
      }),
    ],
  },
];
