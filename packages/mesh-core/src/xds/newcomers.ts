// Which endpoints a changed cluster can begin with. Envoy hands endpoints to the cluster there was, too, until the changed one has
// warmed; that one may not know how to speak to those that join: their identity, or whether they take TLS.

import { WireReader } from '../wire/reader.ts';
import { WireWriter } from '../wire/writer.ts';
import { type Resource, bytesOf } from './resource.ts';

/** ClusterLoadAssignment.endpoints and LocalityLbEndpoints.lb_endpoints. */
const LOCALITIES = 2;
const ENDPOINTS = 2;
/** LbEndpoint.endpoint and LbEndpoint.metadata: where it is and who. The rest is how it does. */
const WHO = [1, 3];

/** Many streams go from one to the other. Not the other itself: it would be kept, and its own before it. */
const worked = new WeakMap<Resource, { from: string; first: Resource | undefined }>();
/** What a cluster began with -> all of its endpoints, which it knows how to speak to. */
const wholes = new WeakMap<Resource, Resource>();

/** `now` but for the endpoints that join those `held`; undefined when none does, or when there would be none. */
export function withoutNewcomers(held: Resource, now: Resource): Resource | undefined {
  const before = wholes.get(held) ?? held;
  // Of one that came with a client nothing but the version is known.
  if (before.version === now.version || before.body.length === 0) return undefined;
  let known = worked.get(now);
  if (known?.from !== before.version) worked.set(now, (known = { from: before.version, first: without(before, now) }));
  return known.first;
}

function without(before: Resource, now: Resource): Resource | undefined {
  const old = new Set<string>();
  mapped(bytesOf(before), LOCALITIES, (locality) =>
    mapped(locality, ENDPOINTS, (endpoint) => {
      old.add(whoIs(endpoint));
      return endpoint;
    }),
  );
  let [stay, join] = [0, 0];
  // Without its endpoints a locality is there still: priorities have no gaps.
  const body = mapped(bytesOf(now), LOCALITIES, (locality) =>
    mapped(locality, ENDPOINTS, (endpoint) => {
      const stays = old.has(whoIs(endpoint));
      if (stays) stay++;
      else join++;
      return stays ? endpoint : undefined;
    }),
  );
  if (stay === 0 || join === 0) return undefined;
  const first: Resource = { typeUrl: now.typeUrl, name: now.name, version: `${before.version}&${now.version}`, body };
  wholes.set(first, now);
  return first;
}

/** A message with the values of one field as `each` makes them, or without. */
function mapped(message: Uint8Array, field: number, each: (value: Uint8Array) => Uint8Array | undefined): Uint8Array {
  const reader = new WireReader(message);
  const writer = new WireWriter();
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, type] = reader.tag();
    if (number === field) {
      const value = each(reader.bytes());
      if (value !== undefined) writer.tag(field, type).bytes(value);
    } else {
      reader.skip(type, number);
      writer.raw(message.subarray(start, reader.pos));
    }
  }
  return writer.finish();
}

function whoIs(endpoint: Uint8Array): string {
  const reader = new WireReader(endpoint);
  let who = '';
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, type] = reader.tag();
    reader.skip(type, number);
    if (WHO.includes(number)) for (const byte of endpoint.subarray(start, reader.pos)) who += String.fromCharCode(byte);
  }
  return who;
}
