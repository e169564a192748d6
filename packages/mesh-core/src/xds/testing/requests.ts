// Small snapshots and requests for the tests of the stream machines.

import { TYPE_URL } from '../resource.ts';
import type { Resource, ResourceSet, TypeUrl } from '../resource.ts';
import type { XdsRequest } from '../subscription.ts';

export type Short = keyof typeof TYPE_URL;

/** `{ cluster: { a: '1' } }`: cluster `a` in version `1`. */
export function snapshot(content: Partial<Record<Short, Record<string, string>>>): ResourceSet {
  const of = (short: Short): Map<string, Resource> => {
    const typeUrl: TypeUrl = TYPE_URL[short];
    return new Map(Object.entries(content[short] ?? {}).map(([name, version]) => [name, { typeUrl, name, version, body: new Uint8Array() }]));
  };
  return {
    [TYPE_URL.cluster]: of('cluster'),
    [TYPE_URL.endpoint]: of('endpoint'),
    [TYPE_URL.listener]: of('listener'),
    [TYPE_URL.route]: of('route'),
    [TYPE_URL.secret]: of('secret'),
  };
}

export function request(short: Short, fields: Partial<XdsRequest> = {}): XdsRequest {
  return { typeUrl: TYPE_URL[short], nonce: '', names: [], subscribe: [], unsubscribe: [], initialVersions: new Map(), ...fields };
}
