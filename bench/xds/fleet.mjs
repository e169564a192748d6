// Child of run.mjs: many proxies in one process, each a delta ADS stream on an mTLS HTTP/2 connection of its own. They subscribe
// as Envoy does (CDS and LDS whole, EDS by cluster, RDS by listener, SDS), acknowledge everything, and come back after a
// disconnect with jittered back-off and initial_resource_versions, on the embedded proxy's own HTTP/2. A thousand proxies have a thousand machines; these have what the
// control plane leaves of two cores, so that they keep their TLS contexts and the bytes of what they name.
import { connect, createSecureContext } from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { NodeSchema } from '../../packages/mesh-core/dist/gen/envoy/config/core/v3/base_pb.js';
import { WireType, WireWriter } from '../../packages/mesh-core/dist/wire/index.js';
import { TYPE_URL } from '../../packages/mesh-core/dist/xds/index.js';
import { SingleExchange } from '../../apps/server/dist/proxy/transport/single-exchange.js';
import { upstreamsOf } from './mesh.mjs';

const { port, from, to, services } = JSON.parse(process.argv[2]);

/** Type, nonce, names with versions, removed names: all a client must look at to acknowledge. */
function readResponse(bytes) {
  const reader = new BinaryReader(bytes);
  const response = { typeUrl: '', nonce: '', resources: [], removed: [] };
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === 4) response.typeUrl = reader.string();
    else if (field === 5) response.nonce = reader.string();
    else if (field === 6) response.removed.push(reader.string());
    else if (field === 2) {
      const inner = new BinaryReader(reader.bytes());
      const resource = { name: '', version: '' };
      while (inner.pos < inner.len) {
        const [innerField, innerWire] = inner.tag();
        if (innerField === 3) resource.name = inner.string();
        else if (innerField === 1) resource.version = inner.string();
        else inner.skip(innerWire, innerField);
      }
      response.resources.push(resource);
    } else reader.skip(wire, field);
  }
  return response;
}

/** A length-delimited field. */
const field = (number, bytes) => new WireWriter().tag(number, WireType.bytes).bytes(bytes).finish();

const known = new Map();
/** Bytes of a field, made once for all proxies. */
function once(key, make) {
  let bytes = known.get(key);
  if (bytes === undefined) known.set(key, (bytes = make()));
  return bytes;
}
const subscribed = (name) => once(name, () => field(3, Buffer.from(name)));
const heldEntry = (name, version) => once(`${name} ${version}`, () => field(5, Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from(version))])));

class Proxy {
  /** By type and name, as it is told when coming back. */
  held = new Map(Object.values(TYPE_URL).map((typeUrl) => [typeUrl, new Map()]));

  constructor(i, tls) {
    this.i = i;
    this.tls = { ca: tls.ca, secureContext: createSecureContext(tls) };
    const node = create(NodeSchema, {
      id: `sidecar~10.0.0.1~svc-${i}-v1.bench~bench.svc.cluster.local`,
      metadata: {
        NAMESPACE: 'bench',
        WORKLOAD_NAME: `svc-${i}-v1`,
        SERVICE_ACCOUNT: `svc-${i}`,
        LABELS: { app: `svc-${i}`, version: 'v1' },
        WEFT_DATA_PLANE: 'embedded',
        WEFT_INBOUND: [{ name: 'http', servicePort: 80, listenPort: 8080, appPort: 8081 }],
        WEFT_UPSTREAMS: upstreamsOf(i, services),
      },
    });
    this.node = field(1, toBinary(NodeSchema, node));
  }

  open() {
    this.asked = new Set();
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true, ...this.tls, ALPNProtocols: ['h2'], checkServerIdentity: () => undefined });
    // As Envoy does: who comes back resumes its TLS session.
    this.socket.on('session', (session) => (this.tls.session = session));
    // Envoy's reconnect: exponential from 500 ms with full jitter; one step is enough here.
    const again = () => stopping || setTimeout(() => this.open(), Math.random() * spreadMs);
    const fields = [
      [':method', 'POST'],
      [':scheme', 'https'],
      [':authority', 'localhost'],
      [':path', '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
    ];
    this.stream = new SingleExchange(this.socket, fields, { head: () => undefined, data: (chunk) => this.take(chunk), end: again, failed: again });
    this.buffer = [];
    this.buffered = 0;
    for (const typeUrl of [TYPE_URL.cluster, TYPE_URL.listener]) this.request(typeUrl, {});
    this.request(TYPE_URL.secret, { subscribe: ['default', 'ROOTCA'] });
  }

  request(typeUrl, { subscribe = [], nonce = '' }) {
    const first = !this.asked.has(typeUrl);
    const parts = [once(typeUrl, () => field(2, Buffer.from(typeUrl)))];
    if (this.asked.size === 0) parts.push(this.node);
    this.asked.add(typeUrl);
    const held = this.held.get(typeUrl);
    // Envoy names everything it still holds when it comes back.
    const names = first && typeUrl !== TYPE_URL.cluster && typeUrl !== TYPE_URL.listener ? new Set([...subscribe, ...held.keys()]) : subscribe;
    for (const name of names) parts.push(subscribed(name));
    if (first) parts.push(...held.values());
    if (nonce !== '') parts.push(field(6, Buffer.from(nonce)));
    const head = Buffer.alloc(5);
    head.writeUInt32BE(
      parts.reduce((sum, { length }) => sum + length, 0),
      1,
    );
    this.stream.write(Buffer.concat([head, ...parts]));
    if (first && typeUrl === TYPE_URL.cluster && this.held.get(TYPE_URL.endpoint).size > 0) this.request(TYPE_URL.endpoint, {});
    if (first && typeUrl === TYPE_URL.listener && this.held.get(TYPE_URL.route).size > 0) this.request(TYPE_URL.route, {});
  }

  take(chunk) {
    this.buffer.push(chunk);
    this.buffered += chunk.length;
    for (;;) {
      if (this.buffered < 5) return;
      if (this.buffer[0].length < 5) this.buffer = [Buffer.concat(this.buffer)];
      const length = this.buffer[0].readUInt32BE(1);
      if (this.buffered < 5 + length) return;
      const all = this.buffer.length === 1 ? this.buffer[0] : Buffer.concat(this.buffer);
      this.buffer = all.length === 5 + length ? [] : [all.subarray(5 + length)];
      this.buffered = all.length - 5 - length;
      this.answer(readResponse(all.subarray(5, 5 + length)));
    }
  }

  answer({ typeUrl, nonce, resources, removed }) {
    received += resources.length;
    const held = this.held.get(typeUrl);
    const fresh = [];
    for (const { name, version } of resources) {
      if (!held.has(name)) fresh.push(name);
      held.set(name, heldEntry(name, version));
    }
    for (const name of removed) held.delete(name);
    this.request(typeUrl, { nonce });
    if (typeUrl === TYPE_URL.cluster) {
      const names = fresh.filter((name) => name.startsWith('outbound|'));
      if (names.length > 0) this.request(TYPE_URL.endpoint, { subscribe: names });
    }
    if (typeUrl === TYPE_URL.listener) {
      const names = fresh.filter((name) => !name.startsWith('virtualInbound')).map((name) => name.replace(/_(\d+)$/, ':$1'));
      if (names.length > 0) this.request(TYPE_URL.route, { subscribe: names });
    }
  }
}

let stopping = false;
let received = 0;
let spreadMs = 1_000;
const proxies = [];
const commands = {
  open: async ({ pairs, root, overMs }) => {
    for (const [k, { key, cert }] of pairs.entries()) {
      const proxy = new Proxy(from + k, { key, cert, ca: root });
      proxies.push(proxy);
      setTimeout(() => proxy.open(), Math.random() * overMs);
    }
    return proxies.length;
  },
  drop: async ({ overMs }) => {
    spreadMs = overMs;
    received = 0;
    for (const proxy of proxies) proxy.socket.destroy();
    return proxies.length;
  },
  received: async () => received,
};
process.on('message', ({ id, command, ...rest }) => void commands[command](rest).then((result) => process.send({ id, result })));
process.on('disconnect', () => {
  stopping = true;
  process.exit(0);
});
process.send({ ready: to - from });
