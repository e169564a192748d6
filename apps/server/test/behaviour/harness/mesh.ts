// The mesh under test: one control plane, and for each data plane two clients, one server and a gateway, all real.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { type MeshObject, DEFAULT_MESH_SETTINGS, refKey, refOf } from '@weft/mesh-core/model';
import { type Child } from '../../../src/agent/child.ts';
import { startEnvoy } from '../../../src/agent/envoy.ts';
import { createCertificateAuthority, createSecretProvider } from '../../../src/certificates/ca.ts';
import type { WriteOp } from '../../../src/config-store/config-store.ts';
import { openJournalStore } from '../../../src/config-store/journal-store.ts';
import { createControlPlane } from '../../../src/control-plane/create-control-plane.ts';
import type { ProxySpec } from '../../../src/proxy/config/proxy-spec.ts';
import { createProxyRuntime } from '../../../src/proxy/http/runtime.ts';
import { startProxy } from '../../../src/proxy/instance.ts';
import { type Case, type Plane, namespaceOf, otherNamespaceOf } from '../case.ts';
import { type Apps, startApps } from './apps.ts';
import { issueCertificates } from './certificates.ts';
import { type Layout, planLayout } from './layout.ts';
import { objectsOf } from './objects.ts';
import { type TelemetrySink, startTelemetrySink } from './telemetry.ts';

/** The service whose endpoint is the server sidecar itself, so that both ends of a request know each other by name. */
export const OBSERVED = {
  name: 'observed',
  ports: [
    { name: 'http-a', number: 8080 },
    { name: 'http-dead', number: 8084 },
    { name: 'grpc-a', number: 9090 },
    { name: 'tcp-echo', number: 9000 },
  ],
};

/** Why proxies refused a change, by proxy id; a reason starts with the resource it is about. */
export type Refusals = ReadonlyMap<string, string>;

/** Of the refusals those that are about one of these services, or come from somewhere else than a route table of many. */
export function refusalsOf(refusals: Refusals, services: readonly string[]): string[] {
  return [...refusals].flatMap(([proxy, text]) =>
    text
      .split('; ')
      .flatMap((reason) =>
        services.some((name) => reason.startsWith(`${name}.`) || reason.includes(`|${name}.`)) ? [`refused by ${proxy.split('~')[2]}: ${reason}`] : [],
      ),
  );
}

export interface SuiteMesh {
  apps: Apps;
  layout: Layout;
  telemetry: TelemetrySink;
  planes: readonly Plane[];
  /** A sidecar's certificate and whom it trusts, as xDS has them. */
  secretsOf(identity: { namespace: string; serviceAccount: string }): Promise<JsonObject[]>;
  /** Writes the objects and waits until every connected proxy has answered for what changed. */
  put(objects: readonly MeshObject[]): Promise<Refusals>;
  remove(objects: readonly MeshObject[]): Promise<Refusals>;
  /** What the control plane says of a proxy. */
  status(workload: string, namespace: string): unknown;
  stop(): Promise<void>;
}

const verbose = (message: string): unknown => process.env['SUITE_VERBOSE'] !== undefined && process.stderr.write(`${message}\n`);

const ANSWER_WITHIN_MS = 180_000;

/** `envoy`: path of the binary; undefined leaves that column out. */
export async function startMesh(cases: readonly Case[], envoy: string | undefined): Promise<SuiteMesh> {
  const stops: (() => Promise<unknown> | void)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of stops.splice(0).toReversed()) await step();
  };
  try {
    return await start(cases, envoy, stops, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  cases: readonly Case[],
  envoy: string | undefined,
  stops: (() => Promise<unknown> | void)[],
  stop: () => Promise<void>,
): Promise<SuiteMesh> {
  const planes: readonly Plane[] = envoy === undefined ? ['embedded'] : ['embedded', 'envoy'];
  const dir = mkdtempSync(join(tmpdir(), 'weft-behaviour-'));
  stops.push(() => rmSync(dir, { recursive: true, force: true }));
  const certificates = await issueCertificates(join(dir, 'outside'));
  const apps = await startApps(certificates);
  stops.push(() => apps.close());
  const layout = await planLayout({ dir, cases, apps, certificates, observed: OBSERVED });
  const { accessLogFile } = layout;
  const telemetry = await startTelemetrySink(accessLogFile);
  stops.push(() => telemetry.stop());

  const store = await openJournalStore({ dir: join(layout.dir, 'config'), now: Date.now, log: () => undefined });
  stops.push(() => store.close());
  const ca = await createCertificateAuthority({ stateDir: layout.dir, trustDomain: 'cluster.local' });
  const plane = createControlPlane({
    store,
    settings: {
      ...DEFAULT_MESH_SETTINGS,
      tracingSamplingPercent: 100,
      accessLogFile,
      otlp: { host: '127.0.0.1', grpcPort: telemetry.ports.grpc, httpPort: telemetry.ports.http },
    },
    ca,
    secrets: createSecretProvider({ ca }),
    ports: { plain: 0, tls: 0, host: '127.0.0.1' },
    log: ({ level, message, fields }) => level === 'error' && process.stderr.write(`control plane: ${message} ${JSON.stringify(fields)}\n`),
  });
  await plane.start();
  stops.push(() => plane.stop());

  await store.write(
    planes.flatMap((p) => objectsOf(COMMON, p, layout)).map((object) => ({ op: 'put' as const, object })),
    { actor: 'suite' },
  );
  const specs = planes.flatMap((p) => [...proxySpecs(p, layout), ...(cases.some((c) => c.objects?.includes('kind: Ingress')) ? [ingressSpec(p, layout)] : [])]);
  await Promise.all(
    specs.map(async ({ plane: kind, ...rest }) => {
      const spec: ProxySpec = {
        ...rest,
        trustDomain: 'cluster.local',
        meshId: 'suite',
        ip: '127.0.0.1',
        xdsAddress: `127.0.0.1:${plane.ports().tls}`,
        rootCaPem: ca.rootCaPem,
        joinToken: ca.issueJoinToken({ namespace: rest.namespace, workload: rest.workload, serviceAccount: rest.serviceAccount }),
        otlpEndpoint: `http://127.0.0.1:${telemetry.ports.http}`,
        stateDir: '',
      };
      const name = `${spec.workload}.${spec.namespace}`;
      if (kind === 'envoy') {
        const child: Child = await startEnvoy({
          spec,
          binary: envoy ?? '',
          dir: join(layout.dir, name),
          logFile: join(layout.dir, `${name}.log`),
          log: verbose,
        });
        stops.push(() => child.stop(2_000));
      } else {
        const proxy = await startProxy(spec, {
          createRuntime: createProxyRuntime,
          log: verbose,
        });
        stops.push(() => proxy.drain(200));
        await proxy.ready;
      }
    }),
  );

  // Edits that come while one is on its way go out together; whoever made them finds their own refusals by name.
  let queue: { ops: WriteOp[]; done(refusals: Refusals): void; failed(error: unknown): void }[] = [];
  let writing = false;
  let edits = 0;
  const write = (ops: WriteOp[]): Promise<Refusals> =>
    new Promise((done, failed) => {
      queue.push({ ops, done, failed });
      if (!writing) void flush();
    });
  const flush = async (): Promise<void> => {
    writing = true;
    // All cases that start in this turn.
    await new Promise((resolve) => setImmediate(resolve));
    while (queue.length > 0) {
      const taken = queue;
      queue = [];
      try {
        // An edit that changes nothing for anybody leaves no trace; this endpoint moves for everybody.
        edits += 1;
        const { revision } = await store.write([...taken.flatMap((t) => t.ops), { op: 'put', object: marker(edits) }], { actor: 'suite' });
        const refusals = await answered(revision);
        for (const [proxy, reason] of refusals) verbose(`${proxy} refused: ${reason}`);
        for (const { done } of taken) done(refusals);
      } catch (error) {
        for (const { failed } of taken) failed(error);
      }
    }
    writing = false;
  };
  const answered = (revision: string): Promise<Refusals> =>
    eventually(async () => {
      const spread = plane.propagation(revision);
      if (spread?.completeMs === undefined) return undefined;
      return new Map(spread.proxies.flatMap((p) => (p.state === 'nacked' ? [[p.proxyId, p.error ?? 'refused']] : [])));
    }, `every proxy's answer to revision ${revision}`).catch((error: unknown) => {
      const waiting = plane.propagation(revision)?.proxies.filter((p) => p.state === 'pending' || p.state === 'sent') ?? [];
      throw new Error(
        `${String(error)}; waiting for ${waiting.map((p) => `${p.workload}.${p.namespace} (${p.state}: ${p.types.join(',')})`).join(', ') || 'a change to reach any proxy'}`,
      );
    });

  const there = new Set<string>();
  return {
    apps,
    layout,
    telemetry,
    planes,
    async secretsOf(identity) {
      const leaf = await ca.issueLeaf({ trustDomain: 'cluster.local', ...identity });
      const inline = (inlineString: string): JsonObject => ({ inlineString });
      return [
        { name: 'default', tlsCertificate: { certificateChain: inline(leaf.certificatePem), privateKey: inline(leaf.privateKeyPem) } },
        { name: 'ROOTCA', validationContext: { trustedCa: inline(ca.rootCaPem) } },
      ];
    },
    put(objects) {
      for (const object of objects) there.add(refKey(refOf(object)));
      return write(objects.map((object) => ({ op: 'put' as const, object })));
    },
    // Those that a step has taken away are gone already.
    remove: (objects) => write(objects.map(refOf).flatMap((ref) => (there.delete(refKey(ref)) ? [{ op: 'delete' as const, ref }] : []))),
    status: (workload, namespace) => plane.proxies().find((p) => p.workload === workload && p.namespace === namespace),
    stop,
  };
}

type PartialSpec = Omit<ProxySpec, 'trustDomain' | 'meshId' | 'ip' | 'xdsAddress' | 'rootCaPem' | 'joinToken' | 'otlpEndpoint' | 'stateDir'> & { plane: Plane };

function proxySpecs(plane: Plane, layout: Layout): PartialSpec[] {
  const base = { plane, namespace: namespaceOf(plane), role: 'sidecar' as const, httpProxyPort: 0, inbound: [], upstreams: [] };
  const admin = (workload: string) => ({ workload, adminPort: layout.adminPort(plane, workload) });
  return [
    { ...base, ...admin('client'), serviceAccount: 'client', labels: { app: 'client', version: 'v1' }, upstreams: layout.upstreams(plane, 'client') },
    // One route table holds every case here: a refusal of one must not hide the others from the first client.
    { ...base, ...admin('by-host'), serviceAccount: 'by-host', labels: { app: 'by-host' }, httpProxyPort: layout.proxyPort(plane) },
    {
      ...base,
      ...admin('other'),
      namespace: otherNamespaceOf(plane),
      serviceAccount: 'other',
      labels: { app: 'other', version: 'v2' },
      upstreams: layout.upstreams(plane, 'other'),
    },
    ...(['told', 'drained'] as const).map((name) => ({
      ...base,
      ...admin(name),
      serviceAccount: name,
      labels: { app: name, version: 'v1', 'istio-locality': 'r1.z1.s1' },
      upstreams: layout.upstreams(plane, name),
    })),
    {
      ...base,
      ...admin('observed-v1'),
      serviceAccount: 'observed',
      labels: { app: 'observed', version: 'v1', modes: 'by-port' },
      inbound: layout.inbound(plane),
    },
    {
      ...{ ...base, ...admin('gateway'), role: 'router', serviceAccount: 'gateway' },
      labels: { app: 'gateway', istio: `ingress-${plane}`, 'gateway.networking.k8s.io/gateway-name': 'gateway' },
    },
  ];
}

/** The gateway of Ingresses: their ports 80 and 443 are `ingress` and `ingress-tls`. */
function ingressSpec(plane: Plane, layout: Layout): PartialSpec {
  const listen = (name: string, servicePort: number, at: string) => ({ name, servicePort, listenPort: layout.openedPort(plane, at), appPort: 0 });
  return {
    ...{ plane, namespace: namespaceOf(plane), role: 'router', httpProxyPort: 0, upstreams: [], workload: 'ingress', serviceAccount: 'ingress' },
    ...{ adminPort: layout.adminPort(plane, 'ingress'), labels: { app: 'ingress', istio: 'ingressgateway' } },
    inbound: [listen('http', 80, 'ingress'), listen('https', 443, 'ingress-tls')],
  };
}

function marker(count: number): MeshObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: 'marker', namespace: namespaceOf('embedded') },
    spec: { address: '127.0.0.1', ports: { http: 1 + (count % 60_000) }, labels: { app: 'marker' } },
  };
}

/** Objects every case may rely on: the observed service and its one workload, modes of the server's ports. */
export const COMMON: Case = {
  area: '',
  name: 'what every case may rely on',
  steps: [],
  objects: `
kind: Service
metadata: { name: observed }
spec: { selector: { app: observed }, ports: [${OBSERVED.ports.map((p) => `{ name: ${p.name}, port: ${p.number} }`).join(', ')}] }
---
kind: WorkloadEntry
metadata: { name: observed-v1 }
spec:
  address: 127.0.0.1
  ports: { ${OBSERVED.ports.map((p) => `${p.name}: $INBOUND(${p.name})`).join(', ')} }
  labels: { app: observed, version: v1, security.istio.io/tlsMode: istio }
  serviceAccount: observed
---
kind: PeerAuthentication
metadata: { name: modes }
spec:
  selector: { matchLabels: { modes: by-port } }
  portLevelMtls: { "$INBOUND(strict)": { mode: STRICT }, "$INBOUND(disable)": { mode: DISABLE } }
---
kind: Service
metadata: { name: marker }
spec: { selector: { app: marker }, ports: [{ name: http, port: 80 }] }
---
kind: Gateway
metadata: { name: gateway }
spec:
  selector: { istio: ingress-$PLANE }
  servers:
  - port: { number: $AT(gateway), name: http, protocol: HTTP }
    hosts: ["*"]
`,
};

async function eventually<T>(probe: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = performance.now() + ANSWER_WITHIN_MS;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${ANSWER_WITHIN_MS / 1_000} s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
