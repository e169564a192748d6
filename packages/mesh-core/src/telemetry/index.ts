export { ISTIO_JSON, ISTIO_TEXT } from './access-log-format.ts';
export type { Label, LabelInput, Labels, PeerLabels } from './istio-metrics.ts';
export { BUCKET_BOUNDS, LABELS, METRIC, UNKNOWN_PEER, labelsFor, parsePeerHeader } from './istio-metrics.ts';
export type { Attributes, AttributeValue, OtlpMetric, OtlpPoint, OtlpResourceMetrics, OtlpResourceSpans, OtlpSpan } from './otlp.ts';
export { decodeMetrics, decodeTraces, encodeMetrics, encodeTraces } from './otlp.ts';
export type { TraceParent } from './trace-context.ts';
export { formatTraceparent, parseB3, parseTraceparent } from './trace-context.ts';
