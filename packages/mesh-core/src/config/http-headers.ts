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

const isInternal = (name: string): boolean => name.startsWith(':') || name.toLowerCase() === 'host';
/** Host, or the pseudo-header that is its name in HTTP/2. */
export function isAuthority(name: string): boolean {
  return /^(:authority|host)$/i.test(name);
}

const changeable = headerName.refine((name) => !isInternal(name), 'cannot be changed: Host is set on requests only, other names with : are not headers');
const settable = headerName.refine((name) => !isInternal(name) || isAuthority(name), 'cannot be changed: of the names with : only :authority can');

const operations = <N extends z.ZodString>(name: N) =>
  z.strictObject({
    set: z.record(name, headerValue).optional(),
    add: z.record(name, headerValue).optional(),
    remove: z.array(changeable).optional(),
  });
export const headers = z.strictObject({ request: operations(settable).optional(), response: operations(changeable).optional() });
