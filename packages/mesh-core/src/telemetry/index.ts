export { ISTIO_TEXT } from './access-log-format.ts';
export type { Label, Labels, PeerLabels } from './istio-metrics.ts';
export { BUCKET_BOUNDS, LABELS, METRIC, UNKNOWN_PEER, labelsFor, parsePeerHeader } from './istio-metrics.ts';
export type { Attributes, OtlpMetric, OtlpPoint, OtlpResourceMetrics, OtlpResourceSpans, OtlpSpan } from './otlp.ts';
export { decodeMetrics, decodeTraces, encodeMetrics, encodeTraces } from './otlp.ts';
export { b3Decision, formatB3, formatTraceparent, markTraced, parseB3, parseTraceparent, requestIdIsTraceable, requestIdSaysTraced } from './trace-context.ts';
