// The demo's workloads: what runs, who calls whom, on which ports.

import type { MeshObject, UpstreamPort } from '@weft/mesh-core/model';
import type { ControlClient } from '../agent/control-client.ts';
import type { PortBook } from '../agent/ports.ts';
import { type WorkloadPlan, planWorkload, withGrant } from '../agent/workload.ts';
import type { DemoServiceName, DemoServiceSpec, DemoSpec } from '../demo/demo-spec.ts';
import type { ProxySpec } from '../proxy/config/proxy-spec.ts';

const NAMESPACE = 'bookinfo';
const SERVICE_PORT = 9080;

const WORKLOADS: readonly { service: DemoServiceName; version: string; calls: readonly DemoServiceName[] }[] = [
  { service: 'productpage', version: 'v1', calls: ['details', 'reviews'] },
  { service: 'details', version: 'v1', calls: [] },
  { service: 'reviews', version: 'v1', calls: [] },
  { service: 'reviews', version: 'v2', calls: ['ratings'] },
  { service: 'reviews', version: 'v3', calls: ['ratings'] },
  { service: 'ratings', version: 'v1', calls: [] },
];

export interface GatewayPlan {
  namespace: string;
  workload: string;
  port: number;
  adminPort: number;
}

export interface DemoPlan {
  workloads: readonly WorkloadPlan[];
  gateway: GatewayPlan;
  controlPort: number;
}

export async function planDemo(ports: PortBook, gatewayPort: number): Promise<DemoPlan> {
  const workloads: WorkloadPlan[] = [];
  for (const { service, version, calls } of WORKLOADS)
    workloads.push(
      await planWorkload(
        {
          service,
          version,
          namespace: NAMESPACE,
          serviceAccount: `bookinfo-${service}`,
          ports: [{ servicePort: SERVICE_PORT }],
          upstreams: calls.map((name) => ({ host: `${name}.${NAMESPACE}.svc.cluster.local`, port: SERVICE_PORT })),
        },
        ports,
      ),
    );
  return {
    workloads,
    gateway: { namespace: 'ingress', workload: 'ingressgateway', port: gatewayPort, adminPort: await ports.allocate('ingressgateway.ingress/admin') },
    controlPort: await ports.allocate('demo/control'),
  };
}

/** What the demo process is started with. */
export function demoSpec(plan: DemoPlan, rps: number): DemoSpec {
  return {
    services: plan.workloads.map((workload): DemoServiceSpec => {
      const [port] = workload.inbound;
      if (port === undefined) throw new Error(`${workload.workload} has no port`);
      return {
        name: workload.service as DemoServiceName,
        version: workload.version,
        port: port.appPort,
        upstreams: Object.fromEntries(workload.upstreams.map(upstreamUrl)),
      };
    }),
    load: { target: `http://127.0.0.1:${plan.gateway.port}/productpage`, rps, controlPort: plan.controlPort },
  };
}

function upstreamUrl(upstream: UpstreamPort): [string, string] {
  return [upstream.host.split('.')[0] ?? upstream.host, `http://127.0.0.1:${upstream.listenPort}`];
}

/** From 8080 to 8443. */
const HTTPS_BESIDE = 363;

/**
 * The ingress gateway is a proxy without an application; Gateway objects find it by the label Istio's own gateway has. As behind
 * that one's Service ports 80 and 443 are others here, so that Gateways of istio.io need no root.
 */
export function gatewaySpec(gateway: GatewayPlan, client: ControlClient, stateDir: string): Promise<ProxySpec> {
  const { namespace, workload, adminPort, port } = gateway;
  const labels = {
    app: workload,
    istio: 'ingressgateway',
    version: 'v1',
    'service.istio.io/canonical-name': workload,
    'service.istio.io/canonical-revision': 'v1',
  };
  const own = {
    namespace,
    workload,
    serviceAccount: workload,
    adminPort,
    role: 'router',
    labels,
    httpProxyPort: 0,
    inbound: [
      { name: 'http2', servicePort: 80, listenPort: port, appPort: port },
      { name: 'https', servicePort: 443, listenPort: port + HTTPS_BESIDE, appPort: port + HTTPS_BESIDE },
    ],
    upstreams: [],
    stateDir,
  } as const;
  return withGrant(own, client);
}

/** The seed's Gateway with its port moved to where this machine's gateway listens. */
export function withGatewayPort(gateway: MeshObject, port: number): MeshObject {
  const spec = structuredClone(gateway.spec) as { servers: { port: { number: number } }[] };
  const [server] = spec.servers;
  if (server !== undefined) server.port.number = port;
  return { ...gateway, spec };
}
