// Which virtual host a Host header belongs to: exact, then longest `*suffix`, then longest `prefix*`, then `*`. Case does not
// count.

export interface VirtualHostTable<V> {
  find(authority: string): V | undefined;
}

/** Compiles the domains; of a domain listed twice the first host keeps it. `ignorePort`: the port of the Host does not count. */
export function compileVirtualHosts<V extends { readonly domains: readonly string[] }>(hosts: readonly V[], ignorePort: boolean): VirtualHostTable<V> {
  const exact = new Map<string, V>();
  const suffixes: { text: string; host: V }[] = [];
  const prefixes: { text: string; host: V }[] = [];
  let fallback: V | undefined;
  for (const host of hosts) {
    for (const raw of host.domains) {
      const domain = raw.toLowerCase();
      if (domain === '*') fallback ??= host;
      else if (domain.startsWith('*')) suffixes.push({ text: domain.slice(1), host });
      else if (domain.endsWith('*')) prefixes.push({ text: domain.slice(0, -1), host });
      else if (!exact.has(domain)) exact.set(domain, host);
    }
  }
  const longestFirst = (a: { text: string }, b: { text: string }): number => b.text.length - a.text.length;
  suffixes.sort(longestFirst);
  prefixes.sort(longestFirst);

  const lookup = (name: string): V | undefined => {
    const found = exact.get(name);
    if (found !== undefined) return found;
    // The wildcard stands for at least one character.
    for (const entry of suffixes) if (name.length > entry.text.length && name.endsWith(entry.text)) return entry.host;
    for (const entry of prefixes) if (name.length > entry.text.length && name.startsWith(entry.text)) return entry.host;
    return undefined;
  };
  // Most requests ask for the host of the one before.
  let lastAuthority: string | undefined;
  let lastHost: V | undefined;
  return {
    find(authority) {
      if (authority === lastAuthority) return lastHost;
      const name = authority.toLowerCase();
      lastHost = lookup(ignorePort ? withoutPort(name) : name) ?? fallback;
      lastAuthority = authority;
      return lastHost;
    },
  };
}

/** `host:80` → `host`, `[::1]:80` → `[::1]`; unchanged without a port. */
export function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(':');
  if (colon < 0 || colon < authority.lastIndexOf(']')) return authority;
  return authority.slice(0, colon);
}
