// LDS of sidecars' inbound side: the application's ports with the mesh's mutual TLS.

import type { JsonObject } from '@bufbuild/protobuf';
import { protocolOf } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { httpAuthorization, tcpAuthorization } from './authorization.ts';
import { PEER_HEADER, socketAddress } from './common.ts';
import { httpExternalAuthorization } from './external-authorization.ts';
import { type Inbound, inboundCluster, serviceBehind } from './inbound-ports.ts';
import { HTTP_INSPECTOR, PLAINTEXT_HTTP, TLS_INSPECTOR, hcm, sniffing } from './listeners.ts';
import { type Mesh, type MeshService, mtlsModeOf } from './mesh.ts';
import { downstreamTls, serverTls } from './server-tls.ts';
import { tcpProxyFilter } from './tcp-routes.ts';

/** ALPN of HTTP between sidecars; everything else over the mesh's TLS is TCP. */
const MESH_HTTP = ['h2', 'http/1.1', 'http/1.0'];

/**
 * A port of the application for its peers. HTTP over mutual TLS and plaintext by the mode of PeerAuthentication; where the port's
 * protocol is not declared, HTTP is told from TCP by ALPN and by first bytes. TLS of the application itself passes through.
 */
export function inboundListener(mesh: Mesh, node: ProxyNode, port: Inbound): JsonObject {
  const service = serviceBehind(mesh, node, port);
  const mode = mtlsModeOf(mesh, node.namespace, node.labels, port.listenPort, port.servicePort, port.targetPort);
  const declared = service?.ports.find((p) => p.port === port.servicePort)?.protocol;
  // TLS of its own ends here only where the mesh's does not.
  const ends = port.tls !== undefined && mode === 'DISABLE';
  const given = port.protocol ?? declared ?? protocolOf(port.name, undefined, port.servicePort);
  const protocol = given === 'https' && ends ? (port.tlsProtocol ?? 'tcp') : given;
  const cluster = inboundCluster(port);
  const base = { name: `virtualInbound_${port.listenPort}`, address: socketAddress(port.bind, port.listenPort), trafficDirection: 'INBOUND' };
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
      grpcWeb: protocol === 'grpc-web',
      checks: httpExternalAuthorization(mesh, node, port),
      guards: httpAuthorization(mesh, node, port),
    }),
  ];
  const tcp = [
    ...tcpAuthorization(mesh, node, port),
    tcpProxyFilter(mesh, node, { statPrefix: cluster, clusters: [{ name: cluster, weight: 1 }], port: port.servicePort, reporter: 'destination' }),
  ];
  const secure = (name: string, filters: JsonObject[], applicationProtocols: string[], alpn: string[]): JsonObject => ({
    name,
    filterChainMatch: { transportProtocol: 'tls', ...(applicationProtocols.length === 0 ? {} : { applicationProtocols }) },
    filters,
    transportSocket: downstreamTls(alpn),
  });
  // With TLS switched off even bytes that look like TLS are the application's.
  const raw: JsonObject = mode === 'DISABLE' ? {} : { transportProtocol: 'raw_buffer' };
  const plain = (name: string, filters: JsonObject[], match: JsonObject = raw): JsonObject => ({ name, filterChainMatch: match, filters });
  if (ends)
    return {
      ...base,
      ...sniffing(mesh, [TLS_INSPECTOR]),
      filterChains: [
        {
          name: 'tls',
          filterChainMatch: { transportProtocol: 'tls' },
          filters: protocol === 'tcp' ? tcp : http(false),
          transportSocket: serverTls(port.tls ?? {}, protocol === 'tcp' ? [] : undefined),
        },
      ],
    };
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
      case 'grpc-web':
        return { mtls: [secure('mtls', http(true), [], ['h2', 'http/1.1'])], plaintext: [plain('plaintext', http(false))] };
    }
  })();
  return {
    ...base,
    ...sniffing(mesh, protocol === 'auto' && mode !== 'STRICT' ? [TLS_INSPECTOR, HTTP_INSPECTOR] : [TLS_INSPECTOR]),
    filterChains: [...(mode === 'DISABLE' ? [] : chains.mtls), ...(mode === 'STRICT' ? [] : chains.plaintext)],
  };
}

function inboundRoutes(cluster: string, service: MeshService | undefined, port: Inbound, mtls: boolean): JsonObject {
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

function inboundRoute(cluster: string, service: MeshService | undefined, port: Inbound): JsonObject {
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
