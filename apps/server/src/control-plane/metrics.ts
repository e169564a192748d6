// What the control plane counts, under Istio's names and with Istio's buckets.

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { TYPE_URL } from '@weft/mesh-core/xds';
import type { RequestFact, XdsResponse } from '@weft/mesh-core/xds';
import { Tally } from './tally.ts';

/** Istio's `type` labels. */
const TYPE_LABEL: Readonly<Record<string, string>> = {
  [TYPE_URL.cluster]: 'cds',
  [TYPE_URL.endpoint]: 'eds',
  [TYPE_URL.listener]: 'lds',
  [TYPE_URL.route]: 'rds',
  [TYPE_URL.secret]: 'sds',
};
const labelOf = (typeUrl: string): string => TYPE_LABEL[typeUrl] ?? 'other';
const REJECTED = ['cds', 'eds', 'lds', 'rds'] as const;

export interface PilotMetrics {
  /** Prometheus text. */
  text(): Promise<string>;
  sent(response: XdsResponse, bytes: number): void;
  answered(typeUrl: string, fact: RequestFact): void;
  /** One proxy was told; `ms` since the oldest of the edits behind it. */
  converged(ms: number): void;
  queued(ms: number): void;
  pushed(typeUrls: Iterable<string>, ms: number): void;
  /** A burst of commits was over after `debounceMs`, and took `initMs` to index. */
  triggered(commits: number, debounceMs: number, initMs: number): void;
}

/** `state` is asked when the metrics are read. */
export function createPilotMetrics(state: () => { proxies: ReadonlyMap<string, number>; services: number; virtualServices: number }): PilotMetrics {
  const registry = new Registry();
  const registers = [registry];
  const histogram = (name: string, help: string, buckets: number[]) => new Histogram({ name, help, buckets, registers });
  const tally = (name: string, help: string, buckets: number[], byType: boolean) => new Tally(registry, { name, help, buckets, byType });
  const counter = <L extends string>(name: string, help: string, labelNames: L[] = []) => new Counter({ name, help, labelNames, registers });

  const rejects = counter('pilot_total_xds_rejects', 'Responses refused by proxies, by type', ['type']);
  const rejectedBy = new Map<string, Counter>(
    REJECTED.map((type) => [type, counter(`pilot_xds_${type}_reject`, `${type.toUpperCase()} responses refused by proxies`)]),
  );
  const expired = counter('pilot_xds_expired_nonce', 'Requests that answered an older response', ['type']);
  const size = tally('pilot_xds_config_size_bytes', 'Bytes of one response', [1, 10_000, 1_000_000, 4_000_000, 10_000_000, 40_000_000], true);
  const pushes = new Counter({
    name: 'pilot_xds_pushes',
    help: 'Responses sent, by type',
    labelNames: ['type'],
    registers,
    collect() {
      this.reset();
      for (const [type, count] of size.counts()) this.inc({ type }, count);
    },
  });
  const convergence = tally('pilot_proxy_convergence_time', 'Seconds from an edit until a proxy was sent it', [0.1, 0.5, 1, 3, 5, 10, 20, 30], false);
  const queueTime = tally('pilot_proxy_queue_time', 'Seconds a proxy was in the push queue', [0.1, 0.5, 1, 3, 5, 10, 20, 30], false);
  const pushTime = tally('pilot_xds_push_time', 'Seconds to translate and send one push to one proxy', [0.01, 0.1, 1, 3, 5, 10, 20, 30], true);
  const debounce = histogram('pilot_debounce_time', 'Seconds from the first edit of a burst until it is pushed', [0.01, 0.1, 1, 3, 5, 10, 20, 30]);
  const init = histogram('pilot_pushcontext_init_seconds', 'Seconds to index the configuration', [0.01, 0.1, 0.5, 1, 3, 5]);
  const inbound = counter('pilot_inbound_updates', 'Edits received', ['type']);
  const triggers = counter('pilot_push_triggers', 'Pushes by what caused them', ['type']);
  const connected = new Gauge({
    name: 'pilot_xds',
    help: 'Connected proxies, by version',
    labelNames: ['version'],
    registers,
    collect() {
      this.reset();
      for (const [version, count] of state().proxies) this.set({ version }, count);
    },
  });
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge('pilot_services', 'Services known', () => state().services);
  gauge('pilot_virt_services', 'VirtualServices known', () => state().virtualServices);
  connected.reset();
  pushes.reset();

  return {
    text: () => registry.metrics(),
    sent: ({ typeUrl }, bytes) => size.observe(bytes, labelOf(typeUrl)),
    answered: (typeUrl, fact) => {
      const type = labelOf(typeUrl);
      if (fact.kind === 'stale') expired.inc({ type });
      if (fact.kind !== 'nack') return;
      rejects.inc({ type });
      rejectedBy.get(type)?.inc();
    },
    converged: (ms) => convergence.observe(ms / 1_000),
    queued: (ms) => queueTime.observe(ms / 1_000),
    pushed: (typeUrls, ms) => {
      for (const typeUrl of typeUrls) pushTime.observe(ms / 1_000, labelOf(typeUrl));
    },
    triggered: (commits, debounceMs, initMs) => {
      inbound.inc({ type: 'config' }, commits);
      triggers.inc({ type: 'config' });
      debounce.observe(debounceMs / 1_000);
      init.observe(initMs / 1_000);
    },
  };
}
