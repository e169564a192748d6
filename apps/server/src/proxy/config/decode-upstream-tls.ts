// TLS of connections a cluster makes: trust, own certificate, server name, names accepted.

import { decodeCertificates, decodeTlsParams, decodeTrust } from './decode-tls.ts';
import type { Fields } from './fields.ts';
import type { ProxyProtocolVersion, UpstreamTls } from './model.ts';

const RAW_BUFFER = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer';
const TLS = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';

const PROXIED = 'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport';

/** Without `tls` plaintext. */
interface Transport {
  tls?: UpstreamTls;
  proxyProtocol?: ProxyProtocolVersion;
}

export function decodeTransportSocket(fields: Fields | undefined): Transport {
  const config = fields?.object('typedConfig');
  if (config?.type() !== PROXIED) return withTls(decodeTls(fields, config));
  const header = config.object('config');
  const proxyProtocol = header?.text('version', 'V1') === 'V2' ? 'V2' : 'V1';
  const inner = config.object('transportSocket');
  header?.end();
  config.end();
  return { ...withTls(decodeTls(inner, inner?.object('typedConfig'))), proxyProtocol };
}

function withTls(tls: UpstreamTls | undefined): Transport {
  return tls === undefined ? {} : { tls };
}

function decodeTls(fields: Fields | undefined, config: Fields | undefined): UpstreamTls | undefined {
  if (fields === undefined || config === undefined || config.type() === RAW_BUFFER) return undefined;
  if (config.type() !== TLS) {
    fields.problem('typedConfig', `a transport socket of type ${config.type()} is not supported`);
    return undefined;
  }
  const context = config.object('commonTlsContext');
  const { secrets, pairs } = decodeCertificates(context);
  const [certificateSecret] = secrets;
  const [certificate] = pairs;
  if (secrets.length + pairs.length > 1) context?.problem('tlsCertificates', 'more than one certificate is not supported');
  const { acceptUntrusted, ...trust } = decodeTrust(context);
  const trusts = trust.validationSecret !== undefined || trust.ca !== undefined;
  const tls: UpstreamTls = {
    sni: config.text('sni'),
    alpn: context?.texts('alpnProtocols') ?? [],
    ...(certificateSecret === undefined ? {} : { certificateSecret }),
    ...(certificate === undefined || certificateSecret !== undefined ? {} : { certificate }),
    ...decodeTlsParams(context?.object('tlsParams')),
    ...trust,
    verify: trusts && !acceptUntrusted,
  };
  if ((tls.peerSans.length > 0 || tls.pins !== undefined) && !tls.verify)
    config.problem('commonTlsContext', 'names or hashes are to be matched but there is no trusted CA');
  // No sessions are kept and nothing is renegotiated in any case.
  config.ignore('maxSessionKeys', 'enforceRsaKeyUsage');
  context?.end();
  config.end();
  return tls;
}
