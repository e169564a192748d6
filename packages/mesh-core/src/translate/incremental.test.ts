// An edit is translated from what it touches; the outcome must be that of starting over, whatever came before.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type MeshSettings, type ProxyNode } from '../model/index.ts';
import { type ResourceSet, TYPE_URL } from '../xds/index.ts';
import { type KeySource, keySetObject } from './key-sets.ts';
import { type Mesh, buildMesh } from './mesh.ts';
import { proxyNode } from './testing/proxy-node.ts';
import { prepare, translate } from './translate.ts';

const NAMES = ['a', 'b', 'c'];
const object = (apiVersion: string, kind: string, name: string, spec: object): MeshObject => ({ apiVersion, kind, metadata: { name, namespace: 'ns' }, spec });
const networking = 'networking.istio.io/v1';
const gatewayApi = 'gateway.networking.k8s.io/v1';

const TEAM_A = { matchLabels: { team: 'a' } };
const keysOf = (name: string): KeySource => ({ url: `http://${name}/keys`, discovery: false, timeoutMs: 1 });

/** One object, or its absence, in one of a few shapes each. */
const edit = fc.record({
  kind: fc.constantFrom(
    'Service',
    'WorkloadEntry',
    'ServiceEntry',
    'VirtualService',
    'DestinationRule',
    'PeerAuthentication',
    'RequestAuthentication',
    'AuthorizationPolicy',
    'asked',
    'keys',
    'Gateway',
    'GatewayClass',
    'KubernetesGateway',
    'Namespace',
    'BackendTLSPolicy',
    'ConfigMap',
    'HTTPRoute',
    'GRPCRoute',
    'TCPRoute',
    'TLSRoute',
    'ReferenceGrant',
    'Ingress',
    'IngressClass',
    'Sidecar',
  ),
  name: fc.constantFrom(...NAMES),
  shape: fc.nat(3),
  gone: fc.boolean(),
});
type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never;

function objectOf({ kind, name, shape }: Edit): MeshObject {
  switch (kind) {
    case 'Service':
      return object('v1', kind, name, { selector: { app: name }, ports: [{ name: shape === 3 ? 'tcp' : 'http', port: 9080 + (shape % 2) }] });
    case 'WorkloadEntry':
      return object(networking, kind, `${name}-v1`, {
        address: `127.0.0.${shape + 1}`,
        ports: { http: 8000 + shape },
        labels: { app: name, version: 'v1', ...(shape > 1 ? { 'security.istio.io/tlsMode': 'istio' } : {}) },
      });
    case 'ServiceEntry':
      return object(networking, kind, name, {
        hosts: shape === 3 ? [`${name}.ns.svc.cluster.local`, 'Both.test'] : [`${name}.test`, 'both.test'],
        ports: [{ number: 9080, name: 'http', protocol: 'HTTP' }],
        resolution: shape === 2 ? 'DNS' : 'STATIC',
        ...(shape % 2 === 0 ? { endpoints: [{ address: `127.0.1.${shape}`, serviceAccount: name }] } : { workloadSelector: { labels: { app: name } } }),
        ...(shape === 1 ? { location: 'MESH_INTERNAL' } : {}),
      });
    case 'VirtualService':
      return object(networking, kind, name, {
        hosts: [shape === 1 && name === 'c' ? '*.ns.svc.cluster.local' : name],
        ...(shape === 3 ? { gateways: ['mesh', 'a'] } : {}),
        http: [
          ...(shape === 2 ? [{ match: [{ sourceLabels: { app: 'a' } }], directResponse: { status: 503 } }] : []),
          { route: NAMES.map((host, i) => ({ destination: { host }, weight: [100, 0, 0][(i + shape) % 3] })) },
        ],
      });
    case 'DestinationRule':
      return object(networking, kind, name, {
        host: shape === 3 ? '*.ns.svc.cluster.local' : name,
        trafficPolicy: shape === 1 ? { loadBalancer: { consistentHash: { httpHeaderName: 'x' } } } : { connectionPool: { tcp: { maxConnections: shape + 1 } } },
        ...(shape === 2 ? { subsets: [{ name: 'v1', labels: { version: 'v1' } }] } : {}),
      });
    case 'PeerAuthentication':
      return object('security.istio.io/v1', kind, name, {
        ...(shape > 1 ? { selector: { matchLabels: { app: name } } } : {}),
        mtls: { mode: shape % 2 === 0 ? 'STRICT' : 'DISABLE' },
      });
    case 'RequestAuthentication':
      return object('security.istio.io/v1', kind, name, {
        ...(shape > 1 ? { selector: { matchLabels: shape === 2 ? { app: name } : { istio: 'ingressgateway' } } } : {}),
        jwtRules: [{ issuer: 'x', jwksUri: keysOf(shape % 2 === 0 ? 'a' : name).url, forwardOriginalToken: shape === 1 }],
      });
    // What a key server said.
    case 'keys':
      return keySetObject(keysOf(name), shape === 0 ? { problem: 'down' } : { jwks: `{"keys":[{"kty":"oct","k":"AAA${shape}"}]}` });
    // By number or by name of a port, of a class that may not be there.
    case 'Ingress':
      return object('networking.k8s.io/v1', kind, name, {
        ingressClassName: name,
        ...(shape === 3 ? { tls: [{ secretName: 'cert' }] } : {}),
        rules: [
          {
            ...(shape === 0 ? {} : { host: `${NAMES[shape % 3]}.test` }),
            http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name, port: shape === 1 ? { number: 9080 } : { name: 'http' } } } }] },
          },
        ],
      });
    case 'IngressClass':
      return object('networking.k8s.io/v1', kind, name, { controller: shape === 0 ? 'example.com/other' : 'istio.io/ingress-controller' });
    case 'AuthorizationPolicy':
      return object('security.istio.io/v1', kind, name, {
        ...(shape > 1 ? { selector: { matchLabels: shape === 2 ? { app: name } : { istio: 'ingressgateway' } } } : {}),
        ...(shape % 2 === 0 ? { action: 'DENY' } : {}),
        rules: [{ to: [{ operation: { ports: [String(9080 + shape)] } }] }],
      });
    case 'Sidecar':
      return object(networking, kind, name, {
        ...(shape > 1 ? { workloadSelector: { labels: { app: name } } } : {}),
        ...(shape % 2 === 0 ? { egress: [{ hosts: [`./${name}.ns.svc.cluster.local`] }] } : {}),
        ...(shape === 0 ? {} : { inboundConnectionPool: { tcp: { maxConnections: shape } } }),
      });
    case 'GatewayClass':
      return object(gatewayApi, kind, 'istio', { controllerName: shape === 0 ? 'istio.io/gateway-controller' : 'example.com/other' });
    case 'KubernetesGateway':
      return object(gatewayApi, kind, name, {
        gatewayClassName: 'istio',
        ...(shape === 3 ? { addresses: [{ type: 'Hostname', value: NAMES[0] }] } : {}),
        listeners: [
          { name: 'http', port: 8081, protocol: 'HTTP', ...(shape === 0 ? {} : { hostname: `*.${name}.test` }) },
          ...(shape === 1 ? [{ name: 'team', port: 8085, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'Selector', selector: TEAM_A } } }] : []),
          ...(shape === 1 ? [{ name: 'l4', port: 8083, protocol: 'TCP' }] : []),
          ...(shape === 2 ? [{ name: 'sni', port: 8084, protocol: 'TLS', tls: { mode: 'Passthrough' } }] : []),
          ...(shape === 2 ? [{ name: 'more', port: 8082, protocol: 'HTTP', allowedRoutes: { namespaces: { from: 'All' } } }] : []),
        ],
      });
    case 'BackendTLSPolicy': {
      const validation = shape === 2 ? { wellKnownCACertificates: 'System' } : { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'a' }] };
      const targetRefs = [{ group: '', kind: 'Service', name: shape === 0 ? 'a' : name, ...(shape === 3 ? { sectionName: 'http' } : {}) }];
      return object(gatewayApi, kind, name, { targetRefs, validation: { hostname: `${name}.test`, ...validation } });
    }
    case 'ConfigMap':
      return object('v1', kind, name, { data: { [shape === 0 ? 'other' : 'ca.crt']: `PEM ${shape}` } });
    case 'Namespace':
      return { ...object('v1', kind, 'ns', {}), metadata: { name: 'ns', namespace: 'default', labels: { team: name } } };
    case 'HTTPRoute':
    case 'GRPCRoute':
      return object(gatewayApi, kind, name, {
        parentRefs: shape === 3 ? [{ group: '', kind: 'Service', name }] : [{ name: 'a' }, { name, ...(shape === 1 ? { sectionName: 'more' } : {}) }],
        ...(shape === 2 ? { hostnames: [`x.${name}.test`, 'y.test'] } : {}),
        rules: [{ backendRefs: [{ name, port: 9080 }, ...(shape === 2 ? [{ name, namespace: 'other', port: 9080 }] : [])] }],
      });
    case 'TCPRoute':
    case 'TLSRoute':
      return object(gatewayApi, kind, name, {
        parentRefs: shape === 3 ? [{ group: '', kind: 'Service', name }] : [{ name: 'a' }, { name: 'b' }],
        ...(kind === 'TLSRoute' ? { hostnames: [`${name}.test`] } : {}),
        rules: [{ backendRefs: [{ name, port: 9080 }, ...(shape === 2 ? [{ name, namespace: 'other', port: 9080 }] : [])] }],
      });
    case 'ReferenceGrant':
      return {
        ...object(gatewayApi, kind, name, {
          from: [{ group: 'gateway.networking.k8s.io', kind: shape === 0 ? 'GRPCRoute' : shape === 3 ? 'TCPRoute' : 'HTTPRoute', namespace: 'ns' }],
          to: [{ group: '', kind: 'Service', ...(shape < 2 ? { name } : {}) }],
        }),
        metadata: { name, namespace: 'other' },
      };
    // CUSTOM: of a Service that may come, go and have another port.
    case 'asked':
      return object('security.istio.io/v1', 'AuthorizationPolicy', `asked-${name}`, {
        ...(shape > 1 ? { selector: { matchLabels: shape === 2 ? { app: name } : { istio: 'ingressgateway' } } } : {}),
        ...{ action: 'CUSTOM', provider: { name: shape % 2 === 0 ? 'a' : name }, rules: [{}] },
      });
    default:
      return object(networking, kind, name, {
        selector: { istio: 'ingressgateway' },
        servers: [{ port: { number: 8080, name: 'http', protocol: 'HTTP' }, hosts: [shape === 0 ? '*' : `${NAMES[shape % 3]}.ns.svc.cluster.local`] }],
      });
  }
}

const node = (name: string, part: Partial<ProxyNode> = {}): ProxyNode =>
  proxyNode(`${name}-v1`, 'ns', {
    labels: { app: name },
    inbound: [{ name: 'http', servicePort: 9080, listenPort: 21_000, appPort: 9000 }],
    upstreams: NAMES.map((upstream, i) => ({ host: `${upstream}.ns.svc.cluster.local`, port: 9080, listenPort: 22_000 + i })),
    ...part,
  });
const NODES = [
  node('a'),
  node('b'),
  node('c', { dataPlane: 'envoy', httpProxyPort: 15_001 }),
  node('d', { dataPlane: 'grpc', inbound: [], upstreams: [] }),
  node('gw', { role: 'router', labels: { istio: 'ingressgateway', 'gateway.networking.k8s.io/gateway-name': 'a' }, inbound: [], upstreams: [] }),
  node('a', { namespace: 'other' }),
  // Nothing of it reads services, but whom it asks.
  node('e', { upstreams: [] }),
];

const SETTINGS: MeshSettings = {
  ...DEFAULT_MESH_SETTINGS,
  extensionProviders: NAMES.map((name) => ({ name, envoyExtAuthzGrpc: { service: `${name}.ns.svc.cluster.local`, port: 9080 } })),
};

const summary = (set: ResourceSet): Record<string, string[]> =>
  Object.fromEntries(Object.values(TYPE_URL).map((typeUrl) => [typeUrl, [...set[typeUrl]].map(([name, r]) => `${name}@${r.version}`).toSorted()]));

/** From a mesh of its own for each proxy, which gets nothing that was made for others either. */
const afresh = (objects: readonly MeshObject[], client: ProxyNode): Record<string, string[]> =>
  summary(translate(buildMesh(structuredClone(objects), SETTINGS), client, SETTINGS));

test('any series of edits ends in what a fresh translation gives', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(edit, fc.boolean()), { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat(NODES.length - 1), { maxLength: 12 }),
      (edits, absent) => {
        let objects = new Map<string, MeshObject>();
        let mesh: Mesh | undefined;
        for (const [i, [e, onlyTried]] of edits.entries()) {
          const edited = new Map(objects);
          if (e.gone) edited.delete(`${e.kind}/${e.name}`);
          else edited.set(`${e.kind}/${e.name}`, objectOf(e));
          const next = buildMesh([...edited.values()], SETTINGS, mesh);
          if (onlyTried) {
            for (const client of NODES) translate(next, client, SETTINGS);
            continue;
          }
          objects = edited;
          mesh = next;
          // Piece by piece, or at once.
          if (i % 2 === 0) for (const client of NODES) for (const _ of prepare(mesh, client));
          // A proxy that is away for some edits comes back to what was remembered for others.
          for (const [n, client] of NODES.entries()) if (absent[i] !== n) translate(mesh, client, SETTINGS);
        }
        if (mesh === undefined) return;
        for (const client of NODES) expect(summary(translate(mesh, client, SETTINGS))).toEqual(afresh([...objects.values()], client));
      },
    ),
    { numRuns: 25 },
  );
});

test('what a host is that a Service and ServiceEntries share does not depend on the order they come and go in, nor on who asks first', () => {
  const of = (kind: Edit['kind'], shape: number): MeshObject => objectOf({ kind, name: 'a', shape, gone: false });
  const entry = of('ServiceEntry', 3);
  const theirs = {
    ...entry,
    metadata: { name: 'a', namespace: 'other' },
    spec: { ...(entry.spec as object), ports: [{ number: 9081, name: 'http', protocol: 'HTTP' }] },
  };
  const all = [of('Service', 0), of('WorkloadEntry', 0), entry, theirs];
  const who = [{}, { namespace: 'other' }, { namespace: 'other', role: 'router' as const }].map((part) => node('b', part));
  const shuffled = fc.shuffledSubarray(all, { minLength: all.length });
  fc.assert(
    fc.property(shuffled, shuffled, fc.shuffledSubarray(who, { minLength: who.length }), (coming, going, clients) => {
      let mesh: Mesh | undefined;
      for (const objects of [...coming.map((_, i) => coming.slice(0, i + 1)), ...going.map((_, i) => going.slice(i + 1))]) {
        mesh = buildMesh(objects, SETTINGS, mesh);
        for (const client of clients) expect(summary(translate(mesh, client, SETTINGS))).toEqual(afresh(objects, client));
      }
    }),
    { numRuns: 10 },
  );
});

test('a DestinationRule for some workloads is in force for these whenever it comes, also again', () => {
  const service = objectOf({ kind: 'Service', name: 'b', shape: 0, gone: false });
  const rule = objectOf({ kind: 'DestinationRule', name: 'b', shape: 0, gone: false });
  const selective = { ...rule, spec: { ...(rule.spec as object), workloadSelector: { matchLabels: { app: 'a' } } } };
  let mesh: Mesh | undefined;
  for (const objects of [[service], [service, selective], [service, rule], [service], [service, selective]]) {
    mesh = buildMesh(objects, SETTINGS, mesh);
    for (const client of NODES) expect(summary(translate(mesh, client, SETTINGS))).toEqual(afresh(objects, client));
  }
});

test('an edit of one VirtualService makes the routes of its hosts again and nothing else', () => {
  const objects = NAMES.flatMap((name) => [
    objectOf({ kind: 'Service', name, shape: 0, gone: false }),
    objectOf({ kind: 'WorkloadEntry', name, shape: 2, gone: false }),
    objectOf({ kind: 'VirtualService', name, shape: 0, gone: false }),
  ]);
  const first = buildMesh(objects, DEFAULT_MESH_SETTINGS);
  const before = translate(first, node('a'), DEFAULT_MESH_SETTINGS);
  const next = [...objects];
  next[2] = objectOf({ kind: 'VirtualService', name: 'a', shape: 1, gone: false });
  const second = buildMesh(next, DEFAULT_MESH_SETTINGS, first);
  const after = translate(second, node('a'), DEFAULT_MESH_SETTINGS);
  expect(after[TYPE_URL.endpoint]).toBe(before[TYPE_URL.endpoint]);
  const kept = [...after[TYPE_URL.route].values()].filter((r) => before[TYPE_URL.route].get(r.name) === r).map((r) => r.name);
  expect(kept).toEqual(['b.ns.svc.cluster.local:9080', 'c.ns.svc.cluster.local:9080']);
  expect([...after[TYPE_URL.listener].values()]).toEqual([...before[TYPE_URL.listener].values()]);
  // Nothing changed: the whole set is the same object.
  expect(translate(buildMesh(next, DEFAULT_MESH_SETTINGS, second), node('a'), DEFAULT_MESH_SETTINGS)).toBe(after);
});

test('an endpoint that moves makes neither listeners nor routes again, not even of those who call its service', () => {
  const objects = NAMES.flatMap((name) => [
    objectOf({ kind: 'Service', name, shape: 0, gone: false }),
    objectOf({ kind: 'WorkloadEntry', name, shape: 2, gone: false }),
  ]);
  const callers = [node('a'), node('c', { dataPlane: 'envoy', httpProxyPort: 15_001 })];
  const first = buildMesh(objects, DEFAULT_MESH_SETTINGS);
  const before = callers.map((caller) => translate(first, caller, DEFAULT_MESH_SETTINGS));
  const second = buildMesh(objects.with(3, objectOf({ kind: 'WorkloadEntry', name: 'b', shape: 3, gone: false })), DEFAULT_MESH_SETTINGS, first);
  for (const [i, caller] of callers.entries()) {
    const after = translate(second, caller, DEFAULT_MESH_SETTINGS);
    expect(after[TYPE_URL.listener]).toBe(before[i]?.[TYPE_URL.listener]);
    expect([...after[TYPE_URL.route].values()].filter((r) => before[i]?.[TYPE_URL.route].get(r.name) !== r)).toEqual([]);
    const moved = [...after[TYPE_URL.endpoint].values()].filter((r) => before[i]?.[TYPE_URL.endpoint].get(r.name) !== r);
    expect(moved.map((r) => r.name)).toEqual(['outbound|9080||b.ns.svc.cluster.local']);
  }
});

test('a Service in front of an application reaches its proxy, also one that may see other services only', () => {
  const objects = [
    ...['b', 'c'].map((name) => objectOf({ kind: 'Service', name, shape: 0, gone: false })),
    objectOf({ kind: 'WorkloadEntry', name: 'a', shape: 2, gone: false }),
    object(networking, 'Sidecar', 'all', { egress: [{ hosts: ['./b.ns.svc.cluster.local'] }] }),
  ];
  const first = buildMesh(objects, DEFAULT_MESH_SETTINGS);
  const before = translate(first, node('a'), DEFAULT_MESH_SETTINGS);
  const service = objectOf({ kind: 'Service', name: 'a', shape: 0, gone: false });
  const after = translate(buildMesh([...objects, service], DEFAULT_MESH_SETTINGS, first), node('a'), DEFAULT_MESH_SETTINGS);
  const changed = [...after[TYPE_URL.cluster].values()].filter((r) => before[TYPE_URL.cluster].get(r.name) !== r).map((r) => r.name);
  expect(changed).toEqual(['inbound|9080||']);
});

test("a key server's answer makes the inbound listeners of those who need its keys again and nothing else", () => {
  const objects = NAMES.flatMap((name) => [
    objectOf({ kind: 'Service', name, shape: 0, gone: false }),
    objectOf({ kind: 'WorkloadEntry', name, shape: 2, gone: false }),
    object('security.istio.io/v1', 'RequestAuthentication', name, {
      selector: { matchLabels: { app: name } },
      jwtRules: [{ issuer: name, jwksUri: keysOf(name).url }],
    }),
  ]);
  const first = buildMesh(objects, DEFAULT_MESH_SETTINGS);
  const [a, b] = [node('a'), node('b')].map((n) => translate(first, n, DEFAULT_MESH_SETTINGS));
  const answered = buildMesh([...objects, objectOf({ kind: 'keys', name: 'a', shape: 1, gone: false })], DEFAULT_MESH_SETTINGS, first);
  const after = translate(answered, node('a'), DEFAULT_MESH_SETTINGS);
  const changed = [...after[TYPE_URL.listener].values()].filter((r) => a?.[TYPE_URL.listener].get(r.name) !== r).map((r) => r.name);
  expect(changed).toEqual(['virtualInbound_21000']);
  expect([...after[TYPE_URL.route].values()]).toEqual([...(a?.[TYPE_URL.route].values() ?? [])]);
  expect(after[TYPE_URL.cluster]).toBe(a?.[TYPE_URL.cluster]);
  expect(translate(answered, node('b'), DEFAULT_MESH_SETTINGS)).toBe(b);
  // Given up: as before there was an answer.
  const withdrawn = buildMesh(objects, DEFAULT_MESH_SETTINGS, answered);
  expect(summary(translate(withdrawn, node('a'), DEFAULT_MESH_SETTINGS))).toEqual(summary(a as ResourceSet));
});

test('a grant makes the routes of the gateways again that need it and nothing else', () => {
  const edge = node('gw', { role: 'router', labels: { 'gateway.networking.k8s.io/gateway-name': 'a' }, inbound: [], upstreams: [] });
  const objects = [
    ...NAMES.map((name) => objectOf({ kind: 'Service', name, shape: 0, gone: false })),
    objectOf({ kind: 'KubernetesGateway', name: 'a', shape: 2, gone: false }),
    objectOf({ kind: 'HTTPRoute', name: 'b', shape: 2, gone: false }),
  ];
  const first = buildMesh(objects, DEFAULT_MESH_SETTINGS);
  const before = translate(first, edge, DEFAULT_MESH_SETTINGS);
  const grant = objectOf({ kind: 'ReferenceGrant', name: 'b', shape: 1, gone: false });
  const unrelated = { ...grant, metadata: { ...grant.metadata, namespace: 'elsewhere' } };
  expect(translate(buildMesh([...objects, unrelated], DEFAULT_MESH_SETTINGS, first), edge, DEFAULT_MESH_SETTINGS)).toBe(before);
  const after = translate(buildMesh([...objects, grant], DEFAULT_MESH_SETTINGS, first), edge, DEFAULT_MESH_SETTINGS);
  const changed = [...after[TYPE_URL.route].values()].filter((r) => before[TYPE_URL.route].get(r.name) !== r).map((r) => r.name);
  expect(changed).toEqual(['http.8082']);
  expect([...after[TYPE_URL.listener].values()]).toEqual([...before[TYPE_URL.listener].values()]);
});

test('an edit of an Ingress, its class or the Service its port is named by makes the routes of gateways again and nothing of sidecars', () => {
  const objects = [
    ...NAMES.map((name) => objectOf({ kind: 'Service', name, shape: 0, gone: false })),
    objectOf({ kind: 'IngressClass', name: 'a', shape: 1, gone: false }),
    objectOf({ kind: 'Ingress', name: 'a', shape: 2, gone: false }),
  ];
  const [sidecar, gateway] = [node('b'), NODES[4] as ProxyNode];
  const first = buildMesh(objects, DEFAULT_MESH_SETTINGS);
  const before = [sidecar, gateway].map((n) => translate(first, n, DEFAULT_MESH_SETTINGS));
  // Of a Service without part in it nothing is asked.
  const apart = buildMesh([...objects, object('v1', 'Service', 'd', { ports: [{ name: 'http', port: 1 }] })], DEFAULT_MESH_SETTINGS, first);
  expect(translate(apart, gateway, DEFAULT_MESH_SETTINGS)[TYPE_URL.route].get('http.80')).toBe(before[1]?.[TYPE_URL.route].get('http.80'));
  for (const edited of [
    objectOf({ kind: 'Ingress', name: 'a', shape: 0, gone: false }),
    objectOf({ kind: 'IngressClass', name: 'a', shape: 0, gone: false }),
    object('v1', 'Service', 'a', { selector: { app: 'a' }, ports: [{ name: 'http', port: 9090 }] }),
  ]) {
    const next = objects.map((o) => (o.kind === edited.kind && o.metadata.name === 'a' ? edited : o));
    const mesh = buildMesh(next, DEFAULT_MESH_SETTINGS, first);
    const [ofSidecar, ofGateway] = [sidecar, gateway].map((n) => translate(mesh, n, DEFAULT_MESH_SETTINGS));
    const changed = (type: keyof ResourceSet, old: ResourceSet | undefined, now: ResourceSet | undefined): string[] =>
      [...new Set([...(old?.[type].keys() ?? []), ...(now?.[type].keys() ?? [])])].filter((name) => old?.[type].get(name) !== now?.[type].get(name));
    expect({ edited: edited.kind, changed: changed(TYPE_URL.route, before[1], ofGateway) }).toEqual({ edited: edited.kind, changed: ['http.80'] });
    const fresh = translate(buildMesh(structuredClone(next), DEFAULT_MESH_SETTINGS), gateway, DEFAULT_MESH_SETTINGS);
    expect(summary(ofGateway as ResourceSet)).toEqual(summary(fresh));
    if (edited.kind === 'Service') continue;
    for (const type of Object.values(TYPE_URL)) expect(changed(type, before[0], ofSidecar)).toEqual([]);
  }
});

test('a TCPRoute or TLSRoute makes the listeners again it is attached to and nothing else', () => {
  const edge = node('gw', { role: 'router', labels: { 'gateway.networking.k8s.io/gateway-name': 'a' }, inbound: [], upstreams: [] });
  const objects = [
    ...NAMES.map((name) => objectOf({ kind: 'Service', name, shape: 3, gone: false })),
    objectOf({ kind: 'KubernetesGateway', name: 'a', shape: 2, gone: false }),
    objectOf({ kind: 'HTTPRoute', name: 'a', shape: 0, gone: false }),
    objectOf({ kind: 'TLSRoute', name: 'a', shape: 0, gone: false }),
  ];
  const first = buildMesh(objects, DEFAULT_MESH_SETTINGS);
  const clients = [edge, node('b', { upstreams: NAMES.map((name, i) => ({ host: `${name}.ns.svc.cluster.local`, port: 9081, listenPort: 22_000 + i })) })];
  const before = clients.map((client) => translate(first, client, DEFAULT_MESH_SETTINGS));
  const changed = (edited: MeshObject): string[][] => {
    const mesh = buildMesh([...objects, edited], DEFAULT_MESH_SETTINGS, first);
    return clients.map((client, i) => {
      const after = translate(mesh, client, DEFAULT_MESH_SETTINGS);
      expect([...after[TYPE_URL.route].values()].filter((r) => before[i]?.[TYPE_URL.route].get(r.name) !== r)).toEqual([]);
      return [...after[TYPE_URL.listener].values()].filter((r) => before[i]?.[TYPE_URL.listener].get(r.name)?.version !== r.version).map((r) => r.name);
    });
  };
  expect(changed(objectOf({ kind: 'TLSRoute', name: 'b', shape: 0, gone: false }))).toEqual([['127.0.0.1_8084'], []]);
  expect(changed(objectOf({ kind: 'TCPRoute', name: 'b', shape: 3, gone: false }))).toEqual([[], ['b.ns.svc.cluster.local_9081']]);
});
