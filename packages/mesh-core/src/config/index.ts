export { gatewayProxyProblems } from './analyze-gateway-proxies.ts';
export type { AuthorizationPolicySpec } from './authorization-policy.ts';
export { isDryRun, isPathTemplate } from './authorization-policy.ts';
export type { BackendTlsPolicySpec } from './backend-tls-policy.ts';
export {
  type Analysis,
  MESH,
  analyzeObjects,
  createAnalysis,
  exportsOf,
  gatewayKey,
  hostIndex,
  hostMatches,
  publicity,
  resolveHost,
  visible,
} from './analyze.ts';
export { type Select, labelIndex, matches } from './label-index.ts';
export type { DestinationRuleSpec, TrafficPolicySpec } from './destination-rule.ts';
export type { EnvoyFilterSpec } from './envoy-filter.ts';
export { providerErrors } from './extension-providers.ts';
export type { GrpcRouteSpec, MeshRouteSpec } from './gateway-api.ts';
export type { GatewayClassSpec, KubernetesGatewaySpec, LabelSelector, ReferenceGrantSpec } from './kubernetes-gateway.ts';
export type { GatewaySpec } from './gateway.ts';
export { CIPHER_SUITES } from './gateway.ts';
export type { DestinationSpec, HttpMatchSpec, HttpRouteSpec } from './http-route.ts';
export { type Protocol, protocolOf } from './port-protocol.ts';
export type { PeerAuthenticationSpec, ServiceSpec, WorkloadEntrySpec } from './other-kinds.ts';
export type { JwtRule, RequestAuthenticationSpec } from './request-authentication.ts';
export type { IngressBackend, IngressClassSpec, IngressSpec } from './ingress.ts';
export { ingressStatus } from './ingress-status.ts';
export { ingressSelector, servedIngresses } from './ingress-class.ts';
export type { TcpRouteSpec, TlsRouteSpec } from './l4-route.ts';
export { isHttpUrl, keyServerOf } from './request-authentication.ts';
export { hasKeyList, hasUsableKey } from './jwks.ts';
export type { ServiceEntrySpec } from './service-entry.ts';
export type { SidecarSpec } from './sidecar.ts';
export { egressHosts, isNamed, namedScopes, sidecarInForce } from './sidecar-in-force.ts';
export type { StringMatchSpec } from './schema-parts.ts';
export { durationMs, labelProblem } from './schema-parts.ts';
export type { IstioMetric, TelemetrySpec } from './telemetry.ts';
export { ISTIO_METRICS } from './telemetry.ts';
export type { FieldPath } from './field-path.ts';
export { pathOfText, pathText } from './field-path.ts';
export { jsonSchemaOf, validateObject } from './validate.ts';
export type { VirtualServiceSpec } from './virtual-service.ts';
export type { ParsedDocument } from './yaml-text.ts';
export { MAX_YAML_BYTES, editYaml, parseYaml, toYaml, type YamlPiece, yamlPieces } from './yaml-text.ts';
export type { SecretSpec } from './data-kinds.ts';
export { REDACTED, presented } from './data-kinds.ts';
export type { TargetRef } from './target-ref.ts';
export { isGatewayTarget } from './target-ref.ts';
export { effectiveSettings } from './mesh-config.ts';
