// Small snapshots and requests for the tests of the stream machines.

import { WireWriter } from '../../wire/writer.ts';
import { TYPE_URL } from '../resource.ts';
import type { Resource, ResourceSet, TypeUrl } from '../resource.ts';
import type { XdsRequest } from '../subscription.ts';

export type Short = keyof typeof TYPE_URL;

/** `{ cluster: { a: '1' } }`: cluster `a` in version `1`. Endpoints in version `p,q` are these two. */
export function snapshot(content: Partial<Record<Short, Record<string, string>>>): ResourceSet {
  const of = (short: Short): Map<string, Resource> => {
    const typeUrl: TypeUrl = TYPE_URL[short];
    const bodyOf = (version: string): Uint8Array => (short === 'endpoint' ? assignment(version.split(',')) : new Uint8Array());
    return new Map(Object.entries(content[short] ?? {}).map(([name, version]) => [name, { typeUrl, name, version, body: bodyOf(version) }]));
  };
  return {
    [TYPE_URL.cluster]: of('cluster'),
    [TYPE_URL.endpoint]: of('endpoint'),
    [TYPE_URL.listener]: of('listener'),
    [TYPE_URL.route]: of('route'),
    [TYPE_URL.secret]: of('secret'),
  };
}

/** A ClusterLoadAssignment of one locality, as far as is read. */
function assignment(names: readonly string[]): Uint8Array {
  const writer = new WireWriter().tag(2, 2).fork();
  for (const name of names) writer.tag(2, 2).fork().tag(1, 2).string(name).join();
  return writer.join().finish();
}

export function request(short: Short, fields: Partial<XdsRequest> = {}): XdsRequest {
  return { typeUrl: TYPE_URL[short], nonce: '', names: [], subscribe: [], unsubscribe: [], initialVersions: new Map(), ...fields };
}
