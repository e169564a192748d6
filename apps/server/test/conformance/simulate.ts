// Asks the translated configuration of a proxy what becomes of a request, with the decoder and the route tables of the
// embedded proxy: nothing is sent. Answers in the words of Istio's own simulation package.

import { type JsonObject, fromBinary, toJson } from '@bufbuild/protobuf';
import { RouteConfigurationSchema } from '@weft/mesh-core/gen/envoy/config/route/v3/route_pb';
import { registry } from '@weft/mesh-core/translate';
import { type Resource, type ResourceSet, TYPE_URL, bytesOf } from '@weft/mesh-core/xds';
import { compileChainMatch } from '../../src/proxy/config/chain-match.ts';
import { decodeListener } from '../../src/proxy/config/decode.ts';
import { decodeRouteConfigFields } from '../../src/proxy/config/decode-route.ts';
import { Fields } from '../../src/proxy/config/fields.ts';
import { type RouteTable, compileRouteTable, findRoute } from '../../src/proxy/http/route-table.ts';

export interface HttpCall {
  host: string;
  /** With query. */
  path?: string;
  method?: string;
  headers?: Readonly<Record<string, string>>;
  scheme?: 'http' | 'https';
}

export interface Outcome {
  error: '' | 'ErrNoListener' | 'ErrNoVirtualHost' | 'ErrNoRoute' | 'ErrTLSRedirect';
  routeConfig: string;
  virtualHost: string;
  /** The route as it went over xDS. */
  route: JsonObject | undefined;
  /** Where it may go, with weights. */
  clusters: readonly { cluster: string; weight: number }[];
}

const nothing = { routeConfig: '', virtualHost: '', route: undefined, clusters: [] };

/** The route configuration a listener port's plaintext HTTP uses; undefined when nothing listens there. */
export function routeConfigOf(set: ResourceSet, port: number): string | undefined {
  for (const [name, { body }] of set[TYPE_URL.listener]) {
    const listener = decodeListener(body, name);
    if (listener.port !== port) continue;
    const routes = listener.chains.find((chain) => chain.http !== undefined)?.http?.routes;
    return routes !== undefined && 'rds' in routes ? routes.rds : undefined;
  }
  return undefined;
}

/** The route configuration of the chain a TLS connection to this name meets; undefined where it meets none. */
export function secureRouteConfigOf(set: ResourceSet, port: number, serverName: string): string | undefined {
  for (const [name, { body }] of set[TYPE_URL.listener]) {
    const { chains, ...listener } = decodeListener(body, name);
    if (listener.port !== port) continue;
    const address = { destinationAddress: '1.1.1.1', destinationPort: port, directSourceAddress: '2.2.2.2', sourceAddress: '2.2.2.2', sourcePort: 1 };
    const index = compileChainMatch(chains.map((c) => c.match)).find({ ...address, serverName, transportProtocol: 'tls', applicationProtocols: [] });
    const routes = index === undefined ? undefined : chains[index]?.http?.routes;
    return routes !== undefined && 'rds' in routes ? routes.rds : undefined;
  }
  return undefined;
}

interface Compiled {
  table: RouteTable;
  json: { virtualHosts: { name: string; routes?: JsonObject[] }[] };
}
const compiled = new WeakMap<Resource, Compiled>();

function compile(resource: Resource): Compiled {
  const known = compiled.get(resource);
  if (known !== undefined) return known;
  const json = toJson(RouteConfigurationSchema, fromBinary(RouteConfigurationSchema, bytesOf(resource)), { registry }) as unknown as Compiled['json'] &
    JsonObject;
  // What filters do with a request later does not decide where it is routed.
  const table = compileRouteTable(decodeRouteConfigFields(new Fields(json, resource.name, [])));
  const made = { table, json };
  compiled.set(resource, made);
  return made;
}

/** What a route configuration does with a call. */
export function simulate(set: ResourceSet, routeConfig: string | undefined, call: HttpCall): Outcome {
  const resource = routeConfig === undefined ? undefined : set[TYPE_URL.route].get(routeConfig);
  if (routeConfig === undefined || resource === undefined) return { error: 'ErrNoListener', ...nothing };
  const { table, json } = compile(resource);
  const host = table.hosts.find(call.host);
  if (host === undefined) return { error: 'ErrNoVirtualHost', ...nothing, routeConfig };
  const headers = new Map(Object.entries(call.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  const request = {
    method: call.method ?? 'GET',
    path: call.path ?? '/',
    authority: call.host,
    scheme: call.scheme ?? 'http',
    get: (name: string) => headers.get(name),
  };
  const found = findRoute(host, request, Math.random, request.scheme);
  const where = { routeConfig, virtualHost: host.name };
  if (found === undefined) return { error: 'ErrNoRoute', ...nothing, ...where };
  const index = host.routes.indexOf(found);
  if (index < 0) return { error: 'ErrTLSRedirect', ...nothing, ...where };
  const { action } = found.config;
  return {
    error: '',
    ...where,
    route: json.virtualHosts.find((v) => v.name === host.name)?.routes?.[index],
    clusters: action.kind === 'forward' ? action.clusters.map(({ name, weight }) => ({ cluster: name, weight })) : [],
  };
}
