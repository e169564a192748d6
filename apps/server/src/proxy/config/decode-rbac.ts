// Role based access control, of the HTTP filter and of the network filter. What is not understood is refused: a rule that is left
// out would let in what it is there to keep out.

import {
  compileIpRange,
  compilePathTemplate,
  compileRbac,
  type IpRangeSpec,
  type RbacPolicySpec,
  type RbacRuleSpec,
  type RbacSpec,
} from '@weft/mesh-core/traffic';
import { decodeStringMatch } from './decode-common.ts';
import { decodeMetadataMatch } from './decode-metadata-match.ts';
import { decodeHeaderMatch } from './decode-route-match.ts';
import type { Fields } from './fields.ts';
import type { NetworkRbac, RbacFilterConfig } from './rbac-model.ts';

/** `network`: there are no requests to have rules about. */
export type RbacLayer = 'http' | 'network';

export const NETWORK_RBAC = 'envoy.extensions.filters.network.rbac.v3.RBAC';

export function decodeNetworkRbac(fields: Fields): NetworkRbac {
  const scope = fields.text('statPrefix');
  // Asked again with everything a client sends, it would find nothing new: nothing of a connection changes.
  fields.ignore('enforcementType');
  return { scope, config: decodeRbac(fields, 'network') };
}

export function decodeRbac(fields: Fields, layer: RbacLayer): RbacFilterConfig {
  const rules = decodeRules(fields, 'rules', layer);
  const shadow = decodeRules(fields, 'shadowRules', layer);
  const config: RbacFilterConfig = {
    ...(rules === undefined ? {} : { rules }),
    ...(shadow === undefined ? {} : { shadow }),
    statPrefix: layer === 'http' ? fields.text('rulesStatPrefix') : '',
    shadowStatPrefix: fields.text('shadowRulesStatPrefix'),
  };
  fields.end();
  return config;
}

function decodeRules(parent: Fields, key: string, layer: RbacLayer): RbacSpec | undefined {
  const fields = parent.object(key);
  if (fields === undefined) return undefined;
  const action = fields.text('action', 'ALLOW');
  const map = fields.object('policies');
  if (map?.has('@type') === true) map.problem('@type', 'a policy cannot be called so');
  const spec: RbacSpec = {
    action: action === 'DENY' ? 'deny' : action === 'LOG' ? 'log' : 'allow',
    policies: (map?.keys() ?? []).flatMap((name) => {
      const policy = map?.object(name);
      return policy === undefined ? [] : [decodePolicy(name, policy, layer)];
    }),
  };
  fields.end();
  try {
    compileRbac(spec);
  } catch (error) {
    parent.problem(key, (error as Error).message);
  }
  return spec;
}

function decodePolicy(name: string, fields: Fields, layer: RbacLayer): RbacPolicySpec {
  const some = (key: 'permissions' | 'principals', decoders: Decoders): RbacRuleSpec[] => {
    const list = fields.list(key);
    if (list.length === 0) fields.problem(key, 'at least one is needed');
    return list.map((rule) => decodeRule(rule, decoders, layer));
  };
  const policy = { name, permissions: some('permissions', PERMISSIONS), principals: some('principals', PRINCIPALS) };
  fields.end();
  return policy;
}

type Decoder = (fields: Fields, key: string, layer: RbacLayer) => RbacRuleSpec;
type Decoders = Readonly<Record<string, Decoder>>;

const nothing: RbacRuleSpec = { kind: 'or', rules: [] };

/** Of the kinds of rules each message holds one. */
function decodeRule(fields: Fields, decoders: Decoders, layer: RbacLayer): RbacRuleSpec {
  const key = Object.keys(decoders).find((one) => fields.has(one));
  const rule = key === undefined ? undefined : decoders[key]?.(fields, key, layer);
  if (rule === undefined && fields.keys().length === 0) fields.problem('rule', 'there is none this proxy knows');
  fields.end();
  return rule ?? nothing;
}

/** Of requests only. */
const http =
  (decode: Decoder): Decoder =>
  (fields, key, layer) => {
    if (layer === 'network') fields.problem(key, 'connections have no requests to look at');
    return decode(fields, key, layer);
  };

const any: Decoder = (fields, key) => {
  if (!fields.flag(key)) fields.problem(key, 'must be true');
  return { kind: 'any' };
};

const header: Decoder = (fields, key) => {
  const match = fields.object(key);
  return match === undefined ? nothing : { kind: 'header', header: decodeHeaderMatch(match) };
};

const urlPath: Decoder = (fields, key) => {
  const matcher = fields.object(key);
  const path = matcher?.object('path');
  if (path === undefined) matcher?.problem('path', 'is needed');
  matcher?.end();
  return path === undefined ? nothing : { kind: 'url-path', match: decodeStringMatch(path, 'octets') };
};

const uriTemplate: Decoder = (fields, key) => {
  const extension = fields.object(key);
  const config = extension?.object('typedConfig');
  extension?.ignore('name');
  extension?.end();
  if (config?.type() !== 'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig')
    extension?.problem('typedConfig', `a matcher of type ${config?.type() ?? '(none)'} is not supported`);
  const template = config?.text('pathTemplate') ?? '';
  config?.end();
  if (compilePathTemplate(template) === undefined)
    config?.problem('pathTemplate', `"${template}" is no path of names, * and ** (one **, at most names behind it)`);
  return { kind: 'path-template', template };
};

const metadata: Decoder = (fields, key) => {
  const matcher = fields.object(key);
  return matcher === undefined ? nothing : { kind: 'metadata', match: decodeMetadataMatch(matcher) };
};

const ip =
  (of: Extract<RbacRuleSpec, { kind: 'ip' }>['of']): Decoder =>
  (fields, key) => {
    const cidr = fields.object(key);
    const range: IpRangeSpec = { address: cidr?.text('addressPrefix') ?? '', length: cidr?.number('prefixLen') ?? 0 };
    cidr?.end();
    if (compileIpRange(range) === undefined) fields.problem(key, `${range.address}/${range.length} is no block of addresses`);
    return { kind: 'ip', of, range };
  };

const port: Decoder = (fields, key) => {
  const start = fields.number(key);
  return { kind: 'destination-port', start, end: start + 1 };
};

const portRange: Decoder = (fields, key) => {
  const range = fields.object(key);
  const rule: RbacRuleSpec = { kind: 'destination-port', start: range?.number('start') ?? 0, end: range?.number('end') ?? 0 };
  range?.end();
  return rule;
};

const serverName: Decoder = (fields, key) => {
  const match = fields.object(key);
  return match === undefined ? nothing : { kind: 'server-name', match: decodeStringMatch(match) };
};

const authenticated: Decoder = (fields, key) => {
  const rule = fields.object(key);
  const name = rule?.object('principalName');
  rule?.end();
  return { kind: 'authenticated', ...(name === undefined ? {} : { name: decodeStringMatch(name) }) };
};

const set =
  (kind: 'and' | 'or', list: 'rules' | 'ids'): Decoder =>
  (fields, key, layer) => {
    const of = fields.object(key);
    const rules = of?.list(list) ?? [];
    if (rules.length === 0) fields.problem(key, 'at least one is needed');
    of?.end();
    return { kind, rules: rules.map((rule) => decodeRule(rule, decodersOf(list), layer)) };
  };

const not =
  (list: 'rules' | 'ids'): Decoder =>
  (fields, key, layer) => {
    const of = fields.object(key);
    return of === undefined ? nothing : { kind: 'not', rule: decodeRule(of, decodersOf(list), layer) };
  };

const decodersOf = (list: 'rules' | 'ids'): Decoders => (list === 'rules' ? PERMISSIONS : PRINCIPALS);

const PERMISSIONS: Decoders = {
  any,
  andRules: set('and', 'rules'),
  orRules: set('or', 'rules'),
  notRule: not('rules'),
  header: http(header),
  urlPath: http(urlPath),
  uriTemplate: http(uriTemplate),
  destinationIp: ip('destination'),
  destinationPort: port,
  destinationPortRange: portRange,
  requestedServerName: serverName,
  metadata,
};

const PRINCIPALS: Decoders = {
  any,
  andIds: set('and', 'ids'),
  orIds: set('or', 'ids'),
  notId: not('ids'),
  authenticated,
  sourceIp: ip('source'),
  directRemoteIp: ip('direct-remote'),
  remoteIp: ip('remote'),
  header: http(header),
  urlPath: http(urlPath),
  metadata,
};
