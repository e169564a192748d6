import { expect, test } from 'vitest';
import { proxyName } from './mesh.ts';

test.each([
  ['sidecar~127.0.0.1~reviews-v2.bookinfo~bookinfo.svc.cluster.local', 'reviews-v2'],
  ['sidecar~127.0.0.1~reviews-v2-second.bookinfo~bookinfo.svc.cluster.local', 'reviews-v2-second'],
  ['router~10.0.0.1~gateway.1.istio-system~istio-system.svc.cluster.local', 'gateway.1'],
  ['grpc-client', 'grpc-client'],
])('%s is called %s', (id, name) => expect(proxyName(id)).toBe(name));
