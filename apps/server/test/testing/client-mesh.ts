// A mesh with one service, and what the sidecar of one client of it is started with.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MeshObject } from '@weft/mesh-core/model';
import { startHarness } from '../../src/control-plane/testing/harness.ts';
import type { ProxySpec } from '../../src/proxy/config/proxy-spec.ts';
import { freePort } from '../../src/proxy/listener/testing/free-port.ts';

export interface ClientMesh {
  mesh: Awaited<ReturnType<typeof startHarness>>;
  dir: string;
  /** The sidecar of workload `client`: one upstream, the service. */
  spec: ProxySpec;
  /** Where the sidecar takes requests to the service. */
  url: string;
  close(): Promise<void>;
}

/** The service answers after `answerMs`. */
export async function startClientMesh(answerMs: number): Promise<ClientMesh> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-client-'));
  const mesh = await startHarness({ realTranslator: true });
  const backend = createServer((_, response) => setTimeout(() => response.end('hello'), answerMs)).listen(0, '127.0.0.1');
  await once(backend, 'listening');
  await putService(mesh, 'backend', { name: 'http', port: 80, target: (backend.address() as AddressInfo).port });
  const listenPort = await freePort();
  const spec: ProxySpec = {
    workload: 'client',
    namespace: 'a',
    serviceAccount: 'client',
    trustDomain: 'cluster.local',
    meshId: 'test',
    role: 'sidecar',
    labels: { app: 'client' },
    ip: '127.0.0.1',
    httpProxyPort: 0,
    inbound: [],
    upstreams: [{ host: 'backend.a.svc.cluster.local', port: 80, listenPort }],
    adminPort: 0,
    xdsAddress: `127.0.0.1:${mesh.plane.ports().tls}`,
    rootCaPem: mesh.ca.rootCaPem,
    joinToken: mesh.ca.issueJoinToken({ namespace: 'a', workload: 'client', serviceAccount: 'client' }),
    otlpEndpoint: 'http://127.0.0.1:9',
    stateDir: join(dir, 'state'),
  };
  return {
    mesh,
    dir,
    spec,
    url: `http://127.0.0.1:${listenPort}/`,
    close: async () => {
      backend.closeAllConnections();
      backend.close();
      await mesh.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A Service of namespace `a` with one workload, which listens at `target`. */
export async function putService(mesh: ClientMesh['mesh'], name: string, port: { name: string; port: number; target: number }): Promise<void> {
  const object = (kind: string, apiVersion: string, objectName: string, spec: unknown): MeshObject => ({
    apiVersion,
    kind,
    metadata: { name: objectName, namespace: 'a' },
    spec,
  });
  await mesh.put(
    object('Service', 'v1', name, { selector: { app: name }, ports: [{ name: port.name, port: port.port }] }),
    object('WorkloadEntry', 'networking.istio.io/v1', `${name}-1`, { address: '127.0.0.1', ports: { [port.name]: port.target }, labels: { app: name } }),
  );
}
