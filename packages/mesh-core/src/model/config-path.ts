// `filter_metadata.istio.config` of routes and clusters: the object each was made of, as istiod names it there.

import type { ObjectRef } from './object.ts';

const PARENTS = {
  Service: { api: '/api/v1', type: 'services' },
  VirtualService: { api: '/apis/networking.istio.io/v1', type: 'virtual-service' },
  DestinationRule: { api: '/apis/networking.istio.io/v1', type: 'destination-rule' },
} as const;

const KIND_OF_TYPE: ReadonlyMap<string, string> = new Map(Object.entries(PARENTS).map(([kind, { type }]) => [type, kind]));

/** `/apis/networking.istio.io/v1/namespaces/<namespace>/virtual-service/<name>` */
export function configPath(kind: keyof typeof PARENTS, namespace: string, name: string): string {
  const { api, type } = PARENTS[kind];
  return `${api}/namespaces/${namespace}/${type}/${name}`;
}

/** The object of such a path; undefined for any other text. */
export function refOfConfigPath(path: string): ObjectRef | undefined {
  const [, namespace, type = '', name] = /^\/apis?\/.*\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  const kind = KIND_OF_TYPE.get(type);
  return kind === undefined || namespace === undefined || name === undefined ? undefined : { kind, namespace, name };
}
