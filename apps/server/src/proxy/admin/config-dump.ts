// The proxy's configuration as Envoy's /config_dump prints it. Private keys never leave.

import { type DescMessage, type JsonObject, fromBinary, toJson } from '@bufbuild/protobuf';
import { ClusterSchema } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { ClusterLoadAssignmentSchema } from '@weft/mesh-core/gen/envoy/config/endpoint/v3/endpoint_pb';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { RouteConfigurationSchema } from '@weft/mesh-core/gen/envoy/config/route/v3/route_pb';
import { registry } from '@weft/mesh-core/registry';
import { TYPE_URL, type TypeUrl } from '@weft/mesh-core/xds';
import type { Configuration } from '../xds-client/configuration.ts';

const SECTIONS: readonly { type: string; list: string; item: string; typeUrl: TypeUrl; schema: DescMessage }[] = [
  { type: 'ClustersConfigDump', list: 'dynamicActiveClusters', item: 'cluster', typeUrl: TYPE_URL.cluster, schema: ClusterSchema },
  { type: 'EndpointsConfigDump', list: 'dynamicEndpointConfigs', item: 'endpointConfig', typeUrl: TYPE_URL.endpoint, schema: ClusterLoadAssignmentSchema },
  { type: 'ListenersConfigDump', list: 'dynamicListeners', item: 'listener', typeUrl: TYPE_URL.listener, schema: ListenerSchema },
  { type: 'RoutesConfigDump', list: 'dynamicRouteConfigs', item: 'routeConfig', typeUrl: TYPE_URL.route, schema: RouteConfigurationSchema },
];

export function dumpConfiguration(configuration: Configuration): JsonObject {
  const sections = SECTIONS.map(({ type, list, item, typeUrl, schema }) => ({
    '@type': `type.googleapis.com/envoy.admin.v3.${type}`,
    [list]: configuration.raw(typeUrl).map((r) => {
      const resource = { '@type': typeUrl, ...(toJson(schema, fromBinary(schema, r.body), { registry }) as JsonObject) };
      const state = { versionInfo: r.version, [item]: resource };
      return typeUrl === TYPE_URL.listener ? { name: r.name, activeState: state } : state;
    }),
  }));
  const secrets = configuration.raw(TYPE_URL.secret).map((r) => ({ name: r.name, versionInfo: r.version, secret: { '@type': TYPE_URL.secret, name: r.name } }));
  return { configs: [...sections, { '@type': 'type.googleapis.com/envoy.admin.v3.SecretsConfigDump', dynamicActiveSecrets: secrets }] };
}
