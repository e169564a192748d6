// Istio's own code and ours on the same extension providers and CUSTOM policies: the same filters, in the same order, also where
// nobody can be asked.

import fc from 'fast-check';
import { afterAll, test } from 'vitest';
import type { MeshObject } from '@weft/mesh-core/model';
import { IstioOracle, oracleBinary } from './istio-oracle.ts';
import { customRule, expectSameFilters, maybe, policy, rule, several } from './policies.ts';

const binary = oracleBinary();
const oracle = binary === undefined ? undefined : new IstioOracle(binary);
afterAll(() => oracle?.close());

const HOST = 'authz.foo.svc.cluster.local';
/** Mostly what works: one that does not is enough to deny. */
const mostly = <T>(good: T[], ...bad: T[]): fc.Arbitrary<T> => fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...good) }, fc.constantFrom(...bad, ...good));
const headers = (...bad: string[]): fc.Arbitrary<string[] | undefined> => maybe(fc.array(mostly(['a', 'X-b', 'x-*', '*-y'], ...bad), { maxLength: 3 }));
const check = {
  service: mostly(
    [HOST, `foo/${HOST}`],
    'authz',
    'bar/authz.bar.svc.cluster.local',
    `bar/${HOST}`,
    `*/${HOST}`,
    `foo/authz`,
    '',
    'x.test',
    'two.test',
    'foo/two.test',
  ),
  port: mostly([9000, 9001], 0, 70_000),
  timeout: maybe(fc.constantFrom('10s', '0.25s', '0s')),
  failOpen: maybe(fc.boolean()),
  statusOnError: maybe(mostly(['403', '503', '+403', '0404'], '299', 'x', '-1', '999')),
  includeRequestBodyInCheck: maybe(fc.constantFrom({ maxRequestBytes: 10 }, { maxRequestBytes: 20, allowPartialMessage: true, packAsBytes: true })),
};
const http = fc.record({
  ...check,
  pathPrefix: maybe(mostly(['/check', '/a%20b', ''], 'check', '/%zz')),
  includeRequestHeadersInCheck: headers('*'),
  includeHeadersInCheck: headers('*'),
  includeAdditionalHeadersInCheck: maybe(fc.constantFrom({ 'x-b': '1', 'x-a': '2' }, {})),
  headersToUpstreamOnAllow: headers('*'),
  headersToDownstreamOnDeny: headers('*'),
  headersToDownstreamOnAllow: headers('*'),
});
const name = mostly(['p', 'p', 'p', 'q'], 'Upper', 'a_b', 'x'.repeat(64));
const provider = fc.oneof(
  fc.record({ name, envoyExtAuthzHttp: http }),
  fc.record({ name, envoyExtAuthzGrpc: fc.record(check) }),
  fc.record({ name, envoyFileAccessLog: fc.constant({ path: '/dev/stdout' }) }),
);
const selector = fc.constantFrom(undefined, { matchLabels: { app: 'a' } }, { matchLabels: { app: 'b' } });
const custom = fc.record({
  action: fc.constant('CUSTOM'),
  provider: fc.record({ name }),
  selector,
  rules: fc.array(customRule, { minLength: 1, maxLength: 2 }),
});
const other = fc.record({ action: fc.constantFrom('ALLOW', 'DENY', 'AUDIT'), selector, rules: fc.array(rule, { minLength: 1, maxLength: 1 }) });

const object = (apiVersion: string, kind: string, namespace: string, of: { name: string } & Record<string, unknown>): MeshObject => {
  const { name: called, ...rest } = of;
  return { apiVersion, kind, metadata: { name: called, namespace }, ...rest } as unknown as MeshObject;
};
const service = (called: string, namespace: string, clusterIP: string): MeshObject =>
  object('v1', 'Service', namespace, {
    name: called,
    spec: {
      clusterIP,
      ports: [
        { name: 'http', port: 9000 },
        { name: 'grpc', port: 9001 },
      ],
    },
  });
const entry = (namespace: string): MeshObject =>
  object('networking.istio.io/v1', 'ServiceEntry', namespace, {
    name: 'two',
    spec: { hosts: ['two.test'], ports: [{ number: 9000, name: 'grpc', protocol: 'GRPC' }], resolution: 'DNS' },
  });
/** At the top for Istio, under `spec` for us. */
const meshConfig = (extensionProviders: readonly unknown[]): MeshObject => {
  const data = { mesh: JSON.stringify({ extensionProviders }) };
  return object('v1', 'ConfigMap', 'istio-system', { name: 'istio', data, spec: { data } });
};
const token = object('security.istio.io/v1', 'RequestAuthentication', 'foo', { name: 'token', spec: { jwtRules: [{ issuer: 'i', jwks: '{"keys":[]}' }] } });

test.skipIf(oracle === undefined)('the same filters, on HTTP and on TCP', { timeout: 120_000 }, async () => {
  const list = fc.tuple(
    fc.array(provider, { maxLength: 3 }),
    fc.array(custom, { minLength: 1, maxLength: 3 }),
    maybe(other),
    fc.boolean(),
    several('foo', 'bar'),
  );
  await fc.assert(
    fc.asyncProperty(list, async ([extensionProviders, policies, local, tokens, homes]) => {
      await expectSameFilters(oracle as IstioOracle, [
        service('authz', 'foo', '10.9.0.2'),
        service('authz', 'bar', '10.9.0.3'),
        ...homes.map(entry),
        meshConfig(extensionProviders),
        ...policies.map((spec, i) => policy(`p${i}`, JSON.parse(JSON.stringify(spec)))),
        ...(local === undefined ? [] : [policy('local', JSON.parse(JSON.stringify(local)))]),
        ...(tokens ? [token] : []),
      ]);
    }),
    { numRuns: Number(process.env['WEFT_ORACLE_RUNS'] ?? 60), endOnFailure: true },
  );
});
