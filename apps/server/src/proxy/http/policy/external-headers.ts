// Headers that steer an Envoy: taken from requests that come from outside, as Envoy takes them.

import type { HeaderBlock } from '../../codec-h1/header-block.ts';

/** Read by this proxy itself, from internal requests only, and never passed on. */
const steering: ReadonlySet<string> = new Set([
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-internal',
]);
const external: ReadonlySet<string> = new Set([
  ...steering,
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-original-url',
]);
/** Where the request enters the mesh. */
const edge: ReadonlySet<string> = new Set([
  ...external,
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-original-path',
  'x-envoy-external-address',
]);

/** Names that are not passed on. */
export function unwantedHeaders(isInternal: boolean, isEdge: boolean): ReadonlySet<string> {
  return isInternal ? steering : isEdge ? edge : external;
}

/** `x-envoy-...`, told by a few characters: most fields are not. */
export function isEnvoyHeader(fields: HeaderBlock, index: number): boolean {
  const start = fields.lineStart(index);
  const { text } = fields;
  return (
    (text.charCodeAt(start) | 32) === 0x78 &&
    text.charCodeAt(start + 1) === 0x2d &&
    (text.charCodeAt(start + 2) | 32) === 0x65 &&
    fields.lowerName(index).startsWith('x-envoy-')
  );
}
