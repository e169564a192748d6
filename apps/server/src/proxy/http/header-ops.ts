// Header changes of routes, compiled to "lines to add" and "names to drop". Values may hold Envoy's %REQ(name)% and friends.

import type { HeaderOps } from '../config/model.ts';

export interface HeaderValueSource {
  request(name: string): string | undefined;
  protocol: string;
  downstreamAddress: string;
  routeName: string;
  requestId: string;
}

export interface CompiledHeaderOps {
  /** Lower-case names that are not passed on; undefined = none. */
  drop: ReadonlySet<string> | undefined;
  /** Field lines to add. */
  lines(source: HeaderValueSource): string;
}

const noOps: CompiledHeaderOps = { drop: undefined, lines: () => '' };

/** Compiles several levels (weighted cluster, route, virtual host), applied in this order. */
export function compileHeaderOps(levels: readonly HeaderOps[]): CompiledHeaderOps {
  const drop = new Set<string>();
  let added: { name: string; value: string }[] = [];
  for (const level of levels) {
    for (const name of level.remove) {
      drop.add(name.toLowerCase());
      added = added.filter((entry) => entry.name !== name.toLowerCase());
    }
    for (const { name: raw, value, overwrite } of level.add) {
      const name = raw.toLowerCase();
      // Host and pseudo headers are changed by rewrites only.
      if (name === 'host' || name.startsWith(':')) continue;
      if (overwrite) {
        drop.add(name);
        added = added.filter((entry) => entry.name !== name);
      }
      added.push({ name, value });
    }
  }
  if (drop.size === 0 && added.length === 0) return noOps;
  const parts = added.map(({ name, value }) => ({ name, value: compileValue(value) }));
  const fixed = parts.every((part) => typeof part.value === 'string') ? parts.map((part) => `${part.name}: ${String(part.value)}\r\n`).join('') : undefined;
  return {
    drop: drop.size === 0 ? undefined : drop,
    lines: (source) => {
      if (fixed !== undefined) return fixed;
      let text = '';
      for (const { name, value } of parts) {
        const shown = typeof value === 'string' ? value : value(source);
        if (shown !== '') text += `${name}: ${shown}\r\n`;
      }
      return text;
    },
  };
}

function compileValue(value: string): string | ((source: HeaderValueSource) => string) {
  const clean = value.replaceAll(/[\r\n\0]/g, '');
  if (!clean.includes('%')) return clean;
  if (!/%[A-Z]/.test(clean)) return clean.replaceAll('%%', '%');
  return (source) =>
    clean.replaceAll(/%%|%REQ\(([^)]+)\)%|%([A-Z_]+)%/g, (whole, header: string | undefined, name: string | undefined) => {
      if (whole === '%%') return '%';
      if (header !== undefined) return source.request(header.toLowerCase()) ?? '';
      switch (name) {
        case 'PROTOCOL':
          return source.protocol;
        case 'DOWNSTREAM_REMOTE_ADDRESS':
          return source.downstreamAddress;
        case 'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT':
          return source.downstreamAddress.replace(/:\d+$/, '');
        case 'ROUTE_NAME':
          return source.routeName;
        case 'STREAM_ID':
          return source.requestId;
        default:
          return whole;
      }
    });
}
