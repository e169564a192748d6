// Random requests, aimed at what random configuration speaks of.

import type { Random } from '../../fuzz/random.ts';
import { type AppAction, type GrpcStep, type HttpStep, grpc, http } from '../case.ts';
import { HEADERS, HOSTS, METHODS, one, path, several, value } from './words.ts';

export interface Question {
  /** Name of the listener. */
  to: string;
  host: string;
  step: HttpStep | GrpcStep;
}

/** `$TOKEN(x)`: a token of that kind. */
const TOKENS = ['$TOKEN(good)', '$TOKEN(other)', '$TOKEN(expired)', '$TOKEN(stranger)', 'rubbish'];

/** `retried`: applications may change their mind. A mirror would count as a try. */
export function question(random: Random, listeners: readonly string[], retried: boolean): Question {
  const to = random.pick(listeners);
  const host = random.pick([
    random.pick(HOSTS),
    random.pick(HOSTS),
    `${random.pick(HOSTS)}:${random.pick(['80', '8080', '9'])}`,
    'H1.TEST',
    'h1.test.',
    'sub.h1.test',
    'h0.TEST:80',
    'nobody.test',
    '127.0.0.1',
  ]);
  if (random.below(8) === 0) return { to, host, step: call(random, retried) };
  const http2 = random.below(3) === 0;
  const method = random.pick(METHODS);
  const headers: Record<string, string | readonly string[]> = {};
  for (const name of one(random, 2, () => several(random, 3, () => random.pick(HEADERS))) ?? [])
    headers[http2 ? name.toLowerCase() : name] = fieldValue(random, name);
  for (const [name, values] of RARE) if (random.below(14) === 0) headers[name] = random.pick(values);
  if (random.below(6) === 0) token(random, headers);
  const preflight =
    method === 'OPTIONS' && random.below(2) === 0 ? { origin: random.pick(ORIGINS), 'access-control-request-method': random.pick(['GET', 'POST', '']) } : {};
  return {
    to,
    host,
    step: http({
      expect: {},
      path: tokenPath(random, path(random)),
      method,
      headers: { ...headers, ...preflight },
      ...(http2 ? { http2: true } : {}),
      ...(method.startsWith('P') && random.below(2) === 0 ? { body: 'some body' } : {}),
      do: action(random, retried),
    }),
  };
}

/** A call of gRPC. */
function call(random: Random, retried: boolean): GrpcStep {
  const metadata: Record<string, string> = {};
  if (random.below(3) === 0) metadata['grpc-timeout'] = random.pick(['300m', '20S', 'x', '300000u', '']);
  for (const name of one(random, 2, () => several(random, 2, () => random.pick(HEADERS))) ?? []) metadata[name.toLowerCase()] = value(random) || 'a';
  for (const [name, values] of RARE) if (name !== 'te' && name !== 'content-type' && random.below(20) === 0) metadata[name] = random.pick(values);
  if (random.below(8) === 0) metadata['content-type'] = random.pick(['application/grpc+proto', 'application/grpc-web', 'application/grpcx']);
  if (random.below(8) === 0) token(random, metadata);
  return grpc({ expect: {}, method: random.pick(['Say', 'a', 'b/c']), metadata, messages: random.below(3), do: answerToCall(random, retried) });
}

function answerToCall(random: Random, retried: boolean): AppAction {
  const first: AppAction = retried ? { first: 1 + random.below(2) } : {};
  const status = { grpcStatus: random.pick([0, 1, 4, 5, 8, 13, 14]), ...(random.below(2) === 0 ? { grpcMessage: random.pick(['no', 'a%20b', '']) } : {}) };
  const kind = random.below(8);
  if (kind === 0) return { delayMs: 700 };
  if (kind === 1) return { reset: random.pick(['before-headers', 'refused'] as const), ...first };
  if (kind === 2) return { ...status, trailersOnly: true, ...first };
  if (kind === 3) return { ...status, headers: answered(random), ...first };
  if (kind === 4) return { status: random.pick([404, 500, 503]), ...first };
  return { messages: random.below(3) };
}

const ORIGINS = ['https://shop.example.com', 'http://a.test', 'null', 'https://x.example.com', ''];
const RARE: readonly (readonly [string, readonly string[]])[] = [
  ['origin', ORIGINS],
  ['x-forwarded-proto', ['https', 'http', 'HTTPS', 'ftp', '']],
  ['x-forwarded-for', ['10.1.2.3', '1.2.3.4, 127.0.0.1', 'rubbish', '']],
  ['x-forwarded-host', ['evil.test']],
  ['x-envoy-original-path', ['/evil']],
  ['x-envoy-upstream-rq-timeout-ms', ['300', '0', 'x']],
  ['x-envoy-max-retries', ['2', '0']],
  ['x-envoy-retry-on', ['5xx', 'retriable-4xx']],
  ['x-envoy-decorator-operation', ['said']],
  ['x-envoy-attempt-count', ['7']],
  ['x-request-id', ['not-an-id', '']],
  ['te', ['trailers']],
  ['accept-encoding', ['gzip']],
  ['content-type', ['text/plain', 'application/json']],
  ['server', ['me']],
  ['x-payload', ['forged']],
  ['x-sub', ['forged']],
  ['via', ['1.1 x']],
];

function fieldValue(random: Random, name: string): string | readonly string[] {
  const repeated = /^x-|^cookie$/i.test(name) && random.below(4) === 0;
  // Node's HTTP/2 has its own ideas of an empty cookie.
  const some = (): string => value(random) || (name === 'cookie' ? 'a' : '');
  return repeated ? [some(), some()] : some();
}

function token(random: Random, headers: Record<string, string | readonly string[]>): void {
  const text = random.pick(TOKENS);
  const place = random.pick(['authorization', 'x-token', 'cookie']);
  headers[place] = place === 'cookie' ? `a=1; token=${text}` : `${random.pick(['Bearer ', 'Bearer ', 'bearer ', ''])}${text}`;
}

const tokenPath = (random: Random, asked: string): string =>
  random.below(16) === 0 ? `${asked}${asked.includes('?') ? '&' : '?'}token=${random.pick(TOKENS)}` : asked;

function action(random: Random, retried: boolean): AppAction {
  const first = (most: number): AppAction => (retried ? { first: 1 + random.below(most) } : {});
  const kind = random.below(12);
  if (kind === 0) return { delayMs: 700 };
  if (kind === 1) return { reset: 'before-headers', ...first(2) };
  if (kind <= 3) return { status: random.pick([500, 503, 404, 409, 502]), ...first(3) };
  if (kind === 4) return { status: random.pick([201, 204, 301, 304, 404, 200]), headers: answered(random) };
  if (kind === 5) return { headers: answered(random) };
  return {};
}

function answered(random: Random): Record<string, string> {
  const names = [
    'x-a',
    'X-B',
    'set-cookie',
    'vary',
    'server',
    'location',
    'cache-control',
    'x-envoy-upstream-service-time',
    'x-out',
    'access-control-allow-origin',
    'x-new',
    'date',
  ];
  return Object.fromEntries(
    several(random, 3, () => [random.pick(names), random.pick(['1', 'ab', 'http://h1.test/a', 'a=1\nb=2', ''])].map(String)).map(([name = '', v = '']) => [
      name,
      name === 'set-cookie' ? v : v.replace('\n', ','),
    ]),
  );
}
