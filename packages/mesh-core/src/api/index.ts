export type { Health, GraphType, Badge, GraphBox, GraphNode, GraphEdge, GraphSnapshot, GraphDelta } from './graph.ts';
export {
  HEALTH,
  healthSchema,
  graphTypeSchema,
  badgeSchema,
  graphBoxSchema,
  graphNodeSchema,
  graphEdgeSchema,
  NODE_COLUMNS,
  EDGE_COLUMNS,
  numberRowSchema,
  graphSnapshotSchema,
  graphDeltaSchema,
} from './graph.ts';
export type { ProxyPropagation, Propagation, SplitDestination, TrafficSplit, TrafficSplitChange } from './traffic.ts';
export {
  objectRefSchema,
  propagationStateSchema,
  proxyPropagationSchema,
  propagationSchema,
  splitDestinationSchema,
  trafficSplitSchema,
  trafficSplitChangeSchema,
} from './traffic.ts';
export type { ConfigSummary, ConfigObject, ConfigCheck, Problem, Revision } from './config.ts';
export {
  problemSchema,
  problemListSchema,
  configSummarySchema,
  configListSchema,
  configObjectSchema,
  configCheckRequestSchema,
  configCheckSchema,
  configApplyRequestSchema,
  configApplySchema,
  revisionSchema,
  revisionListSchema,
} from './config.ts';
export type { TraceQuery, TraceSummary, Span, Trace, RequestQuery, RecordedRequest } from './traces.ts';
export {
  traceQuerySchema,
  traceSummarySchema,
  traceListSchema,
  attributeValueSchema,
  spanSchema,
  traceSchema,
  traceServicesSchema,
  requestQuerySchema,
  recordedRequestSchema,
  recordedRequestListSchema,
} from './traces.ts';
export type { ProxyStatus, WorkloadSecurity, ServiceSummary, ServiceObject, Status, Load, SeriesQuery, Series, ApiError } from './mesh.ts';
export {
  proxyTypeStatusSchema,
  proxyName,
  proxyStatusSchema,
  proxyListSchema,
  workloadSecuritySchema,
  securitySchema,
  serviceSummarySchema,
  serviceListSchema,
  serviceObjectSchema,
  serviceDetailSchema,
  statusSchema,
  loadSchema,
  loadChangeSchema,
  seriesQuerySchema,
  seriesSchema,
  apiErrorSchema,
} from './mesh.ts';
export type { Subscribe, SubscribeInput, ClientMessage, ServerMessage } from './live.ts';
export { subscribeSchema, clientMessageSchema, serverMessageSchema } from './live.ts';
