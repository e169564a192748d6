export type { Resource, ResourceSet, TypeUrl } from './resource.ts';
export { TYPE_URL } from './resource.ts';
export type { RequestFact, Subscription, View, XdsRequest, XdsResponse } from './subscription.ts';
export type { Dialect } from './ads-stream.ts';
export { AdsStream } from './ads-stream.ts';
export { decodeRequest, encodeResponse } from './wire.ts';
export { parseProxyNode } from './proxy-node.ts';
export { diffResourceSets, shortTypeName } from './diff.ts';
