// Transport sockets of a cluster: the mesh's own mutual TLS, or what a DestinationRule's tls block asks for.

import type { JsonObject } from '@bufbuild/protobuf';
import type { TrafficPolicySpec } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { ADS, any, without } from './common.ts';
import { caOf, credentialResource } from './credentials.ts';
import type { MeshService, ServicePort } from './mesh.ts';
import { isHttp2, usesClientProtocol } from './traffic-policy.ts';

type Tls = NonNullable<TrafficPolicySpec['tls']>;

const TLS = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
const RAW: JsonObject = { name: 'envoy.transport_sockets.raw_buffer', typedConfig: any('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer') };
/** Debian's and Alpine's bundle; Envoy does not look for one by itself. */
const SYSTEM_CA_FILE = '/etc/ssl/certs/ca-certificates.crt';
const VERSIONS = { tlsMinimumProtocolVersion: 'TLSv1_2', tlsMaximumProtocolVersion: 'TLSv1_3' };

export interface Transport {
  /** `transportSocket` or `transportSocketMatches`. */
  fields: JsonObject;
  /** UpstreamHttpProtocolOptions: the server name and the names accepted follow the request's Host. */
  upstreamHttp: JsonObject | undefined;
  /** See ProtocolChoice. */
  negotiated: boolean;
}

export interface TransportContext {
  service: MeshService;
  port: ServicePort;
  subset: string | undefined;
  policy: TrafficPolicySpec;
  dataPlane: ProxyNode['dataPlane'];
  /** All endpoints take the mesh's TLS. */
  allMtls: boolean;
  /** Who they say they are. */
  principals: readonly string[];
}

/** Auto mTLS: endpoints that announce `tlsMode: istio` get TLS with their exact identity checked, others plaintext; a rule's tls block overrides. */
export function transport(context: TransportContext): Transport {
  const { policy } = context;
  const { tls } = policy;
  const plain = (socket: JsonObject, negotiated = false): Transport => ({
    fields: { transportSocket: proxied(socket, policy) },
    upstreamHttp: undefined,
    negotiated,
  });
  switch (tls?.mode) {
    case 'DISABLE':
      return plain(RAW);
    case 'SIMPLE':
    case 'MUTUAL':
      return { fields: { transportSocket: proxied(originated(context, tls), policy) }, upstreamHttp: followHost(tls), negotiated: false };
    case 'ISTIO_MUTUAL':
      return plain(meshTls(context, tls, negotiates(context)), negotiates(context));
    case undefined: {
      // Envoy refuses to negotiate where a connection may be plaintext; there the mesh's HTTP/2 waits for the last endpoint to have it.
      const negotiated = negotiates(context) && (context.allMtls || context.dataPlane === 'embedded');
      if (negotiated && context.allMtls) return plain(meshTls(context, undefined, true), true);
      return {
        fields: {
          transportSocketMatches: [
            { name: 'tlsMode-istio', match: { tlsMode: 'istio' }, transportSocket: proxied(meshTls(context, undefined, negotiated), policy) },
            { name: 'tlsMode-disabled', match: {}, transportSocket: proxied(RAW, policy) },
          ],
        },
        upstreamHttp: undefined,
        negotiated,
      };
    }
  }
}

/** HTTP without a protocol that is settled already. */
function negotiates({ port, policy }: TransportContext): boolean {
  return (
    port.protocol === 'http' && !isHttp2(port, policy) && !usesClientProtocol(port, policy) && policy.connectionPool?.http?.h2UpgradePolicy !== 'DO_NOT_UPGRADE'
  );
}

function tlsSocket(context: JsonObject): JsonObject {
  return { name: 'envoy.transport_sockets.tls', typedConfig: any(TLS, context) };
}

/** The PROXY protocol goes before anything else on the wire. */
function proxied(socket: JsonObject, policy: TrafficPolicySpec): JsonObject {
  if (policy.proxyProtocol === undefined) return socket;
  return {
    name: 'envoy.transport_sockets.upstream_proxy_protocol',
    typedConfig: any('envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport', {
      config: { version: policy.proxyProtocol.version ?? 'V1' },
      transportSocket: socket,
    }),
  };
}

function meshTls({ service, port, subset, policy, principals }: TransportContext, tls: Tls | undefined, negotiated: boolean): JsonObject {
  return tlsSocket({
    sni: tls?.sni || `outbound_.${port.port}_.${subset ?? ''}_.${service.host}`,
    commonTlsContext: {
      tlsParams: VERSIONS,
      ...meshAlpn(port, policy, negotiated),
      tlsCertificateSdsSecretConfigs: [{ name: 'default', sdsConfig: ADS }],
      combinedValidationContext: {
        defaultValidationContext: { matchTypedSubjectAltNames: sanMatches(tls?.subjectAltNames ?? principals) },
        validationContextSdsSecretConfig: { name: 'ROOTCA', sdsConfig: ADS },
      },
    },
  });
}

function meshAlpn(port: ServicePort, policy: TrafficPolicySpec, negotiated: boolean): JsonObject {
  if (port.protocol === 'tcp' || port.protocol === 'https') return { alpnProtocols: ['istio'] };
  if (negotiated) return { alpnProtocols: ['h2', 'http/1.1'] };
  // Named by nobody, each pool offers what it speaks.
  if (usesClientProtocol(port, policy)) return {};
  return { alpnProtocols: [isHttp2(port, policy) ? 'h2' : 'http/1.1'] };
}

function sanMatches(names: readonly string[]): JsonObject[] {
  return names.map((exact) => ({ sanType: exact.includes('://') ? 'URI' : 'DNS', matcher: { exact } }));
}

function originated({ port, policy, dataPlane }: TransportContext, tls: Tls): JsonObject {
  const http2 = isHttp2(port, policy);
  return tlsSocket(
    without({
      sni: tls.sni || undefined,
      commonTlsContext: {
        tlsParams: VERSIONS,
        ...(http2 ? { alpnProtocols: ['h2'] } : {}),
        ...clientCertificate(tls),
        ...validation(tls, dataPlane),
      },
    }),
  );
}

function clientCertificate(tls: Tls): JsonObject {
  if (tls.mode !== 'MUTUAL') return {};
  if (tls.credentialName !== undefined) return { tlsCertificateSdsSecretConfigs: [credential(tls.credentialName)] };
  return { tlsCertificates: [{ certificateChain: { filename: tls.clientCertificate ?? '' }, privateKey: { filename: tls.privateKey ?? '' } }] };
}

function credential(name: string): JsonObject {
  return { name: credentialResource(name), sdsConfig: ADS };
}

function validation(tls: Tls, dataPlane: ProxyNode['dataPlane']): JsonObject {
  // Without a CA nothing is checked.
  if (tls.insecureSkipVerify === true) return { validationContext: {} };
  const names: JsonObject = tls.subjectAltNames === undefined ? {} : { matchTypedSubjectAltNames: sanMatches(tls.subjectAltNames) };
  const checks = { ...names, ...(tls.caCrl === undefined ? {} : { crl: { filename: tls.caCrl } }) };
  if (tls.credentialName !== undefined)
    return { combinedValidationContext: { defaultValidationContext: checks, validationContextSdsSecretConfig: credential(caOf(tls.credentialName)) } };
  const file = tls.caCertificates === undefined || tls.caCertificates === 'system' ? undefined : tls.caCertificates;
  if (file === undefined && dataPlane === 'embedded') return { validationContext: { ...checks, systemRootCerts: {} } };
  return { validationContext: { ...checks, trustedCa: { filename: file ?? SYSTEM_CA_FILE } } };
}

function followHost(tls: Tls): JsonObject | undefined {
  if (tls.sni) return undefined;
  const check = (tls.subjectAltNames ?? []).length === 0 && tls.insecureSkipVerify !== true;
  return { autoSni: true, ...(check ? { autoSanValidation: true } : {}) };
}
