// Commands of Envoy's formats for the addresses of both connections: whole, without the port, as a block, the port alone.

import { SocketAddress, type Socket } from 'node:net';
import { blockOf } from '@weft/mesh-core/traffic';
import type { HeaderValueSource, ReportedRecord } from './header-values.ts';

/** Each `ip:port`, `[ip]:port` or a path. */
const ADDRESSES: Readonly<Record<string, (record: ReportedRecord) => string>> = {
  UPSTREAM_REMOTE: (record) => record.upstreamAddress,
  UPSTREAM_LOCAL: (record) => record.upstreamLocalAddress || localAddressOf(record.upstreamSocket),
  DOWNSTREAM_REMOTE: (record) => record.downstreamAddress,
  DOWNSTREAM_LOCAL: (record) => record.localAddress,
  DOWNSTREAM_DIRECT_REMOTE: (record) => record.directAddress,
  DOWNSTREAM_DIRECT_LOCAL: (record) => record.directLocalAddress,
};

/** Undefined = not known here. */
export function addressCommand(command: string, argument: string | undefined): ((source: HeaderValueSource) => string | undefined) | undefined {
  const [, name = '', form] = /^(\w+?)_(ADDRESS|ADDRESS_WITHOUT_PORT|PORT)$/.exec(command) ?? [];
  const read = Object.hasOwn(ADDRESSES, name) ? ADDRESSES[name] : undefined;
  if (read === undefined || (argument !== undefined && form !== 'ADDRESS_WITHOUT_PORT')) return undefined;
  if (form === 'PORT') return ({ record }) => /:(\d+)$/.exec(read(record))?.[1];
  if (form === 'ADDRESS') return ({ record }) => shownAddress(read(record));
  const bits = /^\d+$/.test(argument ?? '') ? Number(argument) : undefined;
  return ({ record }) => {
    const host = withoutPort(read(record));
    return host === '' || bits === undefined ? host : shortBlock(blockOf(host, bits) ?? host);
  };
}

/** With the brackets of IPv6. */
export function shownAddress(address: string): string {
  const port = address.lastIndexOf(':');
  return address.startsWith('[') || address.indexOf(':') === port ? address : `[${address.slice(0, port)}]${address.slice(port)}`;
}

export function withoutPort(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

/** An IPv6 address in its shortest form. */
export function shortAddress(address: string): string {
  return address.includes(':') ? new SocketAddress({ address, family: 'ipv6' }).address : address;
}

function shortBlock(block: string): string {
  const [address = '', ...length] = block.split('/');
  return [shortAddress(address), ...length].join('/');
}

function localAddressOf(socket: Socket | undefined): string {
  return socket?.localAddress === undefined ? '' : `${socket.localAddress}:${socket.localPort}`;
}
