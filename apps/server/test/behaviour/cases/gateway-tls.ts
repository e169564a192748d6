// What a Gateway's server asks of TLS: versions and ciphers, and whose certificate it takes.

import { type Case, type ClientTls, type HttpStep, http, service, until } from '../case.ts';
import { oneOf } from '../harness/match.ts';
import { EDGE, edgeHost, gateway, secret } from './gateways.ts';

const area = 'gateways';
const ended = { failed: oneOf('tls', 'closed', 'reset') };
const AES256 = 'ECDHE-ECDSA-AES256-GCM-SHA384';
const AES128 = 'ECDHE-ECDSA-AES128-GCM-SHA256';
const HASH_OF_NOBODY = '0'.repeat(64);
const KEY_OF_NOBODY = Buffer.alloc(32).toString('base64');

/** Gateways of one host, each on the port of its name with these TLS settings (flow YAML), all with one Secret and to one service. */
const servers = (name: string, settings: Readonly<Record<string, string>>): string =>
  `${secret(name)}${Object.entries(settings)
    .map(([at, tls]) => gateway(at, { hosts: 'edge.example.com', tls: `{ credentialName: ${name}, ${tls} }` }))
    .join('')}
kind: VirtualService
metadata: { name: ${name} }
spec: { hosts: [edge.example.com], gateways: [${Object.keys(settings).join(', ')}], http: [{ route: [{ destination: { host: ${name} } }] }] }
`;

const enters = (at: string, tls: Partial<ClientTls>): HttpStep => http({ at, tls: { ...EDGE, ...tls }, headers: edgeHost, expect: { status: 200 } });
const stays = (at: string, tls: Partial<ClientTls>): HttpStep => http({ at, tls: { ...EDGE, ...tls }, headers: edgeHost, expect: ended });

export const GATEWAY_TLS: readonly Case[] = [
  {
    area,
    name: 'maxProtocolVersion; cipherSuites of TLS 1.2, those nobody knows left out',
    services: [service('gw-ciphers')],
    objects: servers('gw-ciphers', {
      'gw-max': 'mode: SIMPLE, maxProtocolVersion: TLSV1_2',
      'gw-cipher': `mode: SIMPLE, cipherSuites: [${AES256}, OF-NOBODY]`,
    }),
    steps: [
      until(enters('gw-max', { maxVersion: 'TLSv1.2' })),
      enters('gw-max', {}),
      stays('gw-max', { minVersion: 'TLSv1.3' }),
      until(enters('gw-cipher', { maxVersion: 'TLSv1.2', ciphers: AES256 })),
      enters('gw-cipher', { maxVersion: 'TLSv1.2', ciphers: `${AES128}:${AES256}` }),
      stays('gw-cipher', { maxVersion: 'TLSv1.2', ciphers: AES128 }),
      // TLS 1.3 has ciphers of its own.
      enters('gw-cipher', { minVersion: 'TLSv1.3' }),
    ],
  },
  {
    area,
    name: 'MUTUAL: verifyCertificateHash, verifyCertificateSpki (either will do), subjectAltNames; of the known authority all the same',
    differs: { 'failed: "closed" | "tls"': 'of a certificate it does not trust Envoy says so by an alert; Node only ends the connection' },
    services: [service('gw-pins')],
    objects: servers('gw-pins', {
      'gw-hash': 'mode: MUTUAL, verifyCertificateHash: ["$HASH(client.pem)"]',
      'gw-spki': 'mode: MUTUAL, verifyCertificateSpki: ["$SPKI(client.pem)"]',
      'gw-either': `mode: MUTUAL, verifyCertificateHash: ["${HASH_OF_NOBODY}"], verifyCertificateSpki: ["$SPKI(client.pem)"]`,
      'gw-neither': `mode: MUTUAL, verifyCertificateHash: ["${HASH_OF_NOBODY}"], verifyCertificateSpki: ["${KEY_OF_NOBODY}"]`,
      'gw-stranger': 'mode: MUTUAL, verifyCertificateHash: ["$HASH(stranger.pem)"]',
      'gw-san': 'mode: MUTUAL, subjectAltNames: [somebody.example.com, client.example.com]',
    }),
    steps: [
      ...['gw-hash', 'gw-spki', 'gw-either', 'gw-san'].map((at) => until(enters(at, { as: 'client' }))),
      ...['gw-hash', 'gw-spki', 'gw-san'].map((at) => stays(at, {})),
      ...['gw-neither', 'gw-stranger'].map((at) => stays(at, { as: 'client' })),
      // Its certificate is the one that is asked for, and yet of nobody's authority.
      stays('gw-stranger', { as: 'stranger' }),
    ],
  },
];
