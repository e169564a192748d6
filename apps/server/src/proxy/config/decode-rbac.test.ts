import type { JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { decodeListenerFields } from './decode-listener.ts';
import { decodeRbac, type RbacLayer } from './decode-rbac.ts';
import { Fields } from './fields.ts';
import type { RbacFilterConfig } from './rbac-model.ts';

function decode(json: JsonObject, layer: RbacLayer = 'http'): { config: RbacFilterConfig; problems: string[] } {
  const problems: string[] = [];
  return { config: decodeRbac(new Fields(json, 'rbac', problems), layer), problems };
}
const any = [{ any: true }];
const rules = (policy: JsonObject, action = 'DENY'): JsonObject => ({ rules: { action, policies: { p: { permissions: any, principals: any, ...policy } } } });
const problems = (policy: JsonObject, layer: RbacLayer = 'http'): string[] =>
  decode(rules(policy), layer).problems.map((one) => one.replace('rbac.rules.policies.p.', ''));
const permission = (one: JsonObject): JsonObject => ({ permissions: [one] });
const principal = (one: JsonObject): JsonObject => ({ principals: [one] });

test('rules that are empty are rules; none are none', () => {
  expect(decode({ rules: {}, shadowRulesStatPrefix: 's_' }).config).toEqual({
    rules: { action: 'allow', policies: [] },
    statPrefix: '',
    shadowStatPrefix: 's_',
  });
  expect(decode({}).config).toEqual({ statPrefix: '', shadowStatPrefix: '' });
});

test('permissions and principals of every kind', () => {
  const { config, problems: none } = decode(
    rules({
      permissions: [
        {
          andRules: {
            rules: [
              { orRules: { rules: [{ header: { name: ':Method', stringMatch: { exact: 'GET' } } }, { urlPath: { path: { prefix: '/a' } } }] } },
              { notRule: { destinationIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } } },
              { destinationPort: 80 },
              { destinationPortRange: { start: 1, end: 9 } },
              { requestedServerName: { suffix: '.test' } },
              { metadata: { filter: 'f', path: [{ key: 'a' }], value: { listMatch: { oneOf: { stringMatch: { exact: 'x' } } } }, invert: true } },
              {
                uriTemplate: {
                  name: 'uri-template',
                  typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', pathTemplate: '/a/*' },
                },
              },
            ],
          },
        },
      ],
      principals: [
        {
          andIds: {
            ids: [
              { orIds: { ids: [{ authenticated: { principalName: { exact: 'spiffe://a' } } }, { authenticated: {} }] } },
              { notId: { remoteIp: { addressPrefix: '::1', prefixLen: 128 } } },
              { directRemoteIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } },
              { sourceIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } },
            ],
          },
        },
      ],
    }),
  );
  expect(none).toEqual([]);
  const text = (kind: string, value: string): object => ({ kind, value, ignoreCase: false });
  const ten = { address: '10.0.0.0', length: 8 };
  expect(config.rules).toEqual({
    action: 'deny',
    policies: [
      {
        name: 'p',
        permissions: [
          {
            kind: 'and',
            rules: [
              {
                kind: 'or',
                rules: [
                  { kind: 'header', header: { name: ':method', match: text('exact', 'GET'), invert: false, treatMissingAsEmpty: false } },
                  { kind: 'url-path', match: text('prefix', '/a') },
                ],
              },
              { kind: 'not', rule: { kind: 'ip', of: 'destination', range: ten } },
              { kind: 'destination-port', start: 80, end: 81 },
              { kind: 'destination-port', start: 1, end: 9 },
              { kind: 'server-name', match: text('suffix', '.test') },
              {
                kind: 'metadata',
                match: { namespace: 'f', path: ['a'], value: { kind: 'list', entry: { kind: 'string', match: text('exact', 'x') } }, invert: true },
              },
              { kind: 'path-template', template: '/a/*' },
            ],
          },
        ],
        principals: [
          {
            kind: 'and',
            rules: [
              { kind: 'or', rules: [{ kind: 'authenticated', name: text('exact', 'spiffe://a') }, { kind: 'authenticated' }] },
              { kind: 'not', rule: { kind: 'ip', of: 'remote', range: { address: '::1', length: 128 } } },
              { kind: 'ip', of: 'direct-remote', range: ten },
              { kind: 'ip', of: 'source', range: ten },
            ],
          },
        ],
      },
    ],
  });
});

test.each<[string, JsonObject, string[]]>([
  ['no permission', { permissions: [] }, ['permissions: at least one is needed']],
  ['a rule nobody knows', permission({}), ['permissions[0].rule: there is none this proxy knows']],
  [
    'inside others',
    permission({ andRules: { rules: [{ notRule: { matcher: { name: 'm' } } }] } }),
    ['permissions[0].andRules.rules[0].notRule.matcher: this proxy cannot do it'],
  ],
  ['no entries', principal({ orIds: {} }), ['principals[0].orIds: at least one is needed']],
  ['filter state', principal({ filterState: { key: 'k' } }), ['principals[0].filterState: this proxy cannot do it']],
  ['a condition', { condition: {} }, ['condition: this proxy cannot do it']],
  ['no block', principal({ remoteIp: { addressPrefix: '10.0.0.0', prefixLen: 40 } }), ['principals[0].remoteIp: 10.0.0.0/40 is no block of addresses']],
  ['a string match nobody knows', permission({ urlPath: { path: { custom: {} } } }), ['permissions[0].urlPath.path.custom: this proxy cannot do it']],
  ['a value nobody knows', permission({ metadata: { filter: 'f', value: {} } }), ['permissions[0].metadata.value.match: there is none this proxy knows']],
  [
    'a template with variables',
    permission({
      uriTemplate: { typedConfig: { '@type': 'x/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', pathTemplate: '/{a}' } },
    }),
    ['permissions[0].uriTemplate.typedConfig.pathTemplate: "/{a}" is no path of names, * and ** (one **, at most names behind it)'],
  ],
])('refused with its path: %s', (_, policy, expected) => {
  expect(problems(policy)).toEqual(expected);
});

test('refused: patterns that are none, matchers in place of rules, loggers of audits', () => {
  expect(decode(rules(permission({ urlPath: { path: { safeRegex: { regex: '(' } } } }))).problems).toEqual([
    expect.stringMatching(/^rbac\.rules: "\(" is not an RE2 pattern/),
  ]);
  expect(decode({ matcher: {}, rules: { auditLoggingOptions: {} } }).problems).toEqual([
    'rbac.rules.auditLoggingOptions: this proxy cannot do it',
    'rbac.matcher: this proxy cannot do it',
  ]);
});

test('connections have no requests', () => {
  expect(problems(permission({ urlPath: { path: { exact: '/' } } }), 'network')).toEqual(['permissions[0].urlPath: connections have no requests to look at']);
  expect(problems(principal({ header: { name: 'a' } }), 'network')).toEqual(['principals[0].header: connections have no requests to look at']);
  expect(problems(permission({ destinationPort: 1 }), 'network')).toEqual([]);
});

test('before a TCP proxy and before a connection manager, in their order; not behind them', () => {
  const network = (action: string, stat: string): JsonObject => ({
    name: 'envoy.filters.network.rbac',
    typedConfig: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC',
      statPrefix: stat,
      rules: { action },
      enforcementType: 'CONTINUOUS',
    },
  });
  const proxy = { typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', statPrefix: 't', cluster: 'c' } };
  const manager = {
    typedConfig: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      rds: { routeConfigName: 'r' },
      httpFilters: [
        { name: 'b', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC', rules: { action: 'DENY' } } },
        { name: 'a', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC', rules: {} } },
      ],
    },
  };
  const problems: string[] = [];
  const chain = (...filters: JsonObject[]) =>
    decodeListenerFields(
      new Fields({ name: 'l', address: { socketAddress: { address: '127.0.0.1', portValue: 1 } }, filterChains: [{ filters }] }, 'l', problems),
    ).chains[0];
  const before = chain(network('DENY', 'one.'), network('LOG', 'two.'), proxy);
  expect(before?.guards?.map((guard) => guard.kind === 'rbac' && [guard.scope, guard.config.rules?.action])).toEqual([
    ['one.', 'deny'],
    ['two.', 'log'],
  ]);
  expect(before?.tcp).toBeDefined();
  const http = chain(network('ALLOW', 'one.'), manager);
  expect(http?.guards).toHaveLength(1);
  expect(http?.http?.filters).toMatchObject([
    { kind: 'rbac', name: 'b', config: { rules: { action: 'deny' } } },
    { kind: 'rbac', name: 'a', config: { rules: { action: 'allow' } } },
  ]);
  expect(problems).toEqual([]);
  chain(proxy, network('DENY', 'one.'));
  expect(problems).toEqual([expect.stringMatching(/^l\.filterChains\[0\]\.filters: one HttpConnectionManager/)]);
});
