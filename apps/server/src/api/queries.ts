// Answers composed of several rooms: the split with what is observed, services, status, revisions.

import { toYaml } from '@weft/mesh-core/config';
import type { Revision, ServiceSummary, Status, TrafficSplit } from '@weft/mesh-core/api';
import { type ObjectRef, type Problem, namespaceOf, refOf, shownRef } from '@weft/mesh-core/model';
import { resolveHost, type ServiceSpec } from '@weft/mesh-core/config';
import type { Change, Commit } from '../config-store/config-store.ts';
import { RefusedError } from './errors.ts';
import { deliveryProblems } from './delivery-problems.ts';
import type { ReadyServices } from './services.ts';
import { labelsOf, splitRuleOf, weightsText, workloadsIn } from './split.ts';

const SPLIT_WINDOW_SEC = 60;

export interface Queries {
  problems(): Promise<readonly Problem[]>;
  /** Throws RefusedError 404 when the service is not there. */
  split(namespace: string, service: string): Promise<TrafficSplit>;
  services(windowSec: number): ServiceSummary[];
  status(): Promise<Status>;
  /** One commit for people; `full` adds the YAML before and after. */
  revision(commit: Commit, full?: boolean): Revision;
  namespaces(): string[];
}

export function createQueries(services: ReadyServices): Queries {
  const { store, controlPlane, telemetry, settings } = services;
  let analysed: { of: string; problems: Promise<readonly Problem[]> } | undefined;
  const changedAt = new Map<string, number>();

  const problems = async (): Promise<readonly Problem[]> => {
    const { items, revision } = store.list();
    const proxies = controlPlane.proxies();
    const of = [revision, ...proxies.map(({ namespace, identity, labels }) => JSON.stringify([namespace, identity, labels])).toSorted()].join();
    if (analysed?.of !== of) analysed = { of, problems: services.analyze(items, proxies) };
    return [...(await analysed.problems), ...deliveryProblems(items, proxies, settings.domainSuffix)];
  };
  const changeTime = async (revision: string): Promise<number> => {
    const known = changedAt.get(revision);
    if (known !== undefined) return known;
    const at = (await store.history({ limit: 1_000 })).find((c) => c.revision === revision)?.at ?? 0;
    if (changedAt.size > 1_000) changedAt.clear();
    changedAt.set(revision, at);
    return at;
  };
  const namespaces = (): string[] => [...new Set(store.list().items.flatMap((o) => namespaceOf(refOf(o)) ?? []))].toSorted();

  return {
    problems,
    namespaces,
    split: async (namespace, service) => {
      const { items } = store.list();
      if (store.get({ kind: 'Service', namespace, name: service }) === undefined)
        throw new RefusedError(404, 'WEFT_NOT_FOUND', `Service ${namespace}/${service} does not exist`);
      const rule = splitRuleOf(items, namespace, service, settings.domainSuffix);
      const vs = rule.virtualService;
      const resourceVersion = vs?.metadata.resourceVersion ?? '';
      const now = services.now();
      const changed = resourceVersion === '' ? 0 : await changeTime(resourceVersion);
      const sinceMs = Math.max(changed, now - SPLIT_WINDOW_SEC * 1_000);
      const stats = new Map(
        telemetry
          .splitStats({ host: rule.host, subsets: rule.destinations.map((d) => ({ name: d.subset, labels: d.labels })), sinceMs })
          .map((s) => [s.subset, s]),
      );
      const total = [...stats.values()].reduce((sum, s) => sum + s.requests, 0);
      const youngest = rule.destinations.at(-1)?.subset;
      const propagation = resourceVersion === '' ? undefined : controlPlane.propagation(resourceVersion);
      return {
        at: now,
        namespace,
        service,
        host: rule.host,
        ...(vs === undefined ? {} : { virtualService: refOf(vs) }),
        resourceVersion,
        route: rule.routeIndex < 0 ? '' : (vs?.spec.http?.[rule.routeIndex]?.name ?? `http[${rule.routeIndex}]`),
        destinations: rule.destinations.map((d) => {
          const seen = stats.get(d.subset);
          return {
            ...d,
            observed: total === 0 ? -1 : ((seen?.requests ?? 0) / total) * 100,
            rps: seen?.rps ?? 0,
            errors: seen?.errors ?? 0,
            p50: seen?.p50 ?? -1,
            p95: seen?.p95 ?? -1,
            p99: seen?.p99 ?? -1,
            canary: rule.destinations.length > 1 && d.subset === youngest && d.weight > 0 && d.weight < 100,
          };
        }),
        windowSec: Math.max(0, (now - sinceMs) / 1_000),
        ...(propagation === undefined ? {} : { propagation }),
        ...(rule.blocked === undefined ? {} : { blocked: rule.blocked }),
      };
    },
    services: (windowSec) => {
      const { items } = store.list();
      const connected = new Set(
        controlPlane
          .proxies()
          .filter((p) => p.state !== 'disconnected')
          .map((p) => `${p.namespace}/${p.workload}`),
      );
      const entriesWith = workloadsIn(items);
      const statsOf = telemetry.serviceStats(windowSec);
      return items
        .filter((o) => o.kind === 'Service')
        .map((o) => {
          const spec = o.spec as ServiceSpec;
          const { namespace, name } = o.metadata;
          const host = resolveHost(name, namespace, settings.domainSuffix);
          const workloads = entriesWith(namespace, spec.selector ?? {}).map((e) => ({
            name: e.metadata.name,
            version: labelsOf(e)['version'] ?? '',
            endpoints: 1,
            healthyEndpoints: connected.has(`${namespace}/${e.metadata.name}`) ? 1 : 0,
          }));
          const stats = statsOf(host);
          return {
            namespace,
            name,
            host,
            ports: (spec.ports ?? []).map((p) => ({ name: p.name ?? '', port: p.port, protocol: p.appProtocol ?? protocolOf(p.name) })),
            workloads,
            health: stats.health === 'idle' && workloads.length === 0 ? ('unknown' as const) : stats.health,
            rps: stats.rps,
            errors: stats.errors,
            p95: stats.p95,
            tcpBytes: stats.tcpBytes,
          };
        });
    },
    status: async () => {
      const proxies = controlPlane.proxies();
      const found = await problems();
      return {
        version: services.version,
        mesh: settings.meshId,
        revision: store.list().revision,
        startedAt: services.startedAt,
        proxies: {
          total: proxies.length,
          synced: proxies.filter((p) => p.state === 'synced').length,
          nacked: proxies.filter((p) => p.state === 'nacked').length,
          disconnected: proxies.filter((p) => p.state === 'disconnected').length,
        },
        problems: { errors: found.filter((p) => p.severity === 'error').length, warnings: found.filter((p) => p.severity === 'warning').length },
        // Gateways often stand in namespaces that have no object.
        namespaces: [...new Set([...namespaces(), ...proxies.map((p) => p.namespace)])].toSorted(),
        serverId: services.serverId,
      };
    },
    revision: (commit, full = false) => {
      const propagation = controlPlane.propagation(commit.revision);
      const text = (ref: ObjectRef, object: Change['after']): string | undefined =>
        object === undefined ? undefined : (store.sourceAt?.(ref, object.metadata.resourceVersion) ?? toYaml(object));
      return {
        revision: commit.revision,
        at: commit.at,
        actor: commit.actor,
        ...(commit.reason === undefined ? {} : { reason: commit.reason }),
        summary: summaryOf(commit),
        changes: commit.changes.map(({ ref, verb, before, after }) => {
          const was = full ? text(ref, before) : undefined;
          const is = full ? text(ref, after) : undefined;
          return { ref, verb, ...(was === undefined ? {} : { before: was }), ...(is === undefined ? {} : { after: is }) };
        }),
        ...(propagation === undefined ? {} : { propagation }),
      };
    },
  };
}

function summaryOf(commit: Commit): string {
  const lines = commit.changes.map(({ ref, verb, before, after }) => {
    const weights = weightsText(after);
    return weights !== undefined && weights !== weightsText(before) ? `${ref.name} ${weights}` : `${verb} ${shownRef(ref).replace('/', ' ')}`;
  });
  return lines.length <= 2 ? lines.join(', ') : `${lines[0]} and ${lines.length - 1} more`;
}

function protocolOf(portName: string | undefined): string {
  return portName?.split('-')[0] ?? 'tcp';
}
