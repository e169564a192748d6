// Text to objects and proxies, for conformance tests.

import { parseYaml, validateObject } from '@weft/mesh-core/config';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type MeshSettings, type ProxyNode, kindOfManifest } from '@weft/mesh-core/model';
import { buildMesh, translate } from '@weft/mesh-core/translate';
import type { ResourceSet } from '@weft/mesh-core/xds';

/** The objects of a text; `unserved` names the kinds among them that Weft does not take, `refused` what validation said. */
export function readObjects(text: string): { objects: MeshObject[]; unserved: string[]; refused: string[] } {
  const objects: MeshObject[] = [];
  const unserved = new Set<string>();
  const refused: string[] = [];
  for (const document of parseYaml(text).documents) {
    const { kind, apiVersion } = document.value as { kind?: string; apiVersion?: string };
    if (kindOfManifest(kind, apiVersion) === undefined) {
      unserved.add(String(kind));
      continue;
    }
    const { object, problems } = validateObject(document.value, document);
    if (object === undefined) refused.push(...problems.map((p) => `${kind}: ${p.path ?? ''} ${p.message}`));
    else objects.push(object);
  }
  return { objects, unserved: [...unserved], refused };
}

export const PROXY_PORT = 15_001;

export function proxy(changes: Partial<ProxyNode> = {}): ProxyNode {
  const namespace = changes.namespace ?? 'default';
  const role = changes.role ?? 'sidecar';
  return {
    id: `${role}~1.1.1.1~client.${namespace}~${namespace}.svc.cluster.local`,
    role,
    dataPlane: 'embedded',
    ip: '1.1.1.1',
    workload: 'client',
    namespace,
    identity: { trustDomain: 'cluster.local', namespace, serviceAccount: 'default' },
    labels: {},
    locality: '',
    httpProxyPort: role === 'sidecar' ? PROXY_PORT : 0,
    inbound: [],
    upstreams: [],
    adminPort: 0,
    version: '0.1.0',
    ...changes,
  };
}

export function resourcesOf(objects: readonly MeshObject[], node: ProxyNode, settings: MeshSettings = DEFAULT_MESH_SETTINGS): ResourceSet {
  return translate(buildMesh(objects, settings), node, settings);
}
