// How far an edit has spread, in a few words.

import type { Propagation } from '@weft/mesh-core/api';

export function spreadText({ completeMs, proxies }: Propagation): string {
  if (completeMs === undefined) return 'spreading…';
  const gone = proxies.filter((p) => p.state === 'disconnected').length;
  const after = `after ${Math.round(completeMs)} ms`;
  if (gone === 0) return `everywhere ${after}`;
  if (gone === proxies.length) return `nowhere: gone ${after} without an answer`;
  return `everywhere else ${after}, ${gone} gone without an answer`;
}
