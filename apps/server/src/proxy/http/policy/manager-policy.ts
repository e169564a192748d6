// What a connection manager's policies come to, compiled once per configuration.

import { BlockList, isIPv6 } from 'node:net';
import { compilePathRules, withoutPort, type NormalizedPath } from '@weft/mesh-core/traffic';
import type { HttpConnectionManager, HttpFilter } from '../../config/model.ts';

export interface ManagerPolicy {
  /** Undefined = paths are taken as they come. */
  normalizePath: ((path: string) => NormalizedPath) | undefined;
  /** Whether a request comes from inside: its headers may then steer this proxy. */
  isInternal(remoteAddress: string, forwardedFor: string | undefined): boolean;
  /** The Host that counts. */
  hostOf(authority: string, listenerPort: number): string;
  /** Whether a filter is in the manager's chain: without it, what routes say of it counts for nothing. */
  runs(kind: HttpFilter['kind']): boolean;
  /** The header that carries a peer's identity, '' = none. */
  peerHeader: string;
  /** Requests that fault injection holds or has aborted and that have not ended. */
  activeFaults: number;
}

const known = new WeakMap<HttpConnectionManager, ManagerPolicy>();

export function managerPolicy(manager: HttpConnectionManager): ManagerPolicy {
  let policy = known.get(manager);
  if (policy === undefined) known.set(manager, (policy = compile(manager)));
  return policy;
}

function compile(manager: HttpConnectionManager): ManagerPolicy {
  const kinds = new Set(manager.filters.map((filter) => filter.kind));
  return {
    normalizePath: compilePathRules(manager.path),
    isInternal: compileInternal(manager),
    hostOf: compileHost(manager.host),
    runs: (kind) => kinds.has(kind),
    peerHeader: manager.peerHeader ?? manager.filters.find((filter) => filter.kind === 'peer-metadata')?.header ?? '',
    activeFaults: 0,
  };
}

const asIs = (authority: string): string => authority;

function compileHost({ stripPort, stripDot }: HttpConnectionManager['host']): ManagerPolicy['hostOf'] {
  if (stripPort === 'none' && !stripDot) return asIs;
  return (authority, listenerPort) => {
    const bare = withoutPort(authority);
    const strips = stripPort === 'any' || (stripPort === 'matching' && authority === `${bare}:${listenerPort}`);
    const host = stripDot && bare.endsWith('.') ? bare.slice(0, -1) : bare;
    return strips ? host : host + authority.slice(bare.length);
  };
}

const never = (): boolean => false;

/** Envoy's rule: the one address of X-Forwarded-For, or the client's where this proxy is the first to write that header. */
function compileInternal({ internalAddresses, useRemoteAddress }: HttpConnectionManager): ManagerPolicy['isInternal'] {
  // Since 1.33 Envoy trusts nobody unless told to.
  if (internalAddresses.length === 0) return never;
  const list = new BlockList();
  for (const { address, prefixLength } of internalAddresses) list.addSubnet(address, prefixLength, isIPv6(address) ? 'ipv6' : 'ipv4');
  return (remoteAddress, forwardedFor) => {
    if (useRemoteAddress ? forwardedFor !== undefined : forwardedFor === undefined || forwardedFor.includes(',')) return false;
    const address = useRemoteAddress ? remoteAddress : (forwardedFor ?? '').trim();
    return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  };
}
