// This proxy's identity towards the control plane: a key of its own, certified through Istio's CSR service, renewed at half life.

import { X509Certificate, generateKeyPair, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { spiffeId } from '@weft/mesh-core/model';
import { messageToJson, WireType, WireWriter } from '@weft/mesh-core/wire';
import type { ProxySpec } from '../config/proxy-spec.ts';
import { startGrpcCall } from '../transport/grpc-call.ts';
import { certificateRequest } from './certificate-request.ts';

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
  const keys = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  // Two requests never look alike, so that logs can tell them apart.
  const csr = certificateRequest(keys, randomBytes(6).toString('hex'), spiffeId(spec));
  const chain = await createCertificate(spec, csr, current);
  const [leafPem] = chain;
  if (leafPem === undefined) throw new Error('the control plane answered with an empty certificate chain');
  const leaf = new X509Certificate(leafPem);
  return {
    keyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    chainPem: chain.slice(0, Math.max(1, chain.length - 1)).join('\n'),
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Date.parse(leaf.validTo),
  };
}

function createCertificate(spec: IdentitySpec, csr: string, current: XdsIdentity | undefined): Promise<string[]> {
  // IstioCertificateRequest: csr, validity_duration.
  const request = new WireWriter()
    .tag(1, WireType.bytes)
    .string(csr)
    .tag(3, WireType.varint)
    .int64(spec.certificateTtlSec ?? 86_400);
  return new Promise((resolve, reject) => {
    let chain: string[] = [];
    const call = startGrpcCall({
      address: spec.xdsAddress,
      rootCaPem: spec.rootCaPem,
      identity: current,
      method: METHOD,
      headers: current === undefined ? { authorization: `Bearer ${spec.joinToken}` } : {},
      deadlineMs: 5_000,
      onMessage: (message) => {
        chain = (messageToJson('istio.v1.auth.IstioCertificateResponse', message)['certChain'] ?? []) as string[];
      },
      onEnd: (error) => (error === undefined ? resolve(chain) : reject(error)),
    });
    call.send(request.finish());
    call.finish();
  });
}
