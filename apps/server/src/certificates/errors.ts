// Failures of the certificate authority.

export type CertificateErrorCode =
  | 'WEFT_TOKEN_INVALID'
  | 'WEFT_TOKEN_EXPIRED'
  | 'WEFT_CSR_INVALID'
  | 'WEFT_CSR_OTHER_IDENTITY'
  | 'WEFT_CSR_CA'
  | 'WEFT_PEER_CERTIFICATE_REFUSED'
  | 'WEFT_IDENTITY_INVALID'
  | 'WEFT_CA_STATE_INVALID';

/** A refusal: nothing was issued. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  readonly code: CertificateErrorCode;

  constructor(code: CertificateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
