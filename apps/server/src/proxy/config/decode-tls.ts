// What TLS of both sides has in common: certificates, trust, and what a handshake may agree on.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { getCiphers } from 'node:tls';
import { decodeStringMatch } from './decode-common.ts';
import type { Fields } from './fields.ts';
import type { KeyPair, PeerTrust, SanMatch, TlsParams, TlsVersion } from './model.ts';
import { digestOf } from '../transport/peer-identity.ts';
import { mustLoad, sharedContext } from '../transport/secure-context.ts';

const SAN_TYPES: Readonly<Record<string, NonNullable<SanMatch['san']>>> = { URI: 'uri', DNS: 'dns', EMAIL: 'email', IP_ADDRESS: 'ip' };
const VERSIONS: Readonly<Record<string, TlsVersion>> = { TLSv1_0: 'TLSv1', TLSv1_1: 'TLSv1.1', TLSv1_2: 'TLSv1.2', TLSv1_3: 'TLSv1.3' };
/** Envoy's list is for TLS 1.2 and below; these are always there. */
const TLS13_CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

/** Certificates of a CommonTlsContext: names of secrets, and those that are given. */
export function decodeCertificates(context: Fields | undefined): { secrets: string[]; pairs: KeyPair[] } {
  const secrets = (context?.list('tlsCertificateSdsSecretConfigs') ?? []).map(secretName);
  const pairs = (context?.list('tlsCertificates') ?? []).flatMap((fields): KeyPair[] => {
    const pair = { chainPem: readSource(fields, 'certificateChain'), keyPem: readSource(fields, 'privateKey') };
    fields.end();
    if (pair.chainPem === '' || pair.keyPem === '') return [];
    check(fields, 'certificateChain', () => mustLoad({ cert: pair.chainPem, key: pair.keyPem }));
    return [pair];
  });
  return { secrets, pairs };
}

/** Secrets come on the one stream there is, whatever source is named. */
function secretName(secret: Fields): string {
  const name = secret.text('name');
  secret.ignore('sdsConfig');
  secret.end();
  return name;
}

export function decodeTlsParams(params: Fields | undefined): TlsParams {
  const version = (key: string, fallback: TlsVersion): TlsVersion => VERSIONS[params?.text(key) ?? ''] ?? fallback;
  // A group `[A|B]` is of equal preference; here the first stands before the second.
  const ciphers = (params?.texts('cipherSuites') ?? []).flatMap((entry) => entry.replace(/^\[|\]$/g, '').split('|'));
  const known = new Set(getCiphers());
  for (const name of ciphers) if (!known.has(name.toLowerCase())) params?.problem('cipherSuites', `${name} is no cipher of this proxy's TLS library`);
  const curves = params?.texts('ecdhCurves') ?? [];
  const algorithms = params?.texts('signatureAlgorithms') ?? [];
  const result: TlsParams = {
    minVersion: version('tlsMinimumProtocolVersion', 'TLSv1.2'),
    maxVersion: version('tlsMaximumProtocolVersion', 'TLSv1.3'),
    ...(ciphers.length === 0 ? {} : { ciphers: `${ciphers.join(':')}:${TLS13_CIPHERS}` }),
    ...(curves.length === 0 ? {} : { ecdhCurve: curves.join(':') }),
    ...(algorithms.length === 0 ? {} : { sigalgs: algorithms.join(':') }),
  };
  // Clusters of a mesh agree, and a context of OpenSSL for each of thousands takes seconds.
  if (params !== undefined && params.problems.length === 0) check(params, 'ecdhCurves', () => sharedContext({ ca: [], ...result }));
  params?.end();
  return result;
}

export function decodeTrust(context: Fields | undefined): PeerTrust & { acceptUntrusted: boolean } {
  const combined = context?.object('combinedValidationContext');
  const secret = combined?.object('validationContextSdsSecretConfig') ?? context?.object('validationContextSdsSecretConfig');
  const checks = combined?.object('defaultValidationContext') ?? context?.object('validationContext');
  const system = checks?.object('systemRootCerts');
  const caPem = checks === undefined ? '' : readSource(checks, 'trustedCa');
  const crlPem = checks === undefined ? '' : readSource(checks, 'crl');
  if (checks !== undefined && caPem !== '') check(checks, 'trustedCa', () => new X509Certificate(caPem));
  if (checks !== undefined && crlPem !== '') check(checks, 'crl', () => mustLoad({ crl: crlPem }));
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
  const hashes = (checks?.texts('verifyCertificateHash') ?? []).map(digestOf);
  const keys = checks?.texts('verifyCertificateSpki') ?? [];
  const acceptUntrusted = checks?.text('trustChainVerification') === 'ACCEPT_UNTRUSTED';
  checks?.end();
  combined?.end();
  const validationSecret = secret === undefined ? undefined : secretName(secret);
  return {
    ...(validationSecret === undefined ? {} : { validationSecret }),
    ...(caPem === '' ? (system === undefined ? {} : { ca: 'system' as const }) : { ca: { pem: caPem } }),
    ...(crlPem === '' ? {} : { crlPem }),
    ...(hashes.length + keys.length === 0 ? {} : { pins: { hashes, keys } }),
    peerSans,
    acceptUntrusted,
  };
}

/** Text of a DataSource, files read now, as Envoy does; '' when there is none. */
function readSource(fields: Fields, key: string): string {
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
