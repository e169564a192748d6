// Who has stopped reporting: a graph without a workload's numbers must say so instead of showing a quiet workload.

import type { ProxyStatus } from '@weft/mesh-core/api';
import type { OtlpResourceMetrics } from '@weft/mesh-core/telemetry';
import { resourceIdOf } from './ingest.ts';
import type { MetricStore } from './stores.ts';

/** Proxies push every second while they have traffic; three missed pushes are a silence. */
const SILENT_MS = 3_000;
const FORGET_MS = 60 * 60_000;

export class SilenceWatch {
  readonly #heard = new Map<string, number>();

  /** Notes that the senders of these metrics are alive, at Unix ms `at`. */
  heard(resources: readonly OtlpResourceMetrics[], at: number): void {
    for (const { resource } of resources) {
      this.#heard.set(resourceIdOf(resource), at);
      this.#heard.set(`${String(resource['weft.namespace'])}/${String(resource['weft.workload'])}`, at);
    }
    if (this.#heard.size > 10_000) for (const [id, last] of this.#heard) if (at - last > FORGET_MS) this.#heard.delete(id);
  }

  /**
   * One sentence per proxy that is silent although its peers report traffic with it; without traffic a proxy has nothing to
   * push. Proxyless gRPC clients send no metrics and are not expected to.
   */
  notes(proxies: readonly ProxyStatus[], metrics: MetricStore, at: number): string[] {
    const busy = busyWorkloads(metrics, at);
    const notes = new Map<string, string>();
    for (const proxy of proxies) {
      const workload = `${proxy.namespace}/${proxy.workload}`;
      const last = Math.max(this.#heard.get(proxy.id) ?? 0, this.#heard.get(workload) ?? 0);
      if (proxy.dataPlane === 'grpc' || !busy.has(workload) || at - last <= SILENT_MS) continue;
      notes.set(
        workload,
        last === 0 ? `no telemetry from ${proxy.workload} yet` : `no telemetry from ${proxy.workload} for ${Math.floor((at - last) / 1_000)} s`,
      );
    }
    return [...notes.values()];
  }
}

/** `<namespace>/<workload>` the other end of a hop has reported traffic with just now. */
function busyWorkloads(metrics: MetricStore, at: number): Set<string> {
  const busy = new Set<string>();
  for (const { labels } of metrics.increases({ from: at - SILENT_MS, to: at, buckets: false })) {
    const peer = labels['reporter'] === 'destination' ? 'source' : 'destination';
    busy.add(`${labels[`${peer}_workload_namespace`]}/${labels[`${peer}_workload`]}`);
  }
  return busy;
}
