// HttpProtocolOptions of a cluster.

import { decodeStringMatch } from './decode-common.ts';
import type { Fields } from './fields.ts';
import type { ClusterConfig } from './model.ts';

type HttpOptions = ClusterConfig['http'];

export function decodeHttpOptions(extensions: Fields | undefined): HttpOptions {
  const options = extensions?.object('envoy.extensions.upstreams.http.v3.HttpProtocolOptions');
  extensions?.end();
  options?.ignore('@type');
  const common = options?.object('commonHttpProtocolOptions');
  const upstream = options?.object('upstreamHttpProtocolOptions');
  const chosen = decodeProtocol(options);
  const http1 = chosen.fields?.object('httpProtocolOptions');
  const http2 = chosen.fields?.object('http2ProtocolOptions');
  const keepalive = http2?.object('connectionKeepalive');
  const http: HttpOptions = {
    protocol: chosen.protocol,
    idleTimeoutMs: common?.ms('idleTimeout', 3_600_000) ?? 3_600_000,
    maxRequestsPerConnection: common?.number('maxRequestsPerConnection') ?? 0,
    maxConnectionDurationMs: common?.ms('maxConnectionDuration') ?? 0,
    maxStreamDurationMs: common?.ms('maxStreamDuration') ?? 0,
    allowConnect: http2?.flag('allowConnect') ?? false,
    maxConcurrentStreams: http2?.number('maxConcurrentStreams') ?? 0,
    ...(keepalive === undefined ? {} : { keepalive: { intervalMs: keepalive.ms('interval'), timeoutMs: keepalive.ms('timeout') } }),
    autoSni: upstream?.flag('autoSni') ?? false,
    autoSanValidation: upstream?.flag('autoSanValidation') ?? false,
    ...decodeErrors(options?.object('outlierDetection')),
  };
  for (const part of [common, upstream, http1, keepalive, http2, chosen.fields, options]) part?.end();
  return http;
}

/** Errors by status are all a host can be judged by here. */
function decodeErrors(fields: Fields | undefined): Pick<HttpOptions, 'errorStatus'> {
  const matcher = fields?.object('errorMatcher');
  const headers = matcher?.object('httpResponseHeadersMatch')?.list('headers') ?? [];
  const [status, ...more] = headers;
  const text = status?.object('stringMatch');
  if (fields !== undefined && (status?.text('name') !== ':status' || text === undefined || more.length > 0))
    fields.problem('errorMatcher', 'only a string match of the response header :status is supported');
  for (const part of [status, matcher, fields]) part?.end();
  return text === undefined ? {} : { errorStatus: decodeStringMatch(text) };
}

function decodeProtocol(options: Fields | undefined): { protocol: HttpOptions['protocol']; fields: Fields | undefined } {
  const auto = options?.object('autoConfig');
  if (auto !== undefined) return { protocol: 'auto', fields: auto };
  const downstream = options?.object('useDownstreamProtocolConfig');
  if (downstream !== undefined) return { protocol: 'downstream', fields: downstream };
  const explicit = options?.object('explicitHttpConfig');
  return { protocol: explicit?.has('http2ProtocolOptions') === true ? 'http2' : 'http1', fields: explicit };
}
