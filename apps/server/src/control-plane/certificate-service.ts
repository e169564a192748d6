// Istio's signing service: a workload's key becomes a certificate of the identity its token or its present certificate proves.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '@weft/mesh-core/gen/security/v1alpha1/ca_pb';
import type { Identity } from '@weft/mesh-core/model';
import { CertificateError } from '../certificates/errors.ts';
import type { CertificateAuthority } from '../certificates/ca.ts';
import { CODE, GrpcError, messageOf } from './grpc/codes.ts';
import type { Code } from './grpc/codes.ts';
import { unary } from './grpc/grpc-call.ts';
import type { GrpcCall, GrpcMethod } from './grpc/grpc-call.ts';

/** IstioCertificateService, for the mTLS port. */
export function certificateMethods(
  ca: CertificateAuthority,
  log: { issued: (identity: Identity, serial: string) => void; refused: (reason: string, peer: string) => void },
): [string, GrpcMethod][] {
  const createCertificate = unary(async (call, request) => {
    try {
      const { bytes, identity, serial } = await sign(call, request, ca);
      log.issued(identity, serial);
      return bytes;
    } catch (error) {
      log.refused(messageOf(error), call.peer.address);
      throw error instanceof CertificateError
        ? new GrpcError(codeOf(error), `${error.code}: ${error.message}`)
        : new GrpcError(CODE.internal, 'the certificate could not be issued');
    }
  });
  return [['/istio.v1.auth.IstioCertificateService/CreateCertificate', createCertificate]];
}

async function sign(call: GrpcCall, message: Uint8Array, ca: CertificateAuthority): Promise<{ bytes: Uint8Array; identity: Identity; serial: string }> {
  const identity = await callerOf(call, ca);
  let request;
  try {
    request = fromBinary(IstioCertificateRequestSchema, message);
  } catch (cause) {
    throw new CertificateError('WEFT_CSR_INVALID', 'the request is not an IstioCertificateRequest', { cause });
  }
  // A longer life than the mesh grants is shortened to it, as Istio does.
  const ttlMs = request.validityDuration > 0n ? Number(request.validityDuration) * 1_000 : undefined;
  const leaf = await ca.signCsr(request.csr, identity, ttlMs);
  const response = create(IstioCertificateResponseSchema, { certChain: [leaf.certificatePem, ca.rootCaPem] });
  return { bytes: toBinary(IstioCertificateResponseSchema, response), identity, serial: leaf.serial };
}

/** A token, when there is one, decides alone; else the certificate of this connection does (renewal). */
async function callerOf({ headers, peer }: GrpcCall, ca: CertificateAuthority): Promise<Identity> {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const token = /^Bearer (\S+)$/i.exec(authorization)?.[1] ?? '';
    const { namespace, serviceAccount } = ca.verifyJoinToken(token);
    return { trustDomain: ca.trustDomain, namespace, serviceAccount };
  }
  if (peer.certificate === undefined)
    throw new CertificateError('WEFT_TOKEN_INVALID', 'neither a join token nor a valid client certificate came with the request');
  return (await ca.verifyPeer(peer.certificate)).identity;
}

function codeOf(error: CertificateError): Code {
  if (error.code === 'WEFT_TOKEN_INVALID' || error.code === 'WEFT_TOKEN_EXPIRED' || error.code === 'WEFT_PEER_CERTIFICATE_REFUSED') return CODE.unauthenticated;
  if (error.code === 'WEFT_CSR_OTHER_IDENTITY' || error.code === 'WEFT_CSR_CA') return CODE.permissionDenied;
  return CODE.invalidArgument;
}
