// EDS: the workloads of a cluster with their health, identity and, as the client sees it, their order of preference.

import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { TrafficPolicySpec } from '../config/index.ts';
import { hasSidecar } from '../model/index.ts';
import { hostAddress, peerIdentity } from './common.ts';
import { type LocalityClient, localityGroups } from './locality.ts';
import { type Mesh, type ServicePort, type Workload, endpointPort, mtlsModeOf } from './mesh.ts';

export interface AssignmentContext {
  mesh: Mesh;
  name: string;
  port: ServicePort;
  workloads: readonly Workload[];
  policy: TrafficPolicySpec;
  client: LocalityClient;
}

export function loadAssignment({ mesh, name, port, workloads, policy, client }: AssignmentContext): JsonObject {
  const groups = localityGroups(workloads, policy.loadBalancer ?? {}, policy.outlierDetection !== undefined, client);
  return {
    clusterName: name,
    endpoints: groups.map(({ locality, members, priority, weight }): JsonObject => {
      const [region = '', zone = '', subZone = ''] = locality.split('/');
      return {
        locality: { region, zone, subZone },
        ...(priority === 0 ? {} : { priority }),
        loadBalancingWeight: weight,
        lbEndpoints: members.map((w) => lbEndpoint(mesh, w, port)),
      };
    }),
  };
}

/** Its sidecar takes the mesh's TLS on this port. */
export function speaksMtls(mesh: Mesh, workload: Workload, port: ServicePort): boolean {
  const { labels, namespace } = workload;
  return hasSidecar(labels) && mtlsModeOf(mesh, namespace, labels, endpointPort(workload, port), port.port, port.targetPort) !== 'DISABLE';
}

function lbEndpoint(mesh: Mesh, workload: Workload, port: ServicePort): JsonValue {
  const { labels } = workload;
  const target = endpointPort(workload, port);
  const mtls = speaksMtls(mesh, workload, port);
  return {
    endpoint: { address: hostAddress(workload.address, target) },
    healthStatus: workload.healthy ? 'HEALTHY' : 'UNHEALTHY',
    loadBalancingWeight: workload.weight || 1,
    metadata: {
      filterMetadata: {
        ...(mtls ? { 'envoy.transport_socket_match': { tlsMode: 'istio' } } : {}),
        ...(workload.anonymous === true
          ? {}
          : {
              'weft.peer': {
                ...peerIdentity({ labels, workload: workload.name, namespace: workload.namespace }, mesh.settings.clusterId),
                principal: mtls ? workload.principal : '',
              },
            }),
      },
    },
  };
}
