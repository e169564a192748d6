// What proxies said of configuration they did not take, in lines short enough to be read.

import type { Propagation, ProxyStatus } from '@weft/mesh-core/api';
import { proxyName } from '@weft/mesh-core/api';

interface Refused {
  proxy: string;
  error: string;
}

/** Of one edit: how many proxies go on with what they had, and why. Nothing when all took it. */
export function refusalLines(propagation: Propagation | undefined): string[] {
  const refused = (propagation?.proxies ?? [])
    .filter((p) => p.state === 'nacked')
    .map((p) => ({ proxy: `${p.workload}.${p.namespace}`, error: p.error ?? '' }));
  return grouped(refused).map((line) => `refused by ${line}`);
}

/** Of one edit: who has said neither yes nor no. */
export function silentLines(propagation: Propagation | undefined): string[] {
  const silent = (propagation?.proxies ?? []).filter((p) => p.state === 'pending' || p.state === 'sent');
  return silent.length === 0 ? [] : [`no answer yet from ${silent.map((p) => `${p.workload}.${p.namespace}`).join(', ')}: weft proxy status`];
}

/** Of one edit: who has left without a word. */
export function goneLines(propagation: Propagation | undefined): string[] {
  const gone = (propagation?.proxies ?? []).filter((p) => p.state === 'disconnected');
  if (gone.length === 0) return [];
  return [`disconnected before an answer: ${gone.map((p) => `${p.workload}.${p.namespace}`).join(', ')}; a proxy that connects again is told anew`];
}

/** Of the whole mesh, as it is. */
export function nackLines(proxies: readonly ProxyStatus[]): string[] {
  return grouped(
    proxies.flatMap((p) =>
      p.types.flatMap((t) =>
        t.nack === undefined || t.ackedVersion === t.sentVersion ? [] : [{ proxy: `${proxyName(p.id)}.${p.namespace}`, error: t.nack.message }],
      ),
    ),
  );
}

/** One line for each reason, whoever says it and of how many resources. */
function grouped(refused: readonly Refused[]): string[] {
  const groups = new Map<string, { proxies: Set<string>; first: string; resources: number }>();
  for (const { proxy, error } of refused) {
    const parts = error.split('; ');
    const [first = ''] = parts;
    // The path starts with the resource, whose name differs and may have dots, and ends with what is refused.
    const at = first.indexOf(': ');
    const key = `${first.slice(0, at).split('.').slice(-2).join('.')}${first.slice(at)}`;
    const group = groups.get(key) ?? { proxies: new Set<string>(), first, resources: 0 };
    groups.set(key, group);
    group.proxies.add(proxy);
    group.resources += parts.length;
  }
  return [...groups.values()].map(({ proxies, first, resources }) => {
    const [one = '', ...others] = proxies;
    const whom = others.length === 0 ? one : `${one} and ${others.length} more`;
    return `${whom}: ${first}${resources > 1 ? ` (one of ${resources} resources)` : ''}`;
  });
}
