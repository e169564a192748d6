// A service `a` of the namespace `shop`, as tests of the translator ask about.

import { validateObject } from '../../config/index.ts';
import type { MeshObject } from '../../model/index.ts';
import { proxyNode } from './proxy-node.ts';

/** The Envoy of its workload. */
export const SHOP_NODE = proxyNode('a-0', 'shop', {
  dataPlane: 'envoy',
  ip: '10.0.0.1',
  labels: { app: 'a' },
  inbound: [{ name: 'http', servicePort: 80, listenPort: 21_000, appPort: 8080 }],
});

/** @throws on what is refused */
export function shopObject(kind: string, name: string, spec: unknown, apiVersion = 'networking.istio.io/v1'): MeshObject {
  const { object, problems } = validateObject({ apiVersion, kind, metadata: { name, namespace: 'shop' }, spec });
  if (object === undefined) throw new Error(JSON.stringify(problems));
  return object;
}
