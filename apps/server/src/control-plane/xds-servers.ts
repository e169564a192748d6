// The two gRPC servers: 15010 in plaintext for this machine, 15012 with mutual TLS; both serve configuration, client status and
// load reports, the second also signs certificates.

import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ServerDuplexStream, ServerUnaryCall } from '@grpc/grpc-js';
import type { Identity } from '@weft/mesh-core/model';
import { spiffeId } from '@weft/mesh-core/model';
import type { CertificateAuthority } from '../certificates/ca.ts';
import { addCertificateService } from './certificate-service.ts';
import { addClientStatus } from './client-status.ts';
import { addDiscoveryServices } from './discovery-service.ts';
import type { AdsHooks } from './discovery-service.ts';
import { ControlPlaneError } from './errors.ts';
import { addLoadReporting } from './load-reports.ts';
import type { LoadRow } from './load-reports.ts';
import type { ProxyConnection } from './proxy-connection.ts';

export interface ServersOptions {
  hooks: AdsHooks;
  ca: CertificateAuthority;
  tlsCredentials: ServerCredentials;
  ports: { plain: number; tls: number; host: string };
  /** Connections end after this long, ±10 %, and come back: spreads proxies over replicas. Absent = never. */
  maxConnectionAgeMs?: number;
  connections: () => readonly ProxyConnection[];
  loads: Map<string, LoadRow>;
  loadReportSeconds: number;
  clock: () => number;
  log: { issued: (identity: Identity, serial: string) => void; refused: (reason: string, peer: string) => void };
}

/** Istio's limit on one message from a client; an honest request with the versions of 10,000 resources is 1 MB. */
const MAX_REQUEST_BYTES = 4 * 1_048_576;

type AnyCall = ServerDuplexStream<Buffer, Buffer> | ServerUnaryCall<Buffer, Buffer>;

export async function startServers(options: ServersOptions): Promise<{ ports: { plain: number; tls: number }; stop: () => void }> {
  const { hooks, ca, connections, loads, clock, loadReportSeconds: intervalSeconds } = options;
  const settings = {
    'grpc.max_concurrent_streams': 1_000,
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 5_000,
    'grpc.keepalive_permit_without_calls': 1,
    ...(options.maxConnectionAgeMs === undefined
      ? {}
      : { 'grpc.max_connection_age_ms': options.maxConnectionAgeMs, 'grpc.max_connection_age_grace_ms': 5_000 }),
  };
  const callerOf = async (call: AnyCall): Promise<Identity> => {
    const certificate = call.getAuthContext().sslPeerCertificate;
    if (certificate === undefined) throw new Error('this port answers workloads with a certificate of this mesh; the client showed none that is valid');
    return (await ca.verifyPeer(certificate.raw)).identity;
  };
  const named = (id: string): ProxyConnection | undefined => connections().find((c) => c.node.id === id);
  const clustersOf = (id: string): readonly string[] => named(id)?.clusterNames() ?? [];

  const plain = new Server(settings);
  addDiscoveryServices(plain, hooks);
  addClientStatus(plain, () => Promise.resolve(connections()));
  addLoadReporting(plain, loads, { clock, intervalSeconds, clustersOf, mayReport: () => Promise.resolve(undefined) });

  const tls = new Server(settings);
  addDiscoveryServices(tls, { ...hooks, verifyPeer: ca.verifyPeer });
  // A workload sees what its own identity was sent, as that is all it could ask for itself.
  addClientStatus(tls, async (call) => {
    const caller = spiffeId(await callerOf(call));
    return connections().filter(({ node }) => spiffeId(node.identity) === caller);
  });
  addLoadReporting(tls, loads, {
    clock,
    intervalSeconds,
    clustersOf,
    mayReport: async (call, id) => {
      try {
        const caller = spiffeId(await callerOf(call));
        const node = named(id)?.node;
        return node === undefined || spiffeId(node.identity) === caller ? undefined : `node ${id} is not ${caller}`;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
  });
  addCertificateService(tls, ca, options.log);

  const { host } = options.ports;
  const stop = (): void => {
    plain.forceShutdown();
    tls.forceShutdown();
  };
  try {
    return {
      ports: {
        plain: await bind(plain, host, options.ports.plain, ServerCredentials.createInsecure()),
        tls: await bind(tls, host, options.ports.tls, options.tlsCredentials),
      },
      stop,
    };
  } catch (error) {
    stop();
    throw error;
  }
}

function bind(server: Server, host: string, port: number, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else
        reject(
          new ControlPlaneError(
            'WEFT_XDS_PORT',
            `xDS cannot listen on ${host}:${port}: ${error.message}; end the other process or choose another port (--xds-port, --xds-tls-port)`,
            { cause: error },
          ),
        );
    });
  });
}
