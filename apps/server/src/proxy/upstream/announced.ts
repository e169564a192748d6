// Connections that say who is behind them before anything else (PROXY protocol towards the upstream).

import { type Socket, connect as connectPlain, isIPv4, isIPv6 } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { ProxyProtocolVersion } from '../config/model.ts';
import { SIGNATURE } from '../transport/proxy-protocol.ts';
import { type SocketTarget, hostAndPort } from './host-and-port.ts';

/** `ip:port` of both ends of a client's connection. */
export interface ClientAddresses {
  source: string;
  destination: string;
}

export interface Announced {
  target: SocketTarget;
  version: ProxyProtocolVersion;
  client: ClientAddresses | undefined;
  tls?: ConnectionOptions;
  allowHalfOpen: boolean;
}

/**
 * Connects, tells the client's addresses, and only then does TLS. Without a client the connection speaks for itself: version 1
 * with its own addresses, version 2 as LOCAL.
 */
export function connectAnnounced({ target, version, client, tls, allowHalfOpen }: Announced): Socket {
  const tcp = connectPlain({ ...target, noDelay: true, allowHalfOpen });
  tcp.once('connect', () => {
    const own = { source: `${tcp.localAddress}:${tcp.localPort}`, destination: `${tcp.remoteAddress}:${tcp.remotePort}` };
    tcp.write(version === 'V1' ? versionOne(client ?? own) : versionTwo(client));
  });
  if (tls === undefined) return tcp;
  // Its handshake waits for the same event, and comes after.
  const secured = connectTls({ ...tls, ...{ allowHalfOpen }, socket: tcp });
  tcp.on('error', (error) => secured.destroy(error));
  return secured;
}

function versionOne({ source, destination }: ClientAddresses): string {
  const [from, to] = [partsOf(source), partsOf(destination)];
  const family = isIPv4(from.host) && isIPv4(to.host) ? 4 : isIPv6(from.host) && isIPv6(to.host) ? 6 : undefined;
  return family === undefined ? 'PROXY UNKNOWN\r\n' : `PROXY TCP${family} ${from.host} ${to.host} ${from.port} ${to.port}\r\n`;
}

function versionTwo(client: ClientAddresses | undefined): Buffer {
  const [from, to] = [partsOf(client?.source ?? ''), partsOf(client?.destination ?? '')];
  const family = isIPv4(from.host) && isIPv4(to.host) ? 0x11 : isIPv6(from.host) && isIPv6(to.host) ? 0x21 : undefined;
  if (family === undefined) return Buffer.concat([SIGNATURE, Buffer.from([0x20, 0, 0, 0])]);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(from.port, 0);
  ports.writeUInt16BE(to.port, 2);
  const body = Buffer.concat([addressBytes(from.host), addressBytes(to.host), ports]);
  return Buffer.concat([SIGNATURE, Buffer.from([0x21, family, 0, body.length]), body]);
}

function partsOf(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon);
  return host.includes(':') && !host.startsWith('[') ? { host, port: Number(address.slice(colon + 1)) } : hostAndPort(address, 0);
}

function addressBytes(host: string): Buffer {
  if (isIPv4(host)) return Buffer.from(host.split('.').map(Number));
  const [head = '', tail] = host.split('::');
  const groups = (text: string | undefined): string[] => (text === undefined || text === '' ? [] : text.split(':'));
  const [start, end] = [groups(head), groups(tail)];
  const all = [...start, ...Array.from({ length: 8 - start.length - end.length }, () => '0'), ...end];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
