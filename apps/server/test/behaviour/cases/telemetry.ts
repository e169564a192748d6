// What a Telemetry and the mesh's settings say of logs, traces and metrics.

import { type Case, type EndpointSpec, type HttpStep, grpc, http, raw, service } from '../case.ts';
import { absent, between } from '../harness/match.ts';
import { rule } from './parts.ts';

const area = 'telemetry';
const bare: EndpointSpec = { app: 'a', direct: true };
const statuses = Array.from({ length: 17 }, (_, i) => i);
const telemetry = (name: string, spec: string): string => `
kind: Telemetry
metadata: { name: ${name} }
spec: { ${spec} }
`;
const sees = (traceparent: RegExp | typeof absent, id: string, more: Partial<HttpStep> = {}): HttpStep =>
  http({ ...more, expect: { status: 200, upstream: { headers: { traceparent, 'x-request-id': id } } } });
const OTHERS = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331';
const ID = (digit: string): string => `6f1a2b3c-1234-${digit}234-8234-123456789abc`;

/** Which of these requests a CEL expression lets into the log. */
const FILTERS: readonly [string, readonly string[]][] = [
  ['response.code >= 500', ['/503']],
  ["response.code == 404 && request.url_path.startsWith('/bad')", ['/bad/404']],
  [
    "!('x-none' in request.headers) && has(request.useragent) && request.useragent.contains('curl') && response.code in [200, 503]",
    ['/200?q=1', '/503', '/last'],
  ],
  ["request.query == 'q=1' || request.headers['x-none'] == 'a'", ['/200?q=1']],
  ["response.headers['x-app'] == 'yes' && response.size > 1000 && response.flags == 0", ['/200?q=1', '/last']],
  ["request.method == 'GET' && request.host.startsWith('filter') && !connection.mtls && request.path.matches('^/2')", ['/200?q=1']],
  ["request.headers['x-none'] != 'a'", []],
];

const PLACES = '"<id>" "log-text.<ns>.svc.cluster.local:80" "<local>" outbound|80||log-text.<ns>.svc.cluster.local <local> <local> <local> - default';

export const TELEMETRY: readonly Case[] = [
  ...[true, false].map((head): Case => {
    const name = `grpc-span-${head ? 'head' : 'trailers'}`;
    return {
      area,
      name: `spans of gRPC: which statuses are errors, told in ${head ? 'the head' : 'trailers'}`,
      services: [{ name, ports: [{ name: 'grpc', number: 80 }], endpoints: [{ app: 'a' }] }],
      objects: rule(name, 'retries: { attempts: 0 }'),
      steps: statuses.map((status) => grpc({ do: { grpcStatus: status, ...(head ? { trailersOnly: true } : {}) }, expect: { grpc: { status } } })),
    };
  }),
  {
    area,
    name: 'access log: Istio’s text, every place of the line',
    own: {},
    services: [service('log-text', bare)],
    steps: [
      http({
        method: 'POST',
        path: '/p?q=1',
        headers: { 'user-agent': 'suite/1.0', 'x-forwarded-for': '10.0.0.1' },
        body: 'abc',
        do: { body: 'answer' },
        expect: { status: 200 },
      }),
    ],
    telemetry: {
      logs: [{ line: exactly(`"POST /p?q=1 HTTP/1.1" 200 - via_upstream - "-" 3 6 N N "10.0.0.1" "suite/1.0" ${PLACES}`) }],
    },
  },
  {
    area,
    name: 'access log: Istio’s text of a TCP connection',
    own: {},
    services: [{ name: 'log-tcp', ports: [{ name: 'tcp', number: 9000 }], endpoints: [{ app: 'echo', direct: true }] }],
    steps: [raw({ send: ['12345'], until: [/echo:12345/], expect: { text: 'echo:12345' } })],
    telemetry: {
      logs: [
        {
          line: exactly('"- - -" 0 - - - "-" 5 10 N - "-" "-" "-" "-" "<local>" outbound|9000||log-tcp.<ns>.svc.cluster.local <local> <local> <local> - -'),
        },
      ],
    },
  },
  {
    area,
    name: 'access log: Istio’s JSON (accessLogEncoding)',
    own: { settings: { accessLogEncoding: 'JSON' } },
    services: [service('log-json', bare)],
    steps: [http({ path: '/j?q="1"', headers: { 'user-agent': 'suite "1"' }, do: { body: 'answer' }, expect: { status: 200 } })],
    telemetry: {
      logs: [
        {
          authority: 'log-json.<ns>.svc.cluster.local:80',
          bytes_received: 0,
          bytes_sent: 6,
          connection_termination_details: null,
          downstream_local_address: '<local>',
          downstream_remote_address: '<local>',
          duration: between(0, 60_000),
          method: 'GET',
          path: '/j?q="1"',
          protocol: 'HTTP/1.1',
          request_id: '<id>',
          requested_server_name: null,
          response_code: 200,
          response_code_details: 'via_upstream',
          response_flags: '-',
          route_name: 'default',
          start_time: /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
          upstream_cluster: 'outbound|80||log-json.<ns>.svc.cluster.local',
          upstream_host: '<local>',
          upstream_local_address: '<local>',
          upstream_service_time: /^\d+$/,
          upstream_transport_failure_reason: null,
          user_agent: 'suite "1"',
          x_forwarded_for: null,
          line: /^\{"authority":.*"bytes_received":0,.*"x_forwarded_for":null\}$/,
        },
      ],
    },
  },
  {
    area,
    name: 'access log: formats of the operator’s own (accessLogFormat), text and JSON',
    own: { settings: { accessLogFormat: '%REQ(:METHOD)% %REQ(X-A?X-B)% %RESP(SERVER)% %RESPONSE_CODE% %ROUTE_NAME% [%REQ(X-LONG):3%] %REQ(X-REQUEST-ID)%\n' } },
    services: [service('log-own', bare)],
    steps: [http({ headers: { 'x-b': 'second', 'x-long': 'abcdef' }, expect: { status: 200 } })],
    telemetry: { logs: [{ line: 'GET second envoy 200 default [abc] <id>' }] },
  },
  {
    area,
    name: 'access log: a JSON format of the operator’s own, nested',
    own: {
      settings: {
        accessLogEncoding: 'JSON',
        accessLogFormat: '{"code":"%RESPONSE_CODE%","of":{"method":"%REQ(:METHOD)%","none":"%REQ(X-NONE)%"},"text":"%PROTOCOL% %RESPONSE_CODE%"}',
      },
    },
    services: [service('log-nested', bare)],
    steps: [http({ expect: { status: 200 } })],
    telemetry: { logs: [{ code: 200, of: { method: 'GET', none: null }, text: 'HTTP/1.1 200' }] },
  },
  ...FILTERS.map(([expression, kept], i): Case => {
    const name = `filter-${i}`;
    const step = (path: string, status = 200): HttpStep =>
      http({ path, headers: { 'user-agent': 'curl/8' }, do: { status, headers: { 'x-app': 'yes' }, size: status === 200 ? 5_000 : 1 }, expect: { status } });
    return {
      area,
      name: `access log filter: ${expression}`,
      own: {},
      services: [service(name, bare)],
      // What is always written tells when everything is.
      objects: telemetry(name, `accessLogging: [{ filter: { expression: "(${expression}) || request.path == '/end'" } }]`),
      steps: [step('/200?q=1'), step('/404', 404), step('/bad/404', 404), step('/503', 503), step('/last'), step('/end')],
      telemetry: { logged: [...kept, '/end'].map((path) => `GET ${path} HTTP/1.1`) },
    };
  }),
  {
    area,
    name: 'sampling 100 %: recorded, and the request id says so',
    own: {},
    services: [service('sample-all', bare)],
    objects: telemetry('sample-all', 'tracing: [{ randomSamplingPercentage: 100 }]'),
    steps: [
      sees(/-01$/, '<id 9>'),
      sees(/-00$/, '<id 9>', { headers: { traceparent: `${OTHERS}-00` } }),
      http({ times: 20, expect: { statuses: { 200: 20 }, sampled: 20 } }),
    ],
  },
  {
    area,
    name: 'sampling 0 %: nothing, unless the id says otherwise or the client names its trace (x-client-trace-id)',
    own: { settings: { tracingSamplingPercent: 100 } },
    services: [service('sample-none', bare)],
    objects: telemetry('sample-none', 'tracing: [{ randomSamplingPercentage: 0 }]'),
    steps: [
      sees(/-00$/, '<id 4>'),
      sees(/-01$/, '<id 9>', { headers: { 'x-request-id': ID('9') } }),
      sees(/-01$/, '<id a>', { headers: { 'x-request-id': ID('a') } }),
      sees(/-01$/, '<id b>', { headers: { 'x-request-id': ID('b') } }),
      // Both must want it.
      sees(/-00$/, '<id 4>', { headers: { traceparent: `${OTHERS}-01` } }),
      sees(/-00$/, '<id 4>', { headers: { traceparent: `${OTHERS}-00` } }),
      sees(/-01$/, '<id a>', { headers: { traceparent: `${OTHERS}-01`, 'x-request-id': ID('a') } }),
      // Not of an internal client.
      sees(/-00$/, '<id 4>', { headers: { 'x-envoy-force-trace': 'true' } }),
      sees(/-01$/, '<id b>', { headers: { 'x-client-trace-id': 'mine' } }),
    ],
  },
  {
    area,
    name: 'sampling 1 %: about as many',
    own: {},
    random: true,
    services: [service('sample-few', bare)],
    objects: telemetry('sample-few', 'tracing: [{ randomSamplingPercentage: 1 }]'),
    steps: [http({ times: 400, parallel: 4, expect: { statuses: { 200: 400 }, sampled: between(0, 18) } })],
  },
  {
    area,
    name: 'sampling 50 %: about half',
    own: {},
    random: true,
    services: [service('sample-half', bare)],
    objects: telemetry('sample-half', 'tracing: [{ randomSamplingPercentage: 50 }]'),
    steps: [http({ times: 200, parallel: 4, expect: { statuses: { 200: 200 }, sampled: between(60, 140) } })],
  },
  {
    area,
    name: 'disableContextPropagation: no trace headers of the proxy, those of the client go on',
    own: {},
    services: [service('no-context', bare)],
    objects: telemetry(
      'no-context',
      'tracing: [{ disableContextPropagation: true, randomSamplingPercentage: 100, customTags: { path: { formatter: { value: "%REQ(:path)%" } } } }]',
    ),
    steps: [
      http({ expect: { status: 200, upstream: { headers: { traceparent: absent } } } }),
      http({ headers: { traceparent: `${OTHERS}-01` }, expect: { status: 200, upstream: { headers: { traceparent: '00-<trace>-01' } } } }),
    ],
  },
  {
    area,
    name: 'useRequestIdForTraceSampling: false: a trace nobody has decided on is recorded',
    own: {},
    services: [service('no-id', bare)],
    objects: telemetry('no-id', 'tracing: [{ useRequestIdForTraceSampling: false, randomSamplingPercentage: 0 }]'),
    steps: [
      http({ expect: { status: 200, upstream: { headers: { traceparent: /-01$/ } } } }),
      http({ headers: { traceparent: `${OTHERS}-00` }, expect: { status: 200, upstream: { headers: { traceparent: /-00$/ } } } }),
    ],
  },
  {
    area,
    name: 'B3 in one header and baggage travel on; tracestate only with the traceparent it belongs to',
    services: [service('b3-single', bare)],
    differs: {
      'upstream.headers.b3': 'the embedded proxy puts its own span into B3; Envoy’s OpenTelemetry tracer passes B3 as it came',
      '.root': 'the embedded proxy continues the trace that B3 names; Envoy’s OpenTelemetry tracer does not read it',
    },
    steps: [
      http({
        headers: { b3: '463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-1', baggage: 'user=ada,team=x' },
        expect: { status: 200, upstream: { headers: { b3: /^463ac35c9f6413ad48485a3953bb6124-[0-9a-f]{16}-1/, baggage: 'user=ada,team=x' } } },
      }),
      http({
        headers: { traceparent: `${OTHERS}-01`, tracestate: 'vendor=1,other=2' },
        expect: { status: 200, upstream: { headers: { tracestate: 'vendor=1,other=2' } } },
      }),
      http({ headers: { tracestate: 'vendor=1' }, expect: { status: 200 } }),
    ],
  },
  {
    area,
    name: 'Telemetry of one workload: metrics off, tags changed by CEL, its own log filter, tags of spans',
    services: [service('told-service')],
    objects: `
kind: Telemetry
metadata: { name: told }
spec:
  selector: { matchLabels: { app: told } }
  metrics:
  - overrides:
    - { match: { metric: REQUEST_SIZE }, disabled: true }
    - match: { metric: REQUEST_COUNT, mode: CLIENT }
      tagOverrides:
        response_flags: { operation: REMOVE }
        request_path: { value: "request.url_path" }
        tier: { value: "'gold'" }
        volume: { value: "request.path.startsWith('/quiet') ? 'low' : 'high'" }
        request_operation: { value: "istio_operationId" }
        code: { value: "string(response.code)" }
  accessLogging: [{ filter: { expression: "response.code >= 400" } }]
  tracing:
  - randomSamplingPercentage: 100
    customTags: { shelf: { literal: { value: top } }, who: { header: { name: x-user, defaultValue: nobody } } }
`,
    steps: [
      http({ from: 'told', path: '/quiet?x=1', headers: { 'x-user': 'ada' }, expect: { status: 200 } }),
      http({ from: 'told', path: '/loud', do: { status: 404 }, expect: { status: 404 } }),
    ],
    telemetry: {
      metrics: [
        {
          metric: 'istio_requests_total',
          reporter: 'source',
          source_workload: 'told',
          response_code: '200',
          request_path: '/quiet',
          tier: 'gold',
          volume: 'low',
          // Nobody knows what that is: Istio has its value from a plugin.
          request_operation: 'unknown',
          code: '200',
          response_flags: absent,
        },
        { metric: 'istio_response_bytes', reporter: 'source', source_workload: 'told', response_code: '200' },
      ],
      noMetrics: [{ metric: 'istio_request_bytes', reporter: 'source', source_workload: 'told' }],
      spans: [
        { kind: 3, attributes: { shelf: 'top', who: 'ada' } },
        { kind: 3, attributes: { shelf: 'top', who: 'nobody' } },
      ],
      logs: [{ request: 'GET /loud HTTP/1.1', status: '404' }],
    },
  },
];

/** A line of the text format after its time; N stands for a number. */
function exactly(rest: string): RegExp {
  const pattern = rest.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll(/\bN\b/g, String.raw`\d+`);
  return new RegExp(String.raw`^\[20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] ${pattern}$`);
}
