// Commands of Envoy's formats about the two connections of a request: their numbers, their TLS, the certificates.

import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { digestOf, distinguishedName, sansOf } from '../transport/peer-identity.ts';
import { type TlsFacts, tlsFacts } from '../transport/tls-facts.ts';
import { shortAddress } from './address-commands.ts';
import type { HeaderValueSource } from './header-values.ts';
import { compileTime } from './time-format.ts';

type Read = (source: HeaderValueSource) => string | undefined;
type ReadTls = (facts: TlsFacts) => string | undefined;
type ReadCertificate = (certificate: X509Certificate) => string;

const joined = (names: readonly string[]): string => names.join(',');
const sha1: ReadCertificate = ({ fingerprint }) => digestOf(fingerprint);
const sha256: ReadCertificate = ({ fingerprint256 }) => digestOf(fingerprint256);
const serial: ReadCertificate = ({ serialNumber }) => serialNumber.toLowerCase();

const SANS: Readonly<Record<string, ReadCertificate>> = {
  URI_SAN: ({ subjectAltName }) => joined(sansOf(subjectAltName, 'uri')),
  DNS_SAN: ({ subjectAltName }) => joined(sansOf(subjectAltName, 'dns')),
  EMAIL_SAN: ({ subjectAltName }) => joined(sansOf(subjectAltName, 'email')),
  IP_SAN: ({ subjectAltName }) => joined(sansOf(subjectAltName, 'ip').map(shortAddress)),
};

/** Of the peer's own certificate. */
const PEER: Readonly<Record<string, ReadCertificate>> = {
  ...SANS,
  SUBJECT: ({ subject }) => distinguishedName(subject),
  ISSUER: ({ issuer }) => distinguishedName(issuer),
  SERIAL: serial,
  FINGERPRINT_1: sha1,
  FINGERPRINT_256: sha256,
  CERT: (certificate) => encodeURIComponent(certificate.toString()),
};

/** Of all the peer's certificates. */
const CHAIN: Readonly<Record<string, (chain: readonly X509Certificate[]) => string>> = {
  CHAIN_FINGERPRINTS_1: (chain) => joined(chain.map(sha1)),
  CHAIN_FINGERPRINTS_256: (chain) => joined(chain.map(sha256)),
  CHAIN_SERIALS: (chain) => joined(chain.map(serial)),
  ISSUER_FINGERPRINT_256: ([, issuer]) => (issuer === undefined ? '' : sha256(issuer)),
  ISSUER_SERIAL: ([, issuer]) => (issuer === undefined ? '' : serial(issuer)),
};

const COMMANDS: Readonly<Record<string, ReadTls>> = {
  TLS_VERSION: ({ version }) => version,
  TLS_CIPHER: ({ cipher }) => cipher,
  TLS_SESSION_ID: ({ sessionId }) => sessionId,
  SERVER_NAME: ({ serverName }) => serverName,
  LOCAL_SUBJECT: ({ own }) => own && distinguishedName(own.subject),
  ...Object.fromEntries(Object.entries(SANS).map(([name, read]): [string, ReadTls] => [`LOCAL_${name}`, ({ own }) => own && read(own)])),
  ...Object.fromEntries(Object.entries(PEER).map(([name, read]): [string, ReadTls] => [`PEER_${name}`, ({ peers: [peer] }) => peer && read(peer)])),
  ...Object.fromEntries(Object.entries(CHAIN).map(([name, read]): [string, ReadTls] => [`PEER_${name}`, ({ peers }) => read(peers)])),
};

/** What Envoy does not have of upstreams. */
const DOWNSTREAM_ONLY = /^(LOCAL_SUBJECT|(PEER|LOCAL)_EMAIL_SAN|PEER_(SERIAL|FINGERPRINT|CHAIN|ISSUER_).*)$/;

/** Names of `PEER_CERT_V_START` and `_END`, whose argument is a format of times. */
function validity(name: string, format: string | undefined): ReadTls | undefined {
  const time = compileTime(format);
  if (time === undefined) return undefined;
  if (name === 'PEER_CERT_V_START') return ({ peers: [peer] }) => peer && time(Date.parse(peer.validFrom));
  return name === 'PEER_CERT_V_END' ? ({ peers: [peer] }) => peer && time(Date.parse(peer.validTo)) : undefined;
}

const numbers = new WeakMap<Socket, number>();
let lastNumber = 0;
/** Given when first asked for: whoever does not ask pays nothing. */
function numberOf(socket: Socket | undefined): string {
  if (socket === undefined) return '0';
  let number = numbers.get(socket);
  if (number === undefined) numbers.set(socket, (number = ++lastNumber));
  return String(number);
}

/** Undefined = not known here. */
export function connectionCommand(command: string, argument: string | undefined): Read | undefined {
  if (argument === undefined && command === 'CONNECTION_ID') return ({ record }) => numberOf(record.downstreamSocket);
  if (argument === undefined && command === 'UPSTREAM_CONNECTION_ID') return ({ record }) => numberOf(record.upstreamSocket);
  const [, side, name = ''] = /^(DOWNSTREAM|UPSTREAM)_(.+)$/.exec(command) ?? [];
  if (side === undefined || (side === 'UPSTREAM' ? DOWNSTREAM_ONLY.test(name) : name === 'SERVER_NAME')) return undefined;
  const read = validity(name, argument) ?? (argument === undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined);
  if (read === undefined) return undefined;
  return ({ record }) => {
    const facts = tlsFacts(side === 'UPSTREAM' ? record.upstreamSocket : record.downstreamSocket);
    return facts === undefined ? undefined : read(facts);
  };
}

/** Whether any format in there has a command about TLS. */
export function readsTls(formats: object): boolean {
  const commands = JSON.stringify(formats).matchAll(/%(?:DOWN|UP)STREAM_([A-Z0-9_]+)/g);
  return Array.from(commands).some(([, name = '']) => Object.hasOwn(COMMANDS, name) || name.startsWith('PEER_CERT_V_'));
}
