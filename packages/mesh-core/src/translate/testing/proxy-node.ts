import type { ProxyNode } from '../../model/index.ts';

/** A proxy tests of the translator ask for; `changes` say what the test is about. Without them an embedded sidecar that serves and calls nothing, with its workload's name as its account and label. */
export function proxyNode(workload: string, namespace: string, changes: Partial<ProxyNode> = {}): ProxyNode {
  const { role = 'sidecar', ip = '127.0.0.1' } = changes;
  return {
    id: `${role}~${ip}~${workload}.${namespace}~${namespace}.svc.cluster.local`,
    role,
    dataPlane: 'embedded',
    ip,
    workload,
    namespace,
    identity: { trustDomain: 'cluster.local', namespace, serviceAccount: workload },
    labels: { app: workload },
    locality: '',
    httpProxyPort: 0,
    inbound: [],
    upstreams: [],
    adminPort: 0,
    version: '1.40.0',
    ...changes,
  };
}
