// One object: from untrusted value to a MeshObject, with every problem named by field path (and line, when it came from text).

import { z } from 'zod';
import { CLUSTER_NAMESPACE, DEFAULT_MESH_SETTINGS, type MeshObject, type Problem, KINDS, apiVersionOf, kindOfManifest, manifestKind } from '../model/index.ts';
import { DATA_FIELDS, bodyOf, configMapSpec, secretSpec, storedSecret } from './data-kinds.ts';
import { authorizationPolicySpec, dryRunProblem } from './authorization-policy.ts';
import { backendTlsPolicySpec } from './backend-tls-policy.ts';
import { destinationRuleSpec } from './destination-rule.ts';
import { gatewaySpec } from './gateway.ts';
import { envoyFilterSpec } from './envoy-filter.ts';
import { type FieldPath, pathText } from './field-path.ts';
import { grpcRouteSpec, httpRouteSpec } from './gateway-api.ts';
import { classProblem, CLASS_ANNOTATION, ingressClassSpec, ingressSpec } from './ingress.ts';
import { gatewayClassSpec, kubernetesGatewaySpec, referenceGrantSpec } from './kubernetes-gateway.ts';
import { fieldIssues } from './issue-text.ts';
import { namespaceSpec, peerAuthenticationSpec, serviceSpec, workloadEntrySpec } from './other-kinds.ts';
import { tcpRouteSpec, tlsRouteSpec, versionProblem } from './l4-route.ts';
import { isMeshConfig, readMeshConfig } from './mesh-config.ts';
import { didYouMean } from './nearest.ts';
import { requestAuthenticationSpec } from './request-authentication.ts';
import { serviceEntrySpec } from './service-entry.ts';
import { sidecarSpec } from './sidecar.ts';
import { labels as labelsSchema } from './schema-parts.ts';
import { telemetrySpec } from './telemetry.ts';
import { virtualServiceSpec } from './virtual-service.ts';
import { proxyConfigSpec, workloadGroupSpec } from './workload-group.ts';
import type { ParsedDocument } from './yaml-text.ts';

const SPECS: Readonly<Record<string, z.ZodType>> = {
  Service: serviceSpec,
  Namespace: namespaceSpec,
  Secret: secretSpec,
  ConfigMap: configMapSpec,
  VirtualService: virtualServiceSpec,
  DestinationRule: destinationRuleSpec,
  Gateway: gatewaySpec,
  ServiceEntry: serviceEntrySpec,
  Sidecar: sidecarSpec,
  WorkloadEntry: workloadEntrySpec,
  WorkloadGroup: workloadGroupSpec,
  ProxyConfig: proxyConfigSpec,
  EnvoyFilter: envoyFilterSpec,
  Telemetry: telemetrySpec,
  GatewayClass: gatewayClassSpec,
  KubernetesGateway: kubernetesGatewaySpec,
  ReferenceGrant: referenceGrantSpec,
  HTTPRoute: httpRouteSpec,
  GRPCRoute: grpcRouteSpec,
  TCPRoute: tcpRouteSpec,
  TLSRoute: tlsRouteSpec,
  BackendTLSPolicy: backendTlsPolicySpec,
  Ingress: ingressSpec,
  IngressClass: ingressClassSpec,
  PeerAuthentication: peerAuthenticationSpec,
  RequestAuthentication: requestAuthenticationSpec,
  AuthorizationPolicy: authorizationPolicySpec,
};

const dnsName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 'must be a DNS name: lower-case letters, digits, - and .');
const dnsLabel = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be a DNS label: lower-case letters, digits and -');
const metadataSchema = z.looseObject({
  name: dnsName,
  namespace: dnsLabel.optional(),
  labels: labelsSchema.optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  generation: z.number().optional(),
  creationTimestamp: z.string().nullish(),
});

/** Its name is part of host names. */
const namespaceMetadata = metadataSchema.extend({ name: dnsLabel });

const TOP_LEVEL = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

/** What stands beside Services in the files of Istio's samples. */
const OF_PROGRAMS = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Pod', 'Job', 'CronJob', 'ServiceAccount']);

function insteadOf(kind: string): string {
  if (OF_PROGRAMS.has(kind)) return ': programs and their identities come into the mesh by weft run, leave it out';
  const served = [...new Set(KINDS.map(manifestKind))];
  return didYouMean(kind, served) || `; it is one of ${served.join(', ')}`;
}

/** Validates `input`; `object` is there only when no problem is an error. `at` gives problems their lines. */
export function validateObject(input: unknown, at?: ParsedDocument): { object?: MeshObject; problems: Problem[] } {
  const problems: Problem[] = [];
  const add = (path: FieldPath, message: string, code = 'WEFT_SCHEMA'): void => {
    problems.push({ severity: 'error', code, message, ...(path.length === 0 ? {} : { path: pathText(path) }), ...at?.locate(path) });
  };
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    add([], 'an object with apiVersion, kind, metadata and spec is expected', 'WEFT_NOT_AN_OBJECT');
    return { problems };
  }
  const record = input as Record<string, unknown>;
  const kind = kindOfManifest(record['kind'], record['apiVersion']);
  if (kind === undefined) {
    add(
      ['kind'],
      record['kind'] === undefined ? 'kind is required' : `kind ${String(record['kind'])} is not served here${insteadOf(String(record['kind']))}`,
      'WEFT_UNKNOWN_KIND',
    );
    return { problems };
  }
  const versions = kind.versions.map((v) => apiVersionOf(kind, v));
  if (!versions.includes(String(record['apiVersion'])))
    add(
      ['apiVersion'],
      `${record['apiVersion'] === undefined ? 'apiVersion is required' : `apiVersion ${String(record['apiVersion'])} is not one of ${manifestKind(kind)}`}: use ${versions.join(', ')}`,
      'WEFT_UNKNOWN_VERSION',
    );
  // A kind of the same name in another group is another kind: what is in it says nothing.
  const { apiVersion } = record;
  if (typeof apiVersion === 'string' && groupOf(apiVersion) !== kind.group) return { problems };
  const topLevel = [...TOP_LEVEL, ...(DATA_FIELDS[kind.kind] ?? [])];
  for (const key of Object.keys(record)) if (!topLevel.includes(key)) add([key], `unknown field ${key}${didYouMean(key, topLevel)}`);

  const ofMetadata = kind.kind === 'Namespace' ? namespaceMetadata : metadataSchema;
  const metadata = ofMetadata.safeParse(record['metadata']);
  if (!metadata.success)
    for (const { path, message } of fieldIssues(metadata.error, ofMetadata, record['metadata'], 'metadata')) add(['metadata', ...path], message);
  const schema = SPECS[kind.kind];
  const { body, path: place } = bodyOf(kind.kind, record);
  const spec = schema?.safeParse(body);
  if (schema !== undefined && spec?.success === false)
    for (const { path, message } of fieldIssues(spec.error, schema, body, 'spec')) add([...place, ...path], message);
  const exported: unknown = (spec?.data as { exportTo?: unknown } | undefined)?.exportTo;
  const home = nameIn(record, 'namespace') ?? 'default';
  if (Array.isArray(exported) && exported.includes('.') && exported.includes(home)) add(['spec', 'exportTo'], `. and ${home} are the same namespace: keep one`);
  if (metadata.success && kind.group.endsWith('istio.io')) {
    const wrong = dryRunProblem(kind.kind, metadata.data.annotations ?? {}, (record['spec'] as { action?: unknown } | undefined)?.action);
    if (wrong !== undefined) add(['metadata', 'annotations', wrong.key], wrong.message);
  }
  const inVersion = versionProblem(String(apiVersion), kind.kind, record['spec']);
  if (inVersion !== undefined) add(['spec', inVersion.path], inVersion.message);
  if (metadata.success && kind.kind === 'Ingress') {
    const wrong = classProblem(metadata.data.annotations ?? {}, record['spec']);
    if (wrong !== undefined) add(['metadata', 'annotations', CLASS_ANNOTATION], wrong);
  }
  if (kind.kind === 'ConfigMap') for (const message of meshConfigErrors(record, spec?.data)) add(['data', 'mesh'], message);
  if (problems.length > 0 || !metadata.success) {
    const ref = { kind: kind.kind, namespace: kind.clusterScoped === true ? CLUSTER_NAMESPACE : home, name: nameIn(record, 'name') ?? '' };
    return { problems: problems.map((p) => ({ ...p, ref })) };
  }
  const { name, labels, annotations, uid, resourceVersion, generation, creationTimestamp } = metadata.data;
  const namespace = kind.clusterScoped === true ? CLUSTER_NAMESPACE : (metadata.data.namespace ?? 'default');
  return {
    object: {
      apiVersion: String(record['apiVersion']),
      kind: kind.kind,
      metadata: {
        name,
        namespace,
        ...(labels === undefined ? {} : { labels }),
        ...(annotations === undefined ? {} : { annotations }),
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        ...(generation === undefined ? {} : { generation }),
        ...(typeof creationTimestamp === 'string' ? { creationTimestamp } : {}),
      },
      spec: kind.kind === 'Secret' ? storedSecret(spec?.data as Parameters<typeof storedSecret>[0]) : (spec?.data ?? {}),
    },
    problems: [],
  };
}

/** What a MeshConfig says that cannot be. */
function meshConfigErrors(record: Readonly<Record<string, unknown>>, spec: unknown): readonly string[] {
  const metadata = { namespace: nameIn(record, 'namespace') ?? 'default', name: nameIn(record, 'name') ?? '' };
  const text = (spec as { data?: Record<string, string> } | undefined)?.data?.['mesh'];
  return text === undefined || !isMeshConfig({ kind: 'ConfigMap', metadata }, DEFAULT_MESH_SETTINGS.rootNamespace) ? [] : readMeshConfig(text).errors;
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
}

function nameIn(record: Record<string, unknown>, key: 'name' | 'namespace'): string | undefined {
  const metadata = record['metadata'];
  const value = typeof metadata === 'object' && metadata !== null ? (metadata as Record<string, unknown>)[key] : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** JSON Schema of a kind's spec, for completion in the editor. */
export function jsonSchemaOf(kind: string): unknown {
  const schema = SPECS[kind];
  return schema === undefined ? undefined : z.toJSONSchema(schema, { unrepresentable: 'any' });
}
