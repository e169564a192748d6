// How connections to an endpoint are encrypted: chosen by its metadata, resolved to a context when a connection is made.

import type { SecureContext } from 'node:tls';
import type { ClusterConfig, Endpoint, UpstreamTls } from '../config/model.ts';
import { compilePeerSans } from '../transport/peer-identity.ts';
import type { SecretStore } from '../transport/secrets.ts';

export interface UpstreamTlsPlan {
  context: SecureContext;
  sni: string;
  alpn: string[];
  accepts(subjectAltName: string | undefined): boolean;
}

/** The first match whose labels the endpoint has decides (it may say plaintext), else the cluster's own. */
export function chooseUpstreamTls(cluster: ClusterConfig, endpoint: Endpoint): UpstreamTls | undefined {
  const labels = endpoint.metadata['envoy.transport_socket_match'] ?? {};
  for (const match of cluster.tlsMatches) {
    if (Object.entries(match.endpoint).every(([key, value]) => labels[key] === value)) return match.tls;
  }
  return cluster.tls;
}

/** Undefined while its secrets are not here yet. h2 is not offered: this hop speaks HTTP/1.1. */
export function planUpstreamTls(tls: UpstreamTls, secrets: SecretStore): UpstreamTlsPlan | undefined {
  const context = secrets.context(tls.certificateSecret, tls.validationSecret);
  if (context === undefined) return undefined;
  return { context, sni: tls.sni, alpn: tls.alpn.filter((name) => name !== 'h2'), accepts: compilePeerSans(tls.peerSans) };
}
