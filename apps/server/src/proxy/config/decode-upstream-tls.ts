// TLS of connections a cluster makes: trust, own certificate, server name, names accepted.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { decodeStringMatch } from './decode-common.ts';
import type { Fields } from './fields.ts';
import type { SanMatch, TlsVersion, UpstreamTls } from './model.ts';

const RAW_BUFFER = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer';
const TLS = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
const SAN_TYPES: Readonly<Record<string, NonNullable<SanMatch['san']>>> = { URI: 'uri', DNS: 'dns', EMAIL: 'email', IP_ADDRESS: 'ip' };
const VERSIONS: Readonly<Record<string, TlsVersion>> = { TLSv1_0: 'TLSv1', TLSv1_1: 'TLSv1.1', TLSv1_2: 'TLSv1.2', TLSv1_3: 'TLSv1.3' };

/** Undefined = plaintext. */
export function decodeTransportSocket(fields: Fields | undefined): UpstreamTls | undefined {
  const config = fields?.object('typedConfig');
  if (fields === undefined || config === undefined || config.type() === RAW_BUFFER) return undefined;
  if (config.type() !== TLS) {
    fields.problem('typedConfig', `a transport socket of type ${config.type()} is not supported`);
    return undefined;
  }
  const context = config.object('commonTlsContext');
  const tls: UpstreamTls = {
    sni: config.text('sni'),
    alpn: context?.texts('alpnProtocols') ?? [],
    ...decodeCertificate(context),
    ...decodeVersions(context?.object('tlsParams')),
    ...decodeValidation(context),
  };
  if (tls.peerSans.length > 0 && !tls.verify) config.problem('commonTlsContext', 'names are to be matched but there is no trusted CA');
  // No sessions are kept and nothing is renegotiated in any case.
  config.ignore('maxSessionKeys', 'enforceRsaKeyUsage');
  context?.end();
  config.end();
  return tls;
}

function decodeCertificate(context: Fields | undefined): Pick<UpstreamTls, 'certificateSecret' | 'certificate'> {
  const [secret, ...more] = context?.list('tlsCertificateSdsSecretConfigs') ?? [];
  const [inline, ...others] = context?.list('tlsCertificates') ?? [];
  if (more.length + others.length > 0) context?.problem('tlsCertificates', 'more than one certificate is not supported');
  if (secret !== undefined) return { certificateSecret: secretName(secret) };
  if (inline === undefined) return {};
  const certificate = { chainPem: readSource(inline, 'certificateChain'), keyPem: readSource(inline, 'privateKey') };
  inline.end();
  if (certificate.chainPem === '' || certificate.keyPem === '') return {};
  check(inline, 'certificateChain', () => createSecureContext({ cert: certificate.chainPem, key: certificate.keyPem }));
  return { certificate };
}

/** Secrets come on the one stream there is, whatever source is named. */
function secretName(secret: Fields): string {
  const name = secret.text('name');
  secret.ignore('sdsConfig');
  secret.end();
  return name;
}

function decodeVersions(params: Fields | undefined): Pick<UpstreamTls, 'minVersion' | 'maxVersion'> {
  const version = (key: string, fallback: TlsVersion): TlsVersion => VERSIONS[params?.text(key) ?? ''] ?? fallback;
  const versions = { minVersion: version('tlsMinimumProtocolVersion', 'TLSv1.2'), maxVersion: version('tlsMaximumProtocolVersion', 'TLSv1.3') };
  params?.end();
  return versions;
}

type Validation = Pick<UpstreamTls, 'validationSecret' | 'ca' | 'crlPem' | 'verify' | 'peerSans'>;

export function decodeValidation(context: Fields | undefined): Validation {
  const combined = context?.object('combinedValidationContext');
  const secret = combined?.object('validationContextSdsSecretConfig') ?? context?.object('validationContextSdsSecretConfig');
  const checks = combined?.object('defaultValidationContext') ?? context?.object('validationContext');
  const system = checks?.object('systemRootCerts');
  const caPem = checks === undefined ? '' : readSource(checks, 'trustedCa');
  const crlPem = checks === undefined ? '' : readSource(checks, 'crl');
  if (checks !== undefined && caPem !== '') check(checks, 'trustedCa', () => new X509Certificate(caPem));
  if (checks !== undefined && crlPem !== '') check(checks, 'crl', () => createSecureContext({ crl: crlPem }));
  const peerSans: SanMatch[] = [
    ...(checks?.list('matchTypedSubjectAltNames') ?? []).map((san): SanMatch => {
      const type = SAN_TYPES[san.text('sanType')];
      if (type === undefined) san.problem('sanType', `${san.text('sanType')} is not supported`);
      const matcher = san.object('matcher');
      san.end();
      return { ...(matcher === undefined ? { kind: 'exact', value: '', ignoreCase: false } : decodeStringMatch(matcher)), san: type ?? 'uri' };
    }),
    ...(checks?.list('matchSubjectAltNames') ?? []).map((san): SanMatch => ({ ...decodeStringMatch(san), san: 'any' })),
  ];
  checks?.end();
  combined?.end();
  const validationSecret = secret === undefined ? undefined : secretName(secret);
  return {
    ...(validationSecret === undefined ? {} : { validationSecret }),
    ...(caPem === '' ? (system === undefined ? {} : { ca: 'system' as const }) : { ca: { pem: caPem } }),
    ...(crlPem === '' ? {} : { crlPem }),
    verify: validationSecret !== undefined || caPem !== '' || system !== undefined,
    peerSans,
  };
}

/** Text of a DataSource, files read now, as Envoy does; '' when there is none. */
export function readSource(fields: Fields, key: string): string {
  const source = fields.object(key);
  if (source === undefined) return '';
  const file = source.text('filename');
  const inline = source.text('inlineString') || Buffer.from(source.text('inlineBytes'), 'base64').toString('latin1');
  source.end();
  if (file === '') return inline;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    fields.problem(key, (error as Error).message);
    return '';
  }
}

function check(fields: Fields, key: string, load: () => unknown): void {
  try {
    load();
  } catch (error) {
    fields.problem(key, `does not load: ${(error as Error).message}`);
  }
}
