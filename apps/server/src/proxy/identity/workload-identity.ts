// This proxy's identity towards the control plane: a key of its own, certified through Istio's CSR service, renewed at half life.

import { createHash, randomBytes } from 'node:crypto';
import { type ServiceError, Client, Metadata, credentials } from '@grpc/grpc-js';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '@weft/mesh-core/gen/security/v1alpha1/ca_pb';
import { spiffeId } from '@weft/mesh-core/model';
import type { ProxySpec } from '../config/proxy-spec.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

export interface XdsIdentity {
  keyPem: string;
  /** Leaf first. */
  chainPem: string;
  /** Unix ms. */
  notAfter: number;
  notBefore: number;
}

export type IdentitySpec = Pick<ProxySpec, 'trustDomain' | 'namespace' | 'serviceAccount' | 'xdsAddress' | 'rootCaPem' | 'joinToken' | 'certificateTtlSec'>;

/** Makes a key and has it certified: with the certificate in `current` when there is one, else with the join token. */
export async function requestIdentity(spec: IdentitySpec, current?: XdsIdentity): Promise<XdsIdentity> {
  // Loaded only when a certificate is asked for: a proxy that starts again after a crash has one and must be quick.
  await import('reflect-metadata');
  const { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension, X509Certificate, cryptoProvider } = await import('@peculiar/x509');
  const crypto = globalThis.crypto;
  cryptoProvider.set(crypto);
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const csr = await Pkcs10CertificateRequestGenerator.create({
    // Two requests never look alike, so that logs can tell them apart.
    name: `CN=${createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 12)}`,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'url', value: spiffeId(spec) }])],
  });
  const chain = await createCertificate(spec, csr.toString('pem'), current);
  const [leafPem] = chain;
  if (leafPem === undefined) throw new Error('the control plane answered with an empty certificate chain');
  const leaf = new X509Certificate(leafPem);
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    keyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8.match(/.{1,64}/g)?.join('\n') ?? ''}\n-----END PRIVATE KEY-----\n`,
    chainPem: chain.slice(0, Math.max(1, chain.length - 1)).join('\n'),
    notBefore: leaf.notBefore.getTime(),
    notAfter: leaf.notAfter.getTime(),
  };
}

function createCertificate(spec: IdentitySpec, csr: string, current: XdsIdentity | undefined): Promise<string[]> {
  const root = Buffer.from(spec.rootCaPem);
  const tls = current === undefined ? credentials.createSsl(root) : credentials.createSsl(root, Buffer.from(current.keyPem), Buffer.from(current.chainPem));
  const client = new Client(spec.xdsAddress, tls, { 'grpc.ssl_target_name_override': 'localhost', 'grpc.default_authority': 'localhost' });
  const metadata = new Metadata();
  if (current === undefined) metadata.set('authorization', `Bearer ${spec.joinToken}`);
  const request = create(IstioCertificateRequestSchema, { csr, validityDuration: BigInt(spec.certificateTtlSec ?? 86_400) });
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      METHOD,
      (message) => Buffer.from(toBinary(IstioCertificateRequestSchema, message)),
      (bytes: Buffer) => fromBinary(IstioCertificateResponseSchema, bytes),
      request,
      metadata,
      { deadline: Date.now() + 5_000 },
      (error: ServiceError | null, response) => {
        client.close();
        if (error !== null) reject(error);
        else resolve(response?.certChain ?? []);
      },
    );
  });
}
