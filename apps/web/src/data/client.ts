// REST calls to the console's API; every answer is parsed by the contract's schema before anything sees it.

import { type ApiError, apiErrorSchema } from '@weft/mesh-core/api';
import type { z } from 'zod';

/** A refusal of the API, or an answer that is not what the contract says (`WEFT_BAD_ANSWER`), or no answer (`WEFT_UNREACHABLE`). */
export class ApiFailure extends Error {
  override name = 'ApiFailure';
  readonly code: string;
  readonly status: number;
  readonly fix: string | undefined;
  readonly current: ApiError['error']['current'];
  constructor(status: number, error: ApiError['error']) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.fix = error.fix;
    this.current = error.current;
  }
}

/** Sends a request below /api/v1. Throws {@link ApiFailure}. */
export async function request<T>(schema: z.ZodType<T>, path: string, options: { method?: string; body?: unknown; signal?: AbortSignal } = {}): Promise<T> {
  const init: RequestInit = { method: options.method ?? 'GET', headers: { accept: 'application/json' } };
  if (options.signal !== undefined) init.signal = options.signal;
  if (options.body !== undefined) {
    init.body = JSON.stringify(options.body);
    init.headers = { accept: 'application/json', 'content-type': 'application/json' };
  }
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, init);
  } catch (error) {
    if (options.signal?.aborted === true) throw error;
    throw new ApiFailure(0, { code: 'WEFT_UNREACHABLE', message: 'the server does not answer' });
  }
  const body: unknown = await response.json().catch(() => undefined);
  if (!response.ok) {
    const told = apiErrorSchema.safeParse(body);
    throw new ApiFailure(response.status, told.success ? told.data.error : { code: 'WEFT_HTTP', message: `the server answered ${response.status}` });
  }
  const parsed = schema.safeParse(body);
  if (!parsed.success)
    throw new ApiFailure(response.status, { code: 'WEFT_BAD_ANSWER', message: `unexpected answer to ${path}: ${parsed.error.issues[0]?.message ?? ''}` });
  return parsed.data;
}
