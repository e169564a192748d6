// Joining, serving and refusing on the mTLS port, over real sockets.

import { credentials as grpcCredentials } from '@grpc/grpc-js';
import { fromBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SecretSchema } from '@weft/mesh-core/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb';
import { TYPE_URL } from '@weft/mesh-core/xds';
import { createCsr, createCsrWithKey } from '../certificates/testing/csr.ts';
import { createCertificate, openDelta } from './testing/ads-client.ts';
import { nodeOf, startHarness, until, virtualService } from './testing/harness.ts';

const REVIEWS_ID = 'spiffe://cluster.local/ns/a/sa/reviews';
const UNAUTHENTICATED = 16;
const PERMISSION_DENIED = 7;
const UNAVAILABLE = 14;
let harness: Awaited<ReturnType<typeof startHarness>>;
const closers: (() => void)[] = [];

beforeEach(async () => {
  harness = await startHarness();
});
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await harness.close();
});

const serverOnly = () => grpcCredentials.createSsl(Buffer.from(harness.ca.rootCaPem));
const mutual = (pair: { privateKeyPem: string; certificatePem: string }) =>
  grpcCredentials.createSsl(Buffer.from(harness.ca.rootCaPem), Buffer.from(pair.privateKeyPem), Buffer.from(pair.certificatePem));
const token = (serviceAccount = 'reviews', ttlMs = 60_000) => harness.ca.issueJoinToken({ namespace: 'a', workload: 'reviews', serviceAccount, ttlMs });
const issued = (serviceAccount: string) => harness.ca.issueLeaf({ trustDomain: 'cluster.local', namespace: 'a', serviceAccount });
const ads = (credentials: ReturnType<typeof serverOnly>, node: ReturnType<typeof nodeOf>) => {
  const stream = openDelta(harness.plane.ports().tls, credentials);
  closers.push(stream.close);
  stream.send({ node, typeUrl: TYPE_URL.cluster });
  return stream;
};

test('a workload joins with its token, connects with its leaf, gets its secrets, and renews with its leaf', async () => {
  await harness.put(virtualService('ratings', {}));
  const { csr, privateKeyPem } = await createCsrWithKey([REVIEWS_ID]);
  const chain = await createCertificate(harness.plane.ports().tls, serverOnly(), csr, token());
  expect(chain).toHaveLength(2);
  expect(chain[1]).toBe(harness.ca.rootCaPem);
  const credential = mutual({ privateKeyPem, certificatePem: chain[0] ?? '' });

  const stream = ads(credential, nodeOf('reviews'));
  const clusters = await stream.next();
  expect(clusters.resources.map((r) => r.name)).toEqual(['ratings']);
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: clusters.nonce });
  stream.send({ typeUrl: TYPE_URL.secret, resourceNamesSubscribe: ['default', 'ROOTCA'] });
  const secrets = (await stream.next()).resources.map((r) => fromBinary(SecretSchema, r.resource?.value ?? new Uint8Array()));
  expect(secrets.map((s) => [s.name, s.type.case])).toEqual([
    ['default', 'tlsCertificate'],
    ['ROOTCA', 'validationContext'],
  ]);
  const status = await until(() => harness.plane.proxies().find((p) => p.workload === 'reviews'));
  expect(status).toMatchObject({
    identity: REVIEWS_ID,
    protocol: 'delta',
    certificate: { serial: expect.any(String) as string, notAfter: expect.any(Number) as number },
  });

  expect(await createCertificate(harness.plane.ports().tls, credential, await createCsr([REVIEWS_ID]))).toHaveLength(2);
  await expect(createCertificate(harness.plane.ports().tls, credential, await createCsr(['spiffe://cluster.local/ns/a/sa/ratings']))).rejects.toMatchObject({
    code: PERMISSION_DENIED,
  });
});

test('signing is refused without a token, with an expired or tampered one, and for another identity', async () => {
  const { tls } = harness.plane.ports();
  const csr = await createCsr([REVIEWS_ID]);
  await expect(createCertificate(tls, serverOnly(), csr)).rejects.toMatchObject({ code: UNAUTHENTICATED });
  await expect(createCertificate(tls, serverOnly(), csr, token('reviews', -1))).rejects.toMatchObject({
    code: UNAUTHENTICATED,
    details: expect.stringContaining('WEFT_TOKEN_EXPIRED') as string,
  });
  await expect(createCertificate(tls, serverOnly(), csr, `${token()}x`)).rejects.toMatchObject({
    code: UNAUTHENTICATED,
    details: expect.stringContaining('WEFT_TOKEN_INVALID') as string,
  });
  await expect(createCertificate(tls, serverOnly(), csr, token('ratings'))).rejects.toMatchObject({ code: PERMISSION_DENIED });
});

test('configuration is refused to a node of another identity, to no certificate, and to a foreign one', async () => {
  await expect(ads(mutual(await issued('ratings')), nodeOf('reviews')).next()).rejects.toMatchObject({ code: PERMISSION_DENIED });
  await expect(ads(mutual(await issued('reviews')), nodeOf('reviews', 'other')).next()).rejects.toMatchObject({ code: PERMISSION_DENIED });
  await expect(ads(serverOnly(), nodeOf('reviews')).next()).rejects.toMatchObject({ code: PERMISSION_DENIED });
  const foreign = await startHarness();
  closers.push(() => void foreign.close());
  const stolen = await foreign.ca.issueLeaf({ trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 'reviews' });
  // OpenSSL may close on the broken signature before the service can answer.
  await expect(ads(mutual(stolen), nodeOf('reviews')).next()).rejects.toSatisfy((error: { code: number }) =>
    [PERMISSION_DENIED, UNAVAILABLE].includes(error.code),
  );
  expect(harness.plane.proxies()).toEqual([]);
});

test('the plaintext port never carries secrets', async () => {
  const stream = openDelta(harness.plane.ports().plain);
  closers.push(stream.close);
  stream.send({ node: nodeOf('reviews'), typeUrl: TYPE_URL.secret, resourceNamesSubscribe: ['default'] });
  expect(await stream.next()).toMatchObject({ resources: [], removedResources: ['default'] });
});

test('a dump shows the certificate and hides the key', async () => {
  const stream = openDelta(harness.plane.ports().tls, mutual(await issued('reviews')));
  closers.push(stream.close);
  stream.send({ node: nodeOf('reviews'), typeUrl: TYPE_URL.secret, resourceNamesSubscribe: ['default'] });
  await stream.next();
  const dump = harness.plane.configDump(nodeOf('reviews').id);
  expect(dump).toMatchObject({
    secret: [{ name: 'default', tlsCertificate: { certificateChain: { inlineBytes: expect.any(String) as string }, privateKey: '[redacted]' } }],
  });
  expect(harness.plane.configDump('nobody')).toBeUndefined();
});

test('renewed secrets are pushed on the open stream as a new version', async () => {
  await harness.close();
  harness = await startHarness({ secretTtlMs: 1_000 });
  const stream = openDelta(harness.plane.ports().tls, mutual(await issued('reviews')));
  closers.push(stream.close);
  stream.send({ node: nodeOf('reviews'), typeUrl: TYPE_URL.secret, resourceNamesSubscribe: ['default', 'ROOTCA'] });
  const first = await stream.next();
  stream.send({ typeUrl: TYPE_URL.secret, responseNonce: first.nonce });
  const renewed = await stream.next();
  expect(renewed.resources.map((r) => r.name)).toEqual(['default']);
  expect(renewed.resources[0]?.version).not.toBe(first.resources[0]?.version);
});
