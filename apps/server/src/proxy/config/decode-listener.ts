// Listener with its filter chains.

import type { PathRules } from '@weft/mesh-core/traffic';
import { compileLogFilter } from '../access-log/cel-attributes.ts';
import { compileTagFormat } from '../access-log/format.ts';
import { readsTls } from '../http/connection-commands.ts';
import { isSocketPath } from '../upstream/host-and-port.ts';
import { compileChainMatch } from './chain-match.ts';
import { decodeAddress, decodeUpgrades } from './decode-common.ts';
import { decodeChainMatch, decodeDownstreamTls, decodeListenerFilters, decodeSniFilters, decodeTcpProxy } from './decode-l4.ts';
import { decodeExtAuthz, decodeNetworkExtAuthz, EXT_AUTHZ, NETWORK_EXT_AUTHZ } from './decode-ext-authz.ts';
import { decodeJwtAuthn } from './decode-jwt-authn.ts';
import { decodeNetworkRbac, decodeRbac, NETWORK_RBAC } from './decode-rbac.ts';
import { decodeRouteConfigFields } from './decode-route.ts';
import { decodeLogFormat } from './decode-log-format.ts';
import { decodeMetricOverrides, isMetricOverrides } from './decode-metrics.ts';
import type { Fields } from './fields.ts';
import type { AccessLog, CustomTag } from './log-model.ts';
import type { FilterChain, HttpConnectionManager, HttpFilter, ListenerConfig, NetworkFilter } from './model.ts';

export function decodeListenerFields(fields: Fields): ListenerConfig {
  const { address, port } = decodeAddress(fields.object('address'));
  const direction = fields.text('trafficDirection');
  const fallback = fields.object('defaultFilterChain');
  const listener: ListenerConfig = {
    name: fields.text('name'),
    address,
    port,
    direction: direction === 'INBOUND' ? 'inbound' : direction === 'OUTBOUND' ? 'outbound' : 'unspecified',
    chains: fields.list('filterChains').map(decodeChain),
    ...(fallback === undefined ? {} : { defaultChain: decodeChain(fallback) }),
    ...decodeListenerFilters(fields.list('listenerFilters')),
    filtersTimeoutMs: fields.ms('listenerFiltersTimeout', 15_000),
    continueOnFiltersTimeout: fields.flag('continueOnListenerFiltersTimeout'),
  };
  if (isSocketPath(address)) fields.problem('address.pipe', 'this proxy listens on addresses with a port only');
  for (const [one, other] of compileChainMatch(listener.chains.map((chain) => chain.match)).duplicates)
    fields.problem(`filterChains[${other}].filterChainMatch`, `the same connections match filterChains[${one}]`);
  if (!fields.flag('bindToPort', true)) fields.problem('bindToPort', 'this proxy has no listeners that only take over from others');
  fields.ignore(
    'perConnectionBufferLimitBytes',
    'metadata',
    'statPrefix',
    'drainType',
    'enableReusePort',
    'ignoreGlobalConnLimit',
    'maxConnectionsToAcceptPerSocketEvent',
  );
  fields.end();
  return listener;
}

function decodeChain(fields: Fields): FilterChain {
  const tls = decodeDownstreamTls(fields.object('transportSocket')?.object('typedConfig'));
  const chain: FilterChain = {
    name: fields.text('name'),
    match: decodeChainMatch(fields.object('filterChainMatch')),
    ...(tls === undefined ? {} : { tls }),
    ...(fields.has('transportSocketConnectTimeout') ? { handshakeTimeoutMs: fields.ms('transportSocketConnectTimeout') } : {}),
  };
  const all = fields.list('filters').map((filter) => ({ filter, config: filter.object('typedConfig') }));
  const guards = all.slice(0, -1).flatMap(({ config }) => decodeGuard(config));
  const filters = all.filter(({ config }, i) => i === all.length - 1 || !GUARDS.has(config?.type() ?? ''));
  if (guards.length > 0) chain.guards = guards;
  fields.ignore('metadata');
  fields.end();
  const last = filters.at(-1);
  const type = last?.config?.type() ?? '';
  if (last?.config !== undefined && type.endsWith('.HttpConnectionManager') && filters.length === 1) {
    if (guards.some((guard) => guard.kind === 'ext-authz')) fields.problem('filters', 'ext_authz of connections stands before a TcpProxy only');
    return { ...chain, http: decodeManager(last.config) };
  }
  if (last?.config !== undefined && type.endsWith('.TcpProxy'))
    return { ...chain, tcp: { ...decodeTcpProxy(last.config, decodeAccessLog), ...decodeSniFilters(filters.slice(0, -1)) } };
  const types = filters.map(({ config }) => config?.type() ?? '(none)').join(', ');
  fields.problem(
    'filters',
    `one HttpConnectionManager, or a TcpProxy behind sni_cluster or sni_dynamic_forward_proxy, is supported, either behind rbac, a TcpProxy also behind ext_authz, not ${types || 'none'}`,
  );
  return chain;
}

const GUARDS: ReadonlySet<string> = new Set([NETWORK_RBAC, NETWORK_EXT_AUTHZ]);

function decodeGuard(config: Fields | undefined): NetworkFilter[] {
  if (config?.type() === NETWORK_RBAC) return [{ kind: 'rbac', ...decodeNetworkRbac(config) }];
  return config?.type() === NETWORK_EXT_AUTHZ ? [{ kind: 'ext-authz', ...decodeNetworkExtAuthz(config) }] : [];
}

function decodeManager(fields: Fields): HttpConnectionManager {
  const rds = fields.object('rds');
  const inline = fields.object('routeConfig');
  const filters = fields.list('httpFilters').flatMap(decodeHttpFilter);
  checkFilterOrder(fields, filters);
  const peer = filters.find((f) => f.kind === 'peer-metadata');
  const codec = fields.text('codecType', 'AUTO');
  const tracing = fields.object('tracing');
  const accessLog = fields.list('accessLog');
  const metrics = decodeMetricOverrides(accessLog);
  const forward = fields.text('forwardClientCertDetails', 'SANITIZE');
  const common = fields.object('commonHttpProtocolOptions');
  const trustedHops = fields.number('xffNumTrustedHops');
  const manager: HttpConnectionManager = {
    statPrefix: fields.text('statPrefix'),
    routes: inline === undefined ? { rds: rds?.text('routeConfigName') ?? '' } : { inline: decodeRouteConfigFields(inline) },
    codec: codec === 'HTTP1' ? 'http1' : codec === 'HTTP2' ? 'http2' : 'auto',
    ...decodeServerHeader(fields),
    ...decodeHttpProtocols(fields),
    useRemoteAddress: fields.flag('useRemoteAddress'),
    forwardClientCert: FORWARD_CLIENT_CERT[forward] ?? 'sanitize',
    ...(trustedHops === 0 ? {} : { trustedHops }),
    clientCertDetails: decodeClientCertDetails(fields.object('setCurrentClientCertDetails')),
    requestId: {
      generate: fields.flag('generateRequestId', true),
      keepExternal: fields.flag('preserveExternalRequestId'),
      inResponse: fields.flag('alwaysSetRequestIdInResponse'),
    },
    host: {
      stripPort: fields.flag('stripAnyHostPort') ? 'any' : fields.flag('stripMatchingHostPort') ? 'matching' : 'none',
      stripDot: fields.flag('stripTrailingHostDot'),
    },
    upgrades: decodeUpgrades(fields),
    streamIdleTimeoutMs: fields.ms('streamIdleTimeout', 300_000),
    idleTimeoutMs: common?.ms('idleTimeout', 3_600_000) ?? 3_600_000,
    maxStreamDurationMs: common?.ms('maxStreamDuration') ?? 0,
    ...(common?.has('maxConnectionDuration') === true ? { maxConnectionDurationMs: common.ms('maxConnectionDuration') } : {}),
    drainTimeoutMs: fields.ms('drainTimeout', 5_000),
    delayedCloseTimeoutMs: fields.ms('delayedCloseTimeout', 1_000),
    requestTimeoutMs: fields.ms('requestTimeout'),
    requestHeadersTimeoutMs: fields.ms('requestHeadersTimeout'),
    path: decodePathRules(fields),
    appendLocalOverload: fields.flag('appendLocalOverload'),
    internalAddresses: decodeInternalAddresses(fields.object('internalAddressConfig')),
    ...(tracing === undefined
      ? {}
      : {
          tracing: {
            samplingPercent: tracing.object('randomSampling')?.number('value') ?? 100,
            direction: 'egress' as const,
            customTags: tracing.list('customTags').map(decodeTag),
            ...(tracing.flag('noContextPropagation') ? { silent: true } : {}),
            ...(decidesSampling(fields.object('requestIdExtension')) ? {} : { always: true }),
          },
        }),
    accessLog: accessLog.flatMap(decodeAccessLog),
    ...(metrics === undefined ? {} : { metrics }),
    ...(peer?.kind === 'peer-metadata' ? { peerHeader: peer.header } : {}),
    filters,
  };
  if (readsTls([manager.accessLog, manager.tracing])) manager.readsTls = true;
  if (trustedHops > 0 && !manager.useRemoteAddress) fields.problem('xffNumTrustedHops', 'only with use_remote_address');
  fields.end();
  common?.end();
  return manager;
}

const FORWARD_CLIENT_CERT: Readonly<Record<string, HttpConnectionManager['forwardClientCert']>> = {
  FORWARD_ONLY: 'forward_only',
  APPEND_FORWARD: 'append_forward',
  SANITIZE_SET: 'sanitize_set',
  ALWAYS_FORWARD_ONLY: 'always_forward_only',
};

function decodeServerHeader(fields: Fields): Pick<HttpConnectionManager, 'serverName' | 'keepServerHeader'> {
  const how = fields.text('serverHeaderTransformation', 'OVERWRITE');
  const serverName = fields.text('serverName', 'envoy');
  return { serverName: how === 'PASS_THROUGH' ? '' : serverName, keepServerHeader: how === 'APPEND_IF_ABSENT' };
}

function decodeClientCertDetails(fields: Fields | undefined): HttpConnectionManager['clientCertDetails'] {
  const details = { subject: fields?.flag('subject') ?? false, uri: fields?.flag('uri') ?? false, dns: fields?.flag('dns') ?? false };
  fields?.end();
  return details;
}

const ESCAPED_SLASHES: Readonly<Record<string, PathRules['escapedSlashes']>> = {
  REJECT_REQUEST: 'reject',
  UNESCAPE_AND_REDIRECT: 'redirect',
  UNESCAPE_AND_FORWARD: 'unescape',
};

function decodePathRules(fields: Fields): PathRules {
  return {
    normalize: fields.flag('normalizePath'),
    mergeSlashes: fields.flag('mergeSlashes'),
    escapedSlashes: ESCAPED_SLASHES[fields.text('pathWithEscapedSlashesAction')] ?? 'keep',
  };
}

function decodeInternalAddresses(fields: Fields | undefined): HttpConnectionManager['internalAddresses'] {
  const ranges = fields?.list('cidrRanges') ?? [];
  // Nothing of ours comes by a unix socket.
  fields?.ignore('unixSockets');
  fields?.end();
  return ranges.map((range) => ({ address: range.text('addressPrefix'), prefixLength: range.number('prefixLen') }));
}

/** As their routes name them; of one kind there may be several. */
function named(fields: Fields, filter: (name: string) => HttpFilter): HttpFilter[] {
  const made = filter(fields.text('name'));
  fields.ignore('isOptional');
  fields.end();
  return [made];
}

const ROUTE_FILTERS: Readonly<Record<string, 'fault' | 'cors' | 'local-ratelimit'>> = {
  'envoy.extensions.filters.http.fault.v3.HTTPFault': 'fault',
  'envoy.extensions.filters.http.cors.v3.Cors': 'cors',
  'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit': 'local-ratelimit',
};
/** The one order requests meet them in; those of the manager itself in the order they are listed. */
const FILTER_ORDER: Readonly<Partial<Record<HttpFilter['kind'], number>>> = {
  'grpc-web': 0,
  'jwt-authn': 0,
  rbac: 0,
  'ext-authz': 0,
  fault: 1,
  cors: 2,
  'local-ratelimit': 3,
  router: 4,
};

function checkFilterOrder(fields: Fields, filters: readonly HttpFilter[]): void {
  const places = filters.flatMap((filter) => FILTER_ORDER[filter.kind] ?? []);
  if (places.some((place, i) => i > 0 && place < (places[i - 1] ?? 0)))
    fields.problem('httpFilters', 'grpc_web, jwt_authn, rbac and ext_authz, fault, cors, local_ratelimit and router run in this order only');
}

function decodeHttpFilter(fields: Fields): HttpFilter[] {
  const config = fields.object('typedConfig');
  const type = config?.type() ?? '';
  const kind = ROUTE_FILTERS[type];
  if (kind !== undefined) {
    config?.ignore('statPrefix');
    for (const key of config?.keys() ?? []) if (key !== 'statPrefix') config?.problem(key, `${kind} is configured on routes only`);
    return [{ kind }];
  }
  if (type === 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication' && config !== undefined)
    return [{ kind: 'jwt-authn', config: decodeJwtAuthn(config) }];
  if (type === 'envoy.extensions.filters.http.rbac.v3.RBAC' && config !== undefined)
    return named(fields, (name) => ({ kind: 'rbac', name, config: decodeRbac(config, 'http') }));
  if (type === EXT_AUTHZ && config !== undefined) return named(fields, (name) => ({ kind: 'ext-authz', name, config: decodeExtAuthz(config) }));
  if (type.endsWith('.router.v3.Router')) {
    config?.ignore('dynamicStats', 'startChildSpan');
    config?.end();
    return [{ kind: 'router' }];
  }
  if (type.endsWith('.grpc_web.v3.GrpcWeb')) return [{ kind: 'grpc-web' }];
  // Clusters resolve by themselves here; Envoy needs this filter to.
  if (type.endsWith('.dynamic_forward_proxy.v3.FilterConfig')) return [];
  if (type.endsWith('.header_to_metadata.v3.Config')) {
    const rules = config?.list('requestRules') ?? [];
    const header = rules[0]?.text('header') ?? '';
    // The one use this proxy knows: lifting the peer's identity.
    const known = rules.every((r) => r.text('header') === header && r.object('onHeaderPresent')?.text('metadataNamespace') === 'weft.peer');
    if (known && header !== '') return [{ kind: 'peer-metadata', header }];
  }
  fields.problem('typedConfig', `the HTTP filter ${type} is not supported`);
  return [];
}

/** As Envoy: without the request id's say every trace that nobody has decided on is recorded. */
function decidesSampling(extension: Fields | undefined): boolean {
  const config = extension?.object('typedConfig');
  if (config === undefined) return true;
  if (!config.type().endsWith('.UuidRequestIdConfig')) extension?.problem('typedConfig', `request ids of type ${config.type()} are not supported`);
  const decides = config.flag('useRequestIdForTraceSampling', true);
  config.ignore('packTraceReason');
  config.end();
  return decides;
}

function decodeTag(fields: Fields): CustomTag {
  const tag = fields.text('tag');
  const format = fields.text('value');
  if (format !== '') {
    try {
      compileTagFormat(format);
    } catch (error) {
      fields.problem('value', (error as Error).message);
    }
    return { tag, source: { kind: 'format', format } };
  }
  const literal = fields.object('literal');
  if (literal !== undefined) return { tag, source: { kind: 'literal', value: literal.text('value') } };
  const environment = fields.object('environment');
  if (environment !== undefined) return { tag, source: { kind: 'literal', value: process.env[environment.text('name')] ?? environment.text('defaultValue') } };
  const header = fields.object('requestHeader');
  if (header !== undefined) return { tag, source: { kind: 'header', name: header.text('name').toLowerCase(), default: header.text('defaultValue') } };
  const metadata = fields.object('metadata');
  const kind = metadata?.object('kind');
  const key = metadata?.object('metadataKey');
  if (kind?.has('route') !== true && kind?.has('host') !== true) fields.problem('metadata.kind', 'only route and host metadata are supported');
  return {
    tag,
    source: {
      kind: kind?.has('host') === true ? 'host-metadata' : 'route-metadata',
      key: key?.text('key') ?? '',
      path: key?.list('path').map((p) => p.text('key')) ?? [],
    },
  };
}

function decodeAccessLog(fields: Fields): AccessLog[] {
  const config = fields.object('typedConfig');
  const type = config?.type() ?? '';
  if (type.endsWith('.FileAccessLog')) {
    const filter = decodeLogFilter(fields.object('filter'));
    const format = decodeLogFormat(config?.object('logFormat'));
    const path = config?.text('path') ?? '';
    config?.end();
    return [{ kind: 'file', path, ...(format === undefined ? {} : { format }), ...(filter === undefined ? {} : { filter }) }];
  }
  if (type.endsWith('TypedStruct')) return isMetricOverrides(config) ? [] : [{ kind: 'istio-stats' }];
  fields.problem('typedConfig', `the access logger ${type} is not supported`);
  return [];
}

const CEL_FILTER = 'envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter';

function decodeLogFilter(fields: Fields | undefined): string | undefined {
  const config = fields?.object('extensionFilter')?.object('typedConfig');
  if (fields === undefined) return undefined;
  if (config?.text('typeUrl').endsWith(CEL_FILTER) !== true) {
    fields.problem('extensionFilter', 'of the filters of access logs only CEL expressions are supported');
    return undefined;
  }
  const value = config.object('value');
  const expression = value?.text('expression') ?? '';
  try {
    compileLogFilter(expression);
  } catch (error) {
    value?.problem('expression', (error as Error).message);
  }
  value?.end();
  fields.end();
  return expression;
}

function decodeHttpProtocols(fields: Fields): Pick<HttpConnectionManager, 'acceptHttp10' | 'http2'> {
  const http1 = fields.object('httpProtocolOptions');
  const http2 = fields.object('http2ProtocolOptions');
  const max = http2?.number('maxConcurrentStreams') ?? 0;
  const options = {
    acceptHttp10: http1?.flag('acceptHttp10') ?? false,
    ...(http2 === undefined ? {} : { http2: { ...(max === 0 ? {} : { maxConcurrentStreams: max }), allowConnect: http2.flag('allowConnect') } }),
  };
  // Windows are this proxy's own choice.
  http2?.ignore('initialStreamWindowSize', 'initialConnectionWindowSize');
  for (const part of [http1, http2]) part?.end();
  return options;
}
