// Transport sockets of listeners: the mesh's own mutual TLS, or what a Gateway's server or a Sidecar's ingress asks for.

import type { JsonObject } from '@bufbuild/protobuf';
import { CIPHER_SUITES, type GatewaySpec } from '../config/index.ts';
import { ADS, any, without } from './common.ts';
import { caOf, credentialResource } from './credentials.ts';

export type ServerTls = NonNullable<GatewaySpec['servers'][number]['tls']>;

export const BUILT_IN = 'builtin://';
const HTTP_ALPN = ['h2', 'http/1.1'];

/** Mutual TLS with the mesh's certificates, which come by SDS. `checks`: what is asked of peers besides. */
export function downstreamTls(alpnProtocols: readonly string[] = HTTP_ALPN, checks?: JsonObject): JsonObject {
  const bundle = { name: 'ROOTCA', sdsConfig: ADS };
  return socket(true, {
    tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2', tlsMaximumProtocolVersion: 'TLSv1_3' },
    alpnProtocols: [...alpnProtocols],
    tlsCertificateSdsSecretConfigs: [{ name: 'default', sdsConfig: ADS }],
    ...(checks === undefined || Object.keys(checks).length === 0
      ? { validationContextSdsSecretConfig: bundle }
      : { combinedValidationContext: { defaultValidationContext: checks, validationContextSdsSecretConfig: bundle } }),
  });
}

export function serverTls(tls: ServerTls, alpnProtocols: readonly string[] = HTTP_ALPN): JsonObject {
  if (tls.mode === 'ISTIO_MUTUAL') return downstreamTls(alpnProtocols, checksOf(tls));
  return socket(tls.mode === 'MUTUAL', {
    tlsParams: tlsParams(tls),
    alpnProtocols: [...alpnProtocols],
    ...ownCertificates(tls),
    ...(tls.mode === 'MUTUAL' || tls.mode === 'OPTIONAL_MUTUAL' ? clientValidation(tls) : {}),
  });
}

function socket(requireClientCertificate: boolean, commonTlsContext: JsonObject): JsonObject {
  return {
    name: 'envoy.transport_sockets.tls',
    typedConfig: any('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', { requireClientCertificate, commonTlsContext }),
  };
}

function credentialsOf({ credentialName, credentialNames }: ServerTls): string[] {
  return credentialNames ?? (credentialName ? [credentialName] : []);
}

function ownCertificates(tls: ServerTls): JsonObject {
  const credentials = credentialsOf(tls);
  if (credentials.length > 0) return { tlsCertificateSdsSecretConfigs: credentials.map(secretConfig) };
  const pairs = tls.tlsCertificates ?? [];
  const files = pairs.length > 0 ? pairs : [tls];
  return {
    tlsCertificates: files.map((f) => ({ certificateChain: { filename: f.serverCertificate ?? '' }, privateKey: { filename: f.privateKey ?? '' } })),
  };
}

/** Of several credentials the bundle of the first counts, as Envoy takes only one. */
function clientValidation(tls: ServerTls): JsonObject {
  const checks = checksOf(tls);
  const [credential] = credentialsOf(tls);
  const bundle = tls.caCertCredentialName || (credential === undefined ? undefined : caOf(credential));
  if (tls.caCertificates || bundle === undefined) return { validationContext: { trustedCa: { filename: tls.caCertificates ?? '' }, ...checks } };
  return { combinedValidationContext: { defaultValidationContext: checks, validationContextSdsSecretConfig: secretConfig(bundle) } };
}

function checksOf(tls: ServerTls): JsonObject {
  const sans = (tls.subjectAltNames ?? []).map((exact) => ({ sanType: exact.includes('://') ? 'URI' : 'DNS', matcher: { exact } }));
  const some = (list: string[] | undefined): string[] | undefined => (list === undefined || list.length === 0 ? undefined : list);
  return without({
    matchTypedSubjectAltNames: sans.length === 0 ? undefined : sans,
    verifyCertificateSpki: some(tls.verifyCertificateSpki),
    verifyCertificateHash: some(tls.verifyCertificateHash),
    crl: tls.caCrl ? { filename: tls.caCrl } : undefined,
    trustChainVerification: tls.insecureSkipVerify === true ? 'ACCEPT_UNTRUSTED' : undefined,
  });
}

function tlsParams(tls: ServerTls): JsonObject {
  const version = (name: string | undefined, fallback: string): string => (name === undefined || name === 'TLS_AUTO' ? fallback : name.replace('TLSV', 'TLSv'));
  // Envoy would refuse the listener for one it does not know.
  const suites = [...new Set(tls.cipherSuites ?? [])].filter((name) => CIPHER_SUITES.has(name));
  return {
    tlsMinimumProtocolVersion: version(tls.minProtocolVersion, 'TLSv1_2'),
    tlsMaximumProtocolVersion: version(tls.maxProtocolVersion, 'TLSv1_3'),
    ...(suites.length === 0 ? {} : { cipherSuites: suites }),
  };
}

/** `builtin://` is the proxy's own certificate of the mesh. */
function secretConfig(credential: string): JsonObject {
  return { name: credential === BUILT_IN ? 'default' : credentialResource(credential), sdsConfig: ADS };
}
