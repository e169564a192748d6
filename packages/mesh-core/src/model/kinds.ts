// The kinds of configuration Weft serves, with their API groups as Kubernetes and Istio name them.

/** One kind in the registry; `versions[0]` is the one written back to users who do not name a version. */
export interface Kind {
  kind: string;
  group: string;
  versions: readonly [string, ...string[]];
  plural: string;
  singular: string;
  shortNames: readonly string[];
}

export const KINDS: readonly Kind[] = [
  { kind: 'Service', group: '', versions: ['v1'], plural: 'services', singular: 'service', shortNames: ['svc'] },
  { kind: 'Secret', group: '', versions: ['v1'], plural: 'secrets', singular: 'secret', shortNames: [] },
  { kind: 'ConfigMap', group: '', versions: ['v1'], plural: 'configmaps', singular: 'configmap', shortNames: ['cm'] },
  {
    kind: 'VirtualService',
    group: 'networking.istio.io',
    versions: ['v1', 'v1beta1', 'v1alpha3'],
    plural: 'virtualservices',
    singular: 'virtualservice',
    shortNames: ['vs'],
  },
  {
    kind: 'DestinationRule',
    group: 'networking.istio.io',
    versions: ['v1', 'v1beta1', 'v1alpha3'],
    plural: 'destinationrules',
    singular: 'destinationrule',
    shortNames: ['dr'],
  },
  { kind: 'Gateway', group: 'networking.istio.io', versions: ['v1', 'v1beta1', 'v1alpha3'], plural: 'gateways', singular: 'gateway', shortNames: ['gw'] },
  {
    kind: 'ServiceEntry',
    group: 'networking.istio.io',
    versions: ['v1', 'v1beta1', 'v1alpha3'],
    plural: 'serviceentries',
    singular: 'serviceentry',
    shortNames: ['se'],
  },
  { kind: 'Sidecar', group: 'networking.istio.io', versions: ['v1', 'v1beta1', 'v1alpha3'], plural: 'sidecars', singular: 'sidecar', shortNames: [] },
  {
    kind: 'WorkloadEntry',
    group: 'networking.istio.io',
    versions: ['v1', 'v1beta1', 'v1alpha3'],
    plural: 'workloadentries',
    singular: 'workloadentry',
    shortNames: ['we'],
  },
  {
    kind: 'WorkloadGroup',
    group: 'networking.istio.io',
    versions: ['v1', 'v1beta1', 'v1alpha3'],
    plural: 'workloadgroups',
    singular: 'workloadgroup',
    shortNames: ['wg'],
  },
  { kind: 'ProxyConfig', group: 'networking.istio.io', versions: ['v1beta1'], plural: 'proxyconfigs', singular: 'proxyconfig', shortNames: [] },
  { kind: 'EnvoyFilter', group: 'networking.istio.io', versions: ['v1alpha3'], plural: 'envoyfilters', singular: 'envoyfilter', shortNames: [] },
  { kind: 'HTTPRoute', group: 'gateway.networking.k8s.io', versions: ['v1', 'v1beta1'], plural: 'httproutes', singular: 'httproute', shortNames: [] },
  { kind: 'GRPCRoute', group: 'gateway.networking.k8s.io', versions: ['v1'], plural: 'grpcroutes', singular: 'grpcroute', shortNames: [] },
  { kind: 'Telemetry', group: 'telemetry.istio.io', versions: ['v1', 'v1alpha1'], plural: 'telemetries', singular: 'telemetry', shortNames: ['telemetry'] },
  {
    kind: 'PeerAuthentication',
    group: 'security.istio.io',
    versions: ['v1', 'v1beta1'],
    plural: 'peerauthentications',
    singular: 'peerauthentication',
    shortNames: ['pa'],
  },
  {
    kind: 'RequestAuthentication',
    group: 'security.istio.io',
    versions: ['v1', 'v1beta1'],
    plural: 'requestauthentications',
    singular: 'requestauthentication',
    shortNames: ['ra'],
  },
  {
    kind: 'AuthorizationPolicy',
    group: 'security.istio.io',
    versions: ['v1', 'v1beta1'],
    plural: 'authorizationpolicies',
    singular: 'authorizationpolicy',
    shortNames: ['ap'],
  },
];

/** `networking.istio.io/v1`, or `v1` for the core group. */
export function apiVersionOf(kind: Kind, version: string = kind.versions[0]): string {
  return kind.group === '' ? version : `${kind.group}/${version}`;
}

/** Finds a kind by kind name, plural, singular or short name, any case; undefined when Weft does not serve it. */
export function findKind(name: string): Kind | undefined {
  const wanted = name.toLowerCase();
  return KINDS.find((k) => k.kind.toLowerCase() === wanted || k.plural === wanted || k.singular === wanted || k.shortNames.includes(wanted));
}
