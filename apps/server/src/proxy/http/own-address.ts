// The address this machine is known by elsewhere.

import { networkInterfaces } from 'node:os';

let own: string | undefined;

/** The first of its IPv4 addresses that is not loopback's, else 127.0.0.1, as Envoy knows itself. */
export function ownAddress(): string {
  own ??=
    Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
  return own;
}

/** As proxies and applications behind this one are told of a client: one on loopback has the machine's address (to Envoy 127.0.0.2 is no loopback). */
export function clientAddress(address: string): string {
  return address === '127.0.0.1' || address === '::1' ? ownAddress() : address;
}
