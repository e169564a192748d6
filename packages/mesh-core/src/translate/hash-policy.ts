// consistentHash of a DestinationRule, which Envoy wants on the route.

import type { JsonObject } from '@bufbuild/protobuf';
import { type DestinationSpec, type TrafficPolicySpec, durationMs } from '../config/index.ts';
import { seconds, without } from './common.ts';
import { destinationRuleFor } from './destination-rules.ts';
import { serviceOf } from './mesh.ts';
import { type RouteContext, destinationHost } from './route-context.ts';

type ConsistentHash = NonNullable<NonNullable<TrafficPolicySpec['loadBalancer']>['consistentHash']>;

/** What a destination is hashed by: the subset's port, the subset, the rule's port, the rule; the first that says so. */
export function hashOfDestination(context: RouteContext, namespace: string, destination: DestinationSpec): ConsistentHash | undefined {
  const rule = ruleFor(context, destinationHost(context, namespace, destination));
  if (rule === undefined) return undefined;
  const ofPort = (policy: TrafficPolicySpec | undefined): ConsistentHash | undefined =>
    policy?.portLevelSettings?.find((p) => p.port.number === destination.port?.number)?.loadBalancer?.consistentHash;
  const subset = rule.subsets?.find((s) => s.name === destination.subset)?.trafficPolicy;
  return ofPort(subset) ?? subset?.loadBalancer?.consistentHash ?? ofPort(rule.trafficPolicy) ?? rule.trafficPolicy?.loadBalancer?.consistentHash;
}

/** The same of a service's port that no VirtualService routes. */
export function hashOfService(context: RouteContext, host: string): ConsistentHash | undefined {
  return hashOfDestination(context, '', { host, port: { number: context.port } });
}

function ruleFor({ mesh, node }: RouteContext, host: string): ReturnType<typeof destinationRuleFor> {
  const service = serviceOf(mesh, host, node);
  return service === undefined ? undefined : destinationRuleFor(mesh, service, node);
}

/** Envoy's `hash_policy` of these, in order; nothing where none hashes. */
export function hashPolicies(hashes: readonly (ConsistentHash | undefined)[]): JsonObject {
  const policies = hashes.filter((h) => h !== undefined).map(hashPolicy);
  return policies.length === 0 ? {} : { hashPolicy: policies };
}

function hashPolicy({ httpHeaderName, httpCookie, httpQueryParameterName, useSourceIp }: ConsistentHash): JsonObject {
  if (httpHeaderName !== undefined) return { header: { headerName: httpHeaderName } };
  if (httpQueryParameterName !== undefined) return { queryParameter: { name: httpQueryParameterName } };
  if (httpCookie === undefined) return { connectionProperties: { sourceIp: useSourceIp ?? false } };
  const { name, path, ttl, attributes } = httpCookie;
  return {
    cookie: without({
      name,
      path,
      // Without ttl Envoy makes no cookie of its own; 0s is a session cookie.
      ttl: ttl === undefined ? undefined : seconds(durationMs(ttl) ?? 0),
      attributes: attributes?.map((a) => ({ name: a.name, value: a.value ?? '' })),
    }),
  };
}
