import { expect, test } from 'vitest';
import { parseYaml, validateObject } from '../../config/index.ts';
import { DEFAULT_MESH_SETTINGS, type MeshObject } from '../../model/index.ts';
import { TYPE_URL } from '../../xds/index.ts';
import { buildMesh } from '../mesh.ts';
import { proxiesOf } from '../testing/corpus-world.ts';
import { decoded } from '../testing/static-envoy.ts';
import { translate } from '../translate.ts';

const SETTINGS = DEFAULT_MESH_SETTINGS;
const SERVICES = ['a', 'b'].map(
  (name) =>
    `apiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: shop }\nspec: { selector: { app: ${name} }, ports: [{ name: http, port: 80 }] }`,
);
const route = (name: string, rules: string, namespace = 'shop', kind = 'HTTPRoute'): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  parentRefs: [{ group: "", kind: Service, name: a, namespace: shop, port: 80 }]
  rules: ${rules}`;

function objects(...texts: string[]): MeshObject[] {
  return parseYaml([...SERVICES, ...texts].join('\n---\n')).documents.map((d) => {
    const { object, problems } = validateObject(d.value, d);
    expect(problems).toEqual([]);
    return object as MeshObject;
  });
}

function routesFor(namespace: string, ...texts: string[]): Record<string, unknown>[] {
  const all = objects(...texts);
  const [sidecar] = proxiesOf(all, 'envoy');
  if (sidecar === undefined) throw new Error('no proxy');
  const set = translate(buildMesh(all, SETTINGS), { ...sidecar, namespace }, SETTINGS);
  const config = decoded(set, TYPE_URL.route, 'a.shop.svc.cluster.local:80') as unknown as { virtualHosts: [{ routes: Record<string, unknown>[] }] };
  return config.virtualHosts[0].routes;
}

test('rules are sorted by how much they ask, prefixes end at a segment, a missing backend is 500', () => {
  const rules = `
  - { matches: [{ path: { value: /api/ } }], backendRefs: [{ name: nowhere, port: 80 }] }
  - { matches: [{ path: { type: Exact, value: /x } }], backendRefs: [{ name: b, port: 80 }] }
  - { matches: [{ path: { value: /api }, method: GET }, { path: { value: /api }, headers: [{ name: x, value: "1" }] }], backendRefs: [{ name: a, port: 80, weight: 3 }, { name: b, port: 80 }] }
  - { backendRefs: [{ name: b, port: 80, weight: 0 }] }`;
  const routes = routesFor('shop', route('r', rules));
  expect(routes.map((r) => r['match'])).toEqual([
    { path: '/x' },
    { pathSeparatedPrefix: '/api', headers: [{ name: ':method', stringMatch: { exact: 'GET' } }] },
    { pathSeparatedPrefix: '/api', headers: [{ name: 'x', stringMatch: { exact: '1' } }] },
    { pathSeparatedPrefix: '/api' },
    { prefix: '/' },
  ]);
  expect(routes[1]).toMatchObject({ name: 'shop.r.2', route: { weightedClusters: { clusters: [{ weight: 3 }, { weight: 1 }] } } });
  expect(routes[3]).toMatchObject({ route: { cluster: 'outbound|80||nowhere.shop.svc.cluster.local', clusterNotFoundResponseCode: 'INTERNAL_SERVER_ERROR' } });
  expect(routes[4]).toMatchObject({ directResponse: { status: 500 } });
});

test("a route in the client's namespace takes the place of the Service's own", () => {
  const to = (name: string): string => `[{ backendRefs: [{ name: ${name}, namespace: shop, port: 80 }] }]`;
  const texts = [route('producer', to('a')), route('consumer', to('b'), 'web')];
  expect(routesFor('web', ...texts)).toMatchObject([{ name: 'web.consumer.0' }]);
  expect(routesFor('other', ...texts)).toMatchObject([{ name: 'shop.producer.0' }]);
});

test('filters, timeouts and retries become those of a route', () => {
  const [redirect, forward] = routesFor(
    'shop',
    route(
      'r',
      `
  - matches: [{ path: { type: Exact, value: /old } }]
    filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, path: { type: ReplaceFullPath, replaceFullPath: /new } } }]
  - matches: [{ path: { value: /api } }]
    timeouts: { request: 5s, backendRequest: 2s }
    retry: { codes: [503], attempts: 3 }
    filters:
      - { type: URLRewrite, urlRewrite: { hostname: other.test, path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }
      - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-a, value: "1" }], remove: [x-b] } }
      - { type: RequestMirror, requestMirror: { backendRef: { name: b, port: 80 }, fraction: { numerator: 1, denominator: 4 } } }
    backendRefs: [{ name: b, port: 80 }]`,
    ),
  );
  expect(redirect).toMatchObject({ redirect: { schemeRedirect: 'https', pathRedirect: '/new', responseCode: 'FOUND' } });
  expect(forward).toMatchObject({
    requestHeadersToAdd: [{ header: { key: 'x-a', value: '1' } }],
    requestHeadersToRemove: ['x-b'],
    route: {
      hostRewriteLiteral: 'other.test',
      regexRewrite: { pattern: { regex: '^/api(/?)(.*)' }, substitution: '/\\2' },
      timeout: '5s',
      retryPolicy: { numRetries: 3, perTryTimeout: '2s', retriableStatusCodes: [503] },
      requestMirrorPolicies: [{ runtimeFraction: { defaultValue: { numerator: 250_000, denominator: 'MILLION' } } }],
    },
  });
});

test("gRPC's service and method are the path", () => {
  const rules = `
  - { backendRefs: [{ name: a, port: 80 }] }
  - { matches: [{ method: { service: shop.Cart, method: Add } }, { method: { service: shop.Cart } }, { method: { method: Add } }], backendRefs: [{ name: b, port: 80 }] }`;
  expect(routesFor('shop', route('g', rules, 'shop', 'GRPCRoute')).map((r) => r['match'])).toEqual([
    { path: '/shop.Cart/Add' },
    { pathSeparatedPrefix: '/shop.Cart' },
    { safeRegex: { regex: '/[^/]+/Add' } },
    { prefix: '/' },
  ]);
});
