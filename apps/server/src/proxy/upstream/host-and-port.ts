/** Parts of an authority (`host`, `host:port`, `[v6]:port`); host '' when it is not one. Lower case, IPv6 without brackets. */
export function hostAndPort(authority: string, defaultPort: number): { host: string; port: number } {
  const match = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<name>[^:[\]/@]+))(?::(?<port>\d{1,5}))?$/.exec(authority);
  const host = (match?.groups?.['six'] ?? match?.groups?.['name'] ?? '').toLowerCase();
  const port = Number(match?.groups?.['port'] ?? defaultPort);
  return port > 65_535 ? { host: '', port } : { host, port };
}

/** A host and port, or the path of a unix socket. */
export type SocketTarget = { host: string; port: number } | { path: string };

/** Where a socket connects to for an endpoint; `@name` is an abstract unix socket. */
export function socketTarget({ address, port }: { address: string; port: number }): SocketTarget {
  if (!isSocketPath(address)) return { host: resolvable(address), port };
  return { path: address.startsWith('@') ? `\0${address.slice(1)}` : address };
}

/** What to ask the system for a name: it need not know those under localhost (RFC 6761 §6.3), Envoy's resolver does. */
export function resolvable(name: string): string {
  return /\.localhost$/i.test(name) ? 'localhost' : name;
}

export function isSocketPath(address: string): boolean {
  return address.startsWith('/') || address.startsWith('@');
}
