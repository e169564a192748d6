// What kubectl asks before anything else: groups, versions, resources, and OpenAPI: that the server validates, and the fields for kubectl explain.

import { jsonSchemaOf } from '@weft/mesh-core/config';
import { KINDS, type Kind, manifestKind } from '@weft/mesh-core/model';

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** What `kubectl get istio-io` and `kubectl get gateway-api` list, by the end of the group. */
const CATEGORIES: Readonly<Record<string, { categories: readonly string[] }>> = {
  'istio.io': { categories: ['istio-io'] },
  'k8s.io': { categories: ['gateway-api'] },
};

/** Group and version pairs in the order of the registry; '' is the core group. */
export const GROUP_VERSIONS: readonly { group: string; version: string; kinds: readonly Kind[] }[] = [
  ...new Set(KINDS.flatMap((k) => k.versions.map((v) => `${k.group}/${v}`))),
].map((id) => {
  const [group = '', version = ''] = id.split('/');
  return { group, version, kinds: KINDS.filter((k) => k.group === group && k.versions.includes(version)) };
});

export function groupVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

/** Path all resources of a group version live under. */
export function basePath(group: string, version: string): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

export function apiGroups(): unknown {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: [...new Set(GROUP_VERSIONS.map((g) => g.group))].filter((g) => g !== '').map((g) => apiGroup(g)) };
}

export function apiGroup(group: string): Record<string, unknown> {
  const versions = GROUP_VERSIONS.filter((g) => g.group === group).map((g) => ({ groupVersion: groupVersion(group, g.version), version: g.version }));
  return { kind: 'APIGroup', apiVersion: 'v1', name: group, versions, preferredVersion: versions[0] };
}

export function resourceList(group: string, version: string, kinds: readonly Kind[]): unknown {
  const resources = kinds.map((k) => ({
    name: k.plural,
    singularName: k.singular,
    namespaced: k.clusterScoped !== true,
    kind: manifestKind(k),
    verbs: k.kind === 'Namespace' ? VERBS.filter((verb) => verb !== 'deletecollection') : VERBS,
    shortNames: k.shortNames,
    ...CATEGORIES[group.split('.').slice(-2).join('.')],
  }));
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: groupVersion(group, version), resources };
}

export function openApiIndex(): unknown {
  return {
    paths: Object.fromEntries(
      GROUP_VERSIONS.map((g) => [basePath(g.group, g.version).slice(1), { serverRelativeURL: `/openapi/v3${basePath(g.group, g.version)}` }]),
    ),
  };
}

/** Of Istio's kinds; with one of a core kind kubectl would make its patches by it. */
function schemasOf(group: string, version: string, kinds: readonly Kind[]): Record<string, unknown> {
  if (group === '') return {};
  const text = { type: 'string' };
  const object = (properties: object) => ({ type: 'object', properties });
  const metadata = object({
    ...{ name: text, namespace: text, resourceVersion: text },
    ...{ labels: { type: 'object', additionalProperties: text }, annotations: { type: 'object', additionalProperties: text } },
  });
  return Object.fromEntries(
    kinds.map((k) => [
      `${group}.${version}.${manifestKind(k)}`,
      {
        ...object({ apiVersion: text, kind: text, metadata, spec: jsonSchemaOf(k.kind) }),
        'x-kubernetes-group-version-kind': [{ group, version, kind: manifestKind(k) }],
      },
    ]),
  );
}

/** kubectl looks here for the parameter `fieldValidation` of each kind's PATCH: with it, the server checks fields and kubectl need not. */
export function openApiOf(group: string, version: string, kinds: readonly Kind[]): unknown {
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } }));
  const entries = kinds.map((k) => ({ kind: manifestKind(k), path: `${k.clusterScoped === true ? '' : 'namespaces/{namespace}/'}${k.plural}/{name}` }));
  const paths = entries.map((e) => [
    `${basePath(group, version)}/${e.path}`,
    {
      patch: {
        operationId: `patch${e.kind}`,
        parameters,
        requestBody: { content: { 'application/merge-patch+json': { schema: { type: 'object' } } } },
        responses: { 200: { description: 'OK' } },
        'x-kubernetes-action': 'patch',
        'x-kubernetes-group-version-kind': { group, version, kind: e.kind },
      },
    },
  ]);
  return {
    openapi: '3.0.0',
    info: { title: 'Weft', version },
    paths: Object.fromEntries(paths) as unknown,
    components: { schemas: schemasOf(group, version, kinds) },
  };
}
