// The bootstrap of a stock Envoy sidecar: who it is, where its control plane is, how it proves its identity there.

import { dirname } from 'node:path';
import { BUCKET_BOUNDS } from '@weft/mesh-core/telemetry';
import { type ProxySpec, xdsNode } from '../proxy/config/proxy-spec.ts';

export interface XdsCredential {
  /** File-SDS document with the secret `xds`; the agent renames a new one into place on renewal. */
  sdsFile: string;
  rootCaFile: string;
}

/** Envoy's bootstrap as JSON (which is YAML). `version` is Envoy's own. */
export function envoyBootstrap(spec: ProxySpec, credential: XdsCredential, version: string): unknown {
  const [xdsHost = '127.0.0.1', xdsPort = '15012'] = spec.xdsAddress.split(':');
  return {
    node: xdsNode(spec, 'envoy', version),
    admin: { address: socketAddress('127.0.0.1', spec.adminPort) },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: 'weft-xds' } }],
      },
      lds_config: { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' },
      cds_config: { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' },
    },
    static_resources: {
      clusters: [
        {
          name: 'weft-xds',
          type: 'STATIC',
          connect_timeout: '2s',
          load_assignment: { cluster_name: 'weft-xds', endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(xdsHost, Number(xdsPort)) } }] }] },
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: { connection_keepalive: { interval: '30s', timeout: '5s' } } },
            },
          },
          transport_socket: {
            name: 'envoy.transport_sockets.tls',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
              sni: 'localhost',
              common_tls_context: {
                // Envoy's clients stop at 1.2 unless told.
                tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
                // By file SDS, not inline: the credential of this very connection must be renewed without a restart.
                tls_certificate_sds_secret_configs: [
                  { name: 'xds', sds_config: { path_config_source: { path: credential.sdsFile, watched_directory: { path: dirname(credential.sdsFile) } } } },
                ],
                validation_context: { trusted_ca: { filename: credential.rootCaFile } },
              },
            },
          },
        },
      ],
    },
    // Histograms reach the admin interface when stats are flushed.
    stats_flush_interval: '1s',
    stats_config: { histogram_bucket_settings: [{ match: { contains: 'istio' }, buckets: BUCKET_BOUNDS }] },
    layered_runtime: { layers: [{ name: 'static', static_layer: { 're2.max_program_size.error_level': 32_768 } }] },
  };
}

/** The file-SDS document with the credential. */
export function credentialSds(chainPem: string, keyPem: string): unknown {
  return {
    resources: [
      {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
        name: 'xds',
        tls_certificate: { certificate_chain: { inline_string: chainPem }, private_key: { inline_string: keyPem } },
      },
    ],
  };
}

function socketAddress(address: string, port: number): unknown {
  return { socket_address: { address, port_value: port } };
}
