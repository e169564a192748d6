// TLS of a listener as configured: several certificates, what a handshake may use, and which clients are let in.

import { X509Certificate, createHash } from 'node:crypto';
import { type ConnectionOptions, type TLSSocket, connect } from 'node:tls';
import { type JsonObject, fromJson, toBinary } from '@bufbuild/protobuf';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { registry } from '@weft/mesh-core/translate';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { decodeListener } from '../config/decode.ts';
import type { ListenerConfig } from '../config/model.ts';
import { type TestAuthority, testAuthority } from '../listener/testing/certificates.ts';
import { type Rig, startRig } from '../listener/testing/rig.ts';

let authority: TestAuthority;
let own: { chainPem: string; keyPem: string };
let client: { chainPem: string; keyPem: string };
beforeAll(async () => {
  authority = await testAuthority();
  own = await authority.issue('a.test');
  client = await authority.issue('spiffe://cluster.local/ns/a/sa/b');
});
const rigs: Rig[] = [];
afterEach(async () => {
  await Promise.all(rigs.splice(0).map((rig) => rig.close()));
});

const pair = ({ chainPem, keyPem }: { chainPem: string; keyPem: string }): JsonObject => ({
  certificateChain: { inlineString: chainPem },
  privateKey: { inlineString: keyPem },
});

function decoded(common: JsonObject, requireClientCertificate = false): ListenerConfig {
  const tls = (type: string, value: JsonObject): JsonObject => ({ '@type': `type.googleapis.com/envoy.extensions.${type}`, ...value });
  const socket = tls('transport_sockets.tls.v3.DownstreamTlsContext', { requireClientCertificate, commonTlsContext: common });
  const direct = { name: 'any', domains: ['*'], routes: [{ match: { prefix: '/' }, directResponse: { status: 200 } }] };
  const router = { name: 'router', typedConfig: tls('filters.http.router.v3.Router', {}) };
  const http = tls('filters.network.http_connection_manager.v3.HttpConnectionManager', {
    ...{ statPrefix: 'x', routeConfig: { virtualHosts: [direct] }, httpFilters: [router] },
  });
  const json = {
    name: 'l',
    address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
    filterChains: [{ filters: [{ name: 'http', typedConfig: http }], transportSocket: { name: 'tls', typedConfig: socket } }],
  };
  return decodeListener(toBinary(ListenerSchema, fromJson(ListenerSchema, json, { registry })), 'l');
}

async function serve(common: JsonObject, requireClientCertificate = false): Promise<Rig> {
  const rig = await startRig({ listener: decoded({ tlsCertificates: [pair(own)], ...common }, requireClientCertificate) });
  rigs.push(rig);
  return rig;
}

/** `status subject-alternative-name-of-the-server`, or what failed. */
function ask(port: number, options: ConnectionOptions = {}): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket: TLSSocket = connect({ port, host: '127.0.0.1', servername: 'a.test', ca: authority.caPem, checkServerIdentity: () => undefined, ...options });
    const name = (): string => socket.getPeerX509Certificate()?.subjectAltName ?? '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => socket.destroy());
    let served = '';
    socket.on('secureConnect', () => {
      served = `${name()} ${socket.getProtocol() ?? ''} ${socket.getCipher().standardName}`;
      socket.end('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    });
    socket.on('close', () => resolve(text.startsWith('HTTP/1.1 200') ? served : 'refused'));
  });
}

const withClient = (): ConnectionOptions => ({ cert: client.chainPem, key: client.keyPem });
const trusting = (checks: JsonObject = {}): JsonObject => ({ validationContext: { trustedCa: { inlineString: authority.caPem }, ...checks } });

test('a revoked client is refused, one that is not is let in; the list may come with the secret', async () => {
  const revoked = await authority.revoke([client.chainPem]);
  const nobody = await authority.revoke([]);
  const strict = await serve(trusting({ crl: { inlineString: revoked } }), true);
  const open = await serve(trusting({ crl: { inlineString: nobody } }), true);
  expect([await ask(strict.port, withClient()), await ask(open.port, withClient())]).toEqual(['refused', expect.stringContaining('a.test')]);
  const named = await serve({ validationContextSdsSecretConfig: { name: 'roots', sdsConfig: { ads: {} } } }, true);
  named.runtime.applySecret({ kind: 'validation', name: 'roots', caPem: authority.caPem });
  expect(await ask(named.port, withClient())).toContain('a.test');
  named.runtime.applySecret({ kind: 'validation', name: 'roots', caPem: authority.caPem, crlPem: revoked });
  expect(await ask(named.port, withClient())).toBe('refused');
});

test('of several certificates a client gets the one for its name, and of those for one name by the kind of key it takes', async () => {
  const other = await authority.issue('b.test');
  const rsa = await authority.issue('a.test', 'rsa');
  const rig = await serve({ tlsCertificates: [pair(own), pair(other), pair(rsa)] });
  expect(await ask(rig.port)).toMatch(/^DNS:a.test/);
  expect(await ask(rig.port, { servername: 'b.test' })).toMatch(/^DNS:b.test/);
  expect(await ask(rig.port, { servername: 'c.test' })).toMatch(/^DNS:a.test/);
  const only = (ciphers: string): ConnectionOptions => ({ maxVersion: 'TLSv1.2', ciphers });
  expect(await ask(rig.port, only('ECDHE-RSA-AES128-GCM-SHA256'))).toBe('DNS:a.test TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256');
  expect(await ask(rig.port, only('ECDHE-ECDSA-AES128-GCM-SHA256'))).toBe('DNS:a.test TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256');
});

test('versions and ciphers are those configured; TLS 1.3 keeps its own', async () => {
  const modern = await serve({ tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_3' } });
  expect([await ask(modern.port), await ask(modern.port, { maxVersion: 'TLSv1.2' })]).toEqual([expect.stringContaining('TLSv1.3'), 'refused']);
  const chosen = await serve({ tlsParams: { cipherSuites: ['[ECDHE-ECDSA-AES256-GCM-SHA384|ECDHE-ECDSA-CHACHA20-POLY1305]'], ecdhCurves: ['P-256'] } });
  expect(await ask(chosen.port, { maxVersion: 'TLSv1.2' })).toContain('AES_256_GCM_SHA384');
  expect(await ask(chosen.port)).toContain('TLSv1.3');
  expect(await ask(chosen.port, { ecdhCurve: 'X25519' })).toBe('refused');
  expect(() => decoded({ tlsCertificates: [pair(own)], tlsParams: { cipherSuites: ['NULL-NONE'] } })).toThrow('tlsParams.cipherSuites: NULL-NONE');
  expect(() => decoded({ tlsCertificates: [pair(own)], tlsParams: { ecdhCurves: ['P-1'] } })).toThrow('tlsParams.ecdhCurves');
});

test('a certificate may be asked for by its hash or its key, or be taken whoever issued it', async () => {
  const certificate = new X509Certificate(client.chainPem);
  const key = createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');
  const asked = async (checks: JsonObject, options: ConnectionOptions = withClient()): Promise<boolean> =>
    (await ask((await serve(trusting(checks), true)).port, options)) !== 'refused';
  expect(await asked({ verifyCertificateHash: [certificate.fingerprint256] })).toBe(true);
  expect(await asked({ verifyCertificateHash: ['00'.repeat(32)] })).toBe(false);
  expect(await asked({ verifyCertificateHash: ['00'.repeat(32)], verifyCertificateSpki: [key] })).toBe(true);
  const stranger = await (await testAuthority('other')).issue('x.test');
  const shown = { cert: stranger.chainPem, key: stranger.keyPem };
  expect(await asked({}, shown)).toBe(false);
  expect(await asked({ trustChainVerification: 'ACCEPT_UNTRUSTED' }, shown)).toBe(true);
  expect(await asked({ trustChainVerification: 'ACCEPT_UNTRUSTED' }, {})).toBe(false);
});

test('a client that asks for it gets the OCSP staple of its certificate', async () => {
  const rig = await serve({ tlsCertificates: [], tlsCertificateSdsSecretConfigs: [{ name: 'own', sdsConfig: { ads: {} } }] });
  rig.runtime.applySecret({ kind: 'certificate', name: 'own', ...own, ocspStaple: Buffer.from('stapled') });
  const staple = await new Promise<string>((resolve, reject) => {
    const options = { port: rig.port, host: '127.0.0.1', ca: authority.caPem, requestOCSP: true };
    const socket = connect({ ...options, checkServerIdentity: () => undefined });
    socket.on('error', reject);
    socket.on('OCSPResponse', (response: Buffer) => {
      socket.destroy();
      resolve(response.toString('latin1'));
    });
  });
  expect(staple).toBe('stapled');
});
