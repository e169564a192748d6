// A client that has been given a filter chain, and what its connection is served with.

import type { Socket } from 'node:net';
import type { RbacConnection } from '@weft/mesh-core/traffic';
import type { HttpConnectionManager, ListenerConfig, TcpProxy } from '../config/model.ts';
import type { ConnectionContext } from '../http/downstream.ts';
import type { CheckedConnection } from '../http/ext-authz/check-request.ts';
import type { RouteSlot } from '../http/route-table.ts';
import type { TcpContext } from '../tcp/tcp-proxy.ts';
import type { TlsClient } from '../transport/tls-terminator.ts';
import type { CompiledChain } from './chains.ts';
import type { Found } from './inspect.ts';
import type { RuntimeParts } from './parts.ts';

/** What is known of a client before its bytes are served. */
export interface Downstream {
  listener: ListenerConfig;
  address: string;
  port: number;
  serverName: string;
  /** `ip:port` it connected to, and that of its socket. */
  localAddress: string;
  directLocalAddress: string;
  /** The peer of the socket, where `address` is whom a PROXY header names. */
  directAddress: string;
  directPort: number;
  /** Why its handshake failed, once it has. */
  failure?: string;
}

/** A client on the chain that was picked for it. */
export interface Arrival {
  socket: Socket;
  chain: CompiledChain;
  downstream: Downstream;
  client: TlsClient;
  tls: boolean;
  /** What rules look at; undefined where there are none. */
  checked: CheckedConnection | undefined;
}

/** One without TLS. */
export const plain: TlsClient = { principal: undefined, uriNames: [], trusted: false, certificateHash: '', subject: '', dnsNames: [], ownNames: [] };

export function downstreamOf(socket: Socket, found: Found, listener: ListenerConfig): Downstream {
  const { source, sourcePort, destination, destinationPort } = addressesOf(socket, found);
  return {
    ...{ listener, address: source, port: sourcePort, serverName: found.serverName },
    localAddress: `${destination}:${destinationPort}`,
    directLocalAddress: `${plainAddress(socket.localAddress)}:${socket.localPort}`,
    directAddress: plainAddress(socket.remoteAddress),
    directPort: socket.remotePort ?? 0,
  };
}

export function arrivalOf(socket: Socket, chain: CompiledChain, downstream: Downstream, client: TlsClient, tls: boolean): Arrival {
  const ruled = chain.filters.length > 0 || chain.guard !== undefined;
  const checked = ruled ? { access: accessOf(downstream, client, tls), sourcePort: downstream.port, ownIdentity: client.ownNames[0] ?? '' } : undefined;
  return { socket, chain, downstream, client, tls, checked };
}

/** Without a spread: objects made by one differ in shape, and every look at them on the request path is slow. */
export function httpContext(arrival: Arrival, manager: HttpConnectionManager, routes: RouteSlot, parts: RuntimeParts): ConnectionContext {
  const { socket, chain, downstream, client, tls, checked } = arrival;
  const { deps, wheel, clusters } = parts;
  return {
    socket,
    listener: downstream.listener,
    manager,
    routes,
    filters: chain.filters,
    deps,
    wheel,
    clusters,
    tls,
    principal: client.principal,
    certificateHash: client.certificateHash,
    subject: client.subject,
    dnsNames: client.dnsNames,
    uriNames: client.uriNames,
    ownNames: client.ownNames,
    remoteAddress: downstream.address,
    remotePort: downstream.port,
    downstreamAddress: `${downstream.address}:${downstream.port}`,
    directAddress: `${downstream.directAddress}:${downstream.directPort}`,
    localAddress: downstream.localAddress,
    directLocalAddress: downstream.directLocalAddress,
    serverName: downstream.serverName,
    access: checked?.access,
  };
}

export function tcpContext(arrival: Arrival, proxy: TcpProxy, parts: RuntimeParts): TcpContext {
  const { socket, chain, downstream, client, tls, checked } = arrival;
  const { deps, wheel, clusters } = parts;
  return {
    socket,
    listener: downstream.listener,
    proxy,
    pick: chain.pick,
    deps,
    wheel,
    clusters,
    peer: { principal: client.principal, header: undefined },
    tls,
    downstreamAddress: `${downstream.address}:${downstream.port}`,
    directAddress: `${downstream.directAddress}:${downstream.directPort}`,
    localAddress: downstream.localAddress,
    directLocalAddress: downstream.directLocalAddress,
    serverName: downstream.serverName,
    guard: chain.guard,
    checked,
  };
}

/** A certificate that is not trusted has no names. */
function accessOf({ address, directAddress, localAddress, serverName }: Downstream, client: TlsClient, tls: boolean): RbacConnection {
  const colon = localAddress.lastIndexOf(':');
  return {
    tls,
    uriNames: client.uriNames,
    dnsNames: client.trusted ? client.dnsNames : [],
    subject: client.trusted ? client.subject : '',
    serverName,
    directAddress,
    sourceAddress: address,
    destinationAddress: localAddress.slice(0, colon),
    destinationPort: Number(localAddress.slice(colon + 1)),
  };
}

/** Those of a PROXY header, else the socket's. */
export function addressesOf(socket: Socket, found: Found): NonNullable<Found['addresses']> {
  return (
    found.addresses ?? {
      source: plainAddress(socket.remoteAddress),
      sourcePort: socket.remotePort ?? 0,
      destination: plainAddress(socket.localAddress),
      destinationPort: socket.localPort ?? 0,
    }
  );
}

/** Without the IPv6 form of an IPv4 address. */
export function plainAddress(address = ''): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
