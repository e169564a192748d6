// The proxy's configuration as Envoy's /config_dump prints it. Private keys never leave.

import { type JsonObject, type JsonValue, messageToJson } from '@weft/mesh-core/wire';
import { TYPE_URL, type TypeUrl } from '@weft/mesh-core/xds-types';
import type { Configuration } from '../xds-client/configuration.ts';

interface Section {
  type: string;
  list: string;
  itemType: string;
  item: string;
  typeUrl: TypeUrl;
}

const ADMIN = 'type.googleapis.com/envoy.admin.v3.';
const CLUSTERS: Section = {
  ...{ type: 'ClustersConfigDump', list: 'dynamic_active_clusters', itemType: 'DynamicCluster', item: 'cluster' },
  ...{ typeUrl: TYPE_URL.cluster },
};
const ENDPOINTS: Section = {
  ...{ type: 'EndpointsConfigDump', list: 'dynamic_endpoint_configs', itemType: 'DynamicEndpointConfig', item: 'endpoint_config' },
  ...{ typeUrl: TYPE_URL.endpoint },
};
const LISTENERS: Section = {
  ...{ type: 'ListenersConfigDump', list: 'dynamic_listeners', itemType: 'DynamicListener', item: 'listener' },
  ...{ typeUrl: TYPE_URL.listener },
};
const ROUTES: Section = {
  ...{ type: 'RoutesConfigDump', list: 'dynamic_route_configs', itemType: 'DynamicRouteConfig', item: 'route_config' },
  ...{ typeUrl: TYPE_URL.route },
};
const SECRETS: Section = { type: 'SecretsConfigDump', list: 'dynamic_active_secrets', itemType: 'DynamicSecret', item: 'secret', typeUrl: TYPE_URL.secret };

export interface DumpQuery {
  /** One list of the dump (`dynamic_listeners`). */
  resource: string | undefined;
  /** Paths of fields to keep, of each section or, with `resource`, of each entry. */
  mask: string | undefined;
  /** Which resources, by name. */
  name: ((name: string) => boolean) | undefined;
  endpoints: boolean;
}

/** Undefined = there is no such `resource`. */
export function dumpConfiguration(configuration: Configuration, query: DumpQuery): JsonObject | undefined {
  const sections = [CLUSTERS, ...(query.endpoints ? [ENDPOINTS] : []), LISTENERS, ROUTES, SECRETS];
  const entries = (section: Section): JsonObject[] =>
    configuration
      .raw(section.typeUrl)
      .filter(({ name }) => query.name?.(name) !== false)
      .map((resource) => entry(section, resource));
  const masked = (object: JsonObject): JsonObject => (query.mask === undefined ? object : keep(object, query.mask.split(',')));
  if (query.resource === undefined) {
    const configs = sections.map((section) => masked({ '@type': ADMIN + section.type, [section.list]: entries(section) }));
    // A section nothing is left of is not shown.
    return { configs: configs.filter((config) => Object.keys(config).length > 1) };
  }
  const section = sections.find(({ list }) => list === query.resource);
  if (section === undefined) return undefined;
  return { configs: entries(section).map((one) => ({ '@type': `${ADMIN}${section.type}.${section.itemType}`, ...masked(one) })) };
}

function entry({ item, typeUrl }: Section, { name, version, body }: { name: string; version: string; body: Uint8Array }): JsonObject {
  if (typeUrl === TYPE_URL.secret) return { name, version_info: version, [item]: { '@type': typeUrl, name } };
  const resource = { '@type': typeUrl, ...messageToJson(typeUrl.slice(typeUrl.indexOf('/') + 1), body, true) };
  const state = { version_info: version, [item]: resource };
  return typeUrl === TYPE_URL.listener ? { name, active_state: state } : state;
}

/** What is at these paths, and `@type`. Lists are gone through. */
function keep(object: JsonObject, paths: readonly string[]): JsonObject {
  const kept: JsonObject = {};
  for (const [key, value] of Object.entries(object)) {
    if (key === '@type' || paths.includes(key)) kept[key] = value;
    const inner = paths.filter((path) => path.startsWith(`${key}.`)).map((path) => path.slice(key.length + 1));
    if (inner.length > 0 && kept[key] === undefined) kept[key] = keepIn(value, inner);
  }
  return kept;
}

function keepIn(value: JsonValue, paths: readonly string[]): JsonValue {
  if (Array.isArray(value)) return value.map((item) => keepIn(item, paths));
  return typeof value === 'object' && value !== null ? keep(value, paths) : value;
}
