// Response flags: what ends a request, in the access log and the metrics' label. Those of retries, limits and health stand there.

import { type Case, type EndpointSpec, http, raw, service } from '../case.ts';
import { envoyFilter, onManager, policy, rule } from './parts.ts';

const area = 'response flags';
const bare: EndpointSpec = { app: 'a', direct: true };
const noRetries = (name: string): string => rule(name, 'retries: { attempts: 0 }');

export const FLAGS: readonly Case[] = [
  {
    area,
    name: 'FI and DI: faults that were injected',
    services: [service('flag-fault', bare)],
    objects: rule('flag-fault', 'fault: { delay: { percentage: { value: 100 }, fixedDelay: 50ms }, abort: { percentage: { value: 100 }, httpStatus: 418 } }'),
    steps: [http({ expect: { status: 418, body: 'fault filter abort' } })],
    telemetry: {
      logs: [{ status: '418', flags: /^(DI,FI|FI,DI)$/, details: 'fault_filter_abort', upstream: '-' }],
      metrics: [{ metric: 'istio_requests_total', reporter: 'source', response_code: '418', response_flags: /FI/ }],
    },
  },
  {
    area,
    name: 'DI: a delay only',
    services: [service('flag-delay', bare)],
    objects: rule('flag-delay', 'fault: { delay: { percentage: { value: 100 }, fixedDelay: 50ms } }'),
    steps: [http({ expect: { status: 200 } })],
    telemetry: { logs: [{ status: '200', flags: 'DI' }] },
  },
  {
    area,
    name: 'NR: no rule matches, 404',
    services: [service('flag-route', bare)],
    objects: `
kind: VirtualService
metadata: { name: flag-route }
spec: { hosts: [flag-route], http: [{ match: [{ uri: { prefix: /known } }], route: [{ destination: { host: flag-route } }] }] }
`,
    steps: [http({ path: '/unknown', expect: { status: 404, body: '' } })],
    telemetry: { logs: [{ status: '404', flags: 'NR', details: 'route_not_found', upstream: '-', cluster: '-' }] },
  },
  {
    area,
    name: 'NC: a subset nobody has defined, 503',
    services: [service('flag-cluster', bare)],
    objects: `
kind: VirtualService
metadata: { name: flag-cluster }
spec: { hosts: [flag-cluster], http: [{ route: [{ destination: { host: flag-cluster, subset: none } }] }] }
`,
    steps: [http({ expect: { status: 503, body: '' } })],
    telemetry: { logs: [{ status: '503', flags: 'NC', details: 'cluster_not_found', upstream: '-' }] },
  },
  {
    area,
    name: 'UR: the application resets the stream, or answers in HTTP/2 with a head beyond the limits',
    services: [{ name: 'flag-remote', ports: [{ name: 'http2', number: 80 }], endpoints: [bare] }],
    objects: noRetries('flag-remote'),
    steps: [http({ do: { reset: 'before-headers' }, expect: { status: 503 } }), http({ do: { headSize: 70_000 }, expect: { status: 503 } })],
    telemetry: { logs: [{ status: '503', flags: 'UR', details: 'upstream_reset_before_response_started{remote_reset}' }] },
  },
  {
    area,
    name: 'UPE: the application answers in no HTTP, or with a head beyond the limits; 502',
    services: [service('flag-garbage', { app: 'first', direct: true }), service('flag-head', bare)],
    objects: `${noRetries('flag-garbage')}---${noRetries('flag-head')}`,
    steps: [
      http({ expect: { status: 502, body: 'upstream connect error or disconnect/reset before headers. reset reason: protocol error' } }),
      http({ to: 'flag-head', do: { headSize: 100_000 }, expect: { status: 502 } }),
    ],
    telemetry: { logs: [{ status: '502', flags: 'UPE', details: /^upstream_reset_before_response_started\{protocol_error/ }] },
  },
  {
    area,
    name: 'UH: nobody healthy; no endpoint is named',
    services: [service('flag-nobody', { ...bare, healthy: false })],
    objects: policy('flag-nobody', '{ outlierDetection: { consecutive5xxErrors: 100 } }'),
    steps: [http({ expect: { status: 503, body: 'no healthy upstream' } })],
    telemetry: {
      logs: [{ status: '503', flags: 'UH', details: 'no_healthy_upstream', upstream: '-' }],
      metrics: [{ metric: 'istio_requests_total', reporter: 'source', response_code: '503', response_flags: 'UH', destination_workload: 'unknown' }],
    },
  },
  {
    area,
    name: 'UO: the pool is full; the endpoint that was chosen is named',
    random: true,
    services: [service('flag-full', bare)],
    objects: policy('flag-full', '{ connectionPool: { http: { http2MaxRequests: 1 } } }'),
    steps: [
      http({ do: { hold: true }, background: true, expect: { status: 200 } }),
      http({
        expect: {
          status: 503,
          headers: { 'x-envoy-overloaded': 'true' },
          body: 'upstream connect error or disconnect/reset before headers. reset reason: overflow',
        },
      }),
    ],
    telemetry: {
      logs: [{ status: '503', flags: 'UO', details: 'upstream_reset_before_response_started{overflow}', upstream: '<local>' }],
      metrics: [{ metric: 'istio_requests_total', reporter: 'source', response_code: '503', response_flags: 'UO', destination_workload: 'flag-full-0' }],
    },
  },
  {
    area,
    name: 'DPE: what is no HTTP, 400',
    own: {},
    services: [service('flag-protocol', bare)],
    steps: [raw({ send: ['GET / HTTP/1.1\r\nHost x\r\n\r\n'], expect: { text: /^HTTP\/1\.1 400 Bad Request\r\n/ } })],
    telemetry: { logs: [{ status: '400', flags: 'DPE' }] },
  },
  {
    area,
    name: 'more than the proxy can carry: 503, without a flag',
    own: { overloaded: true },
    services: [service('flag-overload', bare)],
    steps: [http({ expect: { status: 503, body: 'envoy overloaded' } })],
    telemetry: { logs: [{ status: '503', flags: '-', details: 'overload', upstream: '-' }] },
  },
  {
    area,
    name: 'DT: a TCP connection over its longest duration',
    own: {},
    services: [{ name: 'flag-long', ports: [{ name: 'tcp', number: 9000 }], endpoints: [{ app: 'echo', direct: true }] }],
    objects: envoyFilter(
      'flag-long',
      `{ applyTo: NETWORK_FILTER, match: { listener: { filterChain: { filter: { name: envoy.filters.network.tcp_proxy } } } },
      patch: { operation: MERGE, value: { typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, max_downstream_connection_duration: 0.6s } } } }`,
    ),
    steps: [raw({ send: ['x'], expect: { failed: 'closed', text: 'echo:x' } })],
    telemetry: { logs: [{ status: '0', flags: 'DT' }] },
  },
  {
    area,
    name: 'IH: a header that is checked strictly',
    own: {},
    pending: { embedded: 'strict_check_headers of the router is refused (NACK)' },
    services: [service('flag-header', bare)],
    objects: envoyFilter(
      'flag-header',
      onManager('internal_address_config: { cidr_ranges: [{ address_prefix: 127.0.0.0, prefix_len: 8 }] }'),
      `{ applyTo: HTTP_FILTER, match: { listener: { filterChain: { filter: { name: envoy.filters.network.http_connection_manager, subFilter: { name: envoy.filters.http.router } } } } },
      patch: { operation: MERGE, value: { typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, strict_check_headers: [x-envoy-max-retries] } } } }`,
    ),
    steps: [http({ headers: { 'x-forwarded-for': '127.0.0.1', 'x-envoy-max-retries': 'many' }, expect: { status: 400 } })],
    telemetry: { logs: [{ status: '400', flags: 'IH' }] },
  },
];
