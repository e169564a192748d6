// Waits until requests that crossed real proxies are on the graph.

import { EDGE_COLUMNS, type GraphSnapshot } from '@weft/mesh-core/api';
import type { ControlClient } from '../agent/control-client.ts';
import { StartError } from '../agent/errors.ts';

const RPS = EDGE_COLUMNS.indexOf('rps');

/** Resolves when an edge out of the gateway and one further in carry traffic. */
export async function untilTraffic(client: ControlClient, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const graph = (await client.getJson('/api/v1/graph?windowSec=10').catch(() => undefined)) as GraphSnapshot | undefined;
    const busy = graph?.edges.filter((_, i) => (graph.edgeRows[i]?.[RPS] ?? 0) > 0) ?? [];
    if (busy.some((e) => e.source.startsWith('gw:')) && busy.some((e) => !e.source.startsWith('gw:'))) return;
    if (Date.now() > deadline)
      throw new StartError('WEFT_CHILD_FAILED', `no traffic reached the graph within ${timeoutMs / 1000} s; see the logs in the state directory`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
