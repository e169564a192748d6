// Stock Envoy takes what the translator writes for every configuration of Istio's conformance corpus that Weft takes.

import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS } from '../model/index.ts';
import { buildMesh } from './mesh.ts';
import { objectsOf, proxiesOf, withSurroundings } from './testing/corpus-world.ts';
import { envoyBinary, staticBootstrap } from './testing/static-envoy.ts';
import { translate } from './translate.ts';

const corpus = process.env['WEFT_CORPUS'] ?? resolve(dirname(fileURLToPath(import.meta.url)), '../../../../../shared/corpus');
const envoy = envoyBinary();
const present = existsSync(join(corpus, 'istio'));
if (!present) console.warn(`skipped: Istio's conformance corpus is not at ${corpus}; set WEFT_CORPUS`);
const dir = mkdtempSync(join(tmpdir(), 'weft-accepts-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Sample {
  name: string;
  bootstrap: JsonObject;
}

const JWKS = JSON.stringify({ keys: [{ kty: 'RSA', n: `${'q'.repeat(341)}w`, e: 'AQAB' }] });
/** What the corpus has no case of. */
const OWN = {
  'every field of a RequestAuthentication': `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: all, namespace: default }
spec:
  jwtRules:
    - issuer: https://a
      jwks: '${JWKS}'
      audiences: [a, b]
      fromHeaders: [{ name: x-token, prefix: 'Tok ' }, { name: y-token }]
      fromParams: [token]
      fromCookies: [token]
      outputPayloadToHeader: x-payload
      outputClaimToHeaders: [{ header: x-sub, claim: sub }, { header: x-b, claim: a.b }]
      forwardOriginalToken: true
      spaceDelimitedClaims: [roles]
    - { issuer: https://b, jwksUri: 'https://b/keys' }
    - { issuer: c, jwks: '{"keys":[]}' }
    - { issuer: d, jwks: '{"kty":"RSA","n":"abc","e":"AQAB"}' }
`,
  'every field of a provider over HTTP': asking('envoyExtAuthzHttp', {
    ...{ timeout: '2s', failOpen: true, statusOnError: '503', clearRouteCache: true, pathPrefix: '/check' },
    includeRequestBodyInCheck: { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true },
    includeRequestHeadersInCheck: ['a', 'b*', '*c'],
    includeAdditionalHeadersInCheck: { d: '' },
    ...{ headersToUpstreamOnAllow: ['a', 'b*', '*c'], headersToDownstreamOnDeny: ['a', ''], headersToDownstreamOnAllow: ['a', '**'] },
  }),
  'a provider over gRPC': asking('envoyExtAuthzGrpc', {
    timeout: '0s',
    failOpen: true,
    statusOnError: '511',
    includeRequestBodyInCheck: { maxRequestBytes: 1 },
  }),
};

function asking(kind: string, check: object): string {
  const extensionProviders = [{ name: 'p', [kind]: { service: 'w.default.svc.cluster.local', port: 90, ...check } }];
  const object = (name: string, of: string, namespace: string, more: object): string =>
    JSON.stringify({ apiVersion: of === 'AuthorizationPolicy' ? 'security.istio.io/v1' : 'v1', kind: of, metadata: { name, namespace }, ...more });
  return [
    object('istio', 'ConfigMap', 'istio-system', { data: { mesh: JSON.stringify({ extensionProviders }) } }),
    // Port 80 is the one corpus sidecars have: undeclared, so that its requests and its connections are asked about.
    object('w', 'Service', 'default', { spec: { selector: { app: 'w' }, ports: [80, 90].map((port) => ({ name: `p${port}`, port })) } }),
    object('ask', 'AuthorizationPolicy', 'default', {
      spec: { action: 'CUSTOM', provider: { name: 'p' }, rules: [{ to: [{ operation: { paths: ['/a'] } }] }] },
    }),
  ].join('\n---\n');
}

function samples(): Sample[] {
  const read = (folder: string): string[] =>
    readdirSync(join(corpus, 'istio', folder))
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => `${folder}/${file}`);
  const files = ['validation', 'crd', 'bookinfo', 'simulation', 'traffic', 'analyzers', 'authz/http', 'authz/tcp'].flatMap(read);
  const texts = [...files.map((file) => [file, readFileSync(join(corpus, 'istio', file), 'utf8')] as const), ...Object.entries(OWN)];
  return texts.flatMap(([file, text]) => {
    const objects = objectsOf(text);
    if (objects === undefined) return [];
    const all = withSurroundings(objects);
    const mesh = buildMesh(all, DEFAULT_MESH_SETTINGS);
    return proxiesOf(all, 'envoy').map((node) => ({
      name: `${file} ${node.role}`,
      bootstrap: withoutFiles(staticBootstrap(translate(mesh, node, DEFAULT_MESH_SETTINGS))) as JsonObject,
    }));
  });
}

/** Certificates in files the corpus only makes up a name for: by SDS instead. Envoy loads files even to validate. */
function withoutFiles(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutFiles);
  if (typeof value !== 'object' || value === null) return value;
  const { tlsCertificates, trustedCa, ...fields } = value as { tlsCertificates?: { privateKey?: JsonObject }[]; trustedCa?: JsonObject };
  // Without the CA Envoy does not want names to be matched either.
  if (trustedCa !== undefined) delete (fields as JsonObject)['matchTypedSubjectAltNames'];
  const rest = Object.fromEntries(Object.entries(fields).map(([key, v]) => [key, withoutFiles(v)]));
  if (tlsCertificates !== undefined)
    return tlsCertificates.every((c) => c.privateKey?.['filename'] !== '')
      ? { ...rest, tlsCertificateSdsSecretConfigs: [{ name: 'file', sdsConfig: { ads: {}, resourceApiVersion: 'V3' } }] }
      : { ...rest, tlsCertificates };
  return rest;
}

type Resources = { listeners: JsonObject[]; clusters: JsonObject[] };

/** Many bootstraps as one: names and addresses are told apart by number. */
function merged(list: readonly Sample[]): JsonObject {
  const [first] = list;
  const listeners = new Map<string, JsonObject>();
  const clusters = new Map<string, JsonObject>();
  for (const { bootstrap } of list) {
    const resources = bootstrap['static_resources'] as unknown as Resources;
    // The same content once more says nothing new.
    for (const { name, address: _, ...content } of resources.listeners) {
      const key = JSON.stringify(content);
      const address = { socketAddress: { address: '127.0.0.1', portValue: 10_000 + listeners.size } };
      if (!listeners.has(key)) listeners.set(key, { ...content, name: `${String(name)}#${listeners.size}`, address });
    }
    for (const { name, ...content } of resources.clusters) {
      const key = JSON.stringify(content);
      if (!clusters.has(key)) clusters.set(key, { ...content, name: name === 'xds' ? 'xds' : `${String(name)}#${clusters.size}` });
    }
  }
  return { ...first?.bootstrap, static_resources: { listeners: [...listeners.values()], clusters: [...clusters.values()] } } as unknown as JsonObject;
}

/** Envoy's complaints by sample; halves are tried on their own until the culprit is alone. */
function complaints(list: readonly Sample[]): string[] {
  const file = join(dir, 'bootstrap.json');
  const log = join(dir, 'log');
  writeFileSync(file, JSON.stringify(merged(list)));
  // A file, not a pipe: Envoy opens /dev/stdout again for access logs, which Node's pipes do not allow.
  const output = openSync(log, 'w');
  try {
    execFileSync(envoy ?? '', ['--mode', 'validate', '-c', file, '--disable-hot-restart', '-l', 'error'], { stdio: ['ignore', output, output] });
    return [];
  } catch {
    if (list.length === 1) return [`${list[0]?.name}: ${readFileSync(log, 'utf8').trim().split('\n').slice(-3).join(' ')}`];
    const half = list.length >> 1;
    return [...complaints(list.slice(0, half)), ...complaints(list.slice(half))];
  } finally {
    closeSync(output);
  }
}

test.skipIf(envoy === undefined || !present)('Envoy validates what every configuration of the corpus becomes', { timeout: 300_000 }, () => {
  const list = samples();
  expect(list.length).toBeGreaterThan(300);
  const batches = Array.from({ length: Math.ceil(list.length / 150) }, (_, i) => list.slice(i * 150, i * 150 + 150));
  expect(batches.flatMap(complaints)).toEqual([]);
});
