// LDS of sidecars' outbound side: loopback listeners for upstreams, by service and by Host.

import type { JsonObject } from '@bufbuild/protobuf';
import type { ProxyNode } from '../model/index.ts';
import { ADS, PEER_FIELDS, PEER_HEADER, any, seconds, socketAddress, without } from './common.ts';
import { dynamicForwardFilter } from './external-clusters.ts';
import type { Mesh, MeshService, ServicePort } from './mesh.ts';
import { managerTelemetry } from './manager-telemetry.ts';
import { jwtFilters } from './request-authentication.ts';
import type { Reporter } from './stats-logger.ts';
import { serviceTcpFilters, sniChains } from './tcp-routes.ts';

interface HcmOptions {
  statPrefix: string;
  routes: JsonObject;
  direction: 'inbound' | 'outbound';
  reporter: Reporter;
  service?: MeshService | undefined;
  serverName: string;
  /** First proxy a request from outside meets. */
  edge: boolean;
  /** Peers prove who they are on this chain. */
  mtls: boolean;
  /** Browsers may speak gRPC-Web here. */
  grpcWeb?: boolean;
  /** Some of its routes resolve the name a request carries. */
  forward?: boolean;
  /** Filters that have others asked whether a request is taken: before anything is made of it. */
  checks?: readonly JsonObject[];
  /** Filters that decide whether a request is taken: before all that changes it or counts it. */
  guards?: readonly JsonObject[];
}

export function upstreamListener(mesh: Mesh, node: ProxyNode, service: MeshService, port: ServicePort, listenPort: number): JsonObject {
  const name = `${service.host}_${port.port}`;
  const { protocol } = port;
  const base = { name, address: socketAddress('127.0.0.1', listenPort), trafficDirection: 'OUTBOUND' };
  const http = (): JsonObject =>
    hcm(mesh, node, {
      statPrefix: `outbound_${name}`,
      routes: rds(`${service.host}:${port.port}`),
      direction: 'outbound',
      reporter: 'source',
      serverName: 'envoy',
      edge: false,
      mtls: false,
      grpcWeb: protocol === 'grpc-web',
    });
  const tcp = { name, filters: protocol === 'http' ? [] : serviceTcpFilters(mesh, node, service, port) };
  switch (protocol) {
    case 'tcp':
      return { ...base, filterChains: [tcp] };
    case 'https': {
      const chains = sniChains(mesh, node, service, port.port);
      return chains.length === 0 && tcp.filters.length === 1
        ? { ...base, filterChains: [tcp] }
        : {
            ...base,
            ...sniffing(mesh, [TLS_INSPECTOR]),
            filterChains: chains.length === 0 ? [tcp] : chains,
            ...(chains.length === 0 ? {} : { defaultFilterChain: tcp }),
          };
    }
    case 'auto':
      return {
        ...base,
        ...sniffing(mesh, [TLS_INSPECTOR, HTTP_INSPECTOR]),
        filterChains: [
          ...sniChains(mesh, node, service, port.port),
          { name: `${name}_http`, filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: PLAINTEXT_HTTP }, filters: [http()] },
        ],
        defaultFilterChain: tcp,
      };
    case 'http':
    case 'http2':
    case 'grpc':
    case 'grpc-web':
      return { ...base, filterChains: [{ name, filters: [http()] }] };
  }
}

export const PLAINTEXT_HTTP = ['http/1.0', 'http/1.1', 'h2c'];
export const TLS_INSPECTOR: JsonObject = {
  name: 'envoy.filters.listener.tls_inspector',
  typedConfig: any('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector'),
};
export const HTTP_INSPECTOR: JsonObject = {
  name: 'envoy.filters.listener.http_inspector',
  typedConfig: any('envoy.extensions.filters.listener.http_inspector.v3.HttpInspector'),
};

/** Looks at first bytes for as long as the mesh says (0 = until they come), then goes on with what is known. */
export function sniffing(mesh: Mesh, listenerFilters: JsonObject[]): JsonObject {
  return { listenerFilters, listenerFiltersTimeout: seconds(mesh.settings.protocolDetectionTimeoutMs), continueOnListenerFiltersTimeout: true };
}

export function hostListener(mesh: Mesh, node: ProxyNode): JsonObject {
  return {
    name: 'http_proxy',
    address: socketAddress('127.0.0.1', node.httpProxyPort),
    trafficDirection: 'OUTBOUND',
    filterChains: [
      {
        name: 'http_proxy',
        filters: [
          hcm(mesh, node, {
            statPrefix: 'http_proxy',
            routes: rds('http_proxy'),
            direction: 'outbound',
            reporter: 'source',
            serverName: 'envoy',
            edge: false,
            mtls: false,
            forward: true,
          }),
        ],
      },
    ],
  };
}

export function rds(name: string): JsonObject {
  return { rds: { routeConfigName: name, configSource: ADS } };
}

/** An HTTP connection manager as every listener of ours has one. */
export function hcm(mesh: Mesh, node: ProxyNode, options: HcmOptions): JsonObject {
  const filters: JsonObject[] = [];
  if (options.mtls)
    filters.push({ name: 'weft.peer_metadata', typedConfig: any('envoy.extensions.filters.http.header_to_metadata.v3.Config', { requestRules: peerRules() }) });
  filters.push(...(options.checks ?? []));
  // Clients are asked who they are where they come in, before anything else is made of their requests.
  if (options.direction === 'inbound' || options.edge) filters.push(...jwtFilters(mesh, node));
  filters.push(...(options.guards ?? []));
  if (options.grpcWeb === true) filters.push(GRPC_WEB);
  if (options.direction === 'outbound') {
    filters.push({ name: 'envoy.filters.http.fault', typedConfig: any('envoy.extensions.filters.http.fault.v3.HTTPFault') });
    filters.push({ name: 'envoy.filters.http.cors', typedConfig: any('envoy.extensions.filters.http.cors.v3.Cors') });
  }
  if (options.forward === true) filters.push(dynamicForwardFilter());
  const telemetry = managerTelemetry(mesh, node, options);
  filters.push(...telemetry.filters);
  filters.push({ name: 'envoy.filters.http.router', typedConfig: any('envoy.extensions.filters.http.router.v3.Router') });
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typedConfig: any(
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      without({
        statPrefix: options.statPrefix,
        codecType: 'AUTO',
        ...options.routes,
        httpFilters: filters,
        serverName: options.serverName,
        useRemoteAddress: options.edge,
        generateRequestId: true,
        ...clientAndCertificate(mesh, options.edge),
        upgradeConfigs: [{ upgradeType: 'websocket' }],
        streamIdleTimeout: '0s',
        ...PATHS[mesh.settings.pathNormalization ?? 'BASE'],
        httpProtocolOptions: { acceptHttp10: true },
        http2ProtocolOptions: { allowConnect: true },
        ...telemetry.fields,
      }),
    ),
  };
}

const GRPC_WEB: JsonObject = { name: 'envoy.filters.http.grpc_web', typedConfig: any('envoy.extensions.filters.http.grpc_web.v3.GrpcWeb') };

const PATHS = {
  NONE: { normalizePath: false },
  BASE: { normalizePath: true },
  MERGE_SLASHES: { normalizePath: true, mergeSlashes: true },
  DECODE_AND_MERGE_SLASHES: { normalizePath: true, mergeSlashes: true, pathWithEscapedSlashesAction: 'UNESCAPE_AND_FORWARD' },
} as const;

/** Whom an edge believes about its clients is a matter of what stands in front of it. */
function clientAndCertificate(mesh: Mesh, edge: boolean): JsonObject {
  const { numTrustedProxies = 0, forwardClientCertDetails: asked = 'UNDEFINED' } = edge ? (mesh.settings.gatewayTopology ?? {}) : {};
  const forwardClientCertDetails = asked !== 'UNDEFINED' ? asked : edge ? 'SANITIZE_SET' : 'APPEND_FORWARD';
  const sets = forwardClientCertDetails === 'SANITIZE_SET' || forwardClientCertDetails === 'APPEND_FORWARD';
  return {
    forwardClientCertDetails,
    ...(sets ? { setCurrentClientCertDetails: { subject: true, dns: true, uri: true } } : {}),
    ...(numTrustedProxies === 0 ? {} : { xffNumTrustedHops: numTrustedProxies }),
  };
}

/** Lifts the peer header into metadata, field by field; the last rule removes it, so that no application sees it. */
function peerRules(): JsonObject[] {
  return PEER_FIELDS.map((field, i) => ({
    header: PEER_HEADER,
    onHeaderPresent: {
      metadataNamespace: 'weft.peer',
      key: field,
      type: 'STRING',
      regexValueRewrite: { pattern: { regex: `^${'[^;]*;'.repeat(i)}([^;]*)(;.*)?$` }, substitution: '\\1' },
    },
    remove: i === PEER_FIELDS.length - 1,
  }));
}

/** What a proxyless gRPC client asks for: a listener named after its target. */
export function apiListener(service: MeshService, port: number): JsonObject {
  const name = `${service.host}:${port}`;
  return {
    name,
    apiListener: {
      apiListener: any('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
        statPrefix: name,
        ...rds(name),
        httpFilters: [{ name: 'envoy.filters.http.router', typedConfig: any('envoy.extensions.filters.http.router.v3.Router') }],
      }),
    },
  };
}
