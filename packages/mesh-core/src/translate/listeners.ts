// LDS: loopback listeners for upstreams, inbound listeners with mutual TLS.

import type { JsonObject } from '@bufbuild/protobuf';
import type { InboundPort, ProxyNode } from '../model/index.ts';
import { ADS, PEER_FIELDS, PEER_HEADER, any, socketAddress, without } from './common.ts';
import { managerTelemetry } from './manager-telemetry.ts';
import { type Mesh, type MeshService, mtlsModeOf, servicesOfWorkload } from './mesh.ts';
import type { Reporter } from './stats-logger.ts';
import { tcpProxy } from './tcp-routes.ts';

interface HcmOptions {
  statPrefix: string;
  routes: JsonObject;
  direction: 'inbound' | 'outbound';
  reporter: Reporter;
  service?: MeshService | undefined;
  serverName: string;
  grpc?: boolean;
  /** First proxy a request from outside meets. */
  edge: boolean;
  /** Peers prove who they are on this chain. */
  mtls: boolean;
}

export function upstreamListener(mesh: Mesh, node: ProxyNode, service: MeshService, port: number, listenPort: number): JsonObject {
  const name = `${service.host}_${port}`;
  const protocol = service.ports.find((p) => p.port === port)?.protocol ?? 'http';
  const filter =
    protocol === 'tcp' || protocol === 'https'
      ? tcpProxy(mesh, node, service, port)
      : hcm(mesh, node, {
          grpc: protocol === 'grpc',
          statPrefix: `outbound_${name}`,
          routes: rds(`${service.host}:${port}`),
          direction: 'outbound',
          reporter: 'source',
          serverName: 'envoy',
          edge: false,
          mtls: false,
        });
  return { name, address: socketAddress('127.0.0.1', listenPort), trafficDirection: 'OUTBOUND', filterChains: [{ name, filters: [filter] }] };
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
          }),
        ],
      },
    ],
  };
}

export function inboundListener(mesh: Mesh, node: ProxyNode, port: InboundPort): JsonObject {
  const service = servicesOfWorkload(mesh, node.namespace, node.workload).find((s) => s.ports.some((p) => p.port === port.servicePort || p.name === port.name));
  const mode = mtlsModeOf(mesh, node.namespace, node.labels, port.listenPort, port.servicePort);
  const cluster = `inbound|${port.servicePort}||`;
  const tcp = /^(tcp|tls|mongo|mysql|redis)/.test(port.name);
  const chain = (mtls: boolean): JsonObject => {
    const route = {
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
    return tcp
      ? {
          name: 'envoy.filters.network.tcp_proxy',
          typedConfig: any('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: cluster, cluster }),
        }
      : hcm(mesh, node, {
          statPrefix: `inbound_${port.servicePort}`,
          routes: { routeConfig: route },
          direction: 'inbound',
          reporter: 'destination',
          grpc: port.name.startsWith('grpc'),
          service,
          serverName: 'istio-envoy',
          edge: false,
          mtls,
        });
  };
  const secure = { name: 'mtls', filterChainMatch: { transportProtocol: 'tls' }, filters: [chain(true)], transportSocket: downstreamTls() };
  // With TLS switched off even bytes that look like TLS are the application's.
  const plain = { name: 'plaintext', ...(mode === 'DISABLE' ? {} : { filterChainMatch: { transportProtocol: 'raw_buffer' } }), filters: [chain(false)] };
  return {
    name: `virtualInbound_${port.listenPort}`,
    address: socketAddress(node.ip, port.listenPort),
    trafficDirection: 'INBOUND',
    listenerFilters: [{ name: 'envoy.filters.listener.tls_inspector', typedConfig: any('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector') }],
    listenerFiltersTimeout: '0s',
    filterChains: [...(mode === 'DISABLE' ? [] : [secure]), ...(mode === 'STRICT' ? [] : [plain])],
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

/** Mutual TLS with the mesh's certificates, which come by SDS. */
export function downstreamTls(): JsonObject {
  return {
    name: 'envoy.transport_sockets.tls',
    typedConfig: any('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
      requireClientCertificate: true,
      commonTlsContext: {
        tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2', tlsMaximumProtocolVersion: 'TLSv1_3' },
        alpnProtocols: ['h2', 'http/1.1'],
        tlsCertificateSdsSecretConfigs: [{ name: 'default', sdsConfig: ADS }],
        validationContextSdsSecretConfig: { name: 'ROOTCA', sdsConfig: ADS },
      },
    }),
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
