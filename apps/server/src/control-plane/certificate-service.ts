// Istio's signing service: a workload's key becomes a certificate of the identity its token or its present certificate proves.

import { status } from '@grpc/grpc-js';
import type { Server, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '@weft/mesh-core/gen/security/v1alpha1/ca_pb';
import type { Identity } from '@weft/mesh-core/model';
import { CertificateError } from '../certificates/errors.ts';
import type { CertificateAuthority } from '../certificates/ca.ts';

type SignCall = ServerUnaryCall<Buffer, Buffer>;

const pass = (bytes: Buffer): Buffer => bytes;

/** Adds IstioCertificateService to the server of the mTLS port. `onIssued` and `onRefused` are for the log. */
export function addCertificateService(
  server: Server,
  ca: CertificateAuthority,
  log: { issued: (identity: Identity, serial: string) => void; refused: (reason: string, peer: string) => void },
): void {
  server.addService(
    {
      CreateCertificate: {
        path: '/istio.v1.auth.IstioCertificateService/CreateCertificate',
        requestStream: false,
        responseStream: false,
        requestSerialize: pass,
        requestDeserialize: pass,
        responseSerialize: pass,
        responseDeserialize: pass,
      },
    },
    {
      CreateCertificate: (call: SignCall, callback: sendUnaryData<Buffer>) => {
        sign(call, ca).then(
          ({ bytes, identity, serial }) => {
            log.issued(identity, serial);
            callback(null, bytes);
          },
          (error: unknown) => {
            const refusal = error instanceof CertificateError ? error : undefined;
            log.refused(error instanceof Error ? error.message : String(error), call.getPeer());
            callback({
              code: refusal === undefined ? status.INTERNAL : codeOf(refusal),
              details: refusal === undefined ? 'the certificate could not be issued' : `${refusal.code}: ${refusal.message}`,
            });
          },
        );
      },
    },
  );
}

async function sign(call: SignCall, ca: CertificateAuthority): Promise<{ bytes: Buffer; identity: Identity; serial: string }> {
  const identity = await callerOf(call, ca);
  let request;
  try {
    request = fromBinary(IstioCertificateRequestSchema, call.request);
  } catch (cause) {
    throw new CertificateError('WEFT_CSR_INVALID', 'the request is not an IstioCertificateRequest', { cause });
  }
  // A longer life than the mesh grants is shortened to it, as Istio does.
  const ttlMs = request.validityDuration > 0n ? Number(request.validityDuration) * 1_000 : undefined;
  const leaf = await ca.signCsr(request.csr, identity, ttlMs);
  const response = create(IstioCertificateResponseSchema, { certChain: [leaf.certificatePem, ca.rootCaPem] });
  return { bytes: Buffer.from(toBinary(IstioCertificateResponseSchema, response)), identity, serial: leaf.serial };
}

/** A token, when there is one, decides alone; else the certificate of this connection does (renewal). */
async function callerOf(call: SignCall, ca: CertificateAuthority): Promise<Identity> {
  const [authorization] = call.metadata.get('authorization');
  if (authorization !== undefined) {
    const token = /^Bearer (\S+)$/i.exec(authorization.toString())?.[1] ?? '';
    const { namespace, serviceAccount } = ca.verifyJoinToken(token);
    return { trustDomain: ca.trustDomain, namespace, serviceAccount };
  }
  const certificate = call.getAuthContext().sslPeerCertificate;
  if (certificate === undefined) throw new CertificateError('WEFT_TOKEN_INVALID', 'neither a join token nor a valid client certificate came with the request');
  return (await ca.verifyPeer(certificate.raw)).identity;
}

function codeOf(error: CertificateError): status {
  if (error.code === 'WEFT_TOKEN_INVALID' || error.code === 'WEFT_TOKEN_EXPIRED' || error.code === 'WEFT_PEER_CERTIFICATE_REFUSED')
    return status.UNAUTHENTICATED;
  if (error.code === 'WEFT_CSR_OTHER_IDENTITY' || error.code === 'WEFT_CSR_CA') return status.PERMISSION_DENIED;
  return status.INVALID_ARGUMENT;
}
