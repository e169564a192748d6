import { expect, test } from 'vitest';
import { validateObject } from './validate.ts';

const problems = (kind: string, spec: object): string[] =>
  validateObject({
    apiVersion: `networking.istio.io/${kind === 'ProxyConfig' ? 'v1beta1' : 'v1'}`,
    kind,
    metadata: { name: 'x', namespace: 'shop' },
    spec,
  }).problems.map((p) => `${p.path}: ${p.message}`);
function expectOne(kind: string, spec: object, path: string, message: string): void {
  const [only, ...more] = problems(kind, spec);
  expect(more).toEqual([]);
  expect(only).toMatch(new RegExp(`^${path.replace(/[[\].]/g, '\\$&')}: `));
  expect(only).toContain(message);
}
const http = { number: 80, protocol: 'HTTP', name: 'http' };

test.each([
  ['a name resolved by DNS, with another target port', { hosts: ['httpbin.org'], resolution: 'DNS', ports: [{ ...http, targetPort: 443 }] }],
  ['a wildcard that is passed through', { hosts: ['*.example.com'], ports: [{ number: 443, protocol: 'TLS', name: 'tls' }], resolution: 'NONE' }],
  [
    'workloads of the mesh',
    { hosts: ['vm.shop'], location: 'MESH_INTERNAL', resolution: 'STATIC', ports: [http], workloadSelector: { labels: { app: 'vm' } } },
  ],
  [
    'fixed addresses',
    { hosts: ['db.example.com'], addresses: ['10.0.0.0/24'], resolution: 'STATIC', ports: [http], endpoints: [{ address: '10.1.1.1', ports: { http: 8080 } }] },
  ],
])('a ServiceEntry of %s is taken', (_, spec) => expect(problems('ServiceEntry', spec)).toEqual([]));

test.each([
  [
    'endpoints without resolution',
    { hosts: ['a.test'], ports: [http], endpoints: [{ address: '10.1.1.1' }] },
    'spec.endpoints',
    'must be absent with resolution NONE',
  ],
  ['a wildcard for DNS', { hosts: ['*.a.test'], ports: [http], resolution: 'DNS' }, 'spec.hosts[0]', 'a wildcard cannot be resolved'],
  ['one name for DYNAMIC_DNS', { hosts: ['a.test'], ports: [http], resolution: 'DYNAMIC_DNS' }, 'spec.hosts[0]', 'must be a wildcard'],
  [
    'a name for STATIC',
    { hosts: ['a.test'], ports: [http], resolution: 'STATIC', endpoints: [{ address: 'b.test' }] },
    'spec.endpoints[0].address',
    'must be an IP address',
  ],
  [
    'an unknown port',
    { hosts: ['a.test'], ports: [http], resolution: 'STATIC', endpoints: [{ address: '10.1.1.1', ports: { grpc: 1 } }] },
    'spec.endpoints[0].ports.grpc',
    'the ServiceEntry has no port named grpc',
  ],
  ['a port used twice', { hosts: ['a.test'], ports: [http, { ...http, name: 'again' }] }, 'spec.ports[1].number', 'port 80 is used twice'],
])('a ServiceEntry with %s is refused', (_, spec, path, message) => expectOne('ServiceEntry', spec, path, message));

test.each([
  ['nothing', {}, 'spec', 'must have ingress, egress'],
  ['a host without namespace', { egress: [{ hosts: ['*'] }] }, 'spec.egress[0].hosts[0]', 'must be namespace/host'],
  [
    'an open listener before another',
    { egress: [{ hosts: ['*/*'] }, { port: http, hosts: ['./*'] }] },
    'spec.egress[0]',
    'an egress listener without port must be the last',
  ],
  ['a foreign default endpoint', { ingress: [{ port: http, defaultEndpoint: '10.0.0.1:80' }] }, 'spec.ingress[0].defaultEndpoint', 'must be 127.0.0.1:PORT'],
])('a Sidecar with %s is refused', (_, spec, path, message) => expectOne('Sidecar', spec, path, message));

test('a Sidecar that only limits what a workload sees is taken', () => {
  expect(
    problems('Sidecar', { workloadSelector: { labels: { app: 'a' } }, egress: [{ hosts: ['./*', 'istio-system/*'] }], outboundTrafficPolicy: {} }),
  ).toEqual([]);
});
