// Random small meshes for the comparison with Istio: three services on two ports, DestinationRules, VirtualServices that get
// in each other's way.

import fc from 'fast-check';
import type { MeshObject } from '@weft/mesh-core/model';

export const NAMESPACE = 'shop';
const SERVICES = ['a', 'b', 'c'] as const;
export const PORTS = [80, 8080] as const;
const SUFFIX = 'shop.svc.cluster.local';

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined, freq: 2 });
export const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 1, arbitrary }, { weight: 2, arbitrary: fc.constant(undefined) });
/** A record without its undefined fields. */
export const record = (fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(fields).map((o) => Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined)));

const PATHS = ['/', '/api', '/api/v1', '/apix', '/API', '/x?q=1&p=2', '/y?q=other'] as const;
const uri = fc.oneof(
  fc.constantFrom('/api', '/api/v1', '/').map((prefix) => ({ prefix })),
  fc.constantFrom('/api', '/x', '/').map((exact) => ({ exact })),
  fc.constantFrom('/api.*', '.*', '/[xy]').map((regex) => ({ regex })),
);
const text = fc.oneof(
  fc.constantFrom('one', 'two').map((exact) => ({ exact })),
  fc.constantFrom('on', 't').map((prefix) => ({ prefix })),
  fc.constantFrom('o.*', 'two|one', '*').map((regex) => ({ regex })),
  fc.constant({}),
);
const strict = fc.oneof(
  fc.constantFrom('GET', 'POST').map((exact) => ({ exact })),
  fc.constantFrom('G.*').map((regex) => ({ regex })),
);
const match = record({
  name: rarely(fc.constantFrom('m1', 'm2')),
  uri: maybe(uri),
  ignoreUriCase: rarely(fc.boolean()),
  method: rarely(strict),
  authority: rarely(fc.constantFrom({ prefix: 'a' }, { exact: 'b' }, { regex: '.*svc.*' })),
  scheme: rarely(fc.constantFrom({ exact: 'http' }, { exact: 'https' })),
  headers: rarely(fc.dictionary(fc.constantFrom('x-a', 'X-B'), text, { minKeys: 1, maxKeys: 2 })),
  withoutHeaders: rarely(fc.dictionary(fc.constantFrom('x-a', 'x-c'), text, { minKeys: 1, maxKeys: 1 })),
  queryParams: rarely(fc.dictionary(fc.constantFrom('q', 'p'), text, { minKeys: 1, maxKeys: 1 })),
  port: rarely(fc.constantFrom(...PORTS)),
  sourceLabels: rarely(fc.constantFrom({ app: 'client' }, { app: 'other' }, {})),
  sourceNamespace: rarely(fc.constantFrom(NAMESPACE, 'other')),
  gateways: rarely(fc.constantFrom(['mesh'], ['gw'], ['edge/gw', 'mesh'])),
  statPrefix: rarely(fc.constant('stat')),
});
const destination = record({
  host: fc.constantFrom('a', `b.${SUFFIX}`, 'c', 'nowhere'),
  subset: rarely(fc.constantFrom('v1', 'v2', 'v9')),
  port: rarely(fc.constantFrom(...PORTS).map((number) => ({ number }))),
});
const operations = record({
  set: rarely(fc.dictionary(fc.constantFrom('x-set', 'Host', ':path', 'a-first'), fc.constantFrom('1', '%PROTOCOL%'), { maxKeys: 2 })),
  add: rarely(fc.dictionary(fc.constantFrom('x-add', 'x-set'), fc.constant('2'), { maxKeys: 2 })),
  remove: rarely(fc.constantFrom(['x-gone'], ['x-gone', 'x-set'])),
});
const headers = record({ request: maybe(operations), response: rarely(operations) });
const percentage = fc.constantFrom(0, 0.5, 33.3, 100).map((value) => ({ value }));
const duration = fc.constantFrom('1s', '250ms', '1m30s');

const forwarding = record({
  route: fc.array(record({ destination, weight: maybe(fc.constantFrom(0, 1, 30, 70)), headers: rarely(headers) }), { minLength: 1, maxLength: 3 }),
  rewrite: rarely(
    fc.oneof(
      fc.constantFrom({ uri: '/new' }, { authority: 'rewritten' }, { uri: '/n', authority: 'r' }, { uriRegexRewrite: { match: '^/(.)', rewrite: '/\\1x' } }),
    ),
  ),
  timeout: rarely(fc.oneof(duration, fc.constant('0s'))),
  retries: rarely(
    record({
      attempts: fc.constantFrom(0, 1, 5),
      perTryTimeout: rarely(duration),
      retryOn: rarely(fc.constantFrom('5xx', 'reset,503', '404, 5xx,retriable-status-codes')),
      retryRemoteLocalities: rarely(fc.boolean()),
      retryIgnorePreviousHosts: rarely(fc.boolean()),
      backoff: rarely(duration),
    }),
  ),
  fault: rarely(
    fc.oneof(
      record({ delay: record({ fixedDelay: duration, percentage: maybe(percentage) }) }),
      record({ abort: record({ httpStatus: fc.constantFrom(418, 503), percentage: maybe(percentage) }) }),
      record({ abort: record({ grpcStatus: fc.constantFrom('UNAVAILABLE', 'NOT_FOUND'), percentage }) }),
    ),
  ),
  mirror: rarely(destination),
  mirrorPercentage: rarely(percentage),
  corsPolicy: rarely(
    record({
      allowOrigins: fc.constantFrom([{ exact: 'http://x' }], [{ prefix: 'http' }, { regex: '.*y' }]),
      allowMethods: rarely(fc.constant(['GET', 'POST'])),
      allowHeaders: rarely(fc.constant(['x-a'])),
      exposeHeaders: rarely(fc.constant(['x-b', 'x-c'])),
      maxAge: rarely(fc.constant('60s')),
      allowCredentials: rarely(fc.boolean()),
      unmatchedPreflights: rarely(fc.constantFrom('IGNORE', 'FORWARD')),
    }),
  ),
});
const redirecting = fc
  .tuple(
    record({
      uri: maybe(fc.constant('/moved')),
      authority: maybe(fc.constant('elsewhere')),
      scheme: rarely(fc.constantFrom('https', 'http')),
      redirectCode: rarely(fc.constantFrom(301, 302, 303, 307, 308)),
    }),
    fc.constantFrom({}, { port: 80 }, { port: 443 }, { port: 9000 }, { derivePort: 'FROM_PROTOCOL_DEFAULT' }, { derivePort: 'FROM_REQUEST_PORT' }),
  )
  .map(([where, port]) => ({ redirect: { ...where, ...port } }));
const answering = record({ directResponse: record({ status: fc.constantFrom(200, 503), body: maybe(fc.constant({ string: 'hi' })) }) });
const delegating = record({ delegate: fc.constantFrom({ name: 'leaf' }, { name: 'leaf', namespace: 'other' }, { name: 'missing' }) });
const rule = fc
  .tuple(
    record({ name: rarely(fc.constantFrom('r1', 'r2')), match: maybe(fc.array(match, { minLength: 1, maxLength: 2 })), headers: rarely(headers) }),
    fc.oneof(
      { weight: 8, arbitrary: forwarding },
      { weight: 1, arbitrary: redirecting },
      { weight: 1, arbitrary: answering },
      { weight: 1, arbitrary: delegating },
    ),
  )
  .map(([conditions, action]) => ({ ...conditions, ...action }));
const leafRule = fc
  .tuple(record({ name: rarely(fc.constant('leaf')), match: maybe(fc.array(match, { minLength: 1, maxLength: 2 })) }), forwarding)
  .map(([conditions, action]) => ({ ...conditions, ...action }));

export const time = fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z');
const exportTo = rarely(fc.constantFrom(['.'], ['*'], [NAMESPACE], ['~'], ['.', NAMESPACE], ['other']));
export const object = (apiVersion: string, kind: string, namespace: string, name: string, spec: unknown, creationTimestamp?: string): MeshObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace, ...(creationTimestamp === undefined ? {} : { creationTimestamp }) },
  spec,
});
const virtualService = (hosts: fc.Arbitrary<string[]>, gateways: fc.Arbitrary<string[] | undefined>): fc.Arbitrary<(name: string) => MeshObject> =>
  fc
    .tuple(record({ hosts, gateways, exportTo, http: fc.array(rule, { minLength: 1, maxLength: 3 }) }), fc.constantFrom(NAMESPACE, NAMESPACE, 'other'), time)
    .map(
      ([spec, namespace, created]) =>
        (name) =>
          object('networking.istio.io/v1', 'VirtualService', namespace, name, spec, created),
    );
const leaf = (namespace: string): fc.Arbitrary<MeshObject> =>
  record({ http: fc.array(leafRule, { minLength: 1, maxLength: 2 }), exportTo }).map((spec) =>
    object('networking.istio.io/v1', 'VirtualService', namespace, 'leaf', spec),
  );
const hash = fc.constantFrom(
  { httpHeaderName: 'x-user' },
  { httpCookie: { name: 'c', ttl: '0s' } },
  { httpCookie: { name: 'c', path: '/p' } },
  { useSourceIp: true },
  { httpQueryParameterName: 'q' },
);
const policy = record({ loadBalancer: maybe(hash.map((consistentHash) => ({ consistentHash }))), outlierDetection: fc.constant({}) });
const destinationRule = record({
  trafficPolicy: maybe(
    fc.tuple(policy, maybe(hash)).map(([p, onPort]) => ({
      ...p,
      ...(onPort === undefined ? {} : { portLevelSettings: [{ port: { number: 8080 }, loadBalancer: { consistentHash: onPort } }] }),
    })),
  ),
  subsets: fc
    .tuple(maybe(policy), maybe(policy))
    .map((policies) =>
      policies.map((trafficPolicy, i) => ({ name: `v${i + 1}`, labels: { version: `v${i + 1}` }, ...(trafficPolicy === undefined ? {} : { trafficPolicy }) })),
    ),
}).map((spec) => object('networking.istio.io/v1', 'DestinationRule', NAMESPACE, 'a', { host: 'a', ...spec }));

export const services = SERVICES.map((name) =>
  object('v1', 'Service', NAMESPACE, name, { selector: { app: name }, ports: PORTS.map((port) => ({ name: `http-${port}`, port })) }),
);

const SIDECAR_HOSTS = ['a', `b.${SUFFIX}`, `*.${SUFFIX}`, '*.cluster.local', 'foreign.test', '*.wild.test'] as const;
const GATEWAY_HOSTS = ['one.test', '*.test', '*', 'two.test'] as const;
const hostList = (hosts: readonly string[]): fc.Arbitrary<string[]> => fc.uniqueArray(fc.constantFrom(...hosts), { minLength: 1, maxLength: 2 });

/** What sidecars of `NAMESPACE` see. */
export const sidecarWorld: fc.Arbitrary<MeshObject[]> = fc
  .tuple(
    fc.array(virtualService(hostList(SIDECAR_HOSTS), rarely(fc.constantFrom(['mesh'], ['mesh', 'gw'], ['gw']))), { minLength: 1, maxLength: 3 }),
    leaf(NAMESPACE),
    leaf('other'),
    destinationRule,
  )
  .map(([list, ...others]) => [...services, ...list.map((make, i) => make(`vs${i}`)), ...others]);

// Istio makes a virtual host for the literal text `ns/host` where such a server redirects to https, which no request can meet.
const server = fc
  .oneof(
    hostList(['one.test', '*.test', '*', './two.test', 'shop/*.test', 'other/*']).map((hosts) => ({ hosts })),
    hostList(['one.test', '*.test', '*']).map((hosts) => ({ hosts, tls: { httpsRedirect: true } })),
  )
  .map((hosts) => ({ port: { number: 80, name: 'http', protocol: 'HTTP' }, ...hosts }));

/** What a gateway proxy of `NAMESPACE` sees. */
export const gatewayWorld: fc.Arbitrary<MeshObject[]> = fc
  .tuple(
    fc.array(virtualService(hostList(GATEWAY_HOSTS), fc.constantFrom(['gw'], ['shop/gw', 'mesh'], ['gw.shop.svc.cluster.local'])), {
      minLength: 1,
      maxLength: 3,
    }),
    leaf(NAMESPACE),
    destinationRule,
    server,
  )
  .map(([list, l, rules, s]) => [
    ...services,
    ...list.map((make, i) => make(`vs${i}`)),
    l,
    rules,
    object('networking.istio.io/v1', 'Gateway', NAMESPACE, 'gw', { selector: { istio: 'ingressgateway' }, servers: [s] }),
  ]);

const pathModifier = fc.constantFrom(
  { type: 'ReplaceFullPath', replaceFullPath: '/full' },
  { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' },
  { type: 'ReplacePrefixMatch', replacePrefixMatch: '/p/' },
);
const backendRef = fc.record({ name: fc.constantFrom('a', 'b', 'nowhere'), port: fc.constantFrom(...PORTS), weight: fc.constantFrom(0, 1, 1, 5) });
const headerModifier = record({
  set: rarely(fc.constant([{ name: 'x-set', value: '1' }])),
  add: rarely(fc.constant([{ name: 'x-add', value: '2' }])),
  remove: rarely(fc.constant(['x-gone'])),
});
const meshFilter = fc.oneof(
  headerModifier.map((requestHeaderModifier) => ({ type: 'RequestHeaderModifier', requestHeaderModifier })),
  headerModifier.map((responseHeaderModifier) => ({ type: 'ResponseHeaderModifier', responseHeaderModifier })),
  record({ hostname: rarely(fc.constant('h.test')), path: rarely(pathModifier) }).map((urlRewrite) => ({ type: 'URLRewrite', urlRewrite })),
);
const meshMatch = record({
  path: fc.oneof(
    fc.constantFrom('/', '/api', '/api/v1', '/api/').map((value) => ({ type: 'PathPrefix', value })),
    fc.constantFrom('/x', '/api').map((value) => ({ type: 'Exact', value })),
    fc.constantFrom('/[xy]', '/api.*').map((value) => ({ type: 'RegularExpression', value })),
  ),
  method: rarely(fc.constantFrom('GET', 'POST')),
  headers: rarely(fc.constantFrom([{ type: 'Exact', name: 'x-a', value: 'one' }], [{ type: 'RegularExpression', name: 'x-b', value: 't.*' }])),
  queryParams: rarely(fc.constant([{ type: 'Exact', name: 'q', value: '1' }])),
});
const meshRule = fc
  .tuple(
    fc.array(meshMatch, { minLength: 1, maxLength: 2 }),
    fc.oneof(
      {
        weight: 4,
        arbitrary: record({
          filters: rarely(fc.uniqueArray(meshFilter, { maxLength: 3, selector: (f) => f.type })),
          backendRefs: fc.array(backendRef, { maxLength: 3 }),
          timeouts: rarely(record({ request: rarely(fc.constantFrom('1s', '0s')), backendRequest: rarely(fc.constant('500ms')) })),
          retry: rarely(record({ attempts: rarely(fc.constantFrom(1, 3)), codes: rarely(fc.constant([503, 429])), backoff: rarely(fc.constant('1s')) })),
        }),
      },
      {
        weight: 1,
        arbitrary: record({
          scheme: rarely(fc.constantFrom('http', 'https')),
          hostname: rarely(fc.constant('h.test')),
          port: rarely(fc.constantFrom(80, 443, 9000)),
          path: rarely(pathModifier),
          statusCode: fc.constantFrom(301, 302),
        }).map((requestRedirect) => ({ filters: [{ type: 'RequestRedirect', requestRedirect }] })),
      },
    ),
  )
  .map(([matches, action]) => ({ matches, ...action }))
  // A prefix can only be replaced where there is one.
  .filter(
    ({ matches, ...action }) =>
      !JSON.stringify(action).includes('replacePrefixMatch') || (matches.length === 1 && JSON.stringify(matches).includes('PathPrefix')),
  );
const meshRoute = fc
  .tuple(
    fc.array(meshRule, { minLength: 1, maxLength: 3 }),
    fc.constantFrom('a', 'b', 'p'),
    fc.constantFrom(undefined, ...PORTS),
    fc.constantFrom(NAMESPACE, 'other'),
    time,
  )
  .map(([rules, service, port, namespace, created]) => (name: string) => {
    const owner = service === 'p' ? 'other' : NAMESPACE;
    const parent = { group: '', kind: 'Service', name: service, namespace: owner, ...(port === undefined ? {} : { port }) };
    return object('gateway.networking.k8s.io/v1', 'HTTPRoute', namespace, name, { parentRefs: [parent], rules }, created);
  });

/** HTTPRoutes on Services, of the Services' own namespaces and of clients. */
export const meshRouteWorld: fc.Arbitrary<MeshObject[]> = fc
  .array(meshRoute, { minLength: 1, maxLength: 3 })
  .map((list) => [
    ...services,
    object('v1', 'Service', 'other', 'p', { selector: { app: 'p' }, ports: PORTS.map((port) => ({ name: `http-${port}`, port })) }),
    ...list.map((make, i) => make(`r${i}`)),
  ]);

const CALL_HEADERS = [{}, { 'x-a': 'one' }, { 'x-b': 'two', 'x-c': 'three' }] as const;
export interface WorldCall {
  host: string;
  port: number;
  path: string;
  method: string;
  headers: Readonly<Record<string, string>>;
  /** Over TLS to this name. */
  sni?: string;
}
export const callsTo = (hosts: readonly string[], ports: readonly number[]): WorldCall[] =>
  hosts.flatMap((host) =>
    ports.flatMap((port) =>
      PATHS.flatMap((path, i) => CALL_HEADERS.map((headers, j) => ({ host, port, path, headers, method: (i + j) % 3 === 0 ? 'POST' : 'GET' }))),
    ),
  );
export const SIDECAR_CALLS = [...callsTo(['a', `b.${SUFFIX}`, 'c.shop'], PORTS), ...callsTo(['foreign.test', 'x.wild.test', 'unknown.example'], [80])];
export const MESH_ROUTE_CALLS = callsTo(['a', 'b', 'p.other'], PORTS);
export const GATEWAY_CALLS = callsTo(['one.test', 'two.test', 'x.test', 'other.example'], [80]);
