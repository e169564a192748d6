// Failures of the control plane.

/** The control plane cannot serve: a port is taken, or its own certificate cannot be issued. */
export class ControlPlaneError extends Error {
  override readonly name = 'ControlPlaneError';
  readonly code: 'WEFT_XDS_PORT';

  constructor(code: 'WEFT_XDS_PORT', message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
