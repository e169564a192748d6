// The gRPC side of the discovery services: bytes in and out, who may speak for which node.

import { status } from '@grpc/grpc-js';
import type { Server, ServerDuplexStream, ServiceDefinition, StatusObject } from '@grpc/grpc-js';
import { decodeNode, decodeRequest, encodeResponse, parseProxyNode } from '@weft/mesh-core/xds';
import type { Dialect, XdsRequest, XdsResponse } from '@weft/mesh-core/xds';
import { spiffeId } from '@weft/mesh-core/model';
import type { ProxyNode } from '@weft/mesh-core/model';
import type { PeerCertificate } from '../certificates/x509.ts';
import type { ProxyConnection } from './proxy-connection.ts';
import type { Admission } from './admission.ts';
import { DISCOVERY_METHODS } from './xds-services.ts';
import type { DiscoveryMethod } from './xds-services.ts';

type AdsCall = ServerDuplexStream<Buffer, Pieces>;

export interface AdsHooks {
  trustDomain: string;
  /** What a peer's certificate (DER) proves; rejects when it proves nothing. Absent on the plaintext port. */
  verifyPeer?: (der: Uint8Array) => Promise<PeerCertificate>;
  admission: Admission;
  /** The first request of a stream has named its node and may speak for it. */
  connect(options: {
    node: ProxyNode;
    dialect: Dialect;
    /** What else may stand beside this stream: one per node and scope (`ads`, or the type of a separate stream). */
    scope: string;
    peerAddress: string;
    peer?: PeerCertificate;
    send: (response: XdsResponse) => void;
    /** Whether what was sent is still in our buffers; {@link AdsHooks.drained} follows. */
    congested: () => boolean;
    end: () => void;
  }): Promise<ProxyConnection>;
  request(connection: ProxyConnection, request: XdsRequest): void;
  sent(response: XdsResponse, bytes: number): void;
  drained(connection: ProxyConnection): void;
  disconnect(connection: ProxyConnection): void;
}

/** What grpc-js uses of a serialized message: so its pieces are copied once, into the frame, and not before that into one Buffer. */
class Pieces {
  readonly byteLength: number;
  readonly #pieces: readonly Uint8Array[];

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = pieces;
    this.byteLength = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  copy(target: Uint8Array, start = 0): number {
    let at = start;
    for (const piece of this.#pieces) {
      target.set(piece, at);
      at += piece.length;
    }
    return this.byteLength;
  }
}

const pass = (bytes: Buffer): Buffer => bytes;

/** Adds every discovery service, in both dialects, to a server. */
export function addDiscoveryServices(server: Server, hooks: AdsHooks): void {
  const definition: Record<string, ServiceDefinition[string]> = {};
  const handlers: Record<string, (call: AdsCall) => void> = {};
  for (const method of DISCOVERY_METHODS) {
    definition[method.path] = {
      path: method.path,
      requestStream: true,
      responseStream: true,
      requestSerialize: pass,
      requestDeserialize: pass,
      responseSerialize: (pieces: Pieces) => pieces as unknown as Buffer,
      responseDeserialize: pass,
    };
    handlers[method.path] = (call) => serve(call, method, hooks);
  }
  server.addService(definition, handlers);
}

function serve(call: AdsCall, { dialect, only }: DiscoveryMethod, hooks: AdsHooks): void {
  let connection: ProxyConnection | undefined;
  let nodeId = '';
  let nodeBytes: Uint8Array | undefined;
  let ended = false;
  let congested = false;
  let admitted: () => void = () => undefined;

  const fail = (code: status, details: string): void => {
    if (ended) return;
    finish();
    call.emit('error', { code, details } satisfies Partial<StatusObject>);
  };
  const finish = (): void => {
    if (ended) return;
    ended = true;
    admitted();
    if (connection !== undefined) hooks.disconnect(connection);
  };
  const begin = async (node: ProxyNode, first: Buffer): Promise<void> => {
    admitted = await hooks.admission.enter();
    if (ended) return admitted();
    const peer = await authorise(call, node, hooks.verifyPeer);
    const opened = await hooks.connect({
      node,
      dialect,
      scope: only ?? 'ads',
      peerAddress: call.getPeer(),
      ...(peer === undefined ? {} : { peer }),
      send: (response) => {
        if (ended) return;
        const pieces = new Pieces(encodeResponse(dialect, response));
        hooks.sent(response, pieces.byteLength);
        if (!call.write(pieces)) congested = true;
      },
      congested: () => congested,
      end: () => {
        finish();
        call.end();
      },
    });
    connection = opened;
    if (ended) return hooks.disconnect(opened);
    take(opened, decodeRequest(dialect, first));
    call.resume();
    // In step as far as we are concerned: the first responses have left our buffers.
    if (!congested) admitted();
  };

  const take = (to: ProxyConnection, { node: sentNode, request }: ReturnType<typeof decodeRequest>): void => {
    // Many clients repeat their node with every request: the same bytes need no second look.
    const other = sentNode === undefined || (nodeBytes !== undefined && Buffer.compare(sentNode, nodeBytes) === 0) ? undefined : decodeNode(sentNode);
    if (other !== undefined && other.id !== '' && other.id !== nodeId)
      return fail(status.INVALID_ARGUMENT, `this stream belongs to node ${nodeId}, not ${other.id}`);
    // On a separate stream the type goes without saying.
    if (request.typeUrl === '' && only !== undefined) request.typeUrl = only;
    if (request.typeUrl === '') return fail(status.INVALID_ARGUMENT, 'type_url is empty');
    if (only !== undefined && request.typeUrl !== only) return fail(status.INVALID_ARGUMENT, `this stream serves ${only}, not ${request.typeUrl}`);
    hooks.request(to, request);
  };

  call.on('data', (bytes: Buffer) => {
    if (ended) return;
    try {
      if (connection !== undefined) return take(connection, decodeRequest(dialect, bytes));
      // Until it is its turn a client is read no further, and of what it holds nothing is kept: after a restart that is a
      // thousand names from each of a thousand clients.
      call.pause();
      const { node: sentNode } = decodeRequest(dialect, bytes);
      if (sentNode === undefined) return fail(status.INVALID_ARGUMENT, 'the first request of a stream must name its node');
      const node = decodeNode(sentNode);
      const parsed = parseProxyNode(node, hooks.trustDomain);
      if ('problem' in parsed) return fail(status.INVALID_ARGUMENT, parsed.problem);
      nodeId = node.id;
      // A copy: a part would keep the whole request, names and all, for as long as the stream lives.
      nodeBytes = Uint8Array.from(sentNode);
      begin(parsed, bytes).catch((error: unknown) =>
        fail(error instanceof NotAllowed ? status.PERMISSION_DENIED : status.INTERNAL, error instanceof Error ? error.message : String(error)),
      );
    } catch (error) {
      fail(status.INVALID_ARGUMENT, `not a discovery request: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  call.on('drain', () => {
    congested = false;
    admitted();
    if (connection !== undefined && !ended) hooks.drained(connection);
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
