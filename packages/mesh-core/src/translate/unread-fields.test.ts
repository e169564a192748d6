// No field that is accepted is without effect unless the analysis says so: every field of every schema is set, alone and with all
// others, and must be read when proxies are translated for or the mesh is analysed.

import { expect, test } from 'vitest';
import { analyzeObjects, jsonSchemaOf } from '../config/index.ts';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../model/index.ts';
import { buildMesh } from './mesh.ts';
import { FieldReads, type Schema, leaves, pathOf } from './testing/field-reads.ts';
import { translate } from './translate.ts';

const HOST = 'a.shop.svc.cluster.local';
const CLIENTS = { validation: { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'x' }] } };
const object = (kind: string, name: string, spec: unknown): MeshObject => ({ apiVersion: 'v1', kind, metadata: { name, namespace: 'shop' }, spec });
const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'a' };
const base = { ip: '10.0.0.1', namespace: 'shop', identity, locality: 'us/a/b', adminPort: 0, labels: { app: 'a' }, version: '1.40.0' };
const SIDECAR: ProxyNode = {
  ...{ ...base, id: 's', role: 'sidecar', dataPlane: 'embedded', workload: 'a-0', httpProxyPort: 15_001 },
  inbound: [{ name: 'http', servicePort: 80, listenPort: 21_000, appPort: 8080 }],
  upstreams: [
    ...[80, 90, 443].map((port) => ({ host: HOST, port, listenPort: port })),
    ...[80, 81].map((port) => ({ host: 'e.test', port, listenPort: 1000 + port })),
  ],
};
const NODES: readonly ProxyNode[] = [
  SIDECAR,
  { ...base, id: 'r', role: 'router', dataPlane: 'embedded', workload: 'gw', httpProxyPort: 0, inbound: [], upstreams: [] },
];
const ENVOY: readonly ProxyNode[] = NODES.map((node) => ({ ...node, dataPlane: 'envoy' }));
const ports = ['http', 'tcp', 'tls'].map((name, i) => ({ name, port: [80, 90, 443][i] }));
const server = { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] };
const WORLD: readonly MeshObject[] = [
  object('Service', 'a', { selector: { app: 'a' }, ports }),
  object('WorkloadEntry', 'a-0', { address: '10.0.0.1', ports: { http: 21_000, tcp: 1, tls: 2 }, labels: { app: 'a' }, locality: 'us/a/b' }),
  object('WorkloadEntry', 'a-1', { address: '10.0.0.2', ports: { http: 21_000 }, labels: { app: 'a', version: 'v1' }, locality: 'eu/a/b' }),
];
const GATEWAY_TARGET = { group: 'gateway.networking.k8s.io', kind: 'Gateway' };
const GATEWAY = object('Gateway', 'gw', { selector: { app: 'a' }, servers: [server] });

/** Values by name of the field, where any would not do. */
const VALUES: Readonly<Record<string, unknown>> = {
  ...{ host: 'a', hosts: ['*/*'], gateways: ['mesh', 'gw'], sniHosts: [HOST], number: 80, labels: { app: 'a' }, matchLabels: { app: 'a' } },
  ...{ subset: 'v1', from: 'us/*', defaultEndpoint: '127.0.0.1:9', address: '10.0.0.1', exportTo: ['*'], sourceNamespace: 'shop', sourceLabels: { app: 'a' } },
  ...{ failoverPriority: ['app'], name: 'n', namespace: 'shop', retryOn: '5xx,500', portName: 'http', proxyVersion: '.*', protocol: 'HTTP', bind: '127.0.0.1' },
  ...{ kind: 'Service', group: '', ports: { http: 80 }, selector: { app: 'a' }, expression: 'true', path: '/x', value: 'x' },
};

function sample(schema: Schema, name: string): unknown {
  if (schema.const !== undefined) return schema.const;
  const [one] = schema.anyOf ?? schema.oneOf ?? schema.allOf ?? [];
  if (one !== undefined && schema.type === undefined) return sample(one, name);
  const known = VALUES[name];
  if (schema.properties === undefined && (Array.isArray(known) ? 'array' : typeof known) === (schema.type === 'integer' ? 'number' : schema.type)) return known;
  if (schema.enum !== undefined) return schema.enum[0];
  switch (schema.type) {
    case 'number':
    case 'integer':
      return 1;
    case 'boolean':
      return true;
    case 'array':
      return schema.items === undefined ? [] : [sample(schema.items, name)];
    case 'object':
      if (schema.properties === undefined) return typeof schema.additionalProperties === 'object' ? { x: sample(schema.additionalProperties, name) } : {};
      return Object.fromEntries((schema.required ?? []).map((key) => [key, sample(schema.properties?.[key] ?? ({} as Schema), key)]));
    default:
      return /imeout|nterval|uration|ttl|axAge|elay|Backoff|backoff/.test(name) ? '1s' : 'x';
  }
}

/** Specs with the field and what is required around it: one for each value of the enums beside it, and of its own. */
function specs(schema: Schema, [step, ...rest]: readonly string[], name = ''): unknown[] {
  if (step === undefined) return schema.enum ?? [sample(schema, name)];
  if (step === '[]') return specs(schema.items ?? ({} as Schema), rest, name).map((item) => [item]);
  if (step === '{}') return specs(schema.additionalProperties as Schema, rest, name).map((value) => ({ 80: value }));
  const of = [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])].find((s) => s.properties?.[step] !== undefined) ?? schema;
  const own = sample({ ...of, type: 'object' }, '') as Record<string, unknown>;
  const enums = Object.entries(of.properties ?? {}).filter(([key, s]) => key !== step && s.enum !== undefined);
  return specs(of.properties?.[step] ?? ({} as Schema), rest, step).flatMap((value) => [
    { ...own, [step]: value },
    ...enums.flatMap(([key, s]) => (s.enum ?? []).map((choice) => ({ ...own, [step]: value, [key]: choice }))),
  ]);
}

function merge(a: unknown, b: unknown): unknown {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === 0 ? b : [merge(a[0], b[0]), ...(a.slice(1) as unknown[])];
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) || Array.isArray(b)) return a;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return Object.fromEntries(
    [...new Set([...Object.keys(right), ...Object.keys(left)])].map((k) => [k, k in left && k in right ? merge(left[k], right[k]) : (left[k] ?? right[k])]),
  );
}

interface Kind {
  /** What a spec needs besides, for its fields to be looked at. */
  around?: readonly object[];
  world?: readonly MeshObject[];
  nodes?: readonly ProxyNode[];
  /** Names for readers only. */
  names?: readonly string[];
  /** Refused on this kind. */
  refused?: readonly string[];
}

/** A policy on every level a DestinationRule has. */
const policy = (blocks: object): object => {
  const own = { ...blocks, portLevelSettings: [{ port: { number: 80 }, ...blocks }] };
  return { host: 'a', trafficPolicy: own, subsets: [{ name: 'v1', labels: { version: 'v1' }, trafficPolicy: own }] };
};
const failover = [{ from: 'us', to: 'eu' }];
const toSubset = { destination: { host: 'a', subset: 'v1', port: { number: 80 } } };
/** A Gateway of the Gateway API with listeners for connections, and the proxies that open it. */
const LISTENERS = object('KubernetesGateway', 'kgw', {
  gatewayClassName: 'istio',
  listeners: [
    { name: 'n', port: 80, protocol: 'TCP' },
    { name: 'tls', port: 443, protocol: 'TLS', tls: { mode: 'Passthrough' } },
  ],
});
/** With every condition a route can meet. */
const WEB_LISTENERS = object('KubernetesGateway', 'kgw', {
  gatewayClassName: 'istio',
  listeners: [{ name: 'n', port: 80, protocol: 'HTTP', hostname: 'x.test', allowedRoutes: { namespaces: { from: 'All' } } }],
});
/** Needs a grant of the namespace `shop`. */
const CROSSING = {
  ...object('HTTPRoute', 'crossing', {
    parentRefs: [{ name: 'kgw', namespace: 'shop' }],
    rules: [{ backendRefs: [{ name: 'n', namespace: 'shop', port: 80 }] }],
  }),
  metadata: { name: 'crossing', namespace: 'other' },
};
const BEHIND = NODES.map((node) => ({ ...node, labels: { app: 'a', 'gateway.networking.k8s.io/gateway-name': 'kgw' } }));
const KINDS: Readonly<Record<string, Kind>> = {
  DestinationRule: {
    around: [
      { host: 'a' },
      policy({ outlierDetection: {}, loadBalancer: { localityLbSetting: { failover } } }),
      policy({ outlierDetection: {}, loadBalancer: { zoneAwareLbSetting: { failover } } }),
    ],
    world: [object('VirtualService', 'v', { hosts: ['a'], http: [{ route: [toSubset] }], tcp: [{ match: [{ port: 90 }], route: [toSubset] }] })],
    nodes: [SIDECAR, ...ENVOY.slice(0, 1)],
  },
  VirtualService: {
    around: [
      { hosts: ['a'], gateways: ['gw', 'mesh'], http: [{ mirror: { host: 'a' }, route: [{ destination: { host: 'a' } }], retries: { attempts: 2 } }] },
      { hosts: ['a'] },
    ],
    world: [GATEWAY],
  },
  Gateway: {
    around: [{ selector: { app: 'a' } }, { selector: { app: 'a' }, servers: [{ hosts: ['*'], port: { number: 443, name: 'h', protocol: 'HTTPS' }, tls: {} }] }],
    names: ['servers[].name'],
  },
  ServiceEntry: {
    around: [
      {
        ...{ hosts: ['e.test'], resolution: 'STATIC' },
        ports: [
          { number: 80, name: 'http', protocol: 'HTTP' },
          { number: 81, name: 'tcp', protocol: 'TCP' },
        ],
      },
    ],
    world: [
      object('DestinationRule', 'e', { host: 'e.test', trafficPolicy: { tls: { mode: 'SIMPLE' } } }),
      object('VirtualService', 'e', { hosts: ['e.test'], tcp: [{ match: [{ destinationSubnets: ['1.1.1.1'] }], route: [{ destination: { host: 'a' } }] }] }),
    ],
  },
  KubernetesGateway: {
    around: [
      { gatewayClassName: 'istio', listeners: [{ name: 'h', port: 80, protocol: 'HTTP', allowedRoutes: { kinds: [{ kind: 'HTTPRoute' }] } }] },
      { gatewayClassName: 'istio', listeners: [{ name: 'h', port: 80, protocol: 'HTTPS', tls: { certificateRefs: [{ group: '', kind: 'Secret' }] } }] },
      {
        ...{ gatewayClassName: 'istio', listeners: [{ name: 'h', port: 1, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'c' }] } }] },
        tls: { frontend: { perPort: [{ port: 1 }] } },
      },
      ...[{ default: CLIENTS }, { default: {}, perPort: [{ port: 1, tls: CLIENTS }] }].map((frontend) => ({
        ...{ gatewayClassName: 'istio', listeners: [{ name: 'h', port: 1, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'c' }] } }] },
        tls: { frontend },
      })),
      {
        gatewayClassName: 'istio',
        listeners: [
          {
            name: 'h',
            port: 80,
            protocol: 'HTTP',
            allowedRoutes: { namespaces: { from: 'Selector', selector: { matchExpressions: [{ key: 'kubernetes.io/metadata.name' }] } } },
          },
        ],
      },
    ],
    world: [
      object('HTTPRoute', 'r', { parentRefs: [{ name: 'x' }] }),
      ...['c', 'x'].map((name) => object('Secret', name, { data: { 'tls.crt': '', 'tls.key': '' } })),
      object('ConfigMap', 'x', { data: {} }),
    ],
    nodes: NODES.map((node) => ({ ...node, labels: { 'gateway.networking.k8s.io/gateway-name': 'x' } })),
  },
  GatewayClass: { world: [object('KubernetesGateway', 'g', { gatewayClassName: 'x', listeners: [] })] },
  ReferenceGrant: {
    around: [{ from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'other' }], to: [{ group: '', kind: 'Service' }] }],
    world: [WEB_LISTENERS, CROSSING],
    nodes: BEHIND,
  },
  HTTPRoute: {
    around: [
      { parentRefs: [{ group: '', kind: 'Service', name: 'a' }], rules: [{ matches: [{ path: { type: 'Exact' } }] }] },
      { parentRefs: [{ name: 'kgw' }], rules: [{}] },
      { parentRefs: [{ name: 'kgw' }], rules: [{ backendRefs: [{ name: 'a', port: 80 }] }] },
    ],
    world: [WEB_LISTENERS],
    nodes: BEHIND,
    // The one of the two that is there says it.
    names: ['rules[].filters[].requestRedirect.path.type', 'rules[].filters[].urlRewrite.path.type'],
  },
  GRPCRoute: {
    around: [
      { parentRefs: [{ group: '', kind: 'Service', name: 'a' }], rules: [{}] },
      { parentRefs: [{ name: 'kgw' }], rules: [{}] },
    ],
    world: [WEB_LISTENERS],
    nodes: BEHIND,
  },
  TCPRoute: {
    around: [
      { parentRefs: [{ group: '', kind: 'Service', name: 'a' }], rules: [] },
      { parentRefs: [{ name: 'kgw' }], rules: [] },
    ],
    world: [LISTENERS],
    nodes: BEHIND,
    names: ['rules[].name'],
  },
  TLSRoute: {
    around: [
      { parentRefs: [{ group: '', kind: 'Service', name: 'a' }], rules: [] },
      { parentRefs: [{ name: 'kgw' }], hostnames: ['x.test'], rules: [] },
    ],
    world: [LISTENERS],
    nodes: BEHIND,
    names: ['rules[].name'],
  },
  BackendTLSPolicy: {
    around: [
      { targetRefs: [{ group: '', kind: 'Service', name: 'a', sectionName: 'http' }], validation: { hostname: 'a.test' } },
      {
        targetRefs: [{ group: '', kind: 'Service', name: 'a' }],
        validation: { hostname: 'a.test', caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'n' }] },
      },
    ],
  },
  Ingress: {
    around: [{ ingressClassName: 'ours', rules: [{ http: { paths: [{ pathType: 'Exact', backend: { service: { name: 'a', port: { number: 80 } } } }] } }] }],
    world: [object('IngressClass', 'ours', { controller: 'istio.io/ingress-controller' })],
    nodes: NODES.map((node) => ({ ...node, labels: { istio: 'ingressgateway' } })),
  },
  IngressClass: { world: [object('Ingress', 'web', { ingressClassName: 'x', rules: [] })] },
  WorkloadEntry: {},
  WorkloadGroup: {},
  ProxyConfig: { names: ['selector.matchLabels'] },
  Sidecar: {
    around: [{ ingress: [{ port: { number: 7, protocol: 'HTTPS', name: 'x' }, defaultEndpoint: '127.0.0.1:9', tls: { mode: 'MUTUAL' } }] }, {}],
    world: [object('PeerAuthentication', 'off', { mtls: { mode: 'DISABLE' } })],
    names: ['ingress[].port.name', 'egress[].port.name'],
    refused: [
      ...['httpsRedirect', 'credentialName', 'credentialNames[]', 'caCertCredentialName', 'subjectAltNames[]'],
      ...['tlsCertificates[].serverCertificate', 'tlsCertificates[].privateKey', 'tlsCertificates[].caCertificates'],
    ].map((field) => `ingress[].tls.${field}`),
  },
  EnvoyFilter: { nodes: ENVOY, world: [GATEWAY, object('EnvoyFilter', 'other', { configPatches: [] })] },
  Telemetry: { nodes: [...NODES, ...ENVOY] },
  RequestAuthentication: { around: [{ selector: { matchLabels: { app: 'a' } }, jwtRules: [{ issuer: 'http://x' }] }] },
  PeerAuthentication: { around: [{ selector: { matchLabels: { app: 'a' } } }] },
  AuthorizationPolicy: {
    around: [
      ...[{ selector: { matchLabels: { app: 'a' } } }, { rules: [{ when: [{ key: 'source.ip', values: ['10.0.0.1'] }] }] }],
      ...[{ targetRef: GATEWAY_TARGET }, { targetRefs: [GATEWAY_TARGET] }],
    ],
    refused: ['targetRef.namespace', 'targetRefs[].namespace'],
  },
};

test.each(Object.entries(KINDS))(
  '%s: every field is read',
  { timeout: 60_000 },
  (kind, { around = [{}], world = [], nodes = NODES, names = [], refused = [] }) => {
    const schema = jsonSchemaOf(kind) as Schema;
    const reads = new FieldReads();
    const told = new Set<string>();
    const run = (spec: unknown): void => {
      const objects = [...WORLD, ...world, object(kind, 'x', reads.watch(spec, schema))];
      try {
        for (const node of nodes) translate(buildMesh(objects, DEFAULT_MESH_SETTINGS), node, DEFAULT_MESH_SETTINGS);
      } catch {
        // Values that fit no refinement may not encode; what was read until then counts.
      }
      for (const { code, path = '' } of analyzeObjects(objects))
        if (code === 'WEFT_NO_EFFECT') told.add(path.replace(/^spec\./, '').replaceAll(/\[\d+\]/g, '[]'));
    };
    const needless = new Set([...names, ...refused]);
    const seen = (path: string): boolean =>
      reads.paths.has(path) || needless.has(path) || [...told].some((t) => path === t || path.startsWith(`${t}.`) || path.startsWith(`${t}[`));
    const missing = (): string[][] => leaves(schema).filter((way) => !seen(pathOf(way)));
    for (const context of around)
      run(
        missing()
          .map((way) => specs(schema, way)[0])
          .reduce(merge, context),
      );
    for (const way of missing()) for (const spec of specs(schema, way)) for (const context of around) if (!seen(pathOf(way))) run(merge(context, spec));
    expect(missing().map(pathOf)).toEqual([]);
  },
);
