// Commands of a mesh's access log format about connections, their certificates, tokens and trailers, on both data planes.

import 'reflect-metadata';
import { X509Certificate, webcrypto } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { createServer } from 'node:https';
import { type AddressInfo, type Server, type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { jwk, jwks, token } from '../../src/proxy/http/jwt/testing/tokens.ts';
import { PLANES, object, runPlane } from './planes.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const validity = { notBefore: new Date('2020-01-02T03:04:05Z'), notAfter: new Date('2040-06-07T08:09:10Z') };
const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
const root = await x509.X509CertificateGenerator.createSelfSigned({
  ...{ ...validity, name: 'C=DE, O="a, b", OU=some, CN=root \u00e9', keys, signingAlgorithm: algorithm, serialNumber: '0badcafe01' },
  extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
});
const ca = root.toString('pem');

interface Pair {
  cert: string;
  key: string;
}

async function issue(who: string, subject: string, serialNumber: string): Promise<Pair> {
  const { publicKey, privateKey } = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const leaf = await x509.X509CertificateGenerator.create({
    ...{ ...validity, serialNumber, subject, issuer: root.subject, publicKey, signingKey: keys.privateKey, signingAlgorithm: algorithm },
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: `spiffe://cluster.local/ns/x/sa/${who}` },
        { type: 'url', value: `https://two/${who}` },
        { type: 'dns', value: `${who}.test` },
        { type: 'dns', value: `*.${who}.test` },
        { type: 'ip', value: '10.1.2.3' },
        { type: 'ip', value: '2001:db8::1' },
        { type: 'email', value: `${who}@x.test` },
      ]),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey)).toString('base64');
  return { cert: leaf.toString('pem'), key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n` };
}

const client = await issue('client', 'C=DE, O="weft, \\"inc", CN=client \u00e9', '00ab12');
const server = await issue('server', 'O=server', '8f01');
const edge = await issue('edge', 'O=edge, CN=gateway', '01');
const out = await issue('out', 'CN=out', '02');

const dir = mkdtempSync(join(tmpdir(), 'weft-log-'));
afterAll(() => rmSync(dir, { recursive: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const caCertificates = file('ca.pem', ca);

const names = (who: string): Record<string, string> => ({
  URI_SAN: `spiffe://cluster.local/ns/x/sa/${who},https://two/${who}`,
  DNS_SAN: `${who}.test,*.${who}.test`,
  IP_SAN: '10.1.2.3,2001:db8::1',
});
const under = (prefix: string, values: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}_${name}`, value]));
const fingerprints = (pem: string): [sha1: string, sha256: string] => {
  const { fingerprint, fingerprint256 } = new X509Certificate(pem);
  return [fingerprint.replaceAll(':', '').toLowerCase(), fingerprint256.replaceAll(':', '').toLowerCase()];
};
const [[client1, client256], [root1, root256]] = [fingerprints(client.cert), fingerprints(ca)];
const subject = 'CN=client \\C3\\A9,O=weft\\, \\"inc,C=DE';
const ISSUER = 'CN=root \\C3\\A9,OU=some,O=a\\, b,C=DE';
const cipher12 = 'ECDHE-ECDSA-AES128-GCM-SHA256';

const NUMBER = /^[1-9]\d*$/;

/** What each command says of a request over TLS 1.3 to an application over TLS 1.2; '-' of one without either. */
const SAID: Readonly<Record<string, string | RegExp>> = {
  CONNECTION_ID: NUMBER,
  UPSTREAM_CONNECTION_ID: NUMBER,
  REQUESTED_SERVER_NAME: 'client.host',
  DOWNSTREAM_TLS_VERSION: 'TLSv1.3',
  DOWNSTREAM_TLS_CIPHER: 'TLS_AES_256_GCM_SHA384',
  DOWNSTREAM_TLS_SESSION_ID: '-',
  ...under('DOWNSTREAM_PEER', names('client')),
  DOWNSTREAM_PEER_EMAIL_SAN: 'client@x.test',
  DOWNSTREAM_PEER_SUBJECT: subject,
  DOWNSTREAM_PEER_ISSUER: ISSUER,
  DOWNSTREAM_PEER_SERIAL: 'ab12',
  DOWNSTREAM_PEER_FINGERPRINT_1: client1,
  DOWNSTREAM_PEER_FINGERPRINT_256: client256,
  DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256: root256,
  DOWNSTREAM_PEER_ISSUER_SERIAL: '0badcafe01',
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1: `${client1},${root1}`,
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256: `${client256},${root256}`,
  DOWNSTREAM_PEER_CHAIN_SERIALS: 'ab12,0badcafe01',
  DOWNSTREAM_PEER_CERT: encodeURIComponent(`${client.cert}\n`),
  DOWNSTREAM_PEER_CERT_V_START: '2020-01-02T03:04:05.000Z',
  'DOWNSTREAM_PEER_CERT_V_END(%F %H)': '2040-06-07 08',
  ...under('DOWNSTREAM_LOCAL', names('edge')),
  DOWNSTREAM_LOCAL_EMAIL_SAN: 'edge@x.test',
  DOWNSTREAM_LOCAL_SUBJECT: 'CN=gateway,O=edge',
  UPSTREAM_TLS_VERSION: 'TLSv1.2',
  UPSTREAM_TLS_CIPHER: cipher12,
  UPSTREAM_TLS_SESSION_ID: /^[0-9a-f]{64}$/,
  UPSTREAM_SERVER_NAME: 'server.test',
  UPSTREAM_PEER_SUBJECT: 'O=server',
  UPSTREAM_PEER_ISSUER: ISSUER,
  UPSTREAM_PEER_CERT: encodeURIComponent(`${server.cert}\n`),
  'UPSTREAM_PEER_CERT_V_START(%Y)': '2020',
  UPSTREAM_PEER_CERT_V_END: '2040-06-07T08:09:10.000Z',
  ...under('UPSTREAM_PEER', names('server')),
  ...under('UPSTREAM_LOCAL', names('out')),
};

const listening = async (app: Server): Promise<number> => {
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void app.close());
  return (app.address() as AddressInfo).port;
};
const log = (commands: readonly string[]): { accessLogFile: string; accessLogFormat: string } => {
  const accessLogFile = join(mkdtempSync(join(dir, 'log-')), 'log');
  return { accessLogFile, accessLogFormat: `${commands.map((command) => `%${command}%`).join('\t')}\n` };
};
const lines = ({ accessLogFile }: { accessLogFile: string }): string[][] =>
  readFileSync(accessLogFile, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split('\t'));
/** By command, those that are not as wanted. */
const others = (said: readonly string[] | undefined, wanted: Readonly<Record<string, string | RegExp>>): string[] =>
  Object.entries(wanted).flatMap(([command, value], i) => {
    const told = said?.[i] ?? '';
    return (typeof value === 'string' ? told === value : value.test(told)) ? [] : [`${command}: ${told}`];
  });

describe.each(PLANES)('%s', (plane) => {
  test('of HTTP and TCP, with both connections over TLS, and with neither', async () => {
    const secure = await listening(
      createServer({ ...server, ca, requestCert: true, maxVersion: 'TLSv1.2', ciphers: cipher12 }, ({ headers }, answer) =>
        answer.end(String(headers['x-forwarded-client-cert'])),
      ),
    );
    const pem = (name: string, { cert, key }: Pair): [string, string] => [file(`${name}.pem`, cert), file(`${name}.key`, key)];
    const [serverCertificate, privateKey] = pem('edge', edge);
    const [clientCertificate, ownKey] = pem('out', out);
    const tls = { mode: 'MUTUAL', serverCertificate, privateKey, caCertificates };
    const http = { number: 80, name: 'http', protocol: 'HTTP' };
    const tcp = { number: 81, name: 'tcp', protocol: 'TCP' };
    const to = ({ number }: typeof http): object => ({ route: [{ destination: { host: 'a.test', port: { number } } }] });
    const objects = [
      object('Gateway', 'gw', {
        selector: { istio: 'gw' },
        servers: [
          { port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts: ['*'], tls },
          { port: { number: 444, name: 'tls', protocol: 'TLS' }, hosts: ['*'], tls },
          { port: http, hosts: ['*'] },
        ],
      }),
      object('VirtualService', 'a', {
        ...{ hosts: ['*'], gateways: ['gw'], tcp: [{ match: [{ port: 444 }], ...to(tcp) }] },
        http: [
          { match: [{ uri: { exact: '/none' } }], directResponse: { status: 204 } },
          { ...to(http), headers: { response: { set: { 'x-tls': '%DOWNSTREAM_PEER_SERIAL% %UPSTREAM_TLS_VERSION% %START_TIME(%Y)%' } } } },
        ],
      }),
      object('ServiceEntry', 'a', {
        ...{ hosts: ['a.test'], resolution: 'STATIC', ports: [http, tcp] },
        endpoints: [{ address: '127.0.0.1', ports: { http: secure, tcp: secure } }],
      }),
      object('DestinationRule', 'a', {
        host: 'a.test',
        trafficPolicy: { tls: { mode: 'MUTUAL', clientCertificate, privateKey: ownKey, caCertificates, sni: 'server.test', subjectAltNames: ['server.test'] } },
      }),
    ];
    const settings = log(Object.keys(SAID));
    const { port, stop } = await runPlane(plane, objects, { node: { role: 'router', labels: { istio: 'gw' } }, settings });
    const ask = (socket: Socket, path: string): Promise<string> =>
      new Promise((resolve, reject) => {
        let answer = '';
        socket.on('error', reject).on('data', (bytes: Buffer) => (answer += bytes.toString()));
        socket.on('close', () => resolve(answer));
        socket.write(`GET ${path} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n`);
      });
    const secured = { ...client, ca, host: '127.0.0.1', servername: 'client.Host', checkServerIdentity: () => undefined };
    const answer = await ask(connectTls({ ...secured, port: port('127.0.0.1_443') }), '/');
    expect(answer).toMatch(/\r\nx-tls: ab12 TLSv1.2 \d{4}\r\n/);
    const element = ['edge', 'client'].map((who) => [`spiffe://cluster.local/ns/x/sa/${who}`, `https://two/${who}`]);
    const [by, uri] = element.map((sans, i) => sans.map((name) => `${i === 0 ? 'By' : 'URI'}=${name}`).join(';'));
    expect(answer).toContain(`${by};Hash=${client256};Subject="${subject}";${uri};DNS=client.test;DNS=*.client.test`);
    await ask(connectTls({ ...secured, port: port('127.0.0.1_444') }), '/');
    await ask(connect(port('127.0.0.1_80'), '127.0.0.1'), '/none');
    await stop();
    const [ofHttp, ofTcp, bare] = lines(settings);
    expect([others(ofHttp, SAID), others(ofTcp, SAID)]).toEqual([[], []]);
    const none = { ...Object.fromEntries(Object.keys(SAID).map((command) => [command, '-'])), CONNECTION_ID: NUMBER, UPSTREAM_CONNECTION_ID: '0' };
    expect(others(bare, none)).toEqual([]);
  });

  test('what a filter has found out, and trailers', async () => {
    const app = createHttp2().on('stream', (stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'of it', 'grpc-status': '0' }));
      stream.end('ok');
    });
    const appPort = await listening(app as unknown as Server);
    const wanted = {
      'DYNAMIC_METADATA(weft.peer:workload)': 'web-v1',
      'DYNAMIC_METADATA(weft.peer:canonical_service)': 'web',
      'DYNAMIC_METADATA(weft.peer:cluster)': '-',
      'DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)': 'sue',
      'DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:none)': '-',
      'DYNAMIC_METADATA(nobody:key)': '-',
      'TRAILER(x-end)': 'of it',
      'TRAILER(X-None?x-End):3': 'of ',
      UNIQUE_ID: /^[0-9a-f-]{36}$/,
      'EMIT_TIME(%Y-)': /^20\d\d-$/,
      EMIT_TIME: /^20.*T.*\.\d{3}Z$/,
      TLS_JA3_FINGERPRINT: '-',
      TLS_JA4_FINGERPRINT: '-',
      VIRTUAL_CLUSTER_NAME: '-',
      'TRAILER(x-none)': '-',
      'FILTER_STATE(nobody)': '-',
      'UPSTREAM_FILTER_STATE(nobody:PLAIN)': '-',
    };
    const settings = log(Object.keys(wanted));
    const secrets = [
      { name: 'default', tlsCertificate: { certificateChain: { inlineString: server.cert }, privateKey: { inlineString: server.key } } },
      { name: 'ROOTCA', validationContext: { trustedCa: { inlineString: ca } } },
    ];
    const objects = [object('security.istio.io/v1 RequestAuthentication', 'a', { jwtRules: [{ issuer: 'one', jwks: jwks(jwk('rsa')) }] })];
    const { port, stop } = await runPlane(plane, objects, { secrets, settings, node: { inbound: [{ name: 'grpc', servicePort: 1, listenPort: 1, appPort }] } });
    await new Promise<void>((resolve, reject) => {
      const session = connectHttp2(`https://127.0.0.1:${port('virtualInbound_1')}`, { ...client, ca, checkServerIdentity: () => undefined });
      const bearer = `Bearer ${token({ iss: 'one', sub: 'sue', exp: Math.floor(Date.now() / 1000) + 3600 })}`;
      const asked = session.request({ ':path': '/', ':method': 'POST', authorization: bearer, 'x-weft-peer': 'web-v1;shop;web;v1;web;v1;' });
      session.on('error', reject).on('close', resolve);
      asked
        .on('error', reject)
        .on('close', () => session.close())
        .resume()
        .end();
    });
    await stop();
    expect(others(lines(settings)[0], wanted)).toEqual([]);
  });
});
