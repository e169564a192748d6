// Istio's own code and ours on the same AuthorizationPolicies: the same refused, and for those that are taken the same filters.

import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { validateObject } from '@weft/mesh-core/config';
import { IstioOracle, oracleBinary } from './istio-oracle.ts';
import { expectSameFilters, policy, rule, text } from './policies.ts';

const binary = oracleBinary();
const oracle = binary === undefined ? undefined : new IstioOracle(binary);
afterAll(() => oracle?.close());

const from = (source: unknown): object => ({ rules: [{ from: [{ source }] }] });
const to = (operation: unknown): object => ({ rules: [{ to: [{ operation }] }] });
const when = (key: string, values: unknown, notValues?: unknown): object => ({ rules: [{ when: [{ key, values, notValues }] }] });

/** Good and bad specs; what differs on purpose (targets) is in the corpus' test. */
const asked = (rule: unknown): object => ({ action: 'CUSTOM', provider: { name: 'x' }, rules: [rule] });
const SPECS: readonly unknown[] = [
  ...[
    { action: 'CUSTOM' },
    { action: 'CUSTOM', rules: [] },
    { action: 'CUSTOM', rules: [{}] },
    { action: 'CUSTOM', provider: { name: '' }, rules: [{}] },
    { action: 'CUSTOM', provider: { name: 'x' } },
    asked({}),
    asked({ from: [{ source: { ipBlocks: ['1.2.3.4'], notRemoteIpBlocks: ['1.2.3.4'] } }], to: [{ operation: { paths: ['/{*}'] } }] }),
    asked({ when: [{ key: 'request.headers[a]', values: ['b'] }] }),
    asked({ when: [{ key: 'source.ip', values: ['1.2.3.4'] }] }),
    asked({ when: [{ key: 'connection.sni', values: ['b'] }] }),
    asked({ when: [{ key: 'experimental.envoy.filters.a[b]', values: ['b'] }] }),
  ],
  ...['principals', 'requestPrincipals', 'namespaces', 'serviceAccounts', 'trustDomains'].flatMap((field) => [
    asked({ from: [{ source: { [field]: ['a'] } }] }),
    asked({ from: [{ source: { [`not${field.charAt(0).toUpperCase()}${field.slice(1)}`]: ['a'] } }] }),
    asked({ from: [{ source: { [field]: [], ipBlocks: ['1.2.3.4'] } }] }),
  ]),
  ...['source.namespace', 'source.serviceAccount', 'source.trustDomain', 'source.principal', 'request.auth.principal', 'request.auth.claims[a]'].map((key) =>
    asked({ when: [{ key, values: ['a'] }] }),
  ),
  ...[
    {},
    { action: 'DENY' },
    { action: 'DENY', rules: [] },
    { action: 'DENY', rules: [{}] },
    { action: 'AUDIT' },
    { action: 'LOG' },
    { rules: [] },
    { rule: [] },
  ],
  ...[
    { selector: {} },
    { selector: { matchLabels: { 'a*': 'b' } } },
    { selector: { matchLabels: { a: '*' } } },
    { provider: { name: 'x' } },
    { rules: [{ from: [] }] },
  ],
  ...[
    { rules: [{ to: [] }] },
    { rules: [{ when: [] }] },
    { rules: [{ from: [{}] }] },
    { rules: [{ to: [{}] }] },
    from({}),
    to({}),
    from({ principals: [] }),
    to({ paths: [] }),
  ],
  ...[from({ principals: ['a', '*', '*a', 'a*', 'a*b'] }), from({ principals: [''] }), from({ notPrincipals: [''] }), from({ requestPrincipals: [''] })],
  ...[from({ namespaces: ['a*b', '*'] }), from({ notNamespaces: [''] }), from({ serviceAccounts: ['a', 'a/b'] }), from({ serviceAccounts: ['a/b/c'] })],
  ...[
    from({ serviceAccounts: ['/b'] }),
    from({ serviceAccounts: ['b/'] }),
    from({ serviceAccounts: ['b*'] }),
    from({ serviceAccounts: ['a'], principals: ['a'] }),
  ],
  ...[
    from({ serviceAccounts: ['a'], notNamespaces: ['a'] }),
    from({ serviceAccounts: ['a'], ipBlocks: ['1.2.3.4'] }),
    from({ serviceAccounts: Array(17).fill('a') }),
  ],
  ...[
    from({ notServiceAccounts: ['x'.repeat(321)] }),
    from({ trustDomains: ['a', '*', 'a*', '*a'] }),
    from({ trustDomains: ['a*b'] }),
    from({ trustDomains: ['**'] }),
  ],
  ...[
    from({ trustDomains: ['a/b'] }),
    from({ ipBlocks: ['1.2.3.4', '1.2.3.0/24', '::1', 'fe80::/10'] }),
    from({ ipBlocks: ['1.2.3'] }),
    from({ ipBlocks: ['1.2.3.4/33'] }),
  ],
  ...[
    from({ ipBlocks: ['01.2.3.4'] }),
    from({ remoteIpBlocks: ['1.2.3.4/'] }),
    from({ notRemoteIpBlocks: ['a'] }),
    from({ remoteIpBlocks: [''] }),
    from({ unknown: ['a'] }),
  ],
  ...[
    to({ hosts: ['a', '*.a', 'a.*', '*'] }),
    to({ hosts: [''] }),
    to({ ports: ['0', '65535'] }),
    to({ ports: ['65536'] }),
    to({ ports: ['-1'] }),
    to({ ports: ['http'] }),
    to({ ports: [80] }),
  ],
  ...[
    to({ methods: ['get'] }),
    to({ notMethods: [''] }),
    to({ paths: ['/a', '*', '/a*', '*/a', 'a'] }),
    to({ paths: ['/{*}', '/a/{*}/b/{**}'] }),
    to({ paths: ['/{**}/{*}'] }),
  ],
  ...[
    to({ paths: ['/{**}/{**}'] }),
    to({ paths: ['/{a}'] }),
    to({ paths: ['/a{*}'] }),
    to({ paths: ['/a/{*}/b c'] }),
    to({ paths: ['/a b'] }),
    to({ notPaths: ['/{'] }),
    to({ notPaths: [''] }),
  ],
  ...[to({ paths: ['/{*}//a'] }), to({ paths: ['/{*}/a*'] }), to({ paths: ['//{**}//'] }), to({ paths: ['/{**}/a'] })],
  ...[
    when('', ['a']),
    when('source.ip', ['1.2.3.4']),
    when('source.ip', ['a']),
    when('source.ip', undefined, ['a']),
    when('source.ip', []),
    when('source.ip', undefined),
  ],
  ...[
    when('remote.ip', ['1.2.3.4/8']),
    when('source.namespace', ['a']),
    when('source.namespace', ['']),
    when('source.serviceAccount', ['a/b']),
    when('source.serviceAccount', ['*']),
  ],
  ...[when('source.principal', ['*']), when('source.trustDomain', ['a*']), when('source.trustDomain', ['a*a']), when('source.trustDomain', ['a/b'])],
  ...[
    when('request.headers[x]', ['a']),
    when('request.headers', ['a']),
    when('request.headers[]', ['a']),
    when('request.headers[x', ['a']),
    when('request.auth.claims[a][b]', ['a']),
  ],
  ...[
    when('request.auth.claims', ['a']),
    when('request.auth.principal', ['a/b']),
    when('request.auth.audiences', ['a']),
    when('request.auth.presenter', ['a']),
    when('request.auth.x', ['a']),
  ],
  ...[
    when('destination.ip', ['1.2.3.4']),
    when('destination.port', ['80']),
    when('destination.port', ['x']),
    when('destination.labels[a]', ['a']),
    when('destination.user', ['a']),
  ],
  ...[
    when('connection.sni', ['*.a']),
    when('experimental.envoy.filters.a.b[c]', ['a', '[b]']),
    when('experimental.envoy.filters.a.b', ['a']),
    when('source.user', ['a']),
  ],
];

interface Verdict {
  ok: boolean;
  errors?: string[];
}

test.skipIf(oracle === undefined)('the same specs are refused', async () => {
  const objects = [
    ...SPECS.map((spec, i) => policy(`p${i}`, spec)),
    ...['true', 'TRUE', 't', 'f', '0', 'yes', ''].map((value, i) =>
      policy(`d${i}`, { action: i % 2 === 0 ? 'ALLOW' : 'DENY', rules: [{}] }, { 'istio.io/dry-run': value }),
    ),
    policy('audit', { action: 'AUDIT', rules: [{}] }, { 'istio.io/dry-run': 'true' }),
    ...['true', 'false'].map((value) => policy(`custom-${value}`, asked({}), { 'istio.io/dry-run': value })),
    { ...policy('other', { mtls: { mode: 'STRICT' } }, { 'istio.io/dry-run': 'true' }), kind: 'PeerAuthentication' },
  ];
  const verdicts = await (oracle as IstioOracle).ask<Verdict[]>('validate', { yaml: text(objects) });
  expect(verdicts).toHaveLength(objects.length);
  const differing = objects.flatMap((object, i) => {
    const { problems } = validateObject(JSON.parse(JSON.stringify(object)));
    const ok = problems.length === 0;
    return ok === verdicts[i]?.ok
      ? []
      : [{ spec: object.spec, metadata: object.metadata, ours: problems.map((p) => p.message), theirs: verdicts[i]?.errors ?? 'taken' }];
  });
  expect(differing).toEqual([]);
});

const spec = fc.record({
  action: fc.constantFrom('ALLOW', 'DENY', 'AUDIT'),
  rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
  selector: fc.constantFrom({}, { matchLabels: { app: 'a' } }, { matchLabels: { app: 'b' } }),
  tried: fc.boolean(),
});

test.skipIf(oracle === undefined)('the same filters, on HTTP and on TCP', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(spec, { minLength: 1, maxLength: 3 }), async (specs) => {
      const objects = specs.map(({ tried, ...rest }, i) => policy(`p${i}`, rest, tried && rest.action !== 'AUDIT' ? { 'istio.io/dry-run': 'true' } : {}));
      await expectSameFilters(oracle as IstioOracle, objects);
    }),
    { numRuns: Number(process.env['WEFT_ORACLE_RUNS'] ?? 40), endOnFailure: true },
  );
});
