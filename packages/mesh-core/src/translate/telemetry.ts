// Telemetry objects: what a proxy traces, logs and counts, merged by Istio's rules.

import { ISTIO_METRICS, type IstioMetric, type TelemetrySpec } from '../config/index.ts';
import type { MeshObject, ProxyNode } from '../model/index.ts';
import { METRIC } from '../telemetry/index.ts';
import { type Mesh, ofKind } from './mesh.ts';
import { concerns, targetsOf } from './policy-targets.ts';

/** Which side of a call a listener is on: outbound and gateway listeners are clients. */
export type WorkloadMode = 'CLIENT' | 'SERVER';
type Tracing = NonNullable<TelemetrySpec['tracing']>[number];
type Override = NonNullable<NonNullable<NonNullable<TelemetrySpec['metrics']>[number]['overrides']>[number]>;

export interface TelemetrySettings {
  /** Undefined = no spans from here. */
  tracing: TracingSettings | undefined;
  /** Undefined = no access log; `filter` is CEL, '' = all requests. */
  accessLog: { path: string; filter: string } | undefined;
  metrics: MetricSettings;
}

export interface TracingSettings {
  samplingPercent: number;
  customTags: Readonly<NonNullable<Tracing['customTags']>>;
  istioTags: boolean;
  /** x-request-id carries the sampling decision; otherwise the proxy's tracer decides by itself. */
  byRequestId: boolean;
  /** Trace headers are sent on with the proxy's own span. */
  propagates: boolean;
}

export interface MetricSettings {
  disabled: ReadonlySet<IstioMetric>;
  /** By metric: tags to leave out (undefined) or to write with a CEL expression. */
  tags: ReadonlyMap<IstioMetric, ReadonlyMap<string, string | undefined>>;
}

/** The metrics as they are written. */
export const METRIC_NAMES: Readonly<Record<IstioMetric, string>> = {
  REQUEST_COUNT: METRIC.requests,
  REQUEST_DURATION: METRIC.duration,
  REQUEST_SIZE: METRIC.requestBytes,
  RESPONSE_SIZE: METRIC.responseBytes,
  GRPC_REQUEST_MESSAGES: METRIC.requestMessages,
  GRPC_RESPONSE_MESSAGES: METRIC.responseMessages,
  TCP_OPENED_CONNECTIONS: METRIC.tcpOpened,
  TCP_CLOSED_CONNECTIONS: METRIC.tcpClosed,
  TCP_SENT_BYTES: METRIC.tcpSent,
  TCP_RECEIVED_BYTES: METRIC.tcpReceived,
};

/**
 * What holds for one side of a proxy: the oldest Telemetry for all of the root namespace, then the oldest for all of the proxy's,
 * then those that select the proxy, oldest first; later ones win field by field. Weft has one provider of each kind, which
 * answers to any name.
 */
export function telemetryOf(mesh: Mesh, node: ProxyNode, mode: WorkloadMode): TelemetrySettings {
  const applying = applicable(mesh, node);
  return {
    tracing: tracing(mesh, applying, mode),
    accessLog: accessLog(mesh, applying, mode),
    metrics: metrics(applying, mode),
  };
}

function applicable(mesh: Mesh, node: ProxyNode): readonly TelemetrySpec[] {
  const all: readonly MeshObject<TelemetrySpec>[] = ofKind(mesh, 'Telemetry');
  if (all.length === 0) return [];
  const { rootNamespace } = mesh.settings;
  const whole = ({ spec }: MeshObject<TelemetrySpec>): boolean => Object.keys(spec.selector?.matchLabels ?? {}).length === 0 && targetsOf(spec).length === 0;
  const wide = (namespace: string): MeshObject<TelemetrySpec> | undefined => all.find((t) => t.metadata.namespace === namespace && whole(t));
  const selecting = all.filter((t) => t.metadata.namespace === node.namespace && !whole(t) && concerns(t, node));
  return [wide(rootNamespace), node.namespace === rootNamespace ? undefined : wide(node.namespace), ...selecting]
    .filter((t) => t !== undefined)
    .map((t) => t.spec);
}

function inMode(match: { mode?: 'CLIENT_AND_SERVER' | WorkloadMode | undefined } | undefined, mode: WorkloadMode): boolean {
  return match?.mode === undefined || match.mode === 'CLIENT_AND_SERVER' || match.mode === mode;
}

function tracing(mesh: Mesh, specs: readonly TelemetrySpec[], mode: WorkloadMode): TelemetrySettings['tracing'] {
  const merged: Tracing = {};
  for (const entry of specs.flatMap((s) => s.tracing ?? []))
    if (inMode(entry.match, mode)) Object.assign(merged, Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)));
  if (merged.disableSpanReporting === true) return undefined;
  return {
    samplingPercent: merged.randomSamplingPercentage ?? mesh.settings.tracingSamplingPercent,
    customTags: merged.customTags ?? {},
    istioTags: merged.enableIstioTags ?? true,
    byRequestId: merged.useRequestIdForTraceSampling ?? true,
    propagates: merged.disableContextPropagation !== true,
  };
}

function accessLog(mesh: Mesh, specs: readonly TelemetrySpec[], mode: WorkloadMode): TelemetrySettings['accessLog'] {
  const path = mesh.settings.accessLogFile;
  const entries = specs.flatMap((s) => s.accessLogging ?? []).filter((entry) => inMode(entry.match, mode));
  const last = entries.at(-1);
  if (last === undefined) return path === '' ? undefined : { path, filter: '' };
  return last.disabled === true ? undefined : { path: path === '' ? '/dev/stdout' : path, filter: last.filter?.expression ?? '' };
}

function metrics(specs: readonly TelemetrySpec[], mode: WorkloadMode): MetricSettings {
  const disabled = new Set<IstioMetric>();
  const tags = new Map<IstioMetric, Map<string, string | undefined>>();
  // As in Istio: whatever is said after everything was switched off switches everything on again.
  let none = false;
  for (const override of specs.flatMap((s) => s.metrics ?? []).flatMap((m) => m.overrides ?? [])) {
    if (!inMode(override.match, mode)) continue;
    const chosen = metricsOf(override);
    none = chosen === ISTIO_METRICS && override.disabled === true;
    if (none) continue;
    for (const metric of chosen) {
      if (override.disabled === true) disabled.add(metric);
      if (override.disabled === false) disabled.delete(metric);
      const ofMetric = tags.get(metric) ?? new Map<string, string | undefined>();
      for (const [tag, { operation, value }] of Object.entries(override.tagOverrides ?? {}))
        tags.set(metric, ofMetric.set(tag, operation === 'REMOVE' ? undefined : value));
    }
  }
  return { disabled: none ? new Set(ISTIO_METRICS) : disabled, tags };
}

function metricsOf({ match }: Override): readonly IstioMetric[] {
  if (match?.customMetric !== undefined) {
    // In full, or without what all begin with.
    const name = `istio_${match.customMetric.replace(/^istio_/, '')}`;
    return ISTIO_METRICS.filter((metric) => METRIC_NAMES[metric] === name);
  }
  return match?.metric === undefined || match.metric === 'ALL_METRICS' ? ISTIO_METRICS : [match.metric];
}
