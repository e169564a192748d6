// MeshConfig: mesh-wide settings as Istio keeps them, YAML under the key `mesh` of the ConfigMap `istio` in the root namespace.

import { z } from 'zod';
import type { MeshObject, MeshSettings } from '../model/index.ts';
import { extensionProviders, readProviders } from './extension-providers.ts';
import { localityLb } from './locality-settings.ts';
import { duration, durationMs, durationOrZero, orQuoted, uint32 } from './schema-parts.ts';
import { parseYaml } from './yaml-text.ts';

const FORWARD = ['UNDEFINED', 'SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'] as const;
const NORMALIZATION = ['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'] as const;
const defaultConfig = z.looseObject({
  tracing: z.looseObject({ sampling: orQuoted(z.number().min(0).max(100)).optional() }).optional(),
  gatewayTopology: z
    .strictObject({
      numTrustedProxies: orQuoted(uint32).optional(),
      forwardClientCertDetails: z.enum(FORWARD).optional(),
      proxyProtocol: z.strictObject({}).optional(),
    })
    .optional(),
});

/** What Weft reads of it; Istio has more. */
const meshConfig = z
  .looseObject({
    outboundTrafficPolicy: z.strictObject({ mode: z.enum(['REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS']).optional() }).optional(),
    accessLogFile: z.string().optional(),
    connectTimeout: duration.optional(),
    localityLbSetting: localityLb.optional(),
    protocolDetectionTimeout: durationOrZero.optional(),
    defaultConfig: defaultConfig.optional(),
    pathNormalization: z.strictObject({ normalization: z.enum(NORMALIZATION).optional() }).optional(),
    accessLogEncoding: z.enum(['TEXT', 'JSON']).optional(),
    accessLogFormat: z.string().optional(),
    ingressControllerMode: z.enum(['UNSPECIFIED', 'OFF', 'DEFAULT', 'STRICT']).optional(),
    ingressClass: z.string().optional(),
    ingressSelector: z.string().optional(),
    ingressService: z.string().optional(),
    trustDomainAliases: z.array(z.string().min(1)).optional(),
    extensionProviders: extensionProviders.optional(),
  })
  .superRefine(({ accessLogEncoding, accessLogFormat }, context) => {
    if (accessLogEncoding === 'JSON' && accessLogFormat && !isJsonObject(accessLogFormat))
      context.addIssue({ code: 'custom', path: ['accessLogFormat'], message: 'must be a JSON object with accessLogEncoding JSON' });
  });
const READ = new Set(Object.keys(meshConfig.shape));

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

export interface MeshConfigReading {
  settings: Partial<MeshSettings>;
  errors: string[];
  /** Keys that have no effect here. */
  unread: string[];
}

/** True for the ConfigMap that holds the MeshConfig. */
export function isMeshConfig({ kind, metadata }: Pick<MeshObject, 'kind' | 'metadata'>, rootNamespace: string): boolean {
  return kind === 'ConfigMap' && metadata.name === 'istio' && metadata.namespace === rootNamespace;
}

/** Reads the text of the key `mesh`. With errors there are no settings. */
export function readMeshConfig(text: string): MeshConfigReading {
  const { documents, problems } = parseYaml(text);
  const value = documents[0]?.value ?? {};
  const parsed = meshConfig.safeParse(value);
  const errors = [...problems.map((p) => p.message), ...(parsed.error?.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`) ?? [])];
  if (!parsed.success || errors.length > 0) return { settings: {}, errors, unread: [] };
  const { outboundTrafficPolicy, accessLogFile, connectTimeout, protocolDetectionTimeout, accessLogEncoding, accessLogFormat, pathNormalization } = parsed.data;
  const { localityLbSetting, trustDomainAliases } = parsed.data;
  const { ingressControllerMode, ingressClass, ingressSelector, ingressService } = parsed.data;
  const ingress = {
    ...(ingressControllerMode === undefined ? {} : { mode: ingressControllerMode }),
    ...(ingressClass === undefined ? {} : { class: ingressClass }),
    ...(ingressSelector === undefined ? {} : { selector: ingressSelector }),
    ...(ingressService === undefined ? {} : { service: ingressService }),
  };
  const { normalization = 'DEFAULT' } = pathNormalization ?? {};
  const { tracing, gatewayTopology, ...defaults } = parsed.data.defaultConfig ?? {};
  const sampling = tracing?.sampling;
  const { providers, unread } = readProviders(parsed.data.extensionProviders ?? []);
  return {
    settings: {
      // Istio's third mode resolves unknown names itself, which is what ALLOW_ANY is here.
      ...(outboundTrafficPolicy === undefined
        ? {}
        : { outboundTrafficPolicy: (outboundTrafficPolicy.mode ?? 'REGISTRY_ONLY') === 'REGISTRY_ONLY' ? 'REGISTRY_ONLY' : 'ALLOW_ANY' }),
      ...(accessLogFile === undefined ? {} : { accessLogFile }),
      ...(connectTimeout === undefined ? {} : { connectTimeoutMs: durationMs(connectTimeout) ?? 0 }),
      ...(protocolDetectionTimeout === undefined ? {} : { protocolDetectionTimeoutMs: durationMs(protocolDetectionTimeout) ?? 0 }),
      ...(sampling === undefined ? {} : { tracingSamplingPercent: sampling }),
      ...(normalization === 'DEFAULT' ? {} : { pathNormalization: normalization }),
      ...(accessLogEncoding === undefined ? {} : { accessLogEncoding }),
      ...(accessLogFormat ? { accessLogFormat } : {}),
      ...(localityLbSetting === undefined ? {} : { localityLbSetting }),
      ...(trustDomainAliases === undefined ? {} : { trustDomainAliases }),
      ...(providers.length === 0 ? {} : { extensionProviders: providers }),
      ...(Object.keys(ingress).length === 0 ? {} : { ingress }),
      ...(gatewayTopology === undefined ? {} : { gatewayTopology: gatewayTopology as MeshSettings['gatewayTopology'] & object }),
    },
    errors,
    unread: [...Object.keys(value).filter((key) => !READ.has(key)), ...Object.keys(defaults).map((key) => `defaultConfig.${key}`), ...unread],
  };
}

/** The settings in force: those given, under what the mesh's own MeshConfig says. */
export function effectiveSettings(given: MeshSettings, objects: readonly MeshObject[]): MeshSettings {
  const object = objects.find((o) => isMeshConfig(o, given.rootNamespace));
  const text = (object?.spec as { data?: Record<string, string> } | undefined)?.data?.['mesh'];
  return text === undefined ? given : { ...given, ...readMeshConfig(text).settings };
}
