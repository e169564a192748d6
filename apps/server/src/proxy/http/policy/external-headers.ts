// Headers that steer an Envoy: taken from requests that come from outside, as Envoy takes them.

import type { HeaderBlock } from '../../../http-wire/codec-h1/header-block.ts';

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
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-internal',
]);
const external: ReadonlySet<string> = new Set([
  ...steering,
  'x-envoy-force-trace',
  'x-envoy-upstream-stream-duration-ms',
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
  'x-envoy-original-host',
  'x-envoy-external-address',
]);

/** By their lengths: of most fields the length tells that they are none of these. */
type Names = readonly (readonly string[] | undefined)[];

function byLength(names: ReadonlySet<string>): Names {
  const lists: string[][] = [];
  for (const name of names) (lists[name.length] ??= []).push(name);
  return lists;
}

const ofInternal = byLength(steering);
const ofExternal = byLength(external);
const ofEdge = byLength(edge);

/** Names that are not passed on. */
export function unwantedHeaders(isInternal: boolean, isEdge: boolean): Names {
  return isInternal ? ofInternal : isEdge ? ofEdge : ofExternal;
}

export function isOneOf(names: Names, fields: HeaderBlock, index: number): boolean {
  const list = names[fields.nameLength(index)];
  if (list !== undefined) for (const name of list) if (fields.isNamed(index, name)) return true;
  return false;
}

export function isUnwanted(name: string, isInternal: boolean, isEdge: boolean): boolean {
  return (isInternal ? steering : isEdge ? edge : external).has(name);
}
