// TLS to a Service by a BackendTLSPolicy of the Gateway API: from sidecars and from gateways.

import { type Case, type ServiceSpec, http, service, until } from '../case.ts';

const area = 'TLS origination: BackendTLSPolicy';
const API = 'gateway.networking.k8s.io/v1';

/** A Service whose server has a certificate for `*.example.org`, and no sidecar. */
const secure = (name: string): ServiceSpec => service(name, { app: 'tls', direct: true });
const policy = (name: string, validation: string, target = `{ group: "", kind: Service, name: ${name} }`): string => `
apiVersion: ${API}
kind: BackendTLSPolicy
metadata: { name: ${name} }
spec: { targetRefs: [${target}], validation: { ${validation} } }
---`;
const roots = (name: string, file = 'ca.pem'): string => `
kind: ConfigMap
metadata: { name: ${name} }
data: { ca.crt: $TEXT(${file}) }
---`;
const from = (name: string): string => `caCertificateRefs: [{ group: "", kind: ConfigMap, name: ${name} }]`;
/** A Gateway at the suite's gateway proxy, with a route to this backend. */
const edge = (name: string, backend: string): string => `
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: gateway }, ports: [{ name: http, port: 80 }] }
---
apiVersion: ${API}
kind: Gateway
metadata: { name: ${name} }
spec: { gatewayClassName: istio, addresses: [{ type: Hostname, value: ${name} }], listeners: [{ name: http, port: $AT(${name}), protocol: HTTP }] }
---
apiVersion: ${API}
kind: HTTPRoute
metadata: { name: ${name} }
spec: { parentRefs: [{ name: ${name} }], rules: [{ backendRefs: [{ ${backend} }] }] }
---`;

const reached = (name: string) => ({ status: 200, app: 'tls' as const, upstream: { tls: `sni=${name}` } });
const refused = { status: 503 };

export const BACKEND_TLS: readonly Case[] = [
  {
    area,
    name: 'sidecars of all namespaces and gateways make it: the host name is sent and looked for, the roots are those of a ConfigMap',
    services: [secure('btls-all')],
    objects: `${roots('btls-all')}${policy('btls-all', `hostname: one.example.org, ${from('btls-all')}`)}${edge('btls-edge', 'name: btls-all, port: 80')}`,
    steps: [
      http({ to: 'btls-all', expect: reached('one.example.org') }),
      http({ to: 'btls-all', from: 'other', expect: reached('one.example.org') }),
      until(http({ at: 'btls-edge', expect: reached('one.example.org') })),
    ],
  },
  {
    area,
    name: 'a server of another name or authority is refused, and without roots every server: 503',
    services: ['btls-name', 'btls-ca', 'btls-system', 'btls-lost'].map(secure),
    objects: `${roots('btls-known')}${roots('btls-strange', 'strange-ca.pem')}${policy('btls-name', `hostname: one.example.com, ${from('btls-known')}`)}${policy('btls-ca', `hostname: one.example.org, ${from('btls-strange')}`)}${policy('btls-system', 'hostname: one.example.org, wellKnownCACertificates: System')}${policy('btls-lost', `hostname: one.example.org, ${from('btls-later')}`)}`,
    steps: [
      ...['btls-name', 'btls-ca', 'btls-system', 'btls-lost'].map((to) => http({ to, expect: refused })),
      { kind: 'apply', objects: roots('btls-later') },
      until(http({ to: 'btls-lost', expect: reached('one.example.org') })),
    ],
  },
  {
    area,
    name: 'subjectAltNames are looked for instead of the host name',
    services: ['btls-san', 'btls-not-san'].map(secure),
    objects: `${roots('btls-san')}${policy('btls-san', `hostname: sent.example.com, subjectAltNames: [{ type: Hostname, hostname: two.example.org }], ${from('btls-san')}`)}${policy('btls-not-san', `hostname: one.example.org, subjectAltNames: [{ type: URI, uri: "spiffe://x/y" }], ${from('btls-san')}`)}`,
    steps: [http({ to: 'btls-san', expect: reached('sent.example.com') }), http({ to: 'btls-not-san', expect: refused })],
  },
  {
    area,
    name: 'sectionName: one port of several',
    services: [],
    objects: `${roots('btls-port')}${policy('btls-port', `hostname: port.example.org, ${from('btls-port')}`, '{ group: "", kind: Service, name: btls-port, sectionName: https }')}
kind: Service
metadata: { name: btls-port }
spec: { selector: { app: btls-port }, ports: [{ name: http, port: 80 }, { name: https, port: 443, appProtocol: http }] }
---
kind: WorkloadEntry
metadata: { name: btls-port-0 }
spec: { address: 127.0.0.1, ports: { http: $PORT(a), https: $PORT(tls) }, labels: { app: btls-port } }
`,
    steps: ['80', '443'].map((port) =>
      http({
        ...{ from: 'http-proxy', headers: { host: `btls-port.of-\${plane}.svc.cluster.local:${port}` } },
        expect: port === '80' ? { status: 200, app: 'a' } : reached('port.example.org'),
      }),
    ),
  },
  {
    area,
    name: 'a port that is of TLS by its name: a gateway asks it over HTTP, in TLS of its own',
    services: [],
    objects: `${roots('btls-https')}${policy('btls-https', `hostname: port.example.org, ${from('btls-https')}`, '{ group: "", kind: Service, name: btls-https, sectionName: https }')}${edge('btls-https-edge', 'name: btls-https, port: 443')}
kind: Service
metadata: { name: btls-https }
spec: { selector: { app: btls-https }, ports: [{ name: https, port: 443 }] }
---
kind: WorkloadEntry
metadata: { name: btls-https-0 }
spec: { address: 127.0.0.1, ports: { https: $PORT(tls) }, labels: { app: btls-https } }
`,
    steps: [until(http({ at: 'btls-https-edge', expect: reached('port.example.org') }))],
  },
  {
    area,
    name: 'a DestinationRule beside it: its own TLS settings come first, where it has none those of the policy stand',
    services: ['btls-beside', 'btls-own'].map(secure),
    objects: `${roots('btls-rule')}${['btls-beside', 'btls-own'].map((name) => policy(name, `hostname: policy.example.org, ${from('btls-rule')}`)).join('')}
kind: DestinationRule
metadata: { name: btls-beside }
spec: { host: btls-beside, trafficPolicy: { connectionPool: { tcp: { maxConnections: 10 } } } }
---
kind: DestinationRule
metadata: { name: btls-own }
spec: { host: btls-own, trafficPolicy: { tls: { mode: SIMPLE, caCertificates: $FILE(ca.pem), sni: own.example.org } } }
`,
    steps: [http({ to: 'btls-beside', expect: reached('policy.example.org') }), http({ to: 'btls-own', expect: reached('own.example.org') })],
  },
];
