// SDS: certificates that Gateways and DestinationRules name by `credentialName`, from Secrets of the proxy's own namespace.

import type { JsonObject } from '@bufbuild/protobuf';
import { type DestinationRuleSpec, REDACTED, type ReferenceGrantSpec, type SecretSpec, matches, visible } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { without } from './common.ts';
import { granted } from './gateway-api/grants.ts';
import { derived } from './memo.ts';
import { type Mesh, ofKind } from './mesh.ts';

/** A credential as users write it (`cert`, `kubernetes://cert`, `configmap://ns/roots`), and what it is for. */
export interface Credential {
  name: string;
  use: 'certificate' | 'bundle';
}

const TYPED = /^(kubernetes|kubernetes-gateway|configmap|invalid):\/\//;

/** Resource names as Istio has them. */
export function credentialResource(name: string): string {
  return TYPED.test(name) ? name : `kubernetes://${name}`;
}

/** The bundle that belongs to a credential: its own Secret `<name>-cacert`, or the bundle in the Secret itself. */
export function caOf(credential: string): string {
  return `${credential}-cacert`;
}

/** What a proxy may have: credentials its Gateways and its DestinationRules name, in its own namespace, or granted to Gateways of it. Bundles in ConfigMaps are public. */
export function credentialSecrets(mesh: Mesh, node: ProxyNode, named: readonly Credential[]): JsonObject[] {
  const uses = new Map<string, Credential['use']>();
  for (const { name, use } of [...named, ...ofRules(mesh, node)]) {
    const resource = credentialResource(name);
    if (!uses.has(resource)) uses.set(resource, use);
  }
  return [...uses].flatMap(([resource, use]) => {
    const [, type = '', place = ''] = /^([\w-]+):\/\/(.*)$/.exec(resource) ?? [];
    const [namespace, name] = place.includes('/') ? (place.split('/', 2) as [string, string]) : [node.namespace, place];
    if (type !== 'configmap' && namespace !== node.namespace && !(type === 'kubernetes-gateway' && secretGranted(mesh, node.namespace, namespace, name)))
      return [];
    const data = (wanted: string): Data | undefined => (type === 'configmap' ? configMapData : secretData)(mesh, namespace, wanted);
    return use === 'bundle' ? bundle(resource, data(name) ?? data(name.replace(/-cacert$/, ''))) : certificate(resource, data(name));
  });
}

/** The bundle of a Secret is granted with it. */
function secretGranted(mesh: Mesh, from: string, namespace: string, name: string): boolean {
  const grants = ofKind<ReferenceGrantSpec>(mesh, 'ReferenceGrant');
  const to = { group: '', kind: 'Secret', namespace };
  return [name, name.replace(/-cacert$/, '')].some((n) => granted(grants, { from: { kind: 'Gateway', namespace: from }, to: { ...to, name: n } }));
}

/** Rules a proxy follows. Sidecars get what their own namespace's rules name, where those select workloads only these, and bundles in ConfigMaps. */
function ofRules(mesh: Mesh, { namespace, role, labels }: ProxyNode): readonly Credential[] {
  const rules = derived(mesh, `credentials of rules|${role}|${namespace}`, (m) =>
    m.destinationRules
      .filter(({ metadata, spec }) => metadata.namespace === namespace || visible(spec.exportTo, metadata.namespace, namespace))
      .map(({ metadata, spec }) => {
        const all = policiesOf(spec).flatMap((p) => ofTls(p.tls));
        const credentials = metadata.namespace === namespace || role === 'router' ? all : all.filter((c) => c.name.startsWith('configmap://'));
        return { selector: spec.workloadSelector?.matchLabels, credentials };
      })
      .filter(({ credentials }) => credentials.length > 0),
  );
  return rules.filter(({ selector }) => matches(labels, selector)).flatMap(({ credentials }) => credentials);
}

interface ClientTls {
  mode?: string | undefined;
  credentialName?: string | undefined;
}

function ofTls({ mode, credentialName: name }: ClientTls = {}): Credential[] {
  if (name === undefined) return [];
  return [...(mode === 'MUTUAL' ? [{ name, use: 'certificate' as const }] : []), { name: caOf(name), use: 'bundle' as const }];
}

function policiesOf({ trafficPolicy, subsets = [] }: DestinationRuleSpec): { tls?: ClientTls | undefined }[] {
  const all = [trafficPolicy, ...subsets.map((s) => s.trafficPolicy)].filter((p) => p !== undefined);
  return all.flatMap((p) => [p, ...(p.portLevelSettings ?? [])]);
}

/** Data sources by key. */
type Data = Readonly<Record<string, JsonObject>>;

/** Without values that are not there to be seen: a preview is made of what the console knows. */
function secretData(mesh: Mesh, namespace: string, name: string): Data | undefined {
  const secrets = derived(mesh, `secrets|${namespace}`, (m) => ofKind<SecretSpec>(m, 'Secret').filter((s) => s.metadata.namespace === namespace));
  const data = secrets.find((s) => s.metadata.name === name)?.spec.data;
  if (data === undefined) return undefined;
  return Object.fromEntries(Object.entries(data).flatMap(([key, value]) => (value === REDACTED ? [] : [[key, { inlineBytes: value }]])));
}

function configMapData(mesh: Mesh, namespace: string, name: string): Data | undefined {
  const maps = ofKind<{ data?: Readonly<Record<string, string>> }>(mesh, 'ConfigMap');
  const data = maps.find((c) => c.metadata.name === name && c.metadata.namespace === namespace)?.spec.data;
  return data === undefined ? undefined : Object.fromEntries(Object.entries(data).map(([key, value]) => [key, { inlineString: value }]));
}

/** Keys of a generic Secret, else of one of type kubernetes.io/tls. */
function certificate(name: string, data: Data = {}): JsonObject[] {
  const generic = data['cert'] !== undefined && data['key'] !== undefined;
  const certificateChain = generic ? data['cert'] : data['tls.crt'];
  const privateKey = generic ? data['key'] : data['tls.key'];
  if (certificateChain === undefined || privateKey === undefined) return [];
  const ocspStaple = generic ? undefined : data['tls.ocsp-staple'];
  return [{ name, tlsCertificate: without({ certificateChain, privateKey, ocspStaple }) }];
}

function bundle(name: string, data: Data = {}): JsonObject[] {
  const generic = data['cacert'] !== undefined;
  const trustedCa = data['cacert'] ?? data['ca.crt'];
  return trustedCa === undefined ? [] : [{ name, validationContext: without({ trustedCa, crl: generic ? data['crl'] : data['ca.crl'] }) }];
}
