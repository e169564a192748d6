// Istio's own code and ours on the same random VirtualServices: the same objects refused, and for every call the same virtual
// host, the same route, field by field.

import { type JsonObject, fromJson, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { RouteSchema } from '@weft/mesh-core/gen/envoy/config/route/v3/route_components_pb';
import { validateObject } from '@weft/mesh-core/config';
import type { MeshObject, ProxyNode } from '@weft/mesh-core/model';
import { registry } from '@weft/mesh-core/translate';
import { IstioOracle, oracleBinary } from './istio-oracle.ts';
import { INGRESS_CALLS, ingressWorld } from './ingress-worlds.ts';
import { proxy, resourcesOf } from './objects.ts';
import { type Outcome, secureRouteConfigOf, simulate } from './simulate.ts';
import { GATEWAY_CALLS, MESH_ROUTE_CALLS, NAMESPACE, SIDECAR_CALLS, type WorldCall, gatewayWorld, meshRouteWorld, sidecarWorld } from './worlds.ts';

const binary = oracleBinary();
const oracle = binary === undefined ? undefined : new IstioOracle(binary);
afterAll(() => oracle?.close());

interface Answer {
  error: string;
  virtualHost: string;
  matched: { envoy?: JsonObject };
}
interface Simulation {
  calls: Answer[];
  rejected: { namespace: string; name: string; errors: string[] }[];
}

const CLUSTER_SCOPED = new Set(['IngressClass']);

/** Istio passes unknown hosts on or blocks them by mesh policy; Weft's Host-keyed listener blocks. Both mean: no such host. */
const UNKNOWN = new Set(['allow_any', 'block_all']);

/** A route without what Weft adds (the route's name in the metadata) and what is the default anyway. */
function plain(route: JsonObject | undefined): JsonObject {
  const json = toJson(RouteSchema, fromJson(RouteSchema, route ?? {}, { registry, ignoreUnknownFields: false }), { registry }) as Record<string, JsonObject>;
  delete json['metadata'];
  const { match } = json;
  if (match?.['caseSensitive'] === true) delete match['caseSensitive'];
  for (const list of ['headers', 'queryParameters'] as const)
    if (Array.isArray(match?.[list])) match[list] = (match[list] as { name: string }[]).map((m) => ({ ...m, name: m.name.toLowerCase() })).toSorted(byJson);
  // No path to redirect to: to Envoy the same as none given.
  if (json['redirect']?.['pathRedirect'] === '') delete json['redirect']['pathRedirect'];
  const cors = json['typedPerFilterConfig']?.['envoy.filters.http.cors'] as JsonObject | undefined;
  delete cors?.['filterEnabled'];
  return json;
}
const byJson = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

function ours(outcome: Outcome): object {
  if (outcome.error !== '') return { error: outcome.error };
  return UNKNOWN.has(outcome.virtualHost) ? { unknown: true } : { virtualHost: outcome.virtualHost, route: plain(outcome.route) };
}
function theirs({ error, virtualHost, matched }: Answer): object {
  // A name without a chain meets as little as a port without a listener.
  if (error !== '') return { error: error.replace('ErrNoFilterChain', 'ErrNoListener') };
  return UNKNOWN.has(virtualHost) ? { unknown: true } : { virtualHost, route: plain(matched.envoy) };
}

async function compare(objects: MeshObject[], node: ProxyNode, calls: readonly WorldCall[], routeConfig: string): Promise<void> {
  const { calls: answers, rejected } = await (oracle as IstioOracle).ask<Simulation>('simulate', {
    yaml: objects.map((o) => JSON.stringify(CLUSTER_SCOPED.has(o.kind) ? { ...o, metadata: { name: o.metadata.name } } : o)).join('\n---\n'),
    proxy: { type: node.role, namespace: node.namespace, labels: node.labels, ip: node.ip },
    calls: calls.map(({ host, sni, ...call }) => ({ ...call, protocol: 'http', hostHeader: host, ...(sni === undefined ? {} : { tls: 'tls', sni }) })),
  });
  const accepted = objects.flatMap((o) => {
    const { problems, object } = validateObject(o);
    const refusal = rejected.find((r) => r.namespace === o.metadata.namespace && r.name === o.metadata.name && o.kind === 'VirtualService');
    if (problems.length > 0 !== (refusal !== undefined))
      throw new Error(`Weft says ${JSON.stringify(problems)}, Istio ${JSON.stringify(refusal?.errors ?? [])} of ${JSON.stringify(o.spec)}`);
    return object ?? [];
  });
  const set = resourcesOf(accepted, node);
  for (const [i, call] of calls.entries()) {
    const host = node.role === 'sidecar' ? `${call.host}:${call.port}` : call.host;
    const config = call.sni === undefined ? routeConfig : secureRouteConfigOf(set, call.port, call.sni);
    const result = ours(simulate(set, config, { ...call, host, scheme: call.sni === undefined ? 'http' : 'https' }));
    expect({ call, result }).toEqual({ call, result: theirs(answers[i] as Answer) });
  }
}

const runs = {
  numRuns: Number(process.env['WEFT_ORACLE_RUNS'] ?? 15),
  ...(process.env['WEFT_ORACLE_SEED'] === undefined ? { seed: 20_261_125 } : { seed: Number(process.env['WEFT_ORACLE_SEED']) }),
};

test.skipIf(oracle === undefined)('sidecars route as Istio does', { timeout: 300_000 }, async () => {
  const node = proxy({ namespace: NAMESPACE, labels: { app: 'client' } });
  await fc.assert(
    fc.asyncProperty(sidecarWorld, (objects) => compare(objects, node, SIDECAR_CALLS, 'http_proxy')),
    runs,
  );
});

test.skipIf(oracle === undefined)("HTTPRoutes on Services route as Istio's", { timeout: 300_000 }, async () => {
  const node = proxy({ namespace: NAMESPACE, labels: { app: 'client' } });
  await fc.assert(
    fc.asyncProperty(meshRouteWorld, (objects) => compare(objects, node, MESH_ROUTE_CALLS, 'http_proxy')),
    runs,
  );
});

test.skipIf(oracle === undefined)('gateways route as Istio does', { timeout: 300_000 }, async () => {
  const node = proxy({ role: 'router', namespace: NAMESPACE, labels: { istio: 'ingressgateway' } });
  await fc.assert(
    fc.asyncProperty(gatewayWorld, (objects) => compare(objects, node, GATEWAY_CALLS, 'http.80')),
    runs,
  );
});

test.skipIf(oracle === undefined)("gateways serve Ingresses as Istio's, in plaintext and with TLS", { timeout: 300_000 }, async () => {
  const node = proxy({ role: 'router', namespace: NAMESPACE, labels: { istio: 'ingressgateway' } });
  await fc.assert(
    fc.asyncProperty(ingressWorld, (objects) => compare(objects, node, INGRESS_CALLS, 'http.80')),
    runs,
  );
});
