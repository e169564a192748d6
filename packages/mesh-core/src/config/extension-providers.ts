// Extension providers of MeshConfig that are asked whether a request may pass. As in istiod a provider that cannot be asked is taken
// with the others, and whatever a policy would ask it about is denied.

import { z } from 'zod';
import type { ExtensionProvider, HttpCheck } from '../model/index.ts';
import { headerName } from './http-headers.ts';
import { durationMs, ipAddress, orQuoted, uint32 } from './schema-parts.ts';

const timeout = z.string().refine((text) => durationMs(text) !== undefined, 'must be a duration with its unit, like 2s or 0.5s');
const body = z.strictObject({ maxRequestBytes: orQuoted(uint32).optional(), allowPartialMessage: z.boolean().optional(), packAsBytes: z.boolean().optional() });
const names = z.array(z.string()).optional();
const check = {
  service: z.string().default(''),
  port: orQuoted(uint32).default(0),
  timeout: timeout.optional(),
  failOpen: z.boolean().optional(),
  clearRouteCache: z.boolean().optional(),
  statusOnError: z.string().optional(),
  includeRequestBodyInCheck: body.optional(),
};
const httpCheck = z.strictObject({
  ...check,
  pathPrefix: z.string().optional(),
  includeRequestHeadersInCheck: names,
  includeHeadersInCheck: names,
  includeAdditionalHeadersInCheck: z.record(z.string(), z.string()).optional(),
  headersToUpstreamOnAllow: names,
  headersToDownstreamOnDeny: names,
  headersToDownstreamOnAllow: names,
});

/** Other kinds of providers stay unread. */
export const extensionProviders = z.array(
  z
    .looseObject({ name: z.string().default(''), envoyExtAuthzHttp: httpCheck.optional(), envoyExtAuthzGrpc: z.strictObject(check).optional() })
    .refine((p) => p.envoyExtAuthzHttp === undefined || p.envoyExtAuthzGrpc === undefined, 'must have one of envoyExtAuthzHttp, envoyExtAuthzGrpc'),
);

/** Those that can be asked about requests, and the paths of the others. Of several with one name the last counts, as in istiod. */
export function readProviders(all: z.infer<typeof extensionProviders>): { providers: ExtensionProvider[]; unread: string[] } {
  const providers: ExtensionProvider[] = [];
  const unread: string[] = [];
  for (const [i, { name, envoyExtAuthzHttp, envoyExtAuthzGrpc, ...others }] of all.entries()) {
    if (all.findLastIndex((p) => p.name === name) !== i) unread.push(`extensionProviders[${i}] (${name} is there again)`);
    else if ((envoyExtAuthzHttp ?? envoyExtAuthzGrpc) !== undefined) providers.push({ name, envoyExtAuthzHttp, envoyExtAuthzGrpc });
    unread.push(...Object.keys(others).map((kind) => `extensionProviders[${i}].${kind}`));
  }
  return { providers, unread };
}

/** Why a provider cannot be asked, whatever services there are. */
export function providerErrors(provider: ExtensionProvider): string[] {
  const { name, envoyExtAuthzHttp: http } = provider;
  const check = http ?? provider.envoyExtAuthzGrpc;
  if (check === undefined) return ['it has no envoyExtAuthzHttp or envoyExtAuthzGrpc'];
  const { service, port, statusOnError = '', includeRequestBodyInCheck: shown } = check;
  const errors = [
    // The name is part of what the filters ask metadata for.
    /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name) ? '' : `name ${JSON.stringify(name)} must be a DNS label: lower-case letters, digits and -`,
    isService(service) ? '' : `service ${JSON.stringify(service)} must be a host in full, or namespace/host`,
    port >= 1 && port <= 65_535 ? '' : `port ${port} must be from 1 to 65535`,
    statusOnError === '' || (/^\+?\d+$/.test(statusOnError) && STATUS_CODES.has(Number(statusOnError)))
      ? ''
      : `statusOnError ${JSON.stringify(statusOnError)} must be a status code that Envoy knows, as text`,
    // Istio sends the rest, and Envoy refuses the listener: what was there before, perhaps without any check, would go on.
    shown !== undefined && (shown.maxRequestBytes ?? 0) === 0 ? 'includeRequestBodyInCheck needs maxRequestBytes' : '',
    ...(http === undefined ? [] : headerErrors(http)),
  ];
  return errors.filter((error) => error !== '');
}

const STATUS_CODES = new Set([
  ...[100, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 426, 428, 429, 431],
  ...[500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511],
]);

const LABELS = /^[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*\.?$/;

function isService(service: string): boolean {
  const [namespace = '', host, ...rest] = service.split('/');
  if (host === undefined) return (LABELS.test(service) && service.length <= 255) || ipAddress.safeParse(service).success;
  // Short names are no names here.
  return rest.length === 0 && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace) && host.includes('.') && LABELS.test(host.replace(/^\*\./, ''));
}

function headerErrors(http: HttpCheck): string[] {
  const { pathPrefix = '', includeAdditionalHeadersInCheck: added = {} } = http;
  const lists = [
    ...(['includeRequestHeadersInCheck', 'includeHeadersInCheck', 'headersToUpstreamOnAllow'] as const),
    ...(['headersToDownstreamOnDeny', 'headersToDownstreamOnAllow'] as const),
  ];
  const sendable = ([name, value]: [string, string]): boolean => headerName.safeParse(name).success && !/[\0\r\n]/.test(value);
  return [
    pathPrefix === '' || (/^\/[^\0-\x20\x7f]*$/.test(pathPrefix) && !/%(?![0-9a-fA-F]{2})/.test(pathPrefix))
      ? ''
      : `pathPrefix ${JSON.stringify(pathPrefix)} must be a path that begins with /`,
    ...lists.map((field) => ((http[field] ?? []).includes('*') ? `${field} has a * alone: say name, start* or *end` : '')),
    ...Object.entries(added)
      .filter((header) => !sendable(header))
      .map(([name]) => `includeAdditionalHeadersInCheck has ${JSON.stringify(name)}, which is no header that can be sent`),
  ];
}
