// Stock Envoy with a translated configuration and no control plane: what would come over ADS is made static.

import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type JsonObject, fromBinary, toJson } from '@bufbuild/protobuf';
import { type ResourceSet, type TypeUrl, TYPE_URL, bytesOf } from '../../xds/index.ts';
import { schemaOf } from '../encode.ts';
import { registry } from '../registry.ts';

/** One resource as proto3 JSON; throws naming what there is when it is missing. */
export function decoded(set: ResourceSet, typeUrl: TypeUrl, name: string): JsonObject {
  const resource = set[typeUrl].get(name);
  if (resource === undefined) throw new Error(`no ${name}; there are ${[...set[typeUrl].keys()].join(', ')}`);
  const schema = schemaOf(typeUrl);
  return toJson(schema, fromBinary(schema, bytesOf(resource)), { registry }) as JsonObject;
}

/** Envoy's path from ENVOY_BIN, PATH or the engines' cache; undefined (and a line saying so) when there is none. */
export function envoyBinary(): string | undefined {
  const engines = process.env['WEFT_ENGINES'] ?? join(homedir(), '.cache/weft/engines');
  const cached = existsSync(engines)
    ? readdirSync(engines)
        .filter((name) => name.startsWith('envoy'))
        .flatMap((name) => find(join(engines, name)))
    : [];
  const candidates = [
    process.env['ENVOY_BIN'],
    ...(process.env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, 'envoy')),
    ...cached,
    ...find('/tmp/envoyv'),
  ];
  const found = candidates.find((path) => path !== undefined && path !== '' && existsSync(path));
  if (found === undefined) console.warn(`skipped: no Envoy in ENVOY_BIN, PATH or ${engines}`);
  return found;
}

function find(venv: string): string[] {
  const lib = join(venv, 'lib');
  return existsSync(lib) ? readdirSync(lib).map((python) => join(lib, python, 'site-packages/envoy/_bin/envoy')) : [];
}

/** A bootstrap with everything inline. `secrets` (name → Secret fields) replace SDS; without them SDS stays as it is. */
export function staticBootstrap(set: ResourceSet, secrets?: readonly JsonObject[]): JsonObject {
  const list = (typeUrl: TypeUrl): JsonObject[] => [...set[typeUrl].keys()].map((name) => decoded(set, typeUrl, name));
  const routes = new Map(list(TYPE_URL.route).map((r) => [r['name'], r]));
  const assignments = new Map(list(TYPE_URL.endpoint).map((e) => [e['clusterName'], e]));
  const inline = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inline);
    if (typeof value !== 'object' || value === null) return value;
    const fields = Object.fromEntries(Object.entries(value).map(([key, v]) => [key, inline(v)]));
    const rds = fields['rds'] as { routeConfigName: string } | undefined;
    if (rds !== undefined) {
      delete fields['rds'];
      fields['routeConfig'] = routes.get(rds.routeConfigName);
    }
    if (fields['type'] === 'EDS' && secrets !== undefined) {
      delete fields['edsClusterConfig'];
      return { ...fields, type: 'STATIC', loadAssignment: assignments.get(fields['name'] as string) };
    }
    if (secrets !== undefined && 'sdsConfig' in fields) delete fields['sdsConfig'];
    return fields;
  };
  const http2 = { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', explicit_http_config: { http2_protocol_options: {} } };
  const ads = { name: 'xds', type: 'STATIC', typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2 } };
  return {
    node: { id: 'x', cluster: 'x' },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    ...(secrets === undefined
      ? { dynamic_resources: { ads_config: { api_type: 'DELTA_GRPC', transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }] } } }
      : {}),
    static_resources: {
      listeners: inline(list(TYPE_URL.listener)),
      clusters: [...(inline(list(TYPE_URL.cluster)) as JsonObject[]), ...(secrets === undefined ? [ads] : [])],
      ...(secrets === undefined ? {} : { secrets }),
    },
  } as unknown as JsonObject;
}
