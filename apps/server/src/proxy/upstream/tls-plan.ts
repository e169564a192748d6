// How connections to an endpoint are encrypted: chosen by its metadata, resolved to a context when a connection is made.

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { ConnectionOptions, PeerCertificate, SecureContext, SecureContextOptions } from 'node:tls';
import type { ClusterConfig, Endpoint, UpstreamTls } from '../config/model.ts';
import { compilePeerSans, compilePins, namesHost } from '../transport/peer-identity.ts';
import { type SecretStore, contextParams } from '../transport/secrets.ts';
import { sharedContext, type TrustOptions } from '../transport/secure-context.ts';

export interface UpstreamTlsPlan {
  context: SecureContext;
  /** Host name, '' = send none. */
  sni: string;
  alpn: string[];
  /** The chain is checked (`rejectUnauthorized`). */
  verify: boolean;
  accepts(certificate: PeerCertificate): boolean;
}

/** The part of a plan that is the same whatever is spoken: whom TLS asks for, and how it checks who answers. */
export function verification({ context, sni, verify, accepts }: UpstreamTlsPlan): ConnectionOptions {
  return {
    secureContext: context,
    rejectUnauthorized: verify,
    checkServerIdentity: (_, certificate) => (accepts(certificate) ? undefined : new Error('peer identity not accepted')),
    // No address (RFC 6066 §3): Node 26 takes none.
    ...(sni === '' || isIP(sni) !== 0 ? {} : { servername: sni }),
  };
}

/** The first match whose labels the endpoint has decides (it may say plaintext), else the cluster's own. */
export function chooseUpstreamTls(cluster: ClusterConfig, endpoint: Endpoint): UpstreamTls | undefined {
  const labels = endpoint.metadata['envoy.transport_socket_match'] ?? {};
  for (const match of cluster.tlsMatches) {
    if (Object.entries(match.endpoint).every(([key, value]) => labels[key] === value)) return match.tls;
  }
  return cluster.tls;
}

type Kept = Omit<UpstreamTlsPlan, 'sni'> & { version: number };
/** Until a secret changes. */
const plans = new WeakMap<UpstreamTls, Kept>();

/**
 * Undefined while its secrets are not here yet. `host` takes the place of a server name that is not given (auto_sni); with
 * `checkHost` it must be a name of the certificate (auto_san_validation).
 */
export function planUpstreamTls(tls: UpstreamTls, secrets: SecretStore, host = '', checkHost = false): UpstreamTlsPlan | undefined {
  let plan = plans.get(tls);
  if (plan === undefined || plan.version !== secrets.version) {
    const options = contextOptions(tls, secrets);
    if (options === undefined) return undefined;
    plan = {
      version: secrets.version,
      context: sharedContext(options),
      alpn: [...tls.alpn],
      verify: tls.verify,
      accepts: compilePeer(tls),
    };
    plans.set(tls, plan);
  }
  const { context, alpn, verify, accepts } = plan;
  const both = checkHost && verify ? (certificate: PeerCertificate): boolean => accepts(certificate) && namesHost(certificate.subjectaltname, host) : accepts;
  return { context, alpn, verify, sni: tls.sni === '' ? host : tls.sni, accepts: both };
}

function contextOptions(tls: UpstreamTls, secrets: SecretStore): (SecureContextOptions & TrustOptions) | undefined {
  const trust = secrets.trust(tls);
  const own = tls.certificateSecret === undefined ? tls.certificate : secrets.keyPair(tls.certificateSecret);
  if (trust === undefined || (own === undefined && tls.certificateSecret !== undefined)) return undefined;
  return { ...contextParams(tls), ...trust, ...(own === undefined ? {} : { cert: own.chainPem, key: own.keyPem }) };
}

function compilePeer({ peerSans, pins }: UpstreamTls): UpstreamTlsPlan['accepts'] {
  const named = compilePeerSans(peerSans);
  if (pins === undefined) return ({ subjectaltname }) => named(subjectaltname);
  const pinned = compilePins(pins);
  return ({ subjectaltname, raw }) => named(subjectaltname) && pinned(new X509Certificate(raw));
}
