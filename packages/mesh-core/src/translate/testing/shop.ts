// A service `a` of the namespace `shop`, as tests of the translator ask about.

import { validateObject } from '../../config/index.ts';
import type { MeshObject, ProxyNode } from '../../model/index.ts';

/** The Envoy of its workload. */
export const SHOP_NODE: ProxyNode = {
  id: 'sidecar~10.0.0.1~a-0.shop~shop.svc.cluster.local',
  role: 'sidecar',
  dataPlane: 'envoy',
  ip: '10.0.0.1',
  workload: 'a-0',
  namespace: 'shop',
  identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'a' },
  labels: { app: 'a' },
  locality: '',
  httpProxyPort: 0,
  inbound: [{ name: 'http', servicePort: 80, listenPort: 21_000, appPort: 8080 }],
  upstreams: [],
  adminPort: 0,
  version: '1.40.0',
};

/** @throws on what is refused */
export function shopObject(kind: string, name: string, spec: unknown, apiVersion = 'networking.istio.io/v1'): MeshObject {
  const { object, problems } = validateObject({ apiVersion, kind, metadata: { name, namespace: 'shop' }, spec });
  if (object === undefined) throw new Error(JSON.stringify(problems));
  return object;
}
