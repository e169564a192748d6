// gRPC over HTTP in words of Envoy: what is gRPC, and the status of an answer.

/** gRPC's status names in the order of their numbers. */
export const GRPC_STATUS = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** `application/grpc` and `application/grpc+proto`, not `application/grpc-web`. */
export function isGrpcContentType(contentType: string): boolean {
  if (!contentType.startsWith('application/grpc')) return false;
  const next = contentType.charCodeAt(16);
  return contentType.length === 16 || next === 0x2b || next === 0x3b;
}

/** `grpc-status` of an HTTP status, as Envoy maps it. */
export function grpcStatusOf(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

/** What logs and metrics say of an answer: its own `grpc-status`, '' = it has none, else what its HTTP status stands for, 0 = there was none. */
export const toldGrpcStatus = (grpcStatus: string, status: number): string => (grpcStatus === '' && status > 0 ? String(grpcStatusOf(status)) : grpcStatus);
