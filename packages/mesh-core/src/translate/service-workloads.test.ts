import { afterEach, expect, test, vi } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type MeshObject } from '../model/index.ts';
import { buildMesh, serviceOf } from './mesh.ts';
import { workloadsOf } from './service-workloads.ts';

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
    const found = serviceOf(mesh, `s${i}.a.svc.cluster.local`, { namespace: 'a' });
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
    const found = serviceOf(mesh, 's.a.svc.cluster.local', { namespace: 'a' });
    return found === undefined ? undefined : workloadsOf(mesh, found)[0]?.principal;
  });
  expect(principals).toEqual(['spiffe://cluster.local/ns/a/sa/default', 'spiffe://other/ns/a/sa/default']);
});
