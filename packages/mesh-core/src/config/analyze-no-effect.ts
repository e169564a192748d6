// Fields that are taken, as Istio takes them, and do nothing here: each is told, with its path.

import type { MeshObject, Problem } from '../model/index.ts';
import { problem } from './analyze-mesh.ts';
import { type TargetRef, isGatewayTarget } from './target-ref.ts';

/** Code of every such finding. */
export const NO_EFFECT = 'WEFT_NO_EFFECT';

interface Entry {
  /** Way to the field: `[]` for every element of a list. */
  path: string;
  why: string;
  /** Istio does nothing with it either. */
  nowhere?: true;
  /** Values that do have an effect. */
  unless?: (value: unknown) => boolean;
}

const GROUP = 'the agent that starts a workload (weft run) says what it is, and Weft makes no WorkloadEntry of a group';
const PROBE = 'whether a workload is healthy is asked by the agent that runs it, not by a group';
const NETWORK = 'all workloads are in one network here';
const TARGETS = 'no waypoint runs here: name a Gateway of the Gateway API, or use a selector';
const PROVIDER = 'there is one provider of each kind here, and it answers to any name';
/** Istio's own names of what is here. */
const BUILT_IN: ReadonlyMap<string, string> = new Map([
  ['metrics', 'prometheus'],
  ['accessLogging', 'envoy'],
]);
const INBOUND = 'to the application its own port says what is spoken';

const isGateway = (value: unknown): boolean => isGatewayTarget(value as TargetRef);

const FIELDS: Readonly<Record<string, readonly Entry[]>> = {
  VirtualService: [{ path: 'tcp[].match[].sourceSubnet', why: 'the clients of a proxy are told apart by sourceLabels', nowhere: true }],
  DestinationRule: [
    ...['trafficPolicy', 'trafficPolicy.portLevelSettings[]', 'subsets[].trafficPolicy', 'subsets[].trafficPolicy.portLevelSettings[]'].map(
      (policy): Entry => ({
        path: `${policy}.outlierDetection.consecutiveErrors`,
        why: 'it is deprecated: use consecutive5xxErrors or consecutiveGatewayErrors',
        nowhere: true,
      }),
    ),
  ],
  Gateway: [
    { path: 'servers[].defaultEndpoint', why: 'only routes say where requests go', nowhere: true },
    { path: 'servers[].port.targetPort', why: 'the proxy listens on the port of that number', nowhere: true },
    { path: 'servers[].tls.tlsCertificates[].caCertificates', why: 'clients are checked against one bundle: use tls.caCertificates', nowhere: true },
  ],
  Ingress: [
    { path: 'defaultBackend', why: 'no route is made of it: add a rule without host', nowhere: true },
    { path: 'rules[].http.paths[].backend.resource', why: 'no route is made to anything but a Service', nowhere: true },
  ],
  IngressClass: [{ path: 'parameters', why: 'the MeshConfig says how Ingresses are served', nowhere: true }],
  ServiceEntry: [{ path: 'endpoints[].network', why: NETWORK }],
  WorkloadEntry: [{ path: 'network', why: NETWORK }],
  WorkloadGroup: [...['metadata', 'template'].map((path): Entry => ({ path, why: GROUP })), { path: 'probe', why: PROBE }],
  ProxyConfig: [
    { path: 'concurrency', why: 'an embedded proxy is one thread, and Envoy is started with one by its agent' },
    { path: 'environmentVariables', why: 'proxies are started by the agent of their machine, with its environment' },
    { path: 'image', why: 'proxies run without containers' },
  ],
  Sidecar: [
    { path: 'ingress[].port.targetPort', why: 'defaultEndpoint says where requests go', nowhere: true },
    { path: 'egress[].port.targetPort', why: 'the service says it', nowhere: true },
    ...['ingress[].connectionPool', 'inboundConnectionPool'].flatMap((pool) => [
      { path: `${pool}.http.h2UpgradePolicy`, why: INBOUND, nowhere: true as const },
      { path: `${pool}.http.useClientProtocol`, why: INBOUND, nowhere: true as const },
    ]),
  ],
  EnvoyFilter: [
    { path: 'targetRefs[]', why: TARGETS, unless: isGateway },
    { path: 'configPatches[].match.waypoint', why: 'there are no waypoints here' },
    { path: 'configPatches[].patch.filterClass', why: 'filters go where the operation says', nowhere: true },
  ],
  KubernetesGateway: [
    { path: 'infrastructure', why: 'no proxies are started for a Gateway: start one by weft gateway' },
    { path: 'allowedListeners', why: 'ListenerSets are not served' },
    { path: 'tls.backend', why: 'gateways show no certificate to backends: a DestinationRule with tls MUTUAL does', nowhere: true },
  ],
  GatewayClass: ['parametersRef', 'description'].map((path): Entry => ({ path, why: 'no proxies are started for a class', nowhere: true })),
  BackendTLSPolicy: [{ path: 'options', why: 'no option is known', nowhere: true }],
  RequestAuthentication: ['targetRef', 'targetRefs[]'].map((path): Entry => ({ path, why: TARGETS, unless: isGateway })),
  Telemetry: [
    ...['targetRef', 'targetRefs[]'].map((path): Entry => ({ path, why: TARGETS, unless: isGateway })),
    ...['tracing', 'metrics', 'accessLogging'].map((part): Entry => ({
      path: `${part}[].providers[]`,
      why: PROVIDER,
      unless: (provider) => (provider as { name?: string }).name === BUILT_IN.get(part),
    })),
    { path: 'metrics[].reportingInterval', why: 'metrics are pushed every second, those of open TCP connections every 5 s' },
  ],
};

/** Warnings where Istio would do something, information where it does not either. */
export function noEffectProblems(object: MeshObject): Problem[] {
  return (FIELDS[object.kind] ?? []).flatMap(({ path, why, nowhere, unless = () => false }) =>
    placesOf(object.spec, path.split(/(?=\[\])|\./), unless).map((place) =>
      problem(object, nowhere === true ? 'info' : 'warning', NO_EFFECT, place, `Has no effect here: ${why}.`),
    ),
  );
}

function placesOf(value: unknown, [step, ...rest]: readonly string[], unless: (value: unknown) => boolean, at = 'spec'): string[] {
  if (step === undefined) return value === undefined || unless(value) ? [] : [at];
  if (typeof value !== 'object' || value === null) return [];
  if (step === '[]') return Array.isArray(value) ? value.flatMap((item, i) => placesOf(item, rest, unless, `${at}[${i}]`)) : [];
  return placesOf((value as Record<string, unknown>)[step], rest, unless, `${at}.${step}`);
}
