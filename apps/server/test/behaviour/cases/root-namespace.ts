// What the root namespace says to the whole mesh, and who says otherwise: a namespace, a workload, a port.

import { type Case, type HttpStep, http, service, until } from '../case.ts';
import { absent } from '../harness/match.ts';
import { elsewhere, policy } from './parts.ts';

const area = 'mesh, namespace, workload';
/** Of a service whose DestinationRule says DISABLE: whether the server takes plaintext. */
const plaintext = (to: string, status: 200 | 503): HttpStep => http({ to, expect: { status } });
/** Who asks which path of the observed service; the application answers with the path's last part. */
const asked = (from: 'client' | 'told' | 'other', path: string, traceparent: RegExp): HttpStep =>
  http({
    ...{ to: 'observed:8080', from, path, do: { status: Number(path.split('/').at(-1)) } },
    expect: { status: Number(path.split('/').at(-1)), upstream: { headers: { traceparent } } },
  });
const counted = (metric: string, reporter: 'source' | 'destination', source_workload: string, layer: string) => ({ metric, reporter, source_workload, layer });
/** A distribution over localities, all to the one. */
const all = (locality: string): string => `{ distribute: [{ from: "*", to: { "${locality}/*": 100 } }] }`;

export const ROOT_NAMESPACE: readonly Case[] = [
  {
    area,
    name: 'Telemetry: tags, filters and sampling of the mesh, then of the namespace, then of the workload, field by field; each for one side where it says so',
    alone: true,
    // Lines and spans are what it takes away.
    random: true,
    objects: `
kind: Telemetry
metadata: { name: mesh-default, namespace: istio-system }
spec:
  metrics:
  - overrides:
    - { match: { metric: ALL_METRICS }, tagOverrides: { layer: { value: "'mesh'" }, root: { value: "'yes'" } } }
    - { match: { metric: REQUEST_SIZE }, disabled: true }
  tracing: [{ randomSamplingPercentage: 0, customTags: { layer: { literal: { value: mesh } } } }]
  accessLogging: [{ providers: [{ name: envoy }], filter: { expression: "response.code >= 400" } }]
---
kind: Telemetry
metadata: { name: namespace-default }
spec:
  metrics:
  - overrides:
    - { match: { metric: ALL_METRICS }, tagOverrides: { layer: { value: "'namespace'" } } }
    - { match: { metric: REQUEST_DURATION, mode: SERVER }, disabled: true }
    - { match: { metric: RESPONSE_SIZE, mode: CLIENT }, disabled: true }
  tracing: [{ customTags: { layer: { literal: { value: namespace } } } }]
  accessLogging: [{ providers: [{ name: envoy }], match: { mode: CLIENT }, disabled: true }]
---
kind: Telemetry
metadata: { name: workload }
spec:
  selector: { matchLabels: { app: told } }
  metrics: [{ overrides: [{ match: { metric: REQUEST_SIZE }, disabled: false, tagOverrides: { layer: { value: "'workload'" } } }] }]
  tracing: [{ randomSamplingPercentage: 100 }]
  accessLogging: [{ providers: [{ name: envoy }], match: { mode: CLIENT }, filter: { expression: "response.code == 200" } }]
`,
    steps: [
      ...['/layers/client/404', '/layers/client/200'].map((path) => asked('client', path, /-00$/)),
      ...['/layers/told/404', '/layers/told/200'].map((path) => asked('told', path, /-01$/)),
      ...['/layers/other/404', '/layers/other/200'].map((path) => asked('other', path, /-00$/)),
    ],
    telemetry: {
      metrics: [
        { ...counted('istio_requests_total', 'source', 'client', 'namespace'), root: 'yes' },
        { ...counted('istio_requests_total', 'source', 'other', 'mesh'), root: 'yes' },
        { ...counted('istio_requests_total', 'destination', 'client', 'namespace'), root: 'yes' },
        { ...counted('istio_request_bytes', 'source', 'told', 'workload'), root: 'yes' },
        counted('istio_request_duration_milliseconds', 'source', 'client', 'namespace'),
        counted('istio_request_duration_milliseconds', 'source', 'other', 'mesh'),
        counted('istio_response_bytes', 'source', 'other', 'mesh'),
        counted('istio_response_bytes', 'destination', 'client', 'namespace'),
      ],
      noMetrics: [
        counted('istio_request_bytes', 'source', 'client', 'namespace'),
        counted('istio_request_bytes', 'source', 'other', 'mesh'),
        counted('istio_request_duration_milliseconds', 'destination', 'client', 'namespace'),
        counted('istio_response_bytes', 'source', 'client', 'namespace'),
      ],
      spans: [{ kind: 3, attributes: { layer: 'namespace', 'istio.canonical_service': 'told' } }],
      // HTTP/2 between the sidecars: lines of the server.
      logs: [
        ...['client', 'told', 'other'].map((who) => ({ request: `GET /layers/${who}/404 HTTP/2` })),
        ...['told/200', 'other/404'].map((path) => ({ request: `GET /layers/${path} HTTP/1.1` })),
      ],
      noLogs: [
        ...['client', 'told', 'other'].map((who) => ({ request: `GET /layers/${who}/200 HTTP/2` })),
        ...['client/200', 'client/404', 'told/404', 'other/200'].map((path) => ({ request: `GET /layers/${path} HTTP/1.1` })),
      ],
    },
  },
  {
    area,
    name: 'PeerAuthentication: STRICT of the mesh, PERMISSIVE of the namespace, STRICT of the workload, PERMISSIVE and DISABLE of its ports',
    alone: true,
    // How often a listener that is being replaced is asked.
    random: true,
    // Each asked in one mode only, since connections live on: two for the client that brings no certificate, one that does as it is told.
    services: [
      service('pa-auto'),
      ...['pa-mesh', 'pa-workload'].map((name) => service(name, { app: 'a', labels: { modes: 'by-port' } })),
      service('pa-port', { app: 'b', labels: { modes: 'by-port' } }),
      service('pa-off', { app: 'c', labels: { modes: 'by-port' } }),
    ],
    objects: `${['pa-mesh', 'pa-workload', 'pa-port'].map((name) => policy(name, '{ tls: { mode: DISABLE } }')).join('---')}---
kind: PeerAuthentication
metadata: { name: mesh-default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`,
    steps: [
      until(plaintext('pa-mesh', 503)),
      http({ to: 'pa-auto', expect: { status: 200, upstream: { headers: { 'x-forwarded-client-cert': /sa\/client$/ } } } }),
      { kind: 'apply', objects: 'kind: PeerAuthentication\nmetadata: { name: namespace-default }\nspec: { mtls: { mode: PERMISSIVE } }\n' },
      until(plaintext('pa-mesh', 200)),
      // Of two that select a workload the older counts: the suite has one for its server.
      {
        kind: 'apply',
        objects: `
kind: PeerAuthentication
metadata: { name: workload, creationTimestamp: "2020-01-01T00:00:00Z" }
spec:
  selector: { matchLabels: { modes: by-port } }
  mtls: { mode: STRICT }
  portLevelMtls: { "$INBOUND(http-b)": { mode: PERMISSIVE }, "$INBOUND(http-c)": { mode: DISABLE } }
`,
      },
      until(plaintext('pa-workload', 503)),
      until(plaintext('pa-port', 200)),
      until(http({ to: 'pa-off', expect: { status: 200, upstream: { headers: { 'x-forwarded-client-cert': absent } } } })),
    ],
  },
  {
    area,
    name: 'Sidecar of the root namespace for all namespaces, one with a selector only for its own; a namespace’s in its place',
    alone: true,
    differs: { 'headers.connection': 'connections of before are told to close, if their listener is gone by then' },
    services: [service('sc-near')],
    objects: `${elsewhere('sc-far')}
kind: Sidecar
metadata: { name: mesh-default, namespace: istio-system }
spec: { egress: [{ hosts: ["./*"] }], outboundTrafficPolicy: { mode: REGISTRY_ONLY } }
---
kind: Sidecar
metadata: { name: a-selected, namespace: istio-system }
spec: { workloadSelector: { labels: { app: by-host } }, egress: [{ hosts: ["~/*"] }] }
`,
    steps: [
      http({ from: 'http-proxy', expect: { status: 200, app: 'a' } }),
      http({ from: 'http-proxy', headers: { host: 'sc-far.other-${plane}' }, expect: { status: 502, body: '' } }),
      http({ from: 'other', expect: { failed: 'refused' } }),
      {
        kind: 'apply',
        objects: 'kind: Sidecar\nmetadata: { name: namespace-default }\nspec: { egress: [{ hosts: ["./*", "$OTHER/*"] }] }\n',
      },
      until(http({ from: 'http-proxy', headers: { host: 'sc-far.other-${plane}' }, expect: { status: 200, app: 'b' } })),
      // It takes nothing of the other over: what it leaves out the mesh says.
      http({ from: 'http-proxy', headers: { host: '127.0.0.1:${port_d}' }, expect: { status: 200, app: 'd' } }),
    ],
  },
  {
    area,
    name: 'MeshConfig localityLbSetting, where no DestinationRule has one; a rule’s in its place, also to switch it off',
    alone: true,
    random: true,
    services: ['lb-mesh', 'lb-rule', 'lb-off', 'lb-other'].map((name) => service(name, { app: 'a', locality: 'r1/z1' }, { app: 'b', locality: 'r2/z1' })),
    objects: `
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: 'localityLbSetting: ${all('r2')}' }
---
${policy('lb-rule', `{ loadBalancer: { localityLbSetting: ${all('r1')} } }`)}---${policy('lb-off', '{ loadBalancer: { simple: ROUND_ROBIN, localityLbSetting: { enabled: false } } }')}---${policy('lb-other', '{ loadBalancer: { simple: ROUND_ROBIN } }')}`,
    steps: [
      http({ to: 'lb-mesh', times: 20, expect: { apps: { a: absent, b: 20 } } }),
      http({ to: 'lb-rule', times: 20, expect: { apps: { a: 20, b: absent } } }),
      http({ to: 'lb-off', times: 20, expect: { apps: { a: 10, b: 10 } } }),
      http({ to: 'lb-other', times: 20, expect: { apps: { a: absent, b: 20 } } }),
    ],
  },
];
