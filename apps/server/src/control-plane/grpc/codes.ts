// The status codes of gRPC that this server answers with.

export const CODE = {
  ok: 0,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unauthenticated: 16,
} as const;

export type Code = (typeof CODE)[keyof typeof CODE];

/** Ends a call with this code; the message goes to the client. */
export class GrpcError extends Error {
  readonly code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
