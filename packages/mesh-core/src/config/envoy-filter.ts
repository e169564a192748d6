// EnvoyFilter (networking.istio.io): patches of what stock Envoy is sent; embedded proxies do not apply them.

import { z } from 'zod';
import { labels, portNumber, regex } from './schema-parts.ts';
import { targetRef } from './target-ref.ts';

const APPLY_TO = [
  'LISTENER',
  'FILTER_CHAIN',
  'NETWORK_FILTER',
  'HTTP_FILTER',
  'ROUTE_CONFIGURATION',
  'VIRTUAL_HOST',
  'HTTP_ROUTE',
  'CLUSTER',
  'EXTENSION_CONFIG',
  'BOOTSTRAP',
  'LISTENER_FILTER',
] as const;
export type EnvoyFilterTarget = (typeof APPLY_TO)[number];
const OPERATIONS = ['MERGE', 'ADD', 'REMOVE', 'INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST', 'REPLACE', 'MERGE_AND_REPLACE_LIST'] as const;
const port = portNumber.optional();
const text = z.string().optional();
const filter = z.strictObject({ name: text, subFilter: z.strictObject({ name: text }).optional() });

const match = z
  .strictObject({
    context: z.enum(['ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT']).optional(),
    proxy: z.strictObject({ proxyVersion: regex.or(z.literal('')).optional(), metadata: z.record(z.string(), z.string()).optional() }).optional(),
    listener: z
      .strictObject({
        portNumber: port,
        portName: text,
        name: text,
        listenerFilter: text,
        filterChain: z
          .strictObject({ name: text, sni: text, transportProtocol: text, applicationProtocols: text, destinationPort: port, filter: filter.optional() })
          .optional(),
      })
      .optional(),
    routeConfiguration: z
      .strictObject({
        portNumber: port,
        portName: text,
        gateway: text,
        name: text,
        vhost: z
          .strictObject({
            name: text,
            domainName: text,
            route: z.strictObject({ name: text, action: z.enum(['ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE']).optional() }).optional(),
          })
          .optional(),
      })
      .optional(),
    cluster: z.strictObject({ portNumber: port, service: text, subset: text, name: text }).optional(),
    waypoint: z.strictObject({ portNumber: port, filter: filter.optional(), route: z.strictObject({ name: text }).optional() }).optional(),
  })
  .refine(
    (m) => [m.listener, m.routeConfiguration, m.cluster, m.waypoint].filter((o) => o !== undefined).length <= 1,
    'must have one of listener, routeConfiguration, cluster, waypoint',
  )
  .refine((m) => m.context !== 'WAYPOINT' || m.waypoint !== undefined, 'context WAYPOINT goes with a waypoint match only');

const HTTP_MANAGER = /^envoy\.(filters\.network\.)?http_connection_manager$/;
const OBJECT_OF: Partial<Record<EnvoyFilterTarget, 'listener' | 'routeConfiguration' | 'cluster'>> = {
  LISTENER: 'listener',
  FILTER_CHAIN: 'listener',
  NETWORK_FILTER: 'listener',
  HTTP_FILTER: 'listener',
  ROUTE_CONFIGURATION: 'routeConfiguration',
  VIRTUAL_HOST: 'routeConfiguration',
  HTTP_ROUTE: 'routeConfiguration',
  CLUSTER: 'cluster',
};

const configPatch = z
  .strictObject({
    applyTo: z.enum(APPLY_TO),
    match: match.optional(),
    patch: z
      .strictObject({
        operation: z.enum(OPERATIONS),
        value: z.record(z.string(), z.unknown()).optional(),
        filterClass: z.enum(['UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS']).optional(),
      })
      .refine((p) => p.operation === 'REMOVE' || p.value !== undefined, { path: ['value'], message: 'is required but by operation REMOVE' }),
  })
  .superRefine(({ applyTo, match: where }, context) => {
    const issue = (path: string[], message: string): void => context.addIssue({ code: 'custom', path: ['match', ...path], message });
    const wanted = OBJECT_OF[applyTo];
    const other = (['listener', 'routeConfiguration', 'cluster'] as const).find((key) => where?.[key] !== undefined && key !== wanted);
    if (wanted !== undefined && other !== undefined) issue([other], `applyTo ${applyTo} takes a ${wanted} match`);
    const inChain = where?.listener?.filterChain?.filter;
    if (inChain === undefined) return;
    const place = ['listener', 'filterChain', 'filter'];
    if (!inChain.name) issue([...place, 'name'], 'is required');
    if (inChain.subFilter === undefined) return;
    if (applyTo !== 'HTTP_FILTER') issue([...place, 'subFilter'], 'can be used with applyTo HTTP_FILTER only');
    if (!HTTP_MANAGER.test(inChain.name ?? '')) issue([...place, 'name'], 'must be envoy.filters.network.http_connection_manager where there is a subFilter');
    if (!inChain.subFilter.name) issue([...place, 'subFilter', 'name'], 'is required');
  });

export const envoyFilterSpec = z
  .strictObject({
    workloadSelector: z.strictObject({ labels: labels.optional() }).optional(),
    targetRefs: z.array(targetRef).max(16).optional(),
    configPatches: z.array(configPatch).optional(),
    priority: z.number().int().min(-2_147_483_648).max(2_147_483_647).optional(),
  })
  .refine((f) => f.workloadSelector === undefined || (f.targetRefs?.length ?? 0) === 0, 'must have only one of workloadSelector, targetRefs');
export type EnvoyFilterSpec = z.infer<typeof envoyFilterSpec>;
