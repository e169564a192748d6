export { ISTIO_JSON, ISTIO_TEXT } from './access-log-format.ts';
export type { Label, LabelInput, Labels, PeerLabels } from './istio-metrics.ts';
export { BUCKET_BOUNDS, LABELS, METRIC, UNKNOWN_PEER, labelsFor, parsePeerHeader } from './istio-metrics.ts';
export type { Attributes, AttributeValue, OtlpMetric, OtlpPoint, OtlpResourceMetrics, OtlpResourceSpans, OtlpSpan } from './otlp.ts';
export { decodeMetrics, decodeTraces, encodeMetrics, encodeTraces } from './otlp.ts';
export type { B3Parent, TraceParent } from './trace-context.ts';
export { b3Decision, formatB3, formatTraceparent, markTraced, parseB3, parseTraceparent, requestIdIsTraceable, requestIdSaysTraced } from './trace-context.ts';
