// Refusals of the API, and how each becomes an answer.

import type { ApiError } from '@weft/mesh-core/api';
import { type MeshObject, type Problem, shownRef } from '@weft/mesh-core/model';
import { toYaml } from '@weft/mesh-core/config';
import { ConflictError, NotFoundError, StoreFailedError } from '../config-store/errors.ts';

/** A refusal with its HTTP status. */
export class RefusedError extends Error {
  readonly status: number;
  readonly code: string;
  readonly fix: string | undefined;
  readonly problems: readonly Problem[] | undefined;
  constructor(status: number, code: string, message: string, more: { fix?: string; problems?: readonly Problem[] } = {}) {
    super(message);
    this.name = 'RefusedError';
    this.status = status;
    this.code = code;
    this.fix = more.fix;
    this.problems = more.problems;
  }
}

/** 422 with every problem that refuses. */
export function invalid(problems: readonly Problem[]): RefusedError {
  const errors = problems.filter((p) => p.severity === 'error');
  const first = errors[0];
  const where =
    first === undefined
      ? ''
      : `${first.ref === undefined ? '' : `${shownRef(first.ref)} `}${first.path ?? ''}${first.line === undefined ? '' : ` (line ${first.line})`}`.trim();
  return new RefusedError(
    422,
    'WEFT_INVALID',
    `${where === '' ? '' : `${where}: `}${first?.message ?? 'the configuration is not valid'}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}`,
    { problems },
  );
}

/** HTTP status and body of any error; what is not one of ours is a 500 without inner details. */
export function toAnswer(error: unknown, sourceOf: (object: MeshObject) => string | undefined): { status: number; body: ApiError } {
  if (error instanceof RefusedError)
    return {
      status: error.status,
      body: {
        error: {
          code: error.code,
          message: error.message,
          ...(error.fix === undefined ? {} : { fix: error.fix }),
          ...(error.problems === undefined ? {} : { problems: [...error.problems] }),
        },
      },
    };
  if (error instanceof ConflictError) {
    const { current } = error;
    return {
      status: 409,
      body: {
        error: {
          code: error.code,
          message: error.message,
          ...(current === undefined ? {} : { current: { yaml: sourceOf(current) ?? toYaml(current), resourceVersion: current.metadata.resourceVersion } }),
        },
      },
    };
  }
  if (error instanceof NotFoundError) return { status: 404, body: { error: { code: error.code, message: error.message } } };
  if (error instanceof StoreFailedError) return { status: 503, body: { error: { code: error.code, message: error.message } } };
  const { statusCode, message, code } = error as { statusCode?: number; message?: string; code?: string };
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return { status: statusCode, body: { error: { code: code ?? 'WEFT_BAD_REQUEST', message: message ?? 'the request is not valid' } } };
  return { status: 500, body: { error: { code: 'WEFT_INTERNAL', message: 'the server failed to answer; its log has the details' } } };
}
