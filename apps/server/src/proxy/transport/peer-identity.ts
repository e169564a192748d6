// The SPIFFE identity in a peer's certificate and whether it is one of those expected.

import { type X509Certificate, createHash } from 'node:crypto';
import { compileStringMatch } from '@weft/mesh-core/traffic';
import type { CertificatePins, SanMatch } from '../config/model.ts';

/**
 * Entries of Node's `subjectAltName` text. Node quotes values that contain separators as JSON, so a name cannot smuggle a
 * second entry in.
 */
function sanEntries(subjectAltName: string | undefined): { kind: string; value: string }[] {
  const found: { kind: string; value: string }[] = [];
  let rest = subjectAltName ?? '';
  while (rest !== '') {
    const match = /^(?<kind>[A-Za-z ]+):(?<value>"(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/.exec(rest);
    if (match?.groups === undefined) return found;
    const { kind = '', value = '' } = match.groups;
    found.push({ kind, value: value.startsWith('"') ? String(JSON.parse(value)) : value });
    rest = rest.slice(match[0].length);
  }
  return found;
}

const KINDS = { uri: 'URI', dns: 'DNS', email: 'email', ip: 'IP Address', any: '' } as const;

/** Names of one kind; an IPv6 address is written in full. */
export function sansOf(subjectAltName: string | undefined, wanted: Exclude<keyof typeof KINDS, 'any'>): string[] {
  return sanEntries(subjectAltName).flatMap(({ kind, value }) => (kind === KINDS[wanted] ? [value] : []));
}

/** A name of Node's, RDNs from the top on lines of their own, as RFC 2253 has it: from the bottom, bytes of other letters in hex. */
export function distinguishedName(lines: string): string {
  const rdns = lines.split('\n').map((rdn) => rdn.split(' + ').toReversed().join('+'));
  return rdns
    .toReversed()
    .join(',')
    .replaceAll(/[^\0-\x7f]/gu, (letter) => Buffer.from(letter).toString('hex').toUpperCase().replaceAll(/../g, '\\$&'));
}

/** Accepts a certificate with one of the wanted names; with none wanted, any. @throws RegexError */
export function compilePeerSans(wanted: readonly SanMatch[]): (subjectAltName: string | undefined) => boolean {
  if (wanted.length === 0) return () => true;
  const tests = wanted.map((match) => {
    const kind = KINDS[match.san ?? 'uri'];
    const name = match.value;
    const test = kind === 'DNS' && match.kind === 'exact' ? (san: string) => coversHost(san, name) : compileStringMatch(match);
    return { kind, test };
  });
  return (subjectAltName) =>
    sanEntries(subjectAltName).some((entry) => tests.some(({ kind, test }) => (kind === '' || kind === entry.kind) && test(entry.value)));
}

/** A DNS name of a certificate, which may have a wildcard as its first label. */
function coversHost(san: string, host: string): boolean {
  const [name, wanted] = [san.toLowerCase(), host.toLowerCase()];
  if (!name.startsWith('*.')) return name === wanted;
  const dot = wanted.indexOf('.');
  return dot > 0 && wanted.slice(dot) === name.slice(1);
}

/** The certificate is for this host name or address. */
export function namesHost(subjectAltName: string | undefined, host: string): boolean {
  return sanEntries(subjectAltName).some(({ kind, value }) => (kind === 'DNS' && coversHost(value, host)) || (kind === 'IP Address' && value === host));
}

/** Accepts a certificate with one of the hashes, or a key with one. */
/** A fingerprint as Envoy writes it: hex in lower case, without colons. */
export function digestOf(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}

export function compilePins({ hashes, keys }: CertificatePins): (certificate: X509Certificate) => boolean {
  return (certificate) =>
    hashes.includes(digestOf(certificate.fingerprint256)) ||
    (keys.length > 0 &&
      keys.includes(
        createHash('sha256')
          .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
          .digest('base64'),
      ));
}
