// What decides about each workload's connections and requests: mutual TLS, identities, policies that select it.

import type { ProxyStatus, WorkloadSecurity } from '@weft/mesh-core/api';
import { buildCatalog, mutualTlsOf } from '@weft/mesh-core/graph';
import { type MeshObject, refOf } from '@weft/mesh-core/model';
import { selects } from './split.ts';

const POLICIES = new Set(['AuthorizationPolicy', 'RequestAuthentication']);
const GATEWAY_NAME = 'gateway.networking.k8s.io/gateway-name';

interface Targets {
  selector?: { matchLabels?: Record<string, string> };
  targetRef?: { kind: string; name: string };
  targetRefs?: { kind: string; name: string }[];
}

export function securityOf(objects: readonly MeshObject[], proxies: readonly ProxyStatus[], rootNamespace = 'istio-system'): WorkloadSecurity[] {
  const policies = objects.filter((o) => POLICIES.has(o.kind));
  return [...buildCatalog(objects, proxies).workloads.values()].map((workload): WorkloadSecurity => {
    const proxy = proxies.find((p) => p.namespace === workload.namespace && p.workload === workload.name && p.state !== 'disconnected');
    const labels = { ...workload.labels, ...proxy?.labels };
    const { mode, policy, ports } = mutualTlsOf({ namespace: workload.namespace, labels }, objects, rootNamespace);
    const forIt = (object: MeshObject): boolean => {
      const { namespace } = object.metadata;
      if (namespace !== workload.namespace && namespace !== rootNamespace) return false;
      const { selector, targetRef, targetRefs = targetRef === undefined ? [] : [targetRef] } = object.spec as Targets;
      if (targetRefs.length > 0) return namespace === workload.namespace && targetRefs.some((t) => t.kind === 'Gateway' && t.name === labels[GATEWAY_NAME]);
      const wanted = selector?.matchLabels ?? {};
      return Object.keys(wanted).length === 0 || selects(wanted, labels);
    };
    return {
      namespace: workload.namespace,
      workload: workload.name,
      mtls: mode,
      ...(policy === undefined ? {} : { peerAuthentication: policy }),
      ports: { ...ports },
      policies: policies.filter(forIt).map(refOf),
      ...(proxy === undefined ? {} : { identity: proxy.identity }),
      ...(proxy?.certificate === undefined ? {} : { notAfter: proxy.certificate.notAfter }),
    };
  });
}
