// ClusterLoadAssignment.

import { decodeAddress, decodeMetadata } from './decode-common.ts';
import type { Fields } from './fields.ts';
import type { Endpoint, LoadAssignment } from './model.ts';

export function decodeLoadAssignment(fields: Fields): LoadAssignment {
  const policy = fields.object('policy');
  const assignment = {
    clusterName: fields.text('clusterName'),
    overprovisioning: policy?.number('overprovisioningFactor', 140) ?? 140,
    weightedPriorityHealth: policy?.flag('weightedPriorityHealth') ?? false,
    localities: fields.list('endpoints').map((group) => {
      const locality = group.object('locality');
      const result = {
        region: locality?.text('region') ?? '',
        zone: locality?.text('zone') ?? '',
        subZone: locality?.text('subZone') ?? '',
        priority: group.number('priority'),
        weight: group.number('loadBalancingWeight'),
        endpoints: group.list('lbEndpoints').map(decodeEndpoint),
      };
      group.end();
      return result;
    }),
  };
  policy?.end();
  fields.end();
  return assignment;
}

const HEALTH: Readonly<Record<string, Endpoint['health']>> = {
  HEALTHY: 'healthy',
  UNHEALTHY: 'unhealthy',
  DRAINING: 'draining',
  TIMEOUT: 'unhealthy',
  DEGRADED: 'degraded',
};

function decodeEndpoint(fields: Fields): Endpoint {
  const identifier = fields.object('endpoint');
  const { address, port } = decodeAddress(identifier?.object('address'));
  const endpoint: Endpoint = {
    address,
    port,
    hostname: identifier?.text('hostname') ?? '',
    weight: fields.number('loadBalancingWeight', 1),
    health: HEALTH[fields.text('healthStatus')] ?? 'unknown',
    ...decodeHealthCheckConfig(identifier?.object('healthCheckConfig')),
    metadata: decodeMetadata(fields),
  };
  identifier?.end();
  fields.end();
  return endpoint;
}

function decodeHealthCheckConfig(fields: Fields | undefined): Pick<Endpoint, 'healthCheck'> {
  if (fields === undefined) return {};
  const healthCheck = {
    address: decodeAddress(fields.object('address')).address,
    port: fields.number('portValue'),
    hostname: fields.text('hostname'),
    disabled: fields.flag('disableActiveHealthCheck'),
  };
  fields.end();
  return { healthCheck };
}
