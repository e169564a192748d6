// Who sees an object, which names mean the same: questions about names alone.

/** What VirtualServices without `gateways` are bound to: all sidecars. */
export const MESH = 'mesh';

/** `<namespace>/<name>` of a Gateway as a VirtualService names it: `gw`, `./gw`, `ns/gw`, or the old `gw.ns.svc.cluster.local`. */
export function gatewayKey(name: string, namespace: string): string {
  if (name === MESH) return MESH;
  if (name.includes('/')) return name.startsWith('./') ? `${namespace}/${name.slice(2)}` : name;
  const [short = name, owner = namespace] = name.split('.');
  return `${owner}/${short}`;
}

/** Whether an object of `owner`'s namespace may be used in `client`'s. `~` hides it from everybody, `*` shows it to all. */
export function visible(exportTo: readonly string[] | undefined, owner: string, client: string): boolean {
  if (exportTo === undefined || exportTo.length === 0 || exportTo.includes('*')) return true;
  return !exportTo.includes('~') && exportTo.some((e) => e === client || (e === '.' && owner === client));
}
