import { afterEach, expect, test, vi } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type MeshObject } from '../model/index.ts';
import { buildMesh, endpointPort, serviceOf } from './mesh.ts';
import { isBehind, workloadsOf } from './service-workloads.ts';

afterEach(() => void vi.restoreAllMocks());

test('when an endpoint moves those that have not moved are not compared', () => {
  const service = (i: number): MeshObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `s${i}`, namespace: 'a' },
    spec: { selector: { app: `s${i}` }, ports: [{ name: 'http', port: 80 }] },
  });
  const workload = (i: number, address = '10.0.0.1'): MeshObject => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: `w${i}`, namespace: 'a' },
    spec: { address, labels: { app: `s${i}` } },
  });
  const services = Array.from({ length: 200 }, (_, i) => service(i));
  const workloads = Array.from({ length: 200 }, (_, i) => workload(i));
  const behind = (mesh: ReturnType<typeof buildMesh>, i: number) => {
    const found = serviceOf(mesh, `s${i}.a.svc.cluster.local`, { namespace: 'a', role: 'sidecar' });
    return found === undefined ? [] : workloadsOf(mesh, found);
  };
  const before = buildMesh([...services, ...workloads], DEFAULT_MESH_SETTINGS);
  const kept = behind(before, 8);
  const compared = vi.spyOn(JSON, 'stringify');
  const after = buildMesh([...services, ...workloads.with(7, workload(7, '10.0.0.2'))], DEFAULT_MESH_SETTINGS, before);
  expect(behind(after, 7)[0]?.address).toBe('10.0.0.2');
  expect(behind(after, 8)).toBe(kept);
  expect(compared.mock.calls.length).toBeLessThan(20);
});

test('with another trust domain workloads have other identities', () => {
  const entry: MeshObject = { apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry', metadata: { name: 'w', namespace: 'a' }, spec: { address: '10.0.0.1', labels: { app: 's' } } }; // prettier-ignore
  const service: MeshObject = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's', namespace: 'a' }, spec: { selector: { app: 's' }, ports: [{ port: 80 }] } }; // prettier-ignore
  const principals = ['cluster.local', 'other'].map((trustDomain) => {
    const mesh = buildMesh([service, entry], { ...DEFAULT_MESH_SETTINGS, trustDomain });
    const found = serviceOf(mesh, 's.a.svc.cluster.local', { namespace: 'a', role: 'sidecar' });
    return found === undefined ? undefined : workloadsOf(mesh, found)[0]?.principal;
  });
  expect(principals).toEqual(['spiffe://cluster.local/ns/a/sa/default', 'spiffe://other/ns/a/sa/default']);
});

test('endpoints of a ServiceEntry with the host of a Service of its namespace join those of the Service, by names of ports', () => {
  const of = (apiVersion: string, kind: string, name: string, spec: object, namespace = 'a'): MeshObject => ({
    apiVersion,
    kind,
    metadata: { name, namespace },
    spec,
  });
  const workload = (name: string, address: string, app: string, ports = {}): MeshObject =>
    of('networking.istio.io/v1', 'WorkloadEntry', name, { address, ports, labels: { app } });
  const entry = (spec: object, namespace = 'a'): MeshObject =>
    of(
      'networking.istio.io/v1',
      'ServiceEntry',
      'e',
      { hosts: ['S.a.svc.cluster.local'], location: 'MESH_INTERNAL', resolution: 'STATIC', ...spec },
      namespace,
    );
  const ports = [
    { name: 'http', number: 80, protocol: 'HTTP' },
    { name: 'http-b', number: 91, targetPort: 9191, protocol: 'HTTP' },
  ];
  const http = { name: 'http', port: 80, targetPort: 8080 };
  const behind = (...objects: MeshObject[]): unknown => {
    const service = of('v1', 'Service', 's', { selector: { app: 's' }, ports: [http, { name: 'http-b', port: 90 }, { name: 'http-c', port: 100 }] });
    const mesh = buildMesh([service, workload('w', '10.0.0.1', 's'), workload('x', '10.0.0.7', 'x', { http: 7070 }), ...objects], DEFAULT_MESH_SETTINGS);
    const found = serviceOf(mesh, 's.a.svc.cluster.local', { namespace: 'b', role: 'sidecar' });
    if (found?.entry !== undefined || found === undefined) return 'the entry';
    return found.ports.map((port) => workloadsOf(mesh, found).flatMap((w) => (isBehind(w, port) ? `${w.address}:${endpointPort(w, port)}` : [])));
  };
  const alone = [['10.0.0.1:8080'], ['10.0.0.1:90'], ['10.0.0.1:100']];
  expect(behind(entry({ ports, endpoints: [{ address: '10.9.9.9' }, { address: '10.9.9.8', ports: { http: 88 } }] }))).toEqual([
    ['10.0.0.1:8080', '10.9.9.9:80', '10.9.9.8:88'],
    ['10.0.0.1:90', '10.9.9.9:9191', '10.9.9.8:9191'],
    ['10.0.0.1:100'],
  ]);
  expect(behind(entry({ ports: [ports[0]], workloadSelector: { labels: { app: 'x' } } }))).toEqual([['10.0.0.1:8080', '10.0.0.7:7070'], ...alone.slice(1)]);
  expect(behind(entry({ ports, resolution: 'DNS', exportTo: ['~'], endpoints: [{ address: '10.9.9.9' }, { address: 'x.test' }] }))).toEqual([
    ['10.0.0.1:8080', '10.9.9.9:80'],
    ['10.0.0.1:90', '10.9.9.9:9191'],
    ['10.0.0.1:100'],
  ]);
  expect(behind(entry({ ports, resolution: 'DNS' }))).toEqual(alone);
  expect(behind(entry({ ports, resolution: 'NONE' }))).toEqual(alone);
  expect(behind(entry({ ports, endpoints: [{ address: '10.9.9.9' }] }, 'other'))).toEqual(alone);
});
