// The kinds of configuration Weft serves, with their API groups as Kubernetes and Istio name them.

/** One kind in the registry; `versions[0]` is the one written back to users who do not name a version. */
export interface Kind {
  /** Unique among all groups, as Istio's own names for kinds are. */
  kind: string;
  /** As manifests have it, where it is another: two groups have a Gateway. */
  manifest?: string;
  group: string;
  versions: readonly [string, ...string[]];
  plural: string;
  singular: string;
  shortNames: readonly string[];
  /** Objects of no namespace; Weft keeps them in {@link CLUSTER_NAMESPACE}. */
  clusterScoped?: true;
}

/** Where objects that have no namespace are kept; it is not shown. */
export const CLUSTER_NAMESPACE = 'default';

const GATEWAY_API = 'gateway.networking.k8s.io';

export const KINDS: readonly Kind[] = [
  { kind: 'Service', group: '', versions: ['v1'], plural: 'services', singular: 'service', shortNames: ['svc'] },
  { kind: 'Namespace', group: '', versions: ['v1'], plural: 'namespaces', singular: 'namespace', shortNames: ['ns'], clusterScoped: true },
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
  {
    kind: 'GatewayClass',
    group: GATEWAY_API,
    versions: ['v1', 'v1beta1'],
    plural: 'gatewayclasses',
    singular: 'gatewayclass',
    shortNames: ['gc'],
    clusterScoped: true,
  },
  {
    kind: 'KubernetesGateway',
    manifest: 'Gateway',
    group: GATEWAY_API,
    versions: ['v1', 'v1beta1'],
    plural: 'gateways',
    singular: 'gateway',
    shortNames: ['gtw'],
  },
  { kind: 'ReferenceGrant', group: GATEWAY_API, versions: ['v1beta1', 'v1'], plural: 'referencegrants', singular: 'referencegrant', shortNames: ['refgrant'] },
  { kind: 'HTTPRoute', group: GATEWAY_API, versions: ['v1', 'v1beta1'], plural: 'httproutes', singular: 'httproute', shortNames: [] },
  { kind: 'GRPCRoute', group: GATEWAY_API, versions: ['v1'], plural: 'grpcroutes', singular: 'grpcroute', shortNames: [] },
  { kind: 'TCPRoute', group: GATEWAY_API, versions: ['v1', 'v1alpha2'], plural: 'tcproutes', singular: 'tcproute', shortNames: [] },
  { kind: 'TLSRoute', group: GATEWAY_API, versions: ['v1', 'v1alpha3', 'v1alpha2'], plural: 'tlsroutes', singular: 'tlsroute', shortNames: [] },
  {
    kind: 'BackendTLSPolicy',
    group: GATEWAY_API,
    versions: ['v1', 'v1alpha3'],
    plural: 'backendtlspolicies',
    singular: 'backendtlspolicy',
    shortNames: ['btlspolicy'],
  },
  { kind: 'Ingress', group: 'networking.k8s.io', versions: ['v1'], plural: 'ingresses', singular: 'ingress', shortNames: ['ing'] },
  {
    kind: 'IngressClass',
    group: 'networking.k8s.io',
    versions: ['v1'],
    plural: 'ingressclasses',
    singular: 'ingressclass',
    shortNames: [],
    clusterScoped: true,
  },
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

/** As manifests name the kind. */
export function manifestKind(kind: Kind): string {
  return kind.manifest ?? kind.kind;
}

/** Of the kind of an object here what manifests say. */
export function shownKind(kind: string): string {
  return KINDS.find((k) => k.kind === kind)?.manifest ?? kind;
}

/** The kind a manifest is of: where several groups have one of that name, its group tells, and without one the first counts. */
export function kindOfManifest(name: unknown, apiVersion?: unknown): Kind | undefined {
  const named = KINDS.filter((k) => manifestKind(k) === name);
  return named.find((k) => typeof apiVersion === 'string' && apiVersion.startsWith(`${k.group}/`)) ?? named[0];
}

/** Finds a kind by kind name, plural, singular or short name, any case, or `gateways.gateway.networking.k8s.io`; undefined when Weft does not serve it. */
export function findKind(name: string): Kind | undefined {
  const wanted = name.toLowerCase();
  const names = (k: Kind): string[] => [k.kind.toLowerCase(), k.plural, k.singular, ...k.shortNames];
  return KINDS.find((k) => names(k).includes(wanted)) ?? KINDS.find((k) => k.group !== '' && names(k).some((n) => `${n}.${k.group}` === wanted));
}
