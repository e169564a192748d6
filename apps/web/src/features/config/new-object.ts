// Where a new object begins: the smallest text of a kind that says something.

import { type Kind, apiVersionOf, manifestKind } from '@weft/mesh-core/model';

const SPECS: Readonly<Record<string, string>> = {
  VirtualService: 'hosts: [reviews]\nhttp:\n  - route:\n      - destination: { host: reviews }\n',
  DestinationRule: 'host: reviews\nsubsets:\n  - name: v1\n    labels: { version: v1 }\n',
  Gateway: 'selector: { istio: ingressgateway }\nservers:\n  - port: { number: 8080, name: http, protocol: HTTP }\n    hosts: ["*"]\n',
  KubernetesGateway:
    'gatewayClassName: istio\nlisteners:\n  - name: http\n    port: 80\n    protocol: HTTP\n    allowedRoutes: { namespaces: { from: Same } }\n',
  HTTPRoute: 'parentRefs:\n  - name: gateway\nrules:\n  - backendRefs:\n      - { name: productpage, port: 9080 }\n',
  TCPRoute: 'parentRefs:\n  - { group: "", kind: Service, name: ratings }\nrules:\n  - backendRefs:\n      - { name: ratings, port: 9080 }\n',
  TLSRoute: 'parentRefs:\n  - name: gateway\nhostnames: [www.example.com]\nrules:\n  - backendRefs:\n      - { name: productpage, port: 9080 }\n',
  BackendTLSPolicy:
    'targetRefs:\n  - { group: "", kind: Service, name: productpage }\nvalidation:\n  hostname: productpage.example.com\n  wellKnownCACertificates: System\n',
  Ingress:
    'ingressClassName: istio\nrules:\n  - host: www.example.com\n    http:\n      paths:\n        - { path: /, pathType: Prefix, backend: { service: { name: productpage, port: { number: 9080 } } } }\n',
  IngressClass: 'controller: istio.io/ingress-controller\n',
  PeerAuthentication: 'mtls: { mode: STRICT }\n',
  RequestAuthentication:
    'selector: { matchLabels: { app: reviews } }\njwtRules:\n  - issuer: https://accounts.example.com\n    jwksUri: https://accounts.example.com/jwks.json\n',
  AuthorizationPolicy:
    'selector:\n  matchLabels: { app: reviews }\naction: ALLOW\nrules:\n  - from:\n      - source: { namespaces: [default] }\n    to:\n      - operation: { methods: [GET] }\n',
  ServiceEntry: 'hosts: [api.example.com]\nlocation: MESH_EXTERNAL\nresolution: DNS\nports:\n  - { number: 443, name: https, protocol: HTTPS }\n',
  Service: 'selector: { app: hello }\nports:\n  - { name: http, port: 8000 }\n',
  WorkloadEntry: 'address: 127.0.0.1\nports: { http: 8000 }\nlabels: { app: hello }\n',
};

/** YAML of a new object of a kind. */
export function template(kind: Kind, namespace: string): string {
  // A namespace has nothing to say but its labels.
  if (kind.kind === 'Namespace') return `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: new\n  labels: { team: web }\n`;
  const spec = (SPECS[kind.kind] ?? '{}\n').replaceAll(/^(?=.)/gm, '  ');
  const home = kind.clusterScoped === true ? '' : `  namespace: ${namespace}\n`;
  return `apiVersion: ${apiVersionOf(kind)}\nkind: ${manifestKind(kind)}\nmetadata:\n  name: new\n${home}spec:\n${spec}`;
}
