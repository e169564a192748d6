// Listener filters: looks at the first bytes of an accepted socket for what the choice of a filter chain needs, then puts them
// back. Order as Istio and Envoy have it: PROXY header, TLS hello, HTTP.

import type { Socket } from 'node:net';
import type { ListenerConfig } from '../config/model.ts';
import { readClientHello } from '../transport/client-hello.ts';
import { inspectHttp } from '../transport/http-inspector.ts';
import { readProxyHeader, type ProxyHeader } from '../transport/proxy-protocol.ts';

export interface Found {
  tls: boolean;
  serverName: string;
  /** The client's ALPN, or what its plaintext looks like (`http/1.1`, `h2c`). */
  protocols: readonly string[];
  addresses?: NonNullable<ProxyHeader['addresses']>;
}

export type Inspection = Pick<ListenerConfig, 'inspectTls' | 'inspectHttp' | 'proxyProtocol' | 'filtersTimeoutMs' | 'continueOnFiltersTimeout'>;

const defaultTimeoutMs = 15_000;
export const nothingFound: Found = { tls: false, serverName: '', protocols: [] };

/**
 * Calls `done` once with what was found, or with undefined when the connection must be closed. Returns a function that
 * gives up without a call. The bytes seen are back in the socket, but for a PROXY header.
 */
export function inspect(socket: Socket, wanted: Inspection, done: (found: Found | undefined) => void): () => void {
  let seen: Buffer = Buffer.alloc(0);
  let found = nothingFound;
  let header = wanted.proxyProtocol !== undefined;
  const timeoutMs = wanted.filtersTimeoutMs ?? defaultTimeoutMs;
  const timer =
    timeoutMs === 0 ? undefined : setTimeout(() => settle(wanted.continueOnFiltersTimeout === true && !header ? found : undefined), timeoutMs).unref();

  const stop = (): void => {
    clearTimeout(timer);
    socket.removeListener('readable', look);
    socket.removeListener('end', ended);
    socket.removeListener('close', ended);
  };
  const settle = (result: Found | undefined): void => {
    stop();
    if (seen.length > 0 && result !== undefined) socket.unshift(seen);
    done(result);
  };
  const ended = (): void => settle(undefined);
  const look = (): void => {
    const chunk: unknown = socket.read();
    if (!Buffer.isBuffer(chunk)) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    if (header && wanted.proxyProtocol !== undefined) {
      const read = readProxyHeader(seen);
      if (read === 'incomplete') return;
      if (read === 'invalid' || (read === 'absent' && !wanted.proxyProtocol.optional)) return settle(undefined);
      if (read !== 'absent') {
        if (wanted.proxyProtocol.refusedVersions.includes(read.version)) return settle(undefined);
        seen = seen.subarray(read.length);
        if (read.addresses !== undefined) found = { ...found, addresses: read.addresses };
      }
      header = false;
      if (!wanted.inspectTls && wanted.inspectHttp !== true) return settle(found);
    }
    if (seen.length === 0) return;
    if (wanted.inspectTls) {
      const hello = readClientHello(seen);
      if (hello === 'incomplete') return;
      if (hello === 'endless') return settle(undefined);
      if (hello !== 'absent') return settle({ ...found, tls: true, serverName: hello.serverName, protocols: hello.alpn });
    }
    if (wanted.inspectHttp !== true) return settle(found);
    const protocol = inspectHttp(seen);
    if (protocol === 'incomplete') return;
    settle(protocol === '' ? found : { ...found, protocols: [protocol] });
  };
  socket.on('readable', look);
  // A client that sends nothing and closes is gone; one that sent too little to tell is no better.
  socket.once('end', ended);
  socket.once('close', ended);
  return stop;
}
