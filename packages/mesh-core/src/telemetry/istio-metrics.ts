// Istio's standard metrics: names, buckets, labels in emission order, and the one rule book for filling them in.

export const METRIC = {
  requests: 'istio_requests_total',
  duration: 'istio_request_duration_milliseconds',
  requestBytes: 'istio_request_bytes',
  responseBytes: 'istio_response_bytes',
  requestMessages: 'istio_request_messages_total',
  responseMessages: 'istio_response_messages_total',
  tcpOpened: 'istio_tcp_connections_opened_total',
  tcpClosed: 'istio_tcp_connections_closed_total',
  tcpSent: 'istio_tcp_sent_bytes_total',
  tcpReceived: 'istio_tcp_received_bytes_total',
} as const;

/** Upper bounds of all three histograms (Envoy's default); the last bucket is +Inf. */
export const BUCKET_BOUNDS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000,
];

/** Labels of the HTTP metrics in the order Istio emits them; TCP metrics lack response_code and grpc_response_status. */
export const LABELS = [
  'reporter',
  'source_workload',
  'source_canonical_service',
  'source_canonical_revision',
  'source_workload_namespace',
  'source_principal',
  'source_app',
  'source_version',
  'source_cluster',
  'destination_workload',
  'destination_workload_namespace',
  'destination_principal',
  'destination_app',
  'destination_version',
  'destination_service',
  'destination_canonical_service',
  'destination_canonical_revision',
  'destination_service_name',
  'destination_service_namespace',
  'destination_cluster',
  'request_protocol',
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
] as const;
export type Label = (typeof LABELS)[number];
export type Labels = Record<Label, string>;

/** One side of a request as its proxy or its peer's header tells it; '' = not known. */
export interface PeerLabels {
  workload: string;
  namespace: string;
  app: string;
  version: string;
  canonicalService: string;
  canonicalRevision: string;
  cluster: string;
  /** `spiffe://...` as proven by TLS. */
  principal: string;
}

export const UNKNOWN_PEER: PeerLabels = {
  workload: '',
  namespace: '',
  app: '',
  version: '',
  canonicalService: '',
  canonicalRevision: '',
  cluster: '',
  principal: '',
};

export interface LabelInput {
  reporter: 'source' | 'destination';
  source: PeerLabels;
  destination: PeerLabels;
  service: { host: string; name: string; namespace: string } | undefined;
  protocol: 'http' | 'grpc' | 'tcp';
  /** 0 = the client went away. */
  code: number;
  grpcStatus: string;
  flags: string;
  /** Both sides proved who they are (destination reporter only). */
  mutualTls: boolean;
}

/** Fills in all labels; what is missing is `unknown`, a missing revision `latest`. */
export function labelsFor(input: LabelInput): Labels {
  const { source, destination, service } = input;
  const known = (value: string): string => (value === '' ? 'unknown' : value);
  return {
    reporter: input.reporter,
    source_workload: known(source.workload),
    source_canonical_service: known(source.canonicalService),
    source_canonical_revision: source.canonicalRevision === '' ? 'latest' : source.canonicalRevision,
    source_workload_namespace: known(source.namespace),
    source_principal: known(source.principal),
    source_app: known(source.app),
    source_version: known(source.version),
    source_cluster: known(source.cluster),
    destination_workload: known(destination.workload),
    destination_workload_namespace: known(destination.namespace),
    destination_principal: known(destination.principal),
    destination_app: known(destination.app),
    destination_version: known(destination.version),
    destination_service: known(service?.host ?? destination.canonicalService),
    destination_canonical_service: known(destination.canonicalService),
    destination_canonical_revision: destination.canonicalRevision === '' ? 'latest' : destination.canonicalRevision,
    destination_service_name: known(service?.name ?? destination.canonicalService),
    destination_service_namespace: known(service?.namespace ?? destination.namespace),
    destination_cluster: known(destination.cluster),
    request_protocol: input.protocol,
    response_code: String(input.code),
    grpc_response_status: input.grpcStatus,
    response_flags: input.flags === '' ? '-' : input.flags,
    connection_security_policy: input.reporter === 'source' ? 'unknown' : input.mutualTls ? 'mutual_tls' : 'none',
  };
}

/** Reads the peer header `workload;namespace;app;version;canonical-service;canonical-revision;cluster`. */
export function parsePeerHeader(value: string | undefined, principal: string): PeerLabels {
  if (value === undefined || value.length > 1_024) return { ...UNKNOWN_PEER, principal };
  const [workload = '', namespace = '', app = '', version = '', canonicalService = '', canonicalRevision = '', cluster = ''] = value.split(';');
  return { workload, namespace, app, version, canonicalService, canonicalRevision, cluster, principal };
}
