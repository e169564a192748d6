// What both sidecars report of a request: metrics, access log, spans, propagation.

import { type Case, http, raw, service, until } from '../case.ts';
import { absent } from '../harness/match.ts';

const area = 'observability';
const parties = {
  source_workload: 'client',
  source_workload_namespace: '<ns>',
  source_app: 'client',
  source_version: 'v1',
  source_canonical_service: 'client',
  source_canonical_revision: 'v1',
  source_principal: 'spiffe://cluster.local/ns/<ns>/sa/client',
  destination_workload: 'observed-v1',
  destination_workload_namespace: '<ns>',
  destination_app: 'observed',
  destination_version: 'v1',
  destination_principal: 'spiffe://cluster.local/ns/<ns>/sa/observed',
  destination_service: 'observed.<ns>.svc.cluster.local',
  destination_service_name: 'observed',
  destination_service_namespace: '<ns>',
};
const B3 = { 'x-b3-traceid': '463ac35c9f6413ad48485a3953bb6124', 'x-b3-spanid': 'a2fb4a1d1a96d312', 'x-b3-sampled': '1' };

export const OBSERVABILITY: readonly Case[] = [
  {
    area,
    name: 'requests: both reporters know both ends',
    steps: [http({ to: 'observed:8080', expect: { status: 200 } })],
    telemetry: {
      metrics: ['istio_requests_total', 'istio_request_duration_milliseconds', 'istio_request_bytes', 'istio_response_bytes'].flatMap((metric) => [
        { metric, reporter: 'source', ...parties, request_protocol: 'http', response_code: '200', response_flags: '-', connection_security_policy: 'unknown' },
        {
          metric,
          reporter: 'destination',
          ...parties,
          request_protocol: 'http',
          response_code: '200',
          response_flags: '-',
          connection_security_policy: 'mutual_tls',
        },
      ]),
    },
  },
  {
    area,
    name: 'errors are counted under their code and flag',
    steps: [http({ to: 'observed:8080', do: { status: 418 }, expect: { status: 418 } }), http({ to: 'observed:8084', expect: { status: 503 } })],
    telemetry: {
      metrics: [
        { metric: 'istio_requests_total', reporter: 'source', response_code: '418', response_flags: '-' },
        { metric: 'istio_requests_total', reporter: 'destination', response_code: '418', response_flags: '-' },
        { metric: 'istio_requests_total', reporter: 'destination', response_code: '503', response_flags: /UF/ },
      ],
    },
  },
  {
    area,
    name: 'gRPC: protocol and status',
    steps: [{ kind: 'grpc', to: 'observed:9090', do: { grpcStatus: 3, messages: 2 }, expect: { grpc: { status: 3 } } }],
    telemetry: {
      metrics: [
        { metric: 'istio_requests_total', reporter: 'source', ...parties, request_protocol: 'grpc', response_code: '200', grpc_response_status: '3' },
        { metric: 'istio_requests_total', reporter: 'destination', ...parties, request_protocol: 'grpc', grpc_response_status: '3' },
      ],
    },
  },
  {
    area,
    name: 'gRPC: messages',
    steps: [{ kind: 'grpc', to: 'observed:9090', do: { messages: 2 }, expect: { grpc: { status: 0 } } }],
    telemetry: {
      metrics: [
        { metric: 'istio_request_messages_total', reporter: 'source', request_protocol: 'grpc' },
        { metric: 'istio_response_messages_total', reporter: 'destination', request_protocol: 'grpc' },
      ],
    },
  },
  {
    area,
    name: 'TCP: connections and bytes on both reporters',
    steps: [raw({ to: 'observed:9000', send: ['12345'], until: [/echo:12345/], expect: { text: 'echo:12345' } })],
    telemetry: {
      metrics: [
        'istio_tcp_connections_opened_total',
        'istio_tcp_connections_closed_total',
        'istio_tcp_sent_bytes_total',
        'istio_tcp_received_bytes_total',
      ].flatMap((metric) => [
        { metric, reporter: 'source', source_workload: 'client', destination_service: 'observed.<ns>.svc.cluster.local', request_protocol: 'tcp' },
        { metric, reporter: 'destination', destination_workload: 'observed-v1', request_protocol: 'tcp', connection_security_policy: 'mutual_tls' },
      ]),
    },
  },
  {
    area,
    name: 'access log: what was asked, answered, by whom',
    steps: [
      http({
        to: 'observed:8080',
        method: 'POST',
        path: '/logged?q=1',
        body: 'four',
        headers: { 'user-agent': 'suite/1.0' },
        do: { body: 'answer' },
        expect: { status: 200 },
      }),
    ],
    telemetry: {
      logs: [
        {
          request: 'POST /logged?q=1 HTTP/1.1',
          status: '200',
          flags: '-',
          received: '4',
          sent: '6',
          cluster: 'outbound|8080||observed.<ns>.svc.cluster.local',
          upstream: '<local>',
        },
        { request: 'POST /logged?q=1 HTTP/2', status: '200', flags: '-', received: '4', sent: '6', cluster: 'inbound|8080||', route: 'default' },
      ],
    },
  },
  {
    area,
    name: 'spans: client and server side, in one trace, named after the operation',
    steps: [http({ to: 'observed:8080', path: '/traced', expect: { status: 200 } })],
    telemetry: {
      spans: [
        {
          kind: 3,
          root: true,
          attributes: {
            'http.method': 'GET',
            'http.status_code': '200',
            response_flags: '-',
            upstream_cluster: 'outbound|8080||observed.<ns>.svc.cluster.local',
            'http.protocol': 'HTTP/1.1',
          },
        },
        { kind: 2, root: false, attributes: { 'http.status_code': '200', upstream_cluster: 'inbound|8080||', 'istio.canonical_service': 'observed' } },
      ],
    },
  },
  {
    area,
    name: 'W3C traceparent continues the caller’s trace and its decision',
    steps: [
      http({
        to: 'observed:8080',
        headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'vendor=1' },
        expect: { status: 200, upstream: { headers: { traceparent: /^00-<trace>-01$/, tracestate: 'vendor=1' } } },
      }),
      http({
        to: 'observed:8080',
        headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00' },
        expect: { status: 200, upstream: { headers: { traceparent: /-00$/ } } },
      }),
    ],
    telemetry: { spans: [{ kind: 3, root: false }] },
  },
  {
    area,
    name: 'B3 headers travel on',
    differs: { 'x-b3-parentspanid': 'the embedded proxy puts its own span into B3; Envoy’s OpenTelemetry tracer passes B3 as it came' },
    steps: [http({ to: 'observed:8080', headers: B3, expect: { status: 200, upstream: { headers: { 'x-b3-sampled': '1' } } } })],
  },
  {
    area,
    name: 'a forged x-weft-peer is not believed',
    steps: [
      http({
        to: 'observed:8080',
        headers: { 'x-weft-peer': 'forged;x;x;x;x;x;x' },
        expect: { status: 200, upstream: { headers: { 'x-weft-peer': absent } } },
      }),
    ],
    telemetry: { metrics: [{ metric: 'istio_requests_total', reporter: 'destination', source_workload: 'client' }] },
  },
  {
    area,
    name: 'x-weft-peer does not go where no sidecar is',
    random: true,
    services: [service('peer-inside'), service('peer-bare', { app: 'b', direct: true })],
    objects: `
kind: VirtualService
metadata: { name: peer-inside }
spec:
  hosts: [peer-inside]
  http: [{ route: [{ destination: { host: peer-inside }, weight: 1 }, { destination: { host: peer-bare }, weight: 99 }] }]
`,
    steps: [
      until(http({ to: 'peer-inside', expect: { status: 200, app: 'b', upstream: { headers: { 'x-weft-peer': absent } } } })),
      http({ to: 'peer-bare', expect: { status: 200, app: 'b', upstream: { headers: { 'x-weft-peer': absent } } } }),
    ],
  },
];
