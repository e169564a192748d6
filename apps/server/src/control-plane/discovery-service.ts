// The gRPC side of the discovery services: bytes in and out, who may speak for which node.

import { decodeNode, decodeRequest, encodeResponse, parseProxyNode } from '@weft/mesh-core/xds';
import type { Dialect, XdsRequest, XdsResponse } from '@weft/mesh-core/xds';
import { spiffeId } from '@weft/mesh-core/model';
import type { ProxyNode } from '@weft/mesh-core/model';
import type { PeerCertificate } from '../certificates/x509.ts';
import type { ProxyConnection } from './proxy-connection.ts';
import { CODE, GrpcError, messageOf } from './grpc/codes.ts';
import type { CallHandler, GrpcCall, GrpcMethod, Peer } from './grpc/grpc-call.ts';
import { DISCOVERY_METHODS } from './xds-services.ts';
import type { DiscoveryMethod } from './xds-services.ts';

export interface AdsHooks {
  trustDomain: string;
  /** What a peer's certificate (DER) proves; rejects when it proves nothing. Absent on the plaintext port. */
  verifyPeer?: (der: Uint8Array) => Promise<PeerCertificate>;
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

/** Every discovery service, in both dialects. */
export function discoveryMethods(hooks: AdsHooks): [string, GrpcMethod][] {
  return DISCOVERY_METHODS.map((method) => [method.path, (call) => serve(call, method, hooks)]);
}

function serve(call: GrpcCall, { dialect, only }: DiscoveryMethod, hooks: AdsHooks): CallHandler {
  let connection: ProxyConnection | undefined;
  let nodeId = '';
  let nodeBytes: Uint8Array | undefined;
  let ended = false;
  // In step as far as we are concerned when the first responses have left our buffers.
  const admitted = call.keepPlace();

  const finish = (): void => {
    if (ended) return;
    ended = true;
    admitted();
    if (connection !== undefined) hooks.disconnect(connection);
  };
  const end = (): void => {
    finish();
    call.end();
  };
  const begin = async (node: ProxyNode, first: ReturnType<typeof decodeRequest>): Promise<void> => {
    const peer = await authorise(call.peer, node, hooks.verifyPeer);
    const opened = await hooks.connect({
      node,
      dialect,
      scope: only ?? 'ads',
      peerAddress: call.peer.address,
      ...(peer === undefined ? {} : { peer }),
      send: (response) => {
        if (ended) return;
        hooks.sent(response, call.write(encodeResponse(dialect, response)));
      },
      congested: () => call.congested,
      end,
    });
    connection = opened;
    if (ended) return hooks.disconnect(opened);
    take(opened, first);
    call.resume();
    if (!call.congested) admitted();
  };

  const take = (to: ProxyConnection, { node: sentNode, request }: ReturnType<typeof decodeRequest>): void => {
    // Many clients repeat their node with every request: the same bytes need no second look.
    const other = sentNode === undefined || (nodeBytes !== undefined && Buffer.compare(sentNode, nodeBytes) === 0) ? undefined : nodeFrom(sentNode);
    if (other !== undefined && other.id !== '' && other.id !== nodeId) throw refused(`this stream belongs to node ${nodeId}, not ${other.id}`);
    // On a separate stream the type goes without saying.
    if (request.typeUrl === '' && only !== undefined) request.typeUrl = only;
    if (request.typeUrl === '') throw refused('type_url is empty');
    if (only !== undefined && request.typeUrl !== only) throw refused(`this stream serves ${only}, not ${request.typeUrl}`);
    hooks.request(to, request);
  };

  return {
    message: (bytes) => {
      if (connection !== undefined) return take(connection, decoded(dialect, bytes));
      const first = decoded(dialect, bytes);
      const { node: sentNode } = first;
      if (sentNode === undefined) throw refused('the first request of a stream must name its node');
      const node = nodeFrom(sentNode);
      const parsed = parseProxyNode(node, hooks.trustDomain);
      if ('problem' in parsed) throw refused(parsed.problem);
      nodeId = node.id;
      // A copy: a part would keep the whole request, names and all, for as long as the stream lives.
      nodeBytes = Uint8Array.from(sentNode);
      // Until the client is known to be who it says it is read no further.
      call.pause();
      begin(parsed, first).catch((error: unknown) => {
        finish();
        call.fail(error);
      });
    },
    ended: end,
    drained: () => {
      admitted();
      if (connection !== undefined) hooks.drained(connection);
    },
    closed: finish,
  };
}

const notAllowed = (message: string): GrpcError => new GrpcError(CODE.permissionDenied, message);
const refused = (message: string): GrpcError => new GrpcError(CODE.invalidArgument, message);

function decoded(dialect: Dialect, bytes: Uint8Array): ReturnType<typeof decodeRequest> {
  try {
    return decodeRequest(dialect, bytes);
  } catch (error) {
    throw refused(`not a discovery request: ${messageOf(error)}`);
  }
}

function nodeFrom(bytes: Uint8Array): ReturnType<typeof decodeNode> {
  try {
    return decodeNode(bytes);
  } catch (error) {
    throw refused(`not a node: ${messageOf(error)}`);
  }
}

/** The peer's certificate must be of the identity the node claims; on plaintext there is nothing to check. */
async function authorise({ certificate }: Peer, node: ProxyNode, verifyPeer: AdsHooks['verifyPeer']): Promise<PeerCertificate | undefined> {
  if (verifyPeer === undefined) return undefined;
  if (certificate === undefined)
    throw notAllowed('this port serves configuration to workloads with a certificate of this mesh; the client showed none that is valid');
  let peer: PeerCertificate;
  try {
    peer = await verifyPeer(certificate);
  } catch (error) {
    throw notAllowed(messageOf(error));
  }
  if (spiffeId(peer.identity) !== spiffeId(node.identity))
    throw notAllowed(`the node says it is ${spiffeId(node.identity)}, its certificate says ${spiffeId(peer.identity)}`);
  return peer;
}
