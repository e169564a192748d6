// What Istio's own conversion makes of the Gateway API (shared/corpus, outside this repository), against ours.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type DestinationRuleSpec, type GatewaySpec, type VirtualServiceSpec, durationMs, parseYaml, validateObject } from '../../config/index.ts';
import { CLUSTER_NAMESPACE, DEFAULT_MESH_SETTINGS, type MeshObject, kindOfManifest, namespaceOf, refOf } from '../../model/index.ts';
import { buildMesh } from '../mesh.ts';
import { gatewayApiStatus } from './status.ts';
import { gatewayWorld } from './world.ts';

const corpus =
  process.env['WEFT_GWAPI'] ??
  join(process.env['WEFT_CORPUS'] ?? resolve(dirname(fileURLToPath(import.meta.url)), '../../../../../../shared/corpus'), 'istio/gwapi');
const present = existsSync(corpus);
if (!present) console.warn(`skipped: Istio's conformance corpus is not at ${corpus}; set WEFT_CORPUS`);

const SETTINGS = { ...DEFAULT_MESH_SETTINGS, domainSuffix: 'domain.suffix' };
/** Objects whose conversion differs, and why. */
const DEVIATIONS: readonly { of: RegExp; why: string }[] = [{ of: /^http.yaml .*infpool/, why: 'InferencePools are not served' }];

/** The Service that the Gateways of most cases name; Istio's tests have it in code. */
const INGRESS: MeshObject = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'istio-ingressgateway', namespace: 'istio-system' },
  spec: { selector: { istio: 'ingressgateway' }, ports: [{ name: 'http', port: 80 }] },
};

/** More that Istio's tests have in code, for policies to refer to. */
const IN_CODE: readonly MeshObject[] = [
  ...['echo', 'httpbin', 'httpbin-second', 'httpbin-other', 'foo-svc'].map((name) => inCode('Service', name, { ports: [{ name: 'http', port: 80 }] })),
  inCode('ConfigMap', 'auth-cert', { data: { 'ca.crt': 'PEM' } }),
  inCode('ConfigMap', 'malformed', { data: { 'not-ca.crt': 'hello' } }),
];
function inCode(kind: string, name: string, spec: object): MeshObject {
  return { apiVersion: 'v1', kind, metadata: { name, namespace: 'default' }, spec };
}

/** Those that Istio's tests make of the namespaces a case names, with a label for the first part of each name. */
function namespacesOf(objects: readonly MeshObject[]): MeshObject[] {
  return [...new Set(objects.map((o) => namespaceOf(refOf(o))))].flatMap((name) => {
    if (name === undefined) return [];
    const labels = { 'istio.io/test-name-part': name.split('-')[0] ?? '' };
    return [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, namespace: CLUSTER_NAMESPACE, labels }, spec: {} }];
  });
}

interface Document {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
  spec: unknown;
}
const documentsIn = (file: string): Document[] => parseYaml(readFileSync(join(corpus, file), 'utf8')).documents.map((d) => d.value as Document);
/** Objects of kinds Weft serves. */
const objectsIn = (file: string): MeshObject[] =>
  documentsIn(file).flatMap((value) => {
    if (kindOfManifest(value.kind, value.apiVersion)?.group !== value.apiVersion.replace(/\/?v\w+$/, '')) return [];
    const { object, problems } = validateObject(value);
    // Istio's tests name a Service and one of its sections in one policy, which the CRD refuses.
    if (object === undefined && value.kind === 'BackendTLSPolicy' && problems.every((p) => p.path?.endsWith('.sectionName')))
      return { ...value, metadata: { ...value.metadata, namespace: value.metadata.namespace ?? 'default' } };
    return object === undefined ? [{ apiVersion: '', kind: 'refused', metadata: { name: JSON.stringify(problems), namespace: '' }, spec: value }] : [object];
  });

/**
 * What two conversions must agree in. A single destination's weight says nothing, nor does what proxies a Gateway selects here; Istio's
 * tests go past the CRDs and so have no defaults; what replaces a prefix by nothing, and a backend that may not be used, Istio
 * writes out only when it makes routes.
 */
function essence({ kind, metadata: { name }, spec }: Document): unknown {
  if (kind === 'Gateway') return { kind, name, servers: (spec as GatewaySpec).servers };
  if (kind === 'DestinationRule') {
    const policy = (spec as DestinationRuleSpec).trafficPolicy ?? {};
    return {
      kind,
      name,
      host: (spec as DestinationRuleSpec).host,
      tls: withoutOwnName(policy.tls),
      ports: policy.portLevelSettings?.map((p) => ({ ...p, tls: withoutOwnName(p.tls) })),
    };
  }
  const { hosts, gateways, http, tcp = [], tls = [] } = spec as VirtualServiceSpec;
  const nowhere = ({ host, subset }: { host?: string; subset?: string | undefined }): boolean => host === 'UnknownService' || subset === 'zero-weight';
  const connections = [...tcp, ...tls].map(({ match, route }) => ({
    match,
    route: route.map(({ weight, destination: d }) => ({ destination: nowhere(d) ? {} : d, weight: route.length === 1 ? undefined : weight })),
  }));
  const written = (http ?? []).map(({ route, match, corsPolicy, rewrite, ...rule }) => ({
    ...rule,
    match: JSON.stringify(match) === '[{"uri":{"prefix":"/"}}]' ? undefined : match,
    corsPolicy: corsPolicy?.maxAge === '5s' ? { ...corsPolicy, maxAge: undefined } : corsPolicy,
    rewrite: rewrite?.uriRegexRewrite?.rewrite === '/\\2' ? { ...rewrite, uriRegexRewrite: undefined, uri: '/' } : rewrite,
    route: route?.map(({ weight, destination: d }) => ({ destination: d.host === 'UnknownService' ? {} : d, weight: route.length === 1 ? undefined : weight })),
  }));
  const times = ['timeout', 'perTryTimeout', 'backoff', 'maxAge'];
  const rules = JSON.parse(JSON.stringify(written), (key, value: unknown) => (times.includes(key) ? durationMs(String(value)) : value)) as unknown;
  return { kind, name, hosts, gateways: gateways ?? ['mesh'], http: rules, connections };
}
/** Istio does not look for the server name in the certificate. */
function withoutOwnName(tls: { sni?: string | undefined; subjectAltNames?: string[] | undefined } | undefined): unknown {
  return tls?.subjectAltNames?.join() === tls?.sni ? { ...tls, subjectAltNames: undefined } : tls;
}
const byName = (documents: readonly Document[]): Record<string, unknown> =>
  Object.fromEntries(
    documents.map((d) => [`${d.kind} ${d.metadata.namespace ?? ''}/${d.metadata.name}`, essence(d)] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );

const files = !present ? ['none'] : readdirSync(corpus).filter((f) => f.endsWith('.yaml') && existsSync(join(corpus, `${f}.golden`)));
test.skipIf(!present).each(files)('%s', (file) => {
  const objects = objectsIn(file);
  expect(objects.filter((o) => o.kind === 'refused')).toEqual([]);
  const mesh = buildMesh([...objects, INGRESS, ...IN_CODE, ...namespacesOf(objects)], SETTINGS);
  const ours = byName([...mesh.gateways, ...mesh.virtualServices, ...mesh.destinationRules] as Document[]);
  const istio = byName(documentsIn(`${file}.golden`).filter((d) => ['Gateway', 'VirtualService', 'DestinationRule'].includes(d.kind)));
  const different = Object.keys({ ...ours, ...istio }).filter((key) => !DEVIATIONS.some(({ of }) => of.test(`${file} ${key}`)));
  for (const key of different) expect(ours[key], key).toEqual(istio[key]);
});

interface Told {
  listeners?: { name: string; attachedRoutes: number; supportedKinds: { kind: string }[]; conditions: Condition[] }[];
  ancestors?: { ancestorRef: { kind: string; name: string; namespace?: string; sectionName?: string }; controllerName: string; conditions: Condition[] }[];
  parents?: { parentRef: { sectionName?: string }; conditions: Condition[] }[];
}
interface Condition {
  type: string;
  status: string;
  reason: string;
}

/** Of a status what does not depend on what is deployed: whether listeners and routes are accepted, and how many routes. */
function accepted(status: Told | undefined): unknown {
  const only = (conditions: Condition[], types: readonly string[]): string[] =>
    conditions
      .filter((c) => types.includes(c.type))
      .map((c) => `${c.type} ${c.status} ${c.reason}`)
      .toSorted();
  return {
    // Gateways of other namespaces are named with theirs here. What other controllers said is not kept.
    ancestors: (status?.ancestors ?? [])
      .filter((a) => a.controllerName.startsWith('istio.io/'))
      .map(({ ancestorRef: { kind, name, sectionName }, controllerName, conditions }) => [
        kind,
        name,
        sectionName,
        controllerName,
        only(conditions, ['Accepted', 'ResolvedRefs']),
      ]),
    listeners: (status?.listeners ?? []).map((l) => ({
      ...{
        name: l.name,
        attachedRoutes: l.attachedRoutes,
        kinds: l.supportedKinds.map((k) => k.kind),
      },
      conditions: only(l.conditions, ['Accepted', 'Conflicted', 'ResolvedRefs']),
    })),
    parents: (status?.parents ?? [])
      .map((p) => JSON.stringify([Object.entries(p.parentRef).map(String).toSorted(), only(p.conditions, ['Accepted'])]))
      .toSorted(),
  };
}

test.skipIf(!present).each(files)('status of %s', (file) => {
  const read = objectsIn(file);
  const objects = [...read, INGRESS, ...IN_CODE, ...namespacesOf(read)];
  const world = gatewayWorld(objects, SETTINGS.domainSuffix);
  const golden = documentsIn(file.replace('.yaml', '.status.yaml.golden')) as (Document & { status: Told })[];
  for (const { kind, metadata, status } of golden) {
    if (!['Gateway', 'HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute', 'BackendTLSPolicy'].includes(kind)) continue;
    const ours = objects.find((o) => o.kind.endsWith(kind) && o.metadata.name === metadata.name && o.metadata.namespace === (metadata.namespace ?? 'default'));
    const told = ours === undefined ? undefined : (gatewayApiStatus(ours, world, []) as Told | undefined);
    expect(accepted(told), `${kind} ${metadata.name}`).toEqual(accepted(status));
  }
});
