// The parts of a listener below HTTP: listener filters, filter chain matches, TCP proxying, TLS of the client's side.

import { readsTls } from '../http/connection-commands.ts';
import { decodeHeaderList } from './decode-common.ts';
import { decodeMetricOverrides } from './decode-metrics.ts';
import { decodeCertificates, decodeTlsParams, decodeTrust } from './decode-tls.ts';
import type { Fields } from './fields.ts';
import type { AccessLog } from './log-model.ts';
import type { ChainMatch, Cidr, DownstreamTls, ListenerConfig, TcpProxy, Tunneling } from './model.ts';

type Inspection = Pick<ListenerConfig, 'inspectTls' | 'inspectHttp' | 'proxyProtocol'>;

export function decodeListenerFilters(filters: readonly Fields[]): Inspection {
  const result: Inspection = { inspectTls: false };
  for (const [i, filter] of filters.entries()) {
    const config = filter.object('typedConfig');
    const type = config?.type() ?? '';
    // Its options are about JA3 fingerprints and the size of a first read.
    if (type.endsWith('.TlsInspector')) result.inspectTls = true;
    else if (type.endsWith('.HttpInspector')) result.inspectHttp = true;
    else if (type.endsWith('.ProxyProtocol') && config !== undefined) {
      if (i > 0) filter.problem('typedConfig', 'proxy_protocol must be the first listener filter: its header comes before everything else');
      result.proxyProtocol = {
        optional: config.flag('allowRequestsWithoutProxyProtocol'),
        refusedVersions: config.texts('disallowedVersions').map((version) => (version === 'V2' ? 2 : 1)),
      };
      config.ignore('statPrefix');
      config.end();
    } else if (type.endsWith('.OriginalDst'))
      filter.problem(
        'typedConfig',
        'original_dst needs connections redirected by the kernel (iptables), and this proxy takes none; use a port per upstream or the HTTP proxy port',
      );
    else filter.problem('typedConfig', `the listener filter ${type || filter.text('name')} is not supported`);
    if (filter.has('filterDisabled')) filter.problem('filterDisabled', 'a listener filter is always on here');
  }
  return result;
}

export function decodeChainMatch(fields: Fields | undefined): ChainMatch {
  if (fields === undefined) return { transportProtocol: 'any', applicationProtocols: [], serverNames: [] };
  const transport = fields.text('transportProtocol');
  const sourceType = fields.text('sourceType', 'ANY');
  const destinationPort = fields.number('destinationPort');
  const ranges = (key: 'prefixRanges' | 'directSourcePrefixRanges' | 'sourcePrefixRanges'): { [K in typeof key]?: Cidr[] } => {
    const list = fields.list(key).map((range) => ({ address: range.text('addressPrefix'), length: range.number('prefixLen') }));
    return list.length === 0 ? {} : { [key]: list };
  };
  const sourcePorts = fields.texts('sourcePorts').map(Number);
  const match: ChainMatch = {
    ...(destinationPort === 0 ? {} : { destinationPort }),
    ...ranges('prefixRanges'),
    serverNames: fields.texts('serverNames').map((name) => name.toLowerCase()),
    transportProtocol: transport === 'tls' ? 'tls' : transport === 'raw_buffer' ? 'raw_buffer' : 'any',
    applicationProtocols: fields.texts('applicationProtocols'),
    ...ranges('directSourcePrefixRanges'),
    ...(sourceType === 'ANY' ? {} : { sourceType: sourceType === 'EXTERNAL' ? 'external' : 'local' }),
    ...ranges('sourcePrefixRanges'),
    ...(sourcePorts.length === 0 ? {} : { sourcePorts }),
  };
  if (transport !== '' && match.transportProtocol === 'any') fields.problem('transportProtocol', `${transport} is not one of tls, raw_buffer`);
  for (const name of match.serverNames)
    if (name.slice(1).includes('*') || (name.startsWith('*') && !name.startsWith('*.')))
      fields.problem('serverNames', `${name} is no name and no wildcard like *.example.com`);
  fields.end();
  return match;
}

/** `logs` decodes one access logger. */
export function decodeTcpProxy(fields: Fields, logs: (fields: Fields) => AccessLog[]): TcpProxy {
  const weighted = fields.object('weightedClusters')?.list('clusters');
  const none = { add: [], remove: [] };
  const clusters = weighted?.map((c) => {
    const cluster = { name: c.text('name'), weight: c.number('weight', 1), requestHeaders: none, responseHeaders: none };
    c.end();
    return cluster;
  }) ?? [{ name: fields.text('cluster'), weight: 1, requestHeaders: none, responseHeaders: none }];
  const hashes = fields.list('hashPolicy');
  for (const hash of hashes) if (!hash.has('sourceIp')) hash.problem('filterState', 'only sourceIp is supported');
  const duration = fields.ms('maxDownstreamConnectionDuration');
  const loggers = fields.list('accessLog');
  const accessLog = loggers.flatMap(logs);
  const metrics = decodeMetricOverrides(loggers);
  const tunneling = decodeTunneling(fields.object('tunnelingConfig'));
  const proxy: TcpProxy = {
    statPrefix: fields.text('statPrefix'),
    clusters,
    idleTimeoutMs: fields.ms('idleTimeout', 3_600_000),
    maxConnectAttempts: fields.number('maxConnectAttempts', 1),
    ...(hashes.length === 0 ? {} : { hashSourceIp: true }),
    ...(duration === 0 ? {} : { maxConnectionDurationMs: duration }),
    ...(accessLog.length === 0 ? {} : { accessLog }),
    ...(readsTls(accessLog) ? { readsTls: true } : {}),
    ...(tunneling === undefined ? {} : { tunneling }),
    ...(metrics === undefined ? {} : { metrics }),
  };
  fields.end();
  return proxy;
}

function decodeTunneling(fields: Fields | undefined): Tunneling | undefined {
  if (fields === undefined) return undefined;
  const headers = decodeHeaderList(fields, 'headersToAdd');
  const tunneling = {
    hostname: fields.text('hostname'),
    usePost: fields.flag('usePost'),
    postPath: fields.text('postPath') || '/',
    lines: headers.map(({ name, value }) => `${name}: ${value}\r\n`).join(''),
  };
  if (tunneling.hostname.replaceAll('%REQUESTED_SERVER_NAME%', '').includes('%'))
    fields.problem('hostname', 'of commands only %REQUESTED_SERVER_NAME% is supported');
  if (headers.some(({ value }) => value.includes('%'))) fields.problem('headersToAdd', 'commands are not supported here');
  // Nobody here looks at them.
  fields.ignore('propagateResponseHeaders', 'propagateResponseTrailers');
  fields.end();
  return tunneling;
}

/** What the filters before a TcpProxy make of the client's SNI. */
export function decodeSniFilters(filters: readonly { filter: Fields; config: Fields | undefined }[]): Pick<TcpProxy, 'clusterFromSni' | 'sniForwardPort'> {
  const result: { clusterFromSni?: boolean; sniForwardPort?: number } = {};
  for (const { filter, config } of filters) {
    const type = config?.type() ?? '';
    if (type.endsWith('.SniCluster')) result.clusterFromSni = true;
    else if (type.endsWith('.sni_dynamic_forward_proxy.v3.FilterConfig') && config !== undefined) {
      result.sniForwardPort = config.number('portValue', 443);
      // The cluster of the same cache resolves; it carries the options too.
      config.ignore('dnsCacheConfig');
      config.end();
    } else filter.problem('typedConfig', `the network filter ${type} is not supported`);
  }
  return result;
}

const DOWNSTREAM_TLS = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';

/** Undefined = plaintext. */
export function decodeDownstreamTls(fields: Fields | undefined): DownstreamTls | undefined {
  if (fields === undefined || fields.type().endsWith('RawBuffer')) return undefined;
  if (fields.type() !== DOWNSTREAM_TLS) fields.problem('@type', `a transport socket of type ${fields.type()} is not supported`);
  const context = fields.object('commonTlsContext');
  const { secrets, pairs } = decodeCertificates(context);
  if (secrets.length + pairs.length === 0) fields.problem('commonTlsContext', 'a certificate is needed');
  const { acceptUntrusted, ...trust } = decodeTrust(context);
  if (trust.ca === 'system') context?.problem('validationContext.systemRootCerts', 'clients are checked against a CA of their own only');
  const tls: DownstreamTls = {
    certificateSecrets: secrets,
    ...(pairs.length === 0 ? {} : { certificates: pairs }),
    ...trust,
    ...decodeTlsParams(context?.object('tlsParams')),
    requireClientCertificate: fields.flag('requireClientCertificate'),
    ...(acceptUntrusted ? { acceptUntrusted } : {}),
    alpn: context?.texts('alpnProtocols') ?? [],
  };
  // Sessions are not resumed; whoever asks for a staple gets one where there is one.
  fields.ignore('disableStatelessSessionResumption', 'disableStatefulSessionResumption', 'sessionTimeout', 'preferClientCiphers');
  if (fields.text('ocspStaplePolicy', 'LENIENT_STAPLING') !== 'LENIENT_STAPLING') fields.problem('ocspStaplePolicy', 'only LENIENT_STAPLING is supported');
  context?.end();
  fields.end();
  return tls;
}
