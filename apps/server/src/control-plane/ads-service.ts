// The gRPC side of ADS: bytes in and out, who may speak for which node.

import { status } from '@grpc/grpc-js';
import type { Server, ServerDuplexStream, ServiceDefinition, StatusObject } from '@grpc/grpc-js';
import { parseProxyNode, decodeRequest, encodeResponse } from '@weft/mesh-core/xds';
import type { Dialect, XdsRequest, XdsResponse } from '@weft/mesh-core/xds';
import { spiffeId } from '@weft/mesh-core/model';
import type { ProxyNode } from '@weft/mesh-core/model';
import type { PeerCertificate } from '../certificates/x509.ts';
import type { ProxyConnection } from './proxy-connection.ts';

type AdsCall = ServerDuplexStream<Buffer, Buffer>;

export interface AdsHooks {
  trustDomain: string;
  /** What a peer's certificate (DER) proves; rejects when it proves nothing. Absent on the plaintext port. */
  verifyPeer?: (der: Uint8Array) => Promise<PeerCertificate>;
  /** The first request of a stream has named its node and may speak for it. */
  connect(options: {
    node: ProxyNode;
    dialect: Dialect;
    peerAddress: string;
    peer?: PeerCertificate;
    send: (response: XdsResponse) => void;
    end: () => void;
  }): Promise<ProxyConnection>;
  request(connection: ProxyConnection, request: XdsRequest): void;
  disconnect(connection: ProxyConnection): void;
}

const PATH = '/envoy.service.discovery.v3.AggregatedDiscoveryService';
/** Bounds what a client can pile up before it is known. */
const MAX_UNSETTLED_REQUESTS = 1_000;

const pass = (bytes: Buffer): Buffer => bytes;
const method = (name: string) => ({
  path: `${PATH}/${name}`,
  requestStream: true,
  responseStream: true,
  requestSerialize: pass,
  requestDeserialize: pass,
  responseSerialize: pass,
  responseDeserialize: pass,
});
const DEFINITION: ServiceDefinition = {
  StreamAggregatedResources: method('StreamAggregatedResources'),
  DeltaAggregatedResources: method('DeltaAggregatedResources'),
};

/** Adds both dialects of ADS to a server. */
export function addAdsService(server: Server, hooks: AdsHooks): void {
  server.addService(DEFINITION, {
    StreamAggregatedResources: (call: AdsCall) => serve(call, 'sotw', hooks),
    DeltaAggregatedResources: (call: AdsCall) => serve(call, 'delta', hooks),
  });
}

function serve(call: AdsCall, dialect: Dialect, hooks: AdsHooks): void {
  let connection: ProxyConnection | undefined;
  let nodeId = '';
  let ended = false;
  // Requests that arrive while the first one is being authorised wait in order.
  let waiting: XdsRequest[] | undefined;

  const fail = (code: status, details: string): void => {
    if (ended) return;
    finish();
    call.emit('error', { code, details } satisfies Partial<StatusObject>);
  };
  const finish = (): void => {
    if (ended) return;
    ended = true;
    if (connection !== undefined) hooks.disconnect(connection);
  };
  const begin = async (node: ProxyNode): Promise<void> => {
    const peer = await authorise(call, node, hooks.verifyPeer);
    const opened = await hooks.connect({
      node,
      dialect,
      peerAddress: call.getPeer(),
      ...(peer === undefined ? {} : { peer }),
      send: (response) => {
        if (ended) return;
        const bytes = encodeResponse(dialect, response);
        call.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      },
      end: () => {
        finish();
        call.end();
      },
    });
    connection = opened;
    if (ended) return hooks.disconnect(opened);
    const requests = waiting ?? [];
    waiting = undefined;
    for (const request of requests) hooks.request(opened, request);
  };

  call.on('data', (bytes: Buffer) => {
    if (ended) return;
    try {
      const { node, request } = decodeRequest(dialect, bytes);
      if (node !== undefined && node.id !== '' && nodeId !== '' && node.id !== nodeId)
        return fail(status.INVALID_ARGUMENT, `this stream belongs to node ${nodeId}, not ${node.id}`);
      if (request.typeUrl === '') return fail(status.INVALID_ARGUMENT, 'type_url is empty');
      if (connection !== undefined) return hooks.request(connection, request);
      if (waiting !== undefined) {
        if (waiting.push(request) > MAX_UNSETTLED_REQUESTS) fail(status.RESOURCE_EXHAUSTED, 'too many requests before the first was answered');
        return;
      }
      if (node === undefined) return fail(status.INVALID_ARGUMENT, 'the first request of a stream must name its node');
      const parsed = parseProxyNode(node, hooks.trustDomain);
      if ('problem' in parsed) return fail(status.INVALID_ARGUMENT, parsed.problem);
      nodeId = node.id;
      waiting = [request];
      begin(parsed).catch((error: unknown) =>
        fail(error instanceof NotAllowed ? status.PERMISSION_DENIED : status.INTERNAL, error instanceof Error ? error.message : String(error)),
      );
    } catch (error) {
      fail(status.INVALID_ARGUMENT, `not a discovery request: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  call.on('end', () => {
    finish();
    call.end();
  });
  call.on('cancelled', finish);
  call.on('error', finish);
  call.on('close', finish);
}

class NotAllowed extends Error {}

/** The peer's certificate must be of the identity the node claims; on plaintext there is nothing to check. */
async function authorise(call: AdsCall, node: ProxyNode, verifyPeer: AdsHooks['verifyPeer']): Promise<PeerCertificate | undefined> {
  if (verifyPeer === undefined) return undefined;
  const certificate = call.getAuthContext().sslPeerCertificate;
  if (certificate === undefined)
    throw new NotAllowed('this port serves configuration to workloads with a certificate of this mesh; the client showed none that is valid');
  let peer: PeerCertificate;
  try {
    peer = await verifyPeer(certificate.raw);
  } catch (error) {
    throw new NotAllowed(error instanceof Error ? error.message : String(error));
  }
  if (spiffeId(peer.identity) !== spiffeId(node.identity))
    throw new NotAllowed(`the node says it is ${spiffeId(node.identity)}, its certificate says ${spiffeId(peer.identity)}`);
  return peer;
}
