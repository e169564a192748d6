import { expect, test } from 'vitest';
import {
  compileIpRange,
  compileMetadataMatch,
  compilePathTemplate,
  compileRbac,
  type RbacConnection,
  type RbacRuleSpec,
  type RbacSpec,
  type RbacSubject,
  type ValueMatchSpec,
} from './index.ts';

const exact = (value: string, ignoreCase = false) => ({ kind: 'exact', value, ignoreCase }) as const;
const regex = (value: string) => ({ kind: 'regex', value, ignoreCase: false }) as const;
const any: RbacRuleSpec = { kind: 'any' };
const path = (value: string): RbacRuleSpec => ({ kind: 'url-path', match: exact(value) });
const header = (name: string, value: string): RbacRuleSpec => ({
  kind: 'header',
  header: { name, match: exact(value, true), invert: false, treatMissingAsEmpty: false },
});

const connection: RbacConnection = {
  tls: false,
  uriNames: [],
  dnsNames: [],
  subject: '',
  serverName: '',
  directAddress: '10.0.0.1',
  sourceAddress: '10.0.0.2',
  destinationAddress: '10.0.0.9',
  destinationPort: 8080,
};
interface Facts {
  path?: string;
  headers?: Record<string, string>;
  connection?: Partial<RbacConnection>;
  remoteAddress?: string;
  metadata?: Record<string, unknown>;
}
const subject = (facts: Facts = {}): RbacSubject => ({
  connection: { ...connection, ...facts.connection },
  request: { method: 'GET', path: facts.path ?? '/', authority: 'A.test', scheme: 'http', get: (name) => facts.headers?.[name] },
  remoteAddress: facts.remoteAddress ?? '10.0.0.3',
  metadata: facts.metadata,
});
const spec = (action: RbacSpec['action'], policies: Record<string, [RbacRuleSpec[], RbacRuleSpec[]]>): RbacSpec => ({
  action,
  policies: Object.entries(policies).map(([name, [permissions, principals]]) => ({ name, permissions, principals })),
});
/** Whether a rule holds, as a permission of the one policy of an ALLOW. */
const holds = (rule: RbacRuleSpec, facts: Facts = {}): boolean => compileRbac(spec('allow', { p: [[rule], [any]] }))(subject(facts)).allowed;

test('allow: none of its policies, or none at all, denies; deny is the other way round; log lets everything through', () => {
  const one = { 'a b': [[path('/a')], [any]] } satisfies Parameters<typeof spec>[1];
  const ask = (rules: RbacSpec, at: string) => {
    const { allowed, matched, details } = compileRbac(rules)(subject({ path: at }));
    return [allowed, matched, details.replace('rbac_access_denied_matched_policy', '')];
  };
  expect([ask(spec('allow', one), '/a?q'), ask(spec('allow', one), '/b'), ask(spec('allow', {}), '/a')]).toEqual([
    [true, true, '[a_b]'],
    [false, false, '[none]'],
    [false, false, '[none]'],
  ]);
  expect([ask(spec('deny', one), '/a#f'), ask(spec('deny', one), '/b'), ask(spec('deny', {}), '/a')]).toEqual([
    [false, true, '[a_b]'],
    [true, false, '[none]'],
    [true, false, '[none]'],
  ]);
  expect([ask(spec('log', one), '/a'), ask(spec('log', one), '/b')]).toEqual([
    [true, true, '[a_b]'],
    [true, false, '[none]'],
  ]);
});

test('of several policies that hold the first by name is told; a policy needs a permission and a principal', () => {
  const decide = compileRbac(
    spec('deny', {
      b: [[any], [any]],
      a: [
        [path('/a'), path('/c')],
        [header('x', '1'), header('y', '2')],
      ],
    }),
  );
  const told = (at: string, headers: Record<string, string>): string | undefined => /\[(.*)\]/.exec(decide(subject({ path: at, headers })).details)?.[1];
  expect([told('/a', { x: '1' }), told('/c', { y: '2' }), told('/a', {}), told('/b', { x: '1' })]).toEqual(['a', 'a', 'b', 'b']);
});

test.each<[string, RbacRuleSpec, Facts, boolean]>([
  ['and', { kind: 'and', rules: [path('/a'), header('x', '1')] }, { path: '/a', headers: { x: '1' } }, true],
  ['and, one missing', { kind: 'and', rules: [path('/a'), header('x', '1')] }, { path: '/a' }, false],
  ['or', { kind: 'or', rules: [path('/b'), path('/a')] }, { path: '/a' }, true],
  ['or of nothing', { kind: 'or', rules: [] }, {}, false],
  ['not', { kind: 'not', rule: path('/a') }, { path: '/a' }, false],
  ['authority, in any case', header(':authority', 'a.TEST'), {}, true],
  ['destination port', { kind: 'destination-port', start: 8080, end: 8081 }, {}, true],
  ['the end of a port range', { kind: 'destination-port', start: 8000, end: 8080 }, {}, false],
  ['destination address', { kind: 'ip', of: 'destination', range: { address: '10.0.0.8', length: 30 } }, {}, true],
  ['source address', { kind: 'ip', of: 'source', range: { address: '10.0.0.2', length: 32 } }, {}, true],
  ['direct address', { kind: 'ip', of: 'direct-remote', range: { address: '10.0.0.2', length: 32 } }, {}, false],
  ['remote address', { kind: 'ip', of: 'remote', range: { address: '10.0.0.3', length: 32 } }, {}, true],
  ['server name', { kind: 'server-name', match: exact('db') }, { connection: { serverName: 'db' } }, true],
  ['authenticated, in plaintext', { kind: 'authenticated' }, { connection: { uriNames: ['spiffe://a'] } }, false],
  ['authenticated, by TLS', { kind: 'authenticated' }, { connection: { tls: true } }, true],
  ['a name in plaintext', { kind: 'authenticated', name: regex('.*') }, { connection: { uriNames: ['spiffe://a'] } }, false],
  ['the second URI', { kind: 'authenticated', name: exact('spiffe://b') }, { connection: { tls: true, uriNames: ['spiffe://a', 'spiffe://b'] } }, true],
  ['a DNS name', { kind: 'authenticated', name: exact('b') }, { connection: { tls: true, uriNames: ['spiffe://a'], dnsNames: ['b'] } }, true],
  ['the subject', { kind: 'authenticated', name: exact('O=x') }, { connection: { tls: true, subject: 'O=x' } }, true],
  ['no certificate and a pattern for something', { kind: 'authenticated', name: regex('.+') }, { connection: { tls: true } }, false],
  ['path template', { kind: 'path-template', template: '/a/*/c' }, { path: '/a/b/c?d' }, true],
])('%s', (_, rule, facts, expected) => {
  expect(holds(rule, facts)).toBe(expected);
  expect(holds({ kind: 'not', rule }, facts)).toBe(!expected);
});

test('a connection without requests: rules about requests do not hold', () => {
  const decide = compileRbac(spec('deny', { p: [[path('/'), header('x', '1'), { kind: 'path-template', template: '/**' }], [any]] }));
  expect(decide({ ...subject(), request: undefined }).allowed).toBe(true);
});

// Taken from Envoy 1.40.
test.each([
  ['/h/t/*/x/**', '/h/t/a/x/b/c /h/t/a/x/ /h/t/*/x/c', '/h/t/a/x /h/t/a/b/x/c /h/t/[/x/c'],
  ['/h/u/**/z', '/h/u/a/b/z /h/u//z', '/h/u/z /h/u/a/zz'],
  ['/a/b.js', '/a/b.js', '/a/bxjs'],
  ['/**', '/ /a/b', '/[ a'],
  ['/a/*.js', '/a/*.js', '/a/b.js'],
])('path template %s', (template, matching, others) => {
  const test = compilePathTemplate(template);
  expect(matching.split(' ').map((one) => test?.(one))).not.toContain(false);
  expect(others.split(' ').map((one) => test?.(one))).not.toContain(true);
});

test('what is no path template', () => {
  for (const template of ['', 'a', '/a/**/*', '/a/**/b/*', '/**/a/**', '/a//b', '/a b', '/a/[', '/é', '/a?b', '/{x}', `/${'a'.repeat(256)}`])
    expect(compilePathTemplate(template)).toBeUndefined();
});

test('blocks of addresses', () => {
  const within = (address: string, length: number, other: string): boolean | undefined => compileIpRange({ address, length })?.(other);
  expect(['10.1.2.3', '10.1.255.255', '10.2.0.0', '::ffff:10.1.2.3', '', '10.1.2'].map((one) => within('10.1.9.9', 16, one))).toEqual([
    ...[true, true, false, false, false, false],
  ]);
  expect(within('0.0.0.0', 0, '255.1.1.1')).toBe(true);
  expect(['fd00:1::1', 'fd00:1:ffff::', 'fd00:2::', '10.0.0.1', 'fd00:1:0:0:0:0:0:9%eth0', '::'].map((one) => within('fd00:1::', 32, one))).toEqual([
    ...[true, true, false, false, true, false],
  ]);
  expect([within('::1', 128, '0:0:0:0:0:0:0:1'), within('::1', 128, '::2'), within('::', 0, '1::2'), within('::ffff:1.2.3.4', 128, '::ffff:102:304')]).toEqual([
    ...[true, false, true, true],
  ]);
  for (const [address, length] of [
    ['10.0.0.1', 33],
    ['10.0.0', 8],
    ['10.0.0.256', 8],
    ['::1', 129],
    ['1::2::3', 8],
    ['1:2:3:4:5:6:7', 8],
    ['1:2:3:4:5:6:7:8:9', 8],
    ['a.test', 0],
  ] as const)
    expect(compileIpRange({ address, length })).toBeUndefined();
});

test('metadata: a path into what filters have found out, and values of every kind', () => {
  const claims = { iss: 'i', groups: ['a', 'b'], nested: { n: 1 }, admin: true, none: null };
  const metadata = { 'envoy.filters.http.jwt_authn': { payload: claims } };
  const at = (keys: string, value: ValueMatchSpec, invert = false): boolean =>
    compileMetadataMatch({ namespace: 'envoy.filters.http.jwt_authn', path: ['payload', ...keys.split('.')], value, invert })(metadata);
  const string = (value: string): ValueMatchSpec => ({ kind: 'string', match: exact(value) });
  const table: [boolean, boolean][] = [
    [at('iss', string('i')), true],
    [at('iss', string('i'), true), false],
    [at('sub', string('')), false],
    [at('sub', string('x'), true), true],
    [at('groups', string('a')), false],
    [at('groups', { kind: 'list', entry: string('b') }), true],
    [at('iss', { kind: 'list', entry: string('i') }), false],
    [at('iss', { kind: 'or', values: [string('x'), string('i')] }), true],
    [at('nested.n', { kind: 'number', value: 1 }), true],
    [at('nested.n', { kind: 'range', start: 0, end: 1 }), false],
    [at('admin', { kind: 'bool', value: true }), true],
    [at('none', { kind: 'null' }), true],
    [at('iss', { kind: 'present', present: true }), true],
    [at('sub', { kind: 'present', present: true }), false],
    [at('sub', { kind: 'present', present: false }), false],
    // What everything inherits is nobody's claim.
    [at('constructor', { kind: 'present', present: true }), false],
    [at('groups.0', string('a')), false],
  ];
  expect(table.map(([got]) => got)).toEqual(table.map(([, wanted]) => wanted));
  expect(compileMetadataMatch({ namespace: 'x', path: [], value: string(''), invert: true })(undefined)).toBe(true);
});

test('deny and then allow lets through exactly what no deny and any allow holds for', () => {
  const rules = ['/a', '/b', '/c'].map(path);
  for (let mask = 0; mask < 64; mask++) {
    const chosen = (shift: number): RbacRuleSpec[] => rules.filter((_, i) => ((mask >> (shift + i)) & 1) === 1);
    const filters = [spec('deny', { d: [chosen(0), [any]] }), spec('allow', { a: [chosen(3), [any]] })].map(compileRbac);
    for (const [i, at] of ['/a', '/b', '/c', '/d'].entries()) {
      const passes = filters.every((decide) => decide(subject({ path: at })).allowed);
      expect(passes).toBe(i < 3 && ((mask >> i) & 1) === 0 && ((mask >> (3 + i)) & 1) === 1);
    }
  }
});
