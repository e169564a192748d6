// LDS: loopback listeners for upstreams, inbound listeners with mutual TLS.

import type { JsonObject } from '@bufbuild/protobuf';
import type { InboundPort, ProxyNode } from '../model/index.ts';
import { ADS, PEER_FIELDS, PEER_HEADER, any, seconds, socketAddress, without } from './common.ts';
import { dynamicForwardFilter } from './external-clusters.ts';
import { type Mesh, type MeshService, type ServicePort, mtlsModeOf, protocolOf, servicesOfWorkload } from './mesh.ts';
import { managerTelemetry } from './manager-telemetry.ts';
import { downstreamTls } from './server-tls.ts';
import type { Reporter } from './stats-logger.ts';
import { serviceTcpFilters, sniChains, tcpProxyFilter } from './tcp-routes.ts';

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
  /** Some of its routes resolve the name a request carries. */
  forward?: boolean;
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
      return { ...base, filterChains: [{ name, filters: [http()] }] };
  }
}

const PLAINTEXT_HTTP = ['http/1.0', 'http/1.1', 'h2c'];
/** ALPN of HTTP between sidecars; everything else over the mesh's TLS is TCP. */
const MESH_HTTP = ['h2', 'http/1.1', 'http/1.0'];
export const TLS_INSPECTOR: JsonObject = {
  name: 'envoy.filters.listener.tls_inspector',
  typedConfig: any('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector'),
};
const HTTP_INSPECTOR: JsonObject = {
  name: 'envoy.filters.listener.http_inspector',
  typedConfig: any('envoy.extensions.filters.listener.http_inspector.v3.HttpInspector'),
};

/** Looks at first bytes for as long as the mesh says (0 = until they come), then goes on with what is known. */
function sniffing(mesh: Mesh, listenerFilters: JsonObject[]): JsonObject {
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

/**
 * A port of the application for its peers. HTTP over mutual TLS and plaintext by the mode of PeerAuthentication; where the port's
 * protocol is not declared, HTTP is told from TCP by ALPN and by first bytes. TLS of the application itself passes through.
 */
export function inboundListener(mesh: Mesh, node: ProxyNode, port: InboundPort): JsonObject {
  const service = servicesOfWorkload(mesh, node.namespace, node.workload).find((s) => s.ports.some((p) => p.port === port.servicePort || p.name === port.name));
  const mode = mtlsModeOf(mesh, node.namespace, node.labels, port.listenPort, port.servicePort);
  const declared = service?.ports.find((p) => p.port === port.servicePort)?.protocol;
  const protocol = declared ?? protocolOf(port.name, undefined, port.servicePort);
  const cluster = `inbound|${port.servicePort}||`;
  const http = (mtls: boolean): JsonObject[] => [
    hcm(mesh, node, {
      statPrefix: `inbound_${port.servicePort}`,
      routes: { routeConfig: inboundRoutes(cluster, service, port, mtls) },
      direction: 'inbound',
      reporter: 'destination',
      service,
      serverName: 'istio-envoy',
      edge: false,
      mtls,
    }),
  ];
  const tcp = [tcpProxyFilter(mesh, node, { statPrefix: cluster, clusters: [{ name: cluster, weight: 1 }], port: port.servicePort, reporter: 'destination' })];
  const secure = (name: string, filters: JsonObject[], applicationProtocols: string[], alpn: string[]): JsonObject => ({
    name,
    filterChainMatch: { transportProtocol: 'tls', ...(applicationProtocols.length === 0 ? {} : { applicationProtocols }) },
    filters,
    transportSocket: downstreamTls(alpn),
  });
  // With TLS switched off even bytes that look like TLS are the application's.
  const raw: JsonObject = mode === 'DISABLE' ? {} : { transportProtocol: 'raw_buffer' };
  const plain = (name: string, filters: JsonObject[], match: JsonObject = raw): JsonObject => ({ name, filterChainMatch: match, filters });
  const chains = ((): { mtls: JsonObject[]; plaintext: JsonObject[] } => {
    switch (protocol) {
      case 'tcp':
        return { mtls: [secure('mtls', tcp, [], ['istio'])], plaintext: [plain('plaintext', tcp)] };
      case 'https':
        return { mtls: [secure('mtls', tcp, ['istio'], ['istio'])], plaintext: [plain('plaintext', tcp, {})] };
      case 'auto':
        return {
          mtls: [secure('mtls', http(true), MESH_HTTP, MESH_HTTP), secure('mtls_tcp', tcp, [], ['istio'])],
          plaintext: [plain('plaintext', http(false), { ...raw, applicationProtocols: PLAINTEXT_HTTP }), plain('plaintext_tcp', tcp)],
        };
      case 'http':
      case 'http2':
      case 'grpc':
        return { mtls: [secure('mtls', http(true), [], ['h2', 'http/1.1'])], plaintext: [plain('plaintext', http(false))] };
    }
  })();
  return {
    name: `virtualInbound_${port.listenPort}`,
    address: socketAddress(node.ip, port.listenPort),
    trafficDirection: 'INBOUND',
    ...sniffing(mesh, protocol === 'auto' && mode !== 'STRICT' ? [TLS_INSPECTOR, HTTP_INSPECTOR] : [TLS_INSPECTOR]),
    filterChains: [...(mode === 'DISABLE' ? [] : chains.mtls), ...(mode === 'STRICT' ? [] : chains.plaintext)],
  };
}

function inboundRoutes(cluster: string, service: MeshService | undefined, port: InboundPort, mtls: boolean): JsonObject {
  return {
    name: cluster,
    validateClusters: false,
    virtualHosts: [
      {
        name: `inbound|http|${port.servicePort}`,
        domains: ['*'],
        routes: [inboundRoute(cluster, service, port)],
        ...(mtls ? {} : { requestHeadersToRemove: [PEER_HEADER] }),
      },
    ],
  };
}

function inboundRoute(cluster: string, service: MeshService | undefined, port: InboundPort): JsonObject {
  return {
    name: 'default',
    match: { prefix: '/' },
    route: {
      cluster,
      timeout: '0s',
      maxStreamDuration: { maxStreamDuration: '0s', grpcTimeoutHeaderMax: '0s' },
      // A gRPC stream cannot be sent again.
      ...(port.name.startsWith('grpc') ? {} : { retryPolicy: { retryOn: 'reset-before-request', numRetries: 2 } }),
    },
    decorator: { operation: `${service?.host ?? `inbound`}:${port.servicePort}/*` },
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
  if (options.direction === 'outbound') {
    filters.push({ name: 'envoy.filters.http.fault', typedConfig: any('envoy.extensions.filters.http.fault.v3.HTTPFault') });
    filters.push({ name: 'envoy.filters.http.cors', typedConfig: any('envoy.extensions.filters.http.cors.v3.Cors') });
  }
  if (options.forward === true) filters.push(dynamicForwardFilter());
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
        forwardClientCertDetails: options.edge ? 'SANITIZE_SET' : 'APPEND_FORWARD',
        setCurrentClientCertDetails: { subject: true, dns: true, uri: true },
        upgradeConfigs: [{ upgradeType: 'websocket' }],
        streamIdleTimeout: '0s',
        normalizePath: true,
        httpProtocolOptions: { acceptHttp10: true },
        http2ProtocolOptions: { allowConnect: true },
        ...managerTelemetry(mesh, node, options),
      }),
    ),
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
