export type { Health, GraphType, Badge, GraphNode, GraphEdge, GraphSnapshot, GraphDelta } from './graph.ts';
export { HEALTH, graphTypeSchema, NODE_COLUMNS, EDGE_COLUMNS, graphSnapshotSchema } from './graph.ts';
export type { Propagation, TrafficSplit } from './traffic.ts';
export { trafficSplitSchema, trafficSplitChangeSchema } from './traffic.ts';
export type { ConfigApply, ConfigSummary, ConfigObject, ConfigCheck, Problem, Revision, RevisionPropagation } from './config.ts';
export {
  problemListSchema,
  configListSchema,
  configObjectSchema,
  configCheckRequestSchema,
  configCheckSchema,
  configApplyRequestSchema,
  configApplySchema,
  revisionSchema,
  revisionListSchema,
  revisionPropagationSchema,
} from './config.ts';
export type { TraceQuery, TraceSummary, Span, Trace, RequestQuery, RecordedRequest } from './traces.ts';
export { traceQuerySchema, traceListSchema, traceSchema, traceServicesSchema, requestQuerySchema, recordedRequestListSchema } from './traces.ts';
export type { ProxyStatus, WorkloadSecurity, ServiceSummary, ServiceObject, Status, Load, SeriesQuery, Series, ApiError } from './mesh.ts';
export {
  RESOURCE_TYPES,
  compareProxies,
  proxyName,
  proxyListSchema,
  securitySchema,
  serviceListSchema,
  serviceDetailSchema,
  statusSchema,
  loadSchema,
  loadChangeSchema,
  seriesQuerySchema,
  seriesSchema,
  apiErrorSchema,
} from './mesh.ts';
export type { Subscribe, SubscribeInput, ServerMessage } from './live.ts';
export { ALIVE_MS, clientMessageSchema, serverMessageSchema } from './live.ts';
