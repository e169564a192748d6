// Istio's own code and ours on the same RequestAuthentications: the same JWT filter on every chain that has one.

import { type JsonObject, fromJson, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { JwtAuthenticationSchema } from '@weft/mesh-core/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb';
import { validateObject } from '@weft/mesh-core/config';
import type { MeshObject, ProxyNode } from '@weft/mesh-core/model';
import { registry } from '@weft/mesh-core/translate';
import { TYPE_URL, bytesOf } from '@weft/mesh-core/xds';
import { fromBinary } from '@bufbuild/protobuf';
import { IstioOracle, oracleBinary } from './istio-oracle.ts';
import { proxy, resourcesOf } from './objects.ts';

const binary = oracleBinary();
const oracle = binary === undefined ? undefined : new IstioOracle(binary);
afterAll(() => oracle?.close());

interface Chain {
  filters?: { name: string; typedConfig?: JsonObject; typed_config?: JsonObject }[];
}
const JWT = 'envoy.filters.http.jwt_authn';

/** The JWT filter of each HTTP chain; undefined for those without. */
function jwtOf(chains: readonly Chain[]): (JsonObject | undefined)[] {
  return chains.flatMap(({ filters = [] }) =>
    filters
      .map((f) => f.typedConfig ?? f.typed_config ?? {})
      .filter((manager) => String(manager['@type']).endsWith('HttpConnectionManager'))
      .map((manager) => {
        const list = (manager['httpFilters'] ?? manager['http_filters'] ?? []) as unknown as {
          name: string;
          typedConfig?: JsonObject;
          typed_config?: JsonObject;
        }[];
        const { '@type': _, ...filter } = (({ typedConfig, typed_config }) => typedConfig ?? typed_config ?? {})(
          list.find((f) => f.name === JWT) ?? { name: '' },
        );
        return Object.keys(filter).length === 0 ? undefined : plain(filter as JsonObject);
      }),
  );
}

/** In one spelling, with one word for keys that fit no token. */
function plain(filter: JsonObject): JsonObject {
  const json = toJson(JwtAuthenticationSchema, fromJson(JwtAuthenticationSchema, filter, { registry }), { registry }) as {
    providers?: Record<string, { localJwks: { inlineString: string } }>;
  };
  for (const { localJwks } of Object.values(json.providers ?? {})) if (!localJwks.inlineString.includes('"real"')) localJwks.inlineString = 'nobody';
  return json as JsonObject;
}

const object = (kind: string, namespace: string, name: string, spec: object, age = 0): MeshObject => ({
  apiVersion: kind === 'RequestAuthentication' ? 'security.istio.io/v1' : kind === 'Service' ? 'v1' : 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace, creationTimestamp: `2024-01-0${age + 1}T00:00:00Z` },
  spec,
});
const jwks = JSON.stringify({ keys: [{ kty: 'RSA', e: 'AQAB', n: `${'q'.repeat(341)}w`, kid: 'real' }] });
const WORKLOAD: readonly MeshObject[] = [
  object('Service', 'shop', 'reviews', { selector: { app: 'reviews' }, ports: [{ name: 'http', port: 9080 }] }),
  object('WorkloadEntry', 'shop', 'reviews-1', { address: '1.1.1.1', ports: { http: 9080 }, labels: { app: 'reviews' } }),
];
const servers = [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }];
const GATEWAY: readonly MeshObject[] = [...WORKLOAD, object('Gateway', 'shop', 'gw', { selector: { istio: 'ingressgateway' }, servers })];
const claimsRoute = object('VirtualService', 'shop', 'claims', {
  hosts: ['a.example'],
  gateways: ['gw'],
  http: [{ match: [{ headers: { '@request.auth.claims.group': { exact: 'dev' } } }], route: [{ destination: { host: 'reviews' } }] }],
});

const SIDECAR = proxy({ namespace: 'shop', labels: { app: 'reviews' }, inbound: [{ name: 'http', servicePort: 9080, listenPort: 9080, appPort: 9080 }] });
const ROUTER = proxy({ role: 'router', namespace: 'shop', labels: { istio: 'ingressgateway' } });

/** Both answers, of inbound chains or the gateway's. */
async function compare(objects: readonly MeshObject[], node: ProxyNode): Promise<JsonObject | undefined> {
  for (const o of objects) expect(validateObject(o).problems).toEqual([]);
  const { listeners } = await (oracle as IstioOracle).ask<{ listeners: { name: string; filter_chains?: Chain[] }[] }>('xds', {
    yaml: objects.map((o) => JSON.stringify(o)).join('\n---\n'),
    proxy: { type: node.role, namespace: node.namespace, labels: node.labels, ip: node.ip },
  });
  const theirs = listeners.filter((l) => node.role === 'router' || l.name === 'virtualInbound').flatMap((l) => jwtOf(l.filter_chains ?? []));
  const ours = [...resourcesOf(objects, node)[TYPE_URL.listener].values()]
    .map((r) => toJson(ListenerSchema, fromBinary(ListenerSchema, bytesOf(r)), { registry }) as unknown as { name: string; filterChains?: Chain[] })
    .filter((l) => node.role === 'router' || l.name.startsWith('virtualInbound'))
    .flatMap((l) => jwtOf(l.filterChains ?? []));
  expect(theirs.length).toBeGreaterThan(0);
  expect(ours.length).toBeGreaterThan(0);
  // Every chain of a listener has the same.
  const [first] = theirs;
  for (const filter of [...theirs, ...ours]) expect(filter).toEqual(first);
  return first;
}

const few = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.uniqueArray(item, { maxLength: 3, selector: (v) => JSON.stringify(v) });
const word = fc.constantFrom('a', 'b', 'c.d', 'scope', 'x-y');
const jwtRule = fc.record(
  {
    issuer: fc.constantFrom('https://b.example', 'https://a.example', 'c@d', 'Z'),
    jwks: fc.constant(jwks),
    audiences: few(word),
    fromHeaders: few(fc.record({ name: word, prefix: fc.constantFrom('', 'Bearer ', 'Tok') }, { requiredKeys: ['name'] })),
    fromParams: few(word),
    fromCookies: few(word),
    outputPayloadToHeader: fc.constantFrom('', 'x-payload'),
    outputClaimToHeaders: few(fc.record({ header: fc.constantFrom('x-a', 'x_b'), claim: word })),
    forwardOriginalToken: fc.boolean(),
    spaceDelimitedClaims: few(word),
    timeout: fc.constantFrom('1s', '10s'),
  },
  { requiredKeys: ['issuer', 'jwks'] },
);
const policies = fc
  .array(
    fc.record({
      namespace: fc.constantFrom('shop', 'istio-system', 'other'),
      selector: fc.constantFrom(
        undefined,
        {},
        { matchLabels: { app: 'reviews' } },
        { matchLabels: { istio: 'ingressgateway' } },
        { matchLabels: { app: 'none' } },
      ),
      jwtRules: fc.array(jwtRule, { maxLength: 3 }),
    }),
    { maxLength: 4 },
  )
  .map((list) =>
    list.map(({ namespace, selector, jwtRules }, i) =>
      object('RequestAuthentication', namespace, `p${i}`, { ...(selector === undefined ? {} : { selector }), jwtRules }, list.length - i),
    ),
  );
const runs = {
  numRuns: Number(process.env['WEFT_ORACLE_RUNS'] ?? 15),
  seed: Number(process.env['WEFT_ORACLE_SEED'] ?? 20_261_129),
};

test.skipIf(oracle === undefined)('sidecars ask for tokens as Istio does', { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(policies, async (list) => void (await compare([...WORKLOAD, ...list], SIDECAR))),
    runs,
  );
});

test.skipIf(oracle === undefined)('gateways ask for tokens as Istio does, and route by claims', { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(policies, fc.boolean(), async (list, claims) => void (await compare([...GATEWAY, ...(claims ? [claimsRoute] : []), ...list], ROUTER))),
    runs,
  );
});

test.skipIf(oracle === undefined)('keys that cannot be had are keys that fit no token', { timeout: 60_000 }, async () => {
  const jwtRules = [{ issuer: 'https://a', jwksUri: 'http://127.0.0.1:1/keys' }, { issuer: 'http://127.0.0.1:1' }, { issuer: 'nobody' }];
  const filter = await compare([...WORKLOAD, object('RequestAuthentication', 'shop', 'p', { jwtRules })], SIDECAR);
  expect(JSON.stringify(filter?.['providers'])).not.toContain('real');
});
