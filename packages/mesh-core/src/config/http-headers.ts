// Header operations of a route: names and values a proxy will take.

import { z } from 'zod';

export const headerName = z.string().regex(/^:?[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be a header name');

/** Envoy reads `%...%` as a command; a single % must be written %%. */
const headerValue = z
  .string()
  .refine(
    (value) => !value.replace(/%%|%[A-Z0-9_]+(?:\((?:[^()]|\([^()]*\))*\))?(?::\d+)?%/g, '').includes('%'),
    'has a % that opens no command such as %PROTOCOL%; write %% for a percent sign',
  );

const operations = z.strictObject({
  set: z.record(headerName, headerValue).optional(),
  add: z.record(headerName, headerValue).optional(),
  remove: z.array(headerName).optional(),
});
export const headers = z.strictObject({ request: operations.optional(), response: operations.optional() });
