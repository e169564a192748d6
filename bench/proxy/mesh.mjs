// A real Weft control plane with two pairs of sidecars, one embedded and one stock Envoy, over the same applications: what is
// measured is what a user runs, telemetry, retries, outlier detection and circuit breakers included.
import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { DEFAULT_MESH_SETTINGS } from '@weft/mesh-core/model';
import { createControlClient } from '../../apps/server/dist/agent/control-client.js';
import { findEnvoy, startEnvoy } from '../../apps/server/dist/agent/envoy.js';
import { PROXY_FLAGS, PROXY_PROGRAM, proxyEnv } from '../../apps/server/dist/agent/proxy-flags.js';
import { proxySpec, workloadEntry } from '../../apps/server/dist/agent/workload.js';
import { LOAD_CORE, PROXY_CORE, freePorts } from '../lib/rig.mjs';

const dist = join(import.meta.dirname, '../../apps/server/dist');
const NAMESPACE = 'bench';
const host = (service) => `${service}.${NAMESPACE}.svc.cluster.local`;

/** Control plane on the load core. */
export async function startControlPlane(rig) {
  const [port, xdsPort, xdsTlsPort, otlpGrpcPort, otlpHttpPort] = await freePorts(5);
  const options = {
    ...{ stateDir: join(rig.dir, 'state'), host: '127.0.0.1', port, xdsPort, xdsTlsPort, otlpGrpcPort, otlpHttpPort },
    settings: { ...DEFAULT_MESH_SETTINGS, tracingSamplingPercent: 1, otlp: { host: '127.0.0.1', grpcPort: otlpGrpcPort, httpPort: otlpHttpPort } },
    consoleDir: join(rig.dir, 'none'),
  };
  const file = join(rig.dir, 'server.json');
  writeFileSync(file, JSON.stringify(options));
  const pid = await rig.start(LOAD_CORE, process.execPath, [join(dist, 'main.js'), file], { ready: (line) => line.startsWith('{"ready"') });
  return { pid, client: createControlClient(`http://127.0.0.1:${port}`, 'bench') };
}

/** Writes services and rules; answers the plans of the workloads by kind: a client and a server each. Those of kind `quiet` have no telemetry. */
export async function planMesh(client, { http, grpc }, kinds) {
  const p = await freePorts(kinds.length * 10);
  const server = (kind, i) => ({
    ...{ workload: `server-${kind}`, namespace: NAMESPACE, service: `echo-${kind}`, serviceAccount: `server-${kind}`, version: 'v1' },
    inbound: [
      { name: 'http', servicePort: 80, listenPort: p[i], appPort: http },
      { name: 'grpc', servicePort: 81, listenPort: p[i + 1], appPort: grpc },
    ],
    ...{ upstreams: [], httpProxyPort: p[i + 2], adminPort: p[i + 3] },
  });
  const caller = (kind, i) => ({
    ...{ workload: `client-${kind}`, namespace: NAMESPACE, service: `client-${kind}`, serviceAccount: `client-${kind}`, version: 'v1' },
    inbound: [],
    upstreams: [
      { host: host('plain'), port: 80, listenPort: p[i] },
      { host: host('plain'), port: 81, listenPort: p[i + 1] },
      { host: host(`echo-${kind}`), port: 80, listenPort: p[i + 2] },
      { host: host(`echo-${kind}`), port: 81, listenPort: p[i + 3] },
    ],
    ...{ httpProxyPort: p[i + 4], adminPort: p[i + 5] },
  });
  const plans = Object.fromEntries(kinds.map((kind, i) => [kind, [caller(kind, i * 10), server(kind, i * 10 + 6)]]));
  const metadata = (name) => ({ name, namespace: NAMESPACE });
  const istio = (kind, name, spec) => ({ apiVersion: 'networking.istio.io/v1', kind, metadata: metadata(name), spec });
  const ports = [
    { name: 'http', port: 80 },
    { name: 'grpc', port: 81 },
  ];
  const services = ['plain', ...kinds.map((kind) => `echo-${kind}`)];
  await client.apply(
    [
      ...services.map((name) => ({ apiVersion: 'v1', kind: 'Service', metadata: metadata(name), spec: { selector: { app: name }, ports } })),
      istio('WorkloadEntry', 'plain-v1', { address: '127.0.0.1', ports: { http, grpc }, labels: { app: 'plain', version: 'v1' } }),
      ...services.map((name) =>
        istio('VirtualService', name, {
          hosts: [host(name)],
          http: [
            { match: [{ headers: { 'end-user': { exact: 'jason' } } }], route: [{ destination: { host: host(name) } }] },
            {
              route: [{ destination: { host: host(name) } }],
              timeout: '10s',
              retries: { attempts: 3, perTryTimeout: '2s', retryOn: '5xx,reset,connect-failure' },
            },
          ],
        }),
      ),
      ...services.map((name) =>
        istio('DestinationRule', name, {
          host: host(name),
          trafficPolicy: {
            connectionPool: { tcp: { maxConnections: 1000 }, http: { http1MaxPendingRequests: 1000, http2MaxRequests: 10000 } },
            outlierDetection: { consecutive5xxErrors: 5, interval: '30s', baseEjectionTime: '30s', maxEjectionPercent: 100 },
          },
        }),
      ),
      ...Object.values(plans)
        .flat()
        .map((plan) => workloadEntry(plan)),
      ...(plans.quiet ?? []).map(withoutTelemetry),
    ],
    'bench',
  );
  return plans;
}

/** A Telemetry that leaves a workload without metrics and without traces. */
function withoutTelemetry({ workload, service }) {
  return {
    ...{ apiVersion: 'telemetry.istio.io/v1', kind: 'Telemetry', metadata: { name: workload, namespace: NAMESPACE } },
    spec: {
      selector: { matchLabels: { app: service } },
      metrics: [{ providers: [{ name: 'prometheus' }], overrides: [{ match: { metric: 'ALL_METRICS' }, disabled: true }] }],
      tracing: [{ disableSpanReporting: true }],
    },
  };
}

/** Host of the application as the Host-keyed listener knows it. */
export const PLAIN_HOST = host('plain');

/** 1,000 more services of 10 routes each; resolves when the proxy whose Host-keyed listener is `port` has the last of them. */
export async function growMesh(client, port) {
  const names = Array.from({ length: 1_000 }, (_, i) => `many-${i}`);
  const metadata = (name) => ({ name, namespace: NAMESPACE });
  const route = (name, i) => ({ match: [{ uri: { prefix: `/api/${i}` } }], route: [{ destination: { host: host(name) } }] });
  const objects = names.flatMap((name) => [
    { apiVersion: 'v1', kind: 'Service', metadata: metadata(name), spec: { selector: { app: name }, ports: [{ name: 'http', port: 80 }] } },
    {
      ...{ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: metadata(name) },
      spec: { hosts: [host(name)], http: [...Array.from({ length: 9 }, (_, i) => route(name, i)), { directResponse: { status: 204 } }] },
    },
  ]);
  for (let i = 0; i < objects.length; i += 200) await client.apply(objects.slice(i, i + 200), 'bench');
  for (let i = 0; i < 120; i++) {
    if ((await status(port, host('many-999'))) === 204) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error('the 1,000 services did not arrive');
}

/** Status of GET / for a host; -1 = no answer. */
function status(port, name) {
  return new Promise((resolve) => {
    get({ host: '127.0.0.1', port, headers: { host: name }, agent: false }, (response) => resolve(response.resume().statusCode)).on('error', () => resolve(-1));
  });
}

/** Embedded sidecars in one process, as `weft up` runs them. */
export async function startEmbedded(rig, client, plans, { name = 'proxies', build = dist, flags = PROXY_FLAGS } = {}) {
  const specs = await Promise.all(plans.map((plan) => proxySpec(plan, client, '')));
  const file = join(rig.dir, `${name}.json`);
  writeFileSync(file, JSON.stringify(specs));
  return [
    await rig.start(PROXY_CORE, process.execPath, [...flags, join(build, PROXY_PROGRAM), file], {
      ready: (line) => line.startsWith('{"ready"'),
      env: proxyEnv(process.env),
    }),
  ];
}

/** Two stock Envoys; undefined when Envoy is not installed. Answers their pids and how to stop them. */
export async function startEnvoys(rig, client, plans) {
  let binary;
  try {
    binary = findEnvoy(process.env);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    return undefined;
  }
  // The agent starts the binary it is given: a wrapper pins it.
  const pinned = join(rig.dir, 'envoy-pinned');
  writeFileSync(pinned, `#!/bin/sh\nexec taskset -c ${PROXY_CORE} ${binary} "$@"\n`, { mode: 0o755 });
  const children = [];
  for (const plan of plans) {
    const spec = await proxySpec(plan, client, '');
    children.push(await startEnvoy({ spec, binary: pinned, dir: join(rig.dir, plan.workload), logFile: join(rig.dir, `${plan.workload}.log`) }));
  }
  return { pids: children.map((child) => child.pid), stop: () => Promise.all(children.map((child) => child.stop())) };
}
