import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { parseGatewayPort } from './gateway-command.ts';
import { gatewayObjects, listenerPorts, runGateway } from './gateway.ts';

test('ports are those of the Service, and where the Gateway has others, these too', () => {
  expect(parseGatewayPort('http:80')).toEqual({ name: 'http', port: 80, listen: 80 });
  expect(parseGatewayPort('tls:443:21443')).toEqual({ name: 'tls', port: 443, listen: 21_443 });
  for (const wrong of ['80', 'http', 'http:80:', 'http:x']) expect(() => parseGatewayPort(wrong)).toThrow(`--port ${wrong}: write`);
});

test('the mesh finds a gateway by its Service, and speaks no mutual TLS of its own to it; without ports nobody looks', () => {
  const gateway = { name: 'istio-egressgateway', namespace: 'istio-system', labels: { istio: 'egressgateway' } };
  const opened = { ...gateway, ports: [{ name: 'http', port: 80, listen: 21_080 }] };
  const [service, entry] = gatewayObjects(opened, []);
  expect(service?.spec).toEqual({ selector: { app: 'istio-egressgateway' }, ports: [{ name: 'http', port: 80 }] });
  expect(entry?.spec).toMatchObject({ ports: { http: 21_080 }, labels: { app: 'istio-egressgateway', istio: 'egressgateway' } });
  expect(entry?.spec).not.toHaveProperty(['labels', 'security.istio.io/tlsMode']);
  expect(gatewayObjects({ ...gateway, ports: [] }, [])).toEqual([]);
  // Somebody's own Service is neither overwritten nor taken away at the end.
  expect(gatewayObjects(opened, service === undefined ? [] : [service]).map(({ kind }) => kind)).toEqual(['WorkloadEntry']);
});

test("the proxy of the Gateway API's Gateway listens for the ports of its listeners, and has its name as a label", () => {
  const ports = listenerPorts([
    { name: 'http', port: 80 },
    { name: 'wild', port: 80 },
    { name: 'tls', port: 8443 },
  ]);
  expect(ports).toEqual([
    { name: 'http', port: 80, listen: 21_080 },
    { name: 'tls', port: 8443, listen: 8443 },
  ]);
  const labelsOf = (gateway?: string): unknown => {
    const options = { name: 'web-istio', namespace: 'shop', labels: {}, ports, ...(gateway === undefined ? {} : { gateway }) };
    return gatewayObjects(options, [])[1]?.spec;
  };
  expect(labelsOf('web')).toMatchObject({ labels: { 'gateway.networking.k8s.io/gateway-name': 'web' }, ports: { http: 21_080, tls: 8443 } });
  expect(labelsOf()).toMatchObject({ labels: { 'gateway.networking.k8s.io/gateway-name': 'web-istio' } });
});

test('a port nobody can listen on is told before anything starts', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const options = { server: 'http://127.0.0.1:1', name: 'x', namespace: 'y', labels: {}, proxy: 'embedded', portBase: port + 1, stateDir: '/nowhere' } as const;
  await expect(runGateway({ ...options, ports: [{ name: 'http', port: 80, listen: port }] }, () => undefined)).rejects.toThrow(
    `cannot listen on 127.0.0.1:${port}`,
  );
  server.close();
});
