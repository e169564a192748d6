/** An OTLP request the intake refuses; `status` is the HTTP status, `grpcCode` its gRPC counterpart. */
export class IntakeRefusal extends Error {
  readonly code = 'WEFT_OTLP_REFUSED';
  readonly status: number;
  readonly grpcCode: number;
  constructor(status: number, grpcCode: number, message: string) {
    super(message);
    this.name = 'IntakeRefusal';
    this.status = status;
    this.grpcCode = grpcCode;
  }
}

/** The intake could not open a port. */
export class IntakeListenError extends Error {
  readonly code = 'WEFT_OTLP_LISTEN';
  constructor(address: string, reason: string) {
    super(`cannot take telemetry on ${address}: ${reason}; free the port or choose another`);
    this.name = 'IntakeListenError';
  }
}

/** Spans could not be sent on. */
export class TraceExportError extends Error {
  readonly code = 'WEFT_TRACE_EXPORT';
  constructor(endpoint: string, reason: string) {
    super(`cannot send spans to ${endpoint}: ${reason}`);
    this.name = 'TraceExportError';
  }
}
