// What stock Envoy needs to count TCP connections, put on every tcp_proxy of a listener, however it came to be.

import type { JsonObject } from '@bufbuild/protobuf';
import type { ProxyNode } from '../model/index.ts';
import { serviceBehind } from './inbound-ports.ts';
import type { Mesh } from './mesh.ts';
import { connectionCounters } from './request-counting.ts';
import { telemetryOf } from './telemetry.ts';

const TCP_PROXY = 'envoy.filters.network.tcp_proxy';
const ENDED: JsonObject = { logTypeFilter: { types: ['TcpConnectionEnd'] } };

/** A new listener where something changes: chains may share their filters. Others than Envoy count for themselves. */
export function withTcpTelemetry(mesh: Mesh, node: ProxyNode, listener: JsonObject): JsonObject {
  if (node.dataPlane !== 'envoy') return listener;
  const inbound = listener['trafficDirection'] === 'INBOUND';
  const chain = (value: JsonObject): JsonObject => ({
    ...value,
    filters: ((value['filters'] ?? []) as JsonObject[]).map((filter) => {
      if (filter['name'] !== TCP_PROXY) return filter;
      const config = filter['typedConfig'] as JsonObject;
      const { metrics } = telemetryOf(mesh, node, inbound ? 'SERVER' : 'CLIENT');
      const options = inbound
        ? ({ reporter: 'destination', mtls: value['transportSocket'] !== undefined, service: servedBy(mesh, node, config), metrics } as const)
        : ({ reporter: 'source', mtls: false, metrics } as const);
      const logs = ((config['accessLog'] ?? []) as JsonObject[]).map(atEnd);
      // A connection is told of twice; logs want its end.
      const telemetry = {
        accessLogOptions: { flushAccessLogOnConnected: true },
        accessLog: [...connectionCounters(node, mesh.settings.clusterId, options), ...logs],
      };
      return { ...filter, typedConfig: { ...config, ...telemetry } };
    }),
  });
  return {
    ...listener,
    ...(listener['filterChains'] === undefined ? {} : { filterChains: (listener['filterChains'] as JsonObject[]).map(chain) }),
    ...(listener['defaultFilterChain'] === undefined ? {} : { defaultFilterChain: chain(listener['defaultFilterChain'] as JsonObject) }),
  };
}

function atEnd({ filter, ...log }: JsonObject): JsonObject {
  return { ...log, filter: filter === undefined ? ENDED : { andFilter: { filters: [ENDED, filter] } } };
}

/** The service behind `inbound|<port>||`. */
function servedBy(mesh: Mesh, node: ProxyNode, config: JsonObject): { host: string; name: string; namespace: string } | undefined {
  const servicePort = Number(/^inbound\|(\d+)/.exec(typeof config['cluster'] === 'string' ? config['cluster'] : '')?.[1] ?? 0);
  const service = serviceBehind(mesh, node, { servicePort, name: node.inbound.find((p) => p.servicePort === servicePort)?.name });
  return service === undefined ? undefined : { host: service.host, name: service.name, namespace: service.namespace };
}
