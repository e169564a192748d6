// The two gRPC servers: 15010 in plaintext for this machine, 15012 with mutual TLS; both serve configuration, client status and
// load reports, the second also signs certificates.

import type { Identity } from '@weft/mesh-core/model';
import { spiffeId } from '@weft/mesh-core/model';
import type { CertificateAuthority } from '../certificates/ca.ts';
import type { Admission } from './admission.ts';
import { certificateMethods } from './certificate-service.ts';
import { clientStatusMethods } from './client-status.ts';
import { discoveryMethods } from './discovery-service.ts';
import type { AdsHooks } from './discovery-service.ts';
import { ControlPlaneError } from './errors.ts';
import { messageOf } from './grpc/codes.ts';
import type { GrpcCall } from './grpc/grpc-call.ts';
import { createGrpcServer } from './grpc/grpc-server.ts';
import type { GrpcServer } from './grpc/grpc-server.ts';
import { loadReportMethods } from './load-reports.ts';
import type { LoadRow } from './load-reports.ts';
import type { ProxyConnection } from './proxy-connection.ts';
import type { ServerCertificate } from './server-certificate.ts';

export interface ServersOptions {
  hooks: AdsHooks;
  admission: Admission;
  ca: CertificateAuthority;
  certificate: ServerCertificate;
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

export async function startServers(options: ServersOptions): Promise<{ ports: { plain: number; tls: number }; stop: () => void }> {
  const { hooks, ca, connections, loads, clock, loadReportSeconds: intervalSeconds } = options;
  const limits = {
    admission: options.admission,
    maxMessageBytes: MAX_REQUEST_BYTES,
    ...(options.maxConnectionAgeMs === undefined ? {} : { maxConnectionAgeMs: options.maxConnectionAgeMs }),
  };
  const callerOf = async ({ peer: { certificate } }: GrpcCall): Promise<Identity> => {
    if (certificate === undefined) throw new Error('this port answers workloads with a certificate of this mesh; the client showed none that is valid');
    return (await ca.verifyPeer(certificate)).identity;
  };
  const named = (id: string): ProxyConnection | undefined => connections().find((c) => c.node.id === id);
  const clustersOf = (id: string): readonly string[] => named(id)?.clusterNames() ?? [];

  const plain = createGrpcServer(
    new Map([
      ...discoveryMethods(hooks),
      ...clientStatusMethods(() => Promise.resolve(connections())),
      ...loadReportMethods(loads, { clock, intervalSeconds, clustersOf, mayReport: () => Promise.resolve(undefined) }),
    ]),
    limits,
  );
  const mayReport = async (call: GrpcCall, id: string): Promise<string | undefined> => {
    try {
      const caller = spiffeId(await callerOf(call));
      const node = named(id)?.node;
      return node === undefined || spiffeId(node.identity) === caller ? undefined : `node ${id} is not ${caller}`;
    } catch (error) {
      return messageOf(error);
    }
  };
  const tls = createGrpcServer(
    new Map([
      ...discoveryMethods({ ...hooks, verifyPeer: ca.verifyPeer }),
      // A workload sees what its own identity was sent, as that is all it could ask for itself.
      ...clientStatusMethods(async (call) => {
        const caller = spiffeId(await callerOf(call));
        return connections().filter(({ node }) => spiffeId(node.identity) === caller);
      }),
      ...loadReportMethods(loads, { clock, intervalSeconds, clustersOf, mayReport }),
      ...certificateMethods(ca, options.log),
    ]),
    // A workload without a certificate must reach the signing service with its join token, so TLS lets everybody in and each
    // method decides.
    { ...limits, tls: options.certificate.context() },
  );
  options.certificate.onRenewed((context) => tls.replaceCertificate(context));

  const { host } = options.ports;
  const stop = (): void => {
    plain.stop();
    tls.stop();
  };
  try {
    return { ports: { plain: await bind(plain, host, options.ports.plain), tls: await bind(tls, host, options.ports.tls) }, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

async function bind(server: GrpcServer, host: string, port: number): Promise<number> {
  try {
    return await server.listen(host, port);
  } catch (cause) {
    throw new ControlPlaneError(
      'WEFT_XDS_PORT',
      `xDS cannot listen on ${host}:${port}: ${messageOf(cause)}; end the other process or choose another port (--xds-port, --xds-tls-port)`,
      { cause },
    );
  }
}
