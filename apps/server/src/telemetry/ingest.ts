// From decoded OTLP to what the stores take.

import type { Span } from '@weft/mesh-core/api';
import type { Attributes, OtlpResourceMetrics, OtlpResourceSpans } from '@weft/mesh-core/telemetry';
import type { MetricPoint, StoredSpan } from './stores.ts';

const KINDS: readonly Span['kind'][] = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'];

/** The proxy (or other program) a resource is: `weft.node_id`, else its service name and instance. */
export function resourceIdOf(resource: Attributes): string {
  return String(resource['weft.node_id'] ?? `${text(resource['service.name'])}/${text(resource['service.instance.id'])}`);
}

/** Data points of Istio's metrics; gauges are left out. */
export function pointsOf(resources: readonly OtlpResourceMetrics[]): MetricPoint[] {
  const points: MetricPoint[] = [];
  for (const { resource, metrics } of resources) {
    const id = resourceIdOf(resource);
    for (const metric of metrics) {
      if (metric.kind === 'gauge' || !metric.name.startsWith('istio_')) continue;
      for (const point of metric.points) {
        const { bucketCounts, bounds } = point;
        points.push({
          metric: metric.name,
          resource: id,
          labels: labelsOf(point.attributes),
          startMs: point.startMs,
          timeMs: point.timeMs,
          delta: metric.temporality === 'delta',
          value: metric.kind === 'histogram' ? (point.sum ?? 0) : (point.value ?? 0),
          ...(bucketCounts === undefined || bounds === undefined ? {} : { buckets: bucketCounts, bounds }),
        });
      }
    }
  }
  return points;
}

type ProxyOf = (nodeId: string) => { workload: string; namespace: string } | undefined;

/** Spans with the service they name themselves, `unknown` when they name none. Stock Envoy names its node only: `proxyOf` tells whose it is. */
export function spansOf(resources: readonly OtlpResourceSpans[], proxyOf: ProxyOf): StoredSpan[] {
  return resources.flatMap(({ resource: told, spans }) => {
    const resource = withWorkload(told, text(spans[0]?.attributes['node_id']), proxyOf);
    return spans.map((span) => ({
      traceId: span.traceId,
      spanId: span.spanId,
      parentId: span.parentSpanId,
      service: text(resource['service.name']) || 'unknown',
      name: span.name,
      kind: KINDS[span.kind] ?? 'internal',
      startUs: span.startUs,
      durationUs: Math.max(0, span.endUs - span.startUs),
      error: span.status === 2 || span.attributes['error'] === true || span.attributes['error'] === 'true',
      attributes: span.attributes,
      resource,
      events: span.events.map((event) => ({ atUs: event.timeUs, name: event.name, attributes: event.attributes })),
    }));
  });
}

function withWorkload(resource: Attributes, nodeId: string, proxyOf: ProxyOf): Attributes {
  if (nodeId === '' || resource['weft.workload'] !== undefined) return resource;
  const proxy = proxyOf(nodeId);
  return proxy === undefined ? resource : { ...resource, 'weft.workload': proxy.workload, 'weft.namespace': proxy.namespace };
}

function labelsOf(attributes: Attributes): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const key of Object.keys(attributes)) labels[key] = text(attributes[key]);
  return labels;
}

function text(value: Attributes[string] | undefined): string {
  return value === undefined ? '' : String(value);
}
