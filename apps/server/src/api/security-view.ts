// What decides about each workload's connections and requests: mutual TLS, identities, policies that select it.

import type { ProxyStatus, WorkloadSecurity } from '@weft/mesh-core/api';
import { buildCatalog, mutualTlsOf, policySelects } from '@weft/mesh-core/graph';
import { type MeshObject, refOf } from '@weft/mesh-core/model';

const POLICIES = new Set(['AuthorizationPolicy', 'RequestAuthentication']);

export function securityOf(objects: readonly MeshObject[], proxies: readonly ProxyStatus[], rootNamespace = 'istio-system'): WorkloadSecurity[] {
  const policies = objects.filter((o) => POLICIES.has(o.kind));
  const peerAuthentications = objects.filter((o) => o.kind === 'PeerAuthentication');
  return [...buildCatalog(objects, proxies).workloads.values()].map((workload): WorkloadSecurity => {
    const proxy = proxies.find((p) => p.namespace === workload.namespace && p.workload === workload.name && p.state !== 'disconnected');
    const labels = { ...workload.labels, ...proxy?.labels };
    const { mode, policy, ports } = mutualTlsOf({ namespace: workload.namespace, labels }, peerAuthentications, rootNamespace);
    return {
      namespace: workload.namespace,
      workload: workload.name,
      mtls: mode,
      ...(policy === undefined ? {} : { peerAuthentication: policy }),
      ports: { ...ports },
      policies: policies.filter((o) => policySelects(o, { namespace: workload.namespace, labels }, rootNamespace)).map(refOf),
      ...(proxy === undefined ? {} : { identity: proxy.identity }),
      ...(proxy?.certificate === undefined ? {} : { notAfter: proxy.certificate.notAfter }),
    };
  });
}
