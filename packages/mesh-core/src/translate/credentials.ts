// SDS: certificates that Gateways and DestinationRules name by `credentialName`, from Secrets of the proxy's own namespace.

import type { JsonObject } from '@bufbuild/protobuf';
import { type DestinationRuleSpec, REDACTED, type SecretSpec } from '../config/index.ts';
import type { MeshObject, ProxyNode } from '../model/index.ts';
import { derived } from './memo.ts';
import { type Mesh, ofKind } from './mesh.ts';

/** Resource names as Istio has them. */
export function credentialResource(name: string): string {
  return `kubernetes://${name}`;
}

/** The bundle that belongs to a credential: its own Secret `<name>-cacert`, or `ca.crt` of the credential. */
export function caOf(credential: string): string {
  return `${credential}-cacert`;
}

/** What a proxy may have: credentials its Gateways and its namespace's DestinationRules name, in its own namespace. */
export function credentialSecrets(mesh: Mesh, node: ProxyNode, named: readonly string[]): JsonObject[] {
  const secrets = derived(mesh, `secrets|${node.namespace}`, (m) => ofKind<SecretSpec>(m, 'Secret').filter((s) => s.metadata.namespace === node.namespace));
  if (secrets.length === 0) return [];
  return [...new Set([...named, ...ofRules(mesh, node.namespace)])].flatMap((name) => [...certificate(secrets, name), ...bundle(secrets, name)]);
}

function ofRules(mesh: Mesh, namespace: string): readonly string[] {
  return derived(mesh, `credentials of rules|${namespace}`, (m) =>
    m.destinationRules
      .filter((rule) => rule.metadata.namespace === namespace)
      .flatMap(({ spec }) => policiesOf(spec).flatMap((policy) => policy?.tls?.credentialName ?? [])),
  );
}

function policiesOf({ trafficPolicy, subsets = [] }: DestinationRuleSpec): { tls?: { credentialName?: string | undefined } | undefined }[] {
  const all = [trafficPolicy, ...subsets.map((s) => s.trafficPolicy)].filter((p) => p !== undefined);
  return all.flatMap((p) => [p, ...(p.portLevelSettings ?? [])]);
}

/** Without values that are not there to be seen: a preview is made of what the console knows. */
function find(secrets: readonly MeshObject<SecretSpec>[], name: string): SecretSpec['data'] {
  const data = secrets.find((s) => s.metadata.name === name)?.spec.data ?? {};
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== REDACTED));
}

function certificate(secrets: readonly MeshObject<SecretSpec>[], name: string): JsonObject[] {
  const data = find(secrets, name);
  const chain = data['tls.crt'] ?? data['cert'];
  const key = data['tls.key'] ?? data['key'];
  if (chain === undefined || key === undefined) return [];
  return [{ name: credentialResource(name), tlsCertificate: { certificateChain: { inlineBytes: chain }, privateKey: { inlineBytes: key } } }];
}

function bundle(secrets: readonly MeshObject<SecretSpec>[], name: string): JsonObject[] {
  const own = find(secrets, caOf(name));
  const data = find(secrets, name);
  const ca = own['ca.crt'] ?? own['cacert'] ?? data['ca.crt'] ?? data['cacert'];
  return ca === undefined ? [] : [{ name: credentialResource(caOf(name)), validationContext: { trustedCa: { inlineBytes: ca } } }];
}
