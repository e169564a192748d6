// Random configuration as users may write it: valid, of every field the two data planes are to agree on.

import type { Random } from '../../fuzz/random.ts';
import { apiRule } from './api-rules.ts';
import { AUTHORITIES, CHANGED, CHANGED_BACK, type Manifest, headerPairs, rewritten } from './parts.ts';
import { policies } from './policies.ts';
import { HEADERS, HOSTS, METHODS, VERSIONS, defined, one, pathMatch, prefix, queryName, several, stringMatch, valueMatch } from './words.ts';

function operations(random: Random, names: readonly string[], host = false): object {
  const set = one(random, 2, () => ({ ...headerPairs(random, names), ...(host && random.below(8) === 0 ? { Host: random.pick(AUTHORITIES) } : {}) }));
  return defined({ set, add: one(random, 2, () => headerPairs(random, names)), remove: one(random, 3, () => several(random, 2, () => random.pick(names))) });
}

const headers = (random: Random): object =>
  defined({ request: one(random, 2, () => operations(random, CHANGED, true)), response: one(random, 2, () => operations(random, CHANGED_BACK)) });

function match(random: Random, uri = pathMatch(random)): object {
  const byName = (names: readonly string[], make: () => object): object => Object.fromEntries(several(random, 2, () => [random.pick(names), make()]));
  const presenceOr = (): object => (random.below(4) === 0 ? {} : valueMatch(random));
  return defined({
    uri: one(random, 2, () => uri),
    ignoreUriCase: one(random, 4, () => random.below(2) === 0),
    method: one(random, 5, () => stringMatch(random, METHODS, ['P.*', 'GET|HEAD'])),
    scheme: one(random, 12, () => stringMatch(random, ['http', 'https'], ['https?'])),
    authority: one(random, 8, () => stringMatch(random, [...HOSTS, 'h1', ...AUTHORITIES, '127.0.0.1'], ['.*:80', 'h[0-9].*', '(?i)H.*'])),
    headers: one(random, 4, () => byName(HEADERS, presenceOr)),
    withoutHeaders: one(random, 6, () => byName(HEADERS, presenceOr)),
    queryParams: one(random, 4, () => byName([queryName(random), queryName(random)], presenceOr)),
    port: one(random, 12, () => random.pick([80, 8080])),
    sourceLabels: one(random, 12, () => ({ app: random.pick(['web', 'other']) })),
    name: one(random, 8, () => 'm'),
  });
}

const destination = (random: Random, host: string, subset = random.pick(VERSIONS)): object =>
  random.below(8) === 0
    ? { host: random.pick(HOSTS), port: { number: random.pick([80, 8080]) } }
    : defined({ host, subset, port: one(random, 4, () => ({ number: random.pick([80, 8080]) })) });

function forwarding(random: Random, host: string): object {
  const target = (subset?: string): object => defined({ destination: destination(random, host, subset), headers: one(random, 3, () => headers(random)) });
  if (random.below(5) > 0) return { route: [target()] };
  const shares = random.pick([
    [1, 1],
    [0, 100],
    [100, 0, 0],
    [30, 70],
  ]);
  return { route: shares.map((weight, i) => ({ ...target(VERSIONS[i]), weight })) };
}

function retries(random: Random): object {
  const attempts = random.below(4);
  if (attempts === 0) return { attempts };
  const conditions = [
    '5xx',
    'gateway-error',
    'reset',
    'connect-failure',
    'retriable-4xx',
    'refused-stream',
    '503',
    '404',
    'retriable-status-codes',
    'reset-before-request',
    'unavailable',
    'cancelled,internal',
    'deadline-exceeded,resource-exhausted',
  ];
  return defined({
    attempts,
    retryOn: one(random, 2, () => several(random, 3, () => random.pick(conditions)).join(',')),
    backoff: '5ms',
    retryIgnorePreviousHosts: one(random, 3, () => random.below(2) === 0),
  });
}

const ORIGINS = ['https://shop.example.com', 'http://a.test', 'null', '*'];
const cors = (random: Random): object =>
  defined({
    allowOrigins: one(random, 1, () => several(random, 2, () => stringMatch(random, ORIGINS, ['https://[a-z]+\\.example\\.com', '.*']))),
    allowMethods: one(random, 2, () => several(random, 3, () => random.pick(['GET', 'POST', '*', 'PUT']))),
    allowHeaders: one(random, 2, () => several(random, 2, () => random.pick(['x-a', 'X-B']))),
    exposeHeaders: one(random, 2, () => several(random, 2, () => random.pick(['x-out', 'X-A']))),
    maxAge: one(random, 2, () => random.pick(['24h', '1s', '90s'])),
    allowCredentials: one(random, 2, () => random.below(2) === 0),
    unmatchedPreflights: one(random, 2, () => random.pick(['IGNORE', 'FORWARD'])),
  });

const redirect = (random: Random, prefixed: boolean): object => {
  const port = random.below(2) === 0 ? { port: random.pick([80, 443, 8443]) } : { derivePort: random.pick(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT']) };
  return defined({
    ...(prefixed
      ? { prefixRewrite: rewritten(random) || '/p' }
      : random.below(2) === 0
        ? { uri: rewritten(random) || '/u' }
        : { authority: random.pick(AUTHORITIES) }),
    scheme: random.pick(['http', 'https', '', undefined]),
    redirectCode: one(random, 2, () => random.pick([301, 302, 303, 307, 308])),
    ...(random.below(2) === 0 ? port : {}),
  });
};

function rewrite(random: Random): object {
  const regex = (): object => ({
    uriRegexRewrite: {
      match: random.pick(['^/a(.*)$', '/([^/]+)/(.*)', 'a', '[a-z]+', '(b)?', '%', '^/.*', '\\.', '/+']),
      rewrite: random.pick(['/x\\1', '/\\2/\\1', 'z', '\\0', '/', '/x?y=\\0', '\\\\']),
    },
  });
  return defined({ ...(random.below(2) === 0 ? regex() : { uri: rewritten(random) || '/w' }), authority: one(random, 3, () => random.pick(AUTHORITIES)) });
}

const fault = (random: Random): object =>
  defined({
    delay: one(random, 3, () => ({ fixedDelay: '20ms', percentage: { value: random.pick([0, 100]) } })),
    abort: one(random, 1, () => ({
      ...(random.below(4) === 0 ? { grpcStatus: random.pick(['UNAVAILABLE', 'NOT_FOUND', 'OK']) } : { httpStatus: random.pick([200, 418, 503]) }),
      percentage: { value: random.pick([0, 100, 100]) },
    })),
  });

function rule(random: Random, host: string, delegates: readonly string[], mirrored: boolean, last: boolean): object {
  const kind = random.below(12);
  const prefixed = kind === 0 && random.below(2) === 0;
  const matches =
    last && random.below(2) === 0 ? undefined : several(random, 3, () => match(random, prefixed ? { prefix: prefix(random) } : pathMatch(random)));
  const common = defined({
    name: one(random, 3, () => random.pick(['one', 'two'])),
    match: matches,
    headers: one(random, 2, () => headers(random)),
    corsPolicy: one(random, 6, () => cors(random)),
  });
  if (kind <= 1) return { ...common, redirect: redirect(random, prefixed) };
  if (kind === 2)
    return {
      ...common,
      directResponse: defined({
        status: random.pick([200, 302, 404, 418, 503, 599]),
        body: one(random, 2, () => ({ string: random.pick(['said', '', 'x'.repeat(5_000), '{"a":1}', '%REQ(x-a)%']) })),
      }),
    };
  if (kind === 3 && delegates.length > 0) return { ...common, delegate: { name: random.pick(delegates) } };
  return defined({
    ...common,
    ...forwarding(random, host),
    rewrite: one(random, 3, () => rewrite(random)),
    fault: one(random, 6, () => fault(random)),
    timeout: one(random, 4, () => random.pick(['300ms', '20s'])),
    retries: one(random, 4, () => retries(random)),
    ...(mirrored && random.below(4) === 0
      ? { mirrors: several(random, 2, () => ({ destination: { host, subset: random.pick(VERSIONS) }, percentage: { value: random.pick([0, 100]) } })) }
      : {}),
  });
}

const rules = (random: Random, host: string, delegates: readonly string[], mirrored: boolean): object[] => {
  const count = 1 + random.below(5);
  return Array.from({ length: count }, (_, i) => rule(random, host, delegates, mirrored, i === count - 1));
};

function destinationRule(random: Random, host: string, mirrored: boolean): object {
  const hash = (): object => ({
    consistentHash: {
      ...(mirrored
        ? { useSourceIp: true }
        : random.pick([{ httpHeaderName: 'x-a' }, { httpQueryParameterName: 'q' }, { useSourceIp: true }, { httpCookie: { name: 'a', ttl: '0s' } }])),
      ...random.pick([{}, { maglev: { tableSize: 101 } }, { ringHash: { minimumRingSize: 64 } }]),
    },
  });
  // Without subset a host is all its applications: which one must not be chance.
  const policy = {
    loadBalancer: hash(),
    ...(random.below(4) === 0
      ? { connectionPool: { http: random.pick([{ h2UpgradePolicy: 'UPGRADE' }, { maxRetries: 1 }, { maxRequestsPerConnection: 1 }]) } }
      : {}),
  };
  return {
    host,
    trafficPolicy: policy,
    subsets: VERSIONS.map((version) =>
      defined({ name: version, labels: { version }, trafficPolicy: one(random, 6, () => ({ connectionPool: { http: { h2UpgradePolicy: 'UPGRADE' } } })) }),
    ),
  };
}

/** Manifests of the hosts and what is said of them. `gateway`: that of a gateway proxy. */
export function mesh(random: Random, gateway: boolean, mirrored: boolean): Manifest[] {
  return [...HOSTS.flatMap((host, i) => ofHost(random, host, `h${i}`, gateway, mirrored)), ...policies(random)];
}

function ofHost(random: Random, host: string, name: string, gateway: boolean, mirrored: boolean): Manifest[] {
  const entry = {
    hosts: [host],
    resolution: 'STATIC',
    ports: [
      { number: 80, name: 'http', protocol: 'HTTP' },
      { number: 8080, name: 'http2', protocol: 'HTTP2' },
    ],
    endpoints: VERSIONS.map((version, i) => ({
      address: '127.0.0.1',
      labels: { version },
      ports: { http: `$PORT(${'abc'[i]})`, http2: `$PORT(${'abc'[i]})` },
    })),
  };
  const delegates = random.below(2) === 0 ? [`${name}-more`] : [];
  const bound = gateway ? { gateways: ['gw'] } : {};
  const hosts = random.below(3) === 0 ? [host, `*.${host}`] : [host];
  const parent = gateway ? { name: 'api' } : { group: 'networking.istio.io', kind: 'ServiceEntry', name };
  const routed: Manifest[] =
    random.below(3) === 0
      ? [
          [
            'gateway.networking.k8s.io/v1 HTTPRoute',
            name,
            { parentRefs: [parent], ...(gateway ? { hostnames: [host] } : {}), rules: several(random, 4, () => apiRule(random, mirrored)) },
          ],
        ]
      : [
          ['VirtualService', name, { hosts, ...bound, http: rules(random, host, delegates, mirrored) }],
          ...delegates.map((d): Manifest => ['VirtualService', d, { http: rules(random, host, [], mirrored) }]),
        ];
  return [['ServiceEntry', name, entry], ['DestinationRule', name, destinationRule(random, host, mirrored)], ...routed];
}
