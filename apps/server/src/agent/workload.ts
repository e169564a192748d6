// A workload of this machine: its ports, the objects that make it known to the mesh, what its proxy is started with,
// and the environment its application gets.

import { HEALTH_ANNOTATION, type InboundPort, type MeshObject, type UpstreamPort } from '@weft/mesh-core/model';
import type { ProxySpec } from '../proxy/config/proxy-spec.ts';
import type { ControlClient } from './control-client.ts';
import type { PortBook } from './ports.ts';

export interface WorkloadPlan {
  workload: string;
  namespace: string;
  service: string;
  serviceAccount: string;
  version: string;
  /** Beside those of `labelsOf`, and before them where both have one. */
  labels: Readonly<Record<string, string>>;
  /** `region/zone/subzone`; '' = unknown. */
  locality: string;
  inbound: readonly InboundPort[];
  upstreams: readonly (UpstreamPort & Pick<Upstream, 'protocol'>)[];
  httpProxyPort: number;
  adminPort: number;
}

export interface Upstream {
  host: string;
  port: number;
  /** As its Service or ServiceEntry declares it: `http-web`, `MONGO`. */
  protocol?: string;
}

export interface WorkloadRequest {
  service: string;
  namespace: string;
  version: string;
  serviceAccount?: string;
  labels?: WorkloadPlan['labels'];
  locality?: string;
  /** Of the Service; none = the program serves nobody. `appPort`: where the application is to listen; absent = allocate one. */
  ports: readonly { servicePort: number; appPort?: number; portName?: string }[];
  upstreams: readonly Upstream[];
}

export async function planWorkload(request: WorkloadRequest, ports: PortBook): Promise<WorkloadPlan> {
  const workload = `${request.service}-${request.version}`;
  const key = `${workload}.${request.namespace}`;
  const inbound: InboundPort[] = [];
  for (const [i, { servicePort, appPort, portName: name = 'http' }] of request.ports.entries()) {
    const of = i === 0 ? '' : `/${name}`;
    const listenPort = await ports.allocate(`${key}/inbound${of}`);
    inbound.push({ name, servicePort, listenPort, appPort: appPort ?? (await ports.allocate(`${key}/app${of}`)) });
  }
  const upstreams: UpstreamPort[] = [];
  for (const upstream of request.upstreams)
    upstreams.push({ ...upstream, listenPort: await ports.allocate(`${key}/upstream/${upstream.host}:${upstream.port}`) });
  return {
    workload,
    namespace: request.namespace,
    service: request.service,
    serviceAccount: request.serviceAccount ?? request.service,
    version: request.version,
    labels: request.labels ?? {},
    locality: request.locality ?? '',
    inbound,
    upstreams,
    httpProxyPort: await ports.allocate(`${key}/http-proxy`),
    adminPort: await ports.allocate(`${key}/admin`),
  };
}

/** Labels as Istio's sidecar injection would set them. */
export function labelsOf(plan: WorkloadPlan): Record<string, string> {
  return {
    app: plan.service,
    version: plan.version,
    'service.istio.io/canonical-name': plan.service,
    'service.istio.io/canonical-revision': plan.version,
    'security.istio.io/tlsMode': 'istio',
    ...plan.labels,
  };
}

/** The WorkloadEntry peers find this workload by: its ports are the sidecar's, never the application's. */
export function workloadEntry(plan: WorkloadPlan, health: 'healthy' | 'unhealthy' = 'healthy'): MeshObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: plan.workload, namespace: plan.namespace, ...(health === 'unhealthy' ? { annotations: { [HEALTH_ANNOTATION]: 'unhealthy' } } : {}) },
    spec: {
      address: '127.0.0.1',
      ports: Object.fromEntries(plan.inbound.map((port) => [port.name, port.listenPort])),
      labels: labelsOf(plan),
      ...(plan.locality === '' ? {} : { locality: plan.locality }),
      serviceAccount: plan.serviceAccount,
    },
  };
}

/** A Service for a program that has none yet. */
export function serviceFor(plan: WorkloadPlan): MeshObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: plan.service, namespace: plan.namespace },
    spec: { selector: { app: plan.service }, ports: plan.inbound.map((port) => ({ name: port.name, port: port.servicePort })) },
  };
}

/** What the embedded proxy of this workload is started with. */
export function proxySpec(plan: WorkloadPlan, client: ControlClient, stateDir: string): Promise<ProxySpec> {
  const { workload, namespace, serviceAccount, locality, httpProxyPort, inbound, adminPort } = plan;
  const upstreams = plan.upstreams.map(({ host, port, listenPort }) => ({ host, port, listenPort }));
  const own = {
    workload,
    namespace,
    serviceAccount,
    locality,
    httpProxyPort,
    inbound,
    upstreams,
    adminPort,
    role: 'sidecar',
    labels: labelsOf(plan),
    stateDir,
  } as const;
  return withGrant(own, client);
}

type Granted = 'trustDomain' | 'meshId' | 'ip' | 'xdsAddress' | 'rootCaPem' | 'joinToken' | 'otlpEndpoint';

/** Asks the server for a join token and for where the proxy finds it. */
export async function withGrant(own: Omit<ProxySpec, Granted>, client: ControlClient): Promise<ProxySpec> {
  const grant = await client.joinToken({ namespace: own.namespace, workload: own.workload, serviceAccount: own.serviceAccount });
  return {
    ...own,
    trustDomain: grant.trustDomain,
    meshId: grant.meshId,
    ip: '127.0.0.1',
    xdsAddress: grant.xdsAddress,
    rootCaPem: grant.rootCaPem,
    joinToken: grant.token,
    otlpEndpoint: grant.otlpEndpoint,
  };
}

/** By the name of its protocol, as Istio selects it; gRPC and what is not declared have that of HTTP. */
const SCHEMES: ReadonlyMap<string, string> = new Map([...['https', 'tls', 'tcp', 'mysql', 'redis'].map((name) => [name, name] as const), ['mongo', 'mongodb']]);

function schemeOf(protocol = ''): string {
  return SCHEMES.get(protocol.toLowerCase().split(/[-/]/)[0] ?? '') ?? 'http';
}

/**
 * Addresses of the upstreams for the application: `REVIEWS_URL`, `REVIEWS_SERVICE_HOST`, `REVIEWS_SERVICE_PORT` and
 * `WEFT_UPSTREAM_REVIEWS` (host:port); a service outside the workload's namespace is named `<SERVICE>_<NAMESPACE>`.
 * As in Kubernetes these are of a service's first port; further ones have their number behind them: `WEFT_UPSTREAM_REVIEWS_9081`.
 */
export function upstreamEnvironment(plan: WorkloadPlan): Record<string, string> {
  const environment: Record<string, string> = { WEFT_HTTP_PROXY: `http://127.0.0.1:${plan.httpProxyPort}` };
  for (const upstream of plan.upstreams) {
    const [service = upstream.host, namespace = '', kind] = upstream.host.split('.');
    // A host of a ServiceEntry is named in full: API_EXAMPLE_COM, and ANY_EXAMPLE_COM for *.example.com, which no shell takes as a name.
    const plain = kind !== 'svc' ? upstream.host : namespace === plan.namespace ? service : `${service}_${namespace}`;
    const first = plan.upstreams.find(({ host }) => host === upstream.host) === upstream;
    const name = `${plain.replace(/^\*/, 'any').toUpperCase().replaceAll(/[-.]/g, '_')}${first ? '' : `_${upstream.port}`}`;
    const address = `127.0.0.1:${upstream.listenPort}`;
    environment[`${name}_URL`] = `${schemeOf(upstream.protocol)}://${address}`;
    environment[`${name}_SERVICE_HOST`] = '127.0.0.1';
    environment[`${name}_SERVICE_PORT`] = String(upstream.listenPort);
    environment[`WEFT_UPSTREAM_${name}`] = address;
  }
  return environment;
}
