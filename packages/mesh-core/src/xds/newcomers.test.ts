// Endpoints as Weft encodes them: who stays, who joins.

import { fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ClusterLoadAssignmentSchema } from '../gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { withoutNewcomers } from './newcomers.ts';
import { type Resource, TYPE_URL } from './resource.ts';

interface Member {
  port: number;
  sa?: string;
  weight?: number;
}

let versions = 0;

function assignment(...localities: Member[][]): Resource {
  const json = {
    clusterName: 'a',
    endpoints: localities.map((members, priority) => ({
      locality: { region: `r${priority}` },
      priority,
      loadBalancingWeight: members.length,
      lbEndpoints: members.map(({ port, sa = 'web', weight = 1 }) => ({
        endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue: port } } },
        healthStatus: weight === 1 ? 'HEALTHY' : 'UNHEALTHY',
        loadBalancingWeight: weight,
        metadata: { filterMetadata: { 'weft.peer': { principal: `spiffe://cluster.local/ns/shop/sa/${sa}` } } },
      })),
    })),
    policy: { overprovisioningFactor: 100 },
  };
  versions += 1;
  const body = toBinary(ClusterLoadAssignmentSchema, fromJson(ClusterLoadAssignmentSchema, json));
  return { typeUrl: TYPE_URL.endpoint, name: 'a', version: String(versions), body };
}

const content = ({ body }: Resource): unknown => toJson(ClusterLoadAssignmentSchema, fromBinary(ClusterLoadAssignmentSchema, body));

test('who joins is left out; who stays is told as it is now, in the locality where it is now', () => {
  const held = assignment([{ port: 1 }, { port: 2 }, { port: 3 }], [{ port: 4 }]);
  const now = assignment([{ port: 5 }], [{ port: 1 }, { port: 2, weight: 7 }, { port: 6 }]);
  const first = withoutNewcomers(held, now);
  expect(first).toMatchObject({ typeUrl: TYPE_URL.endpoint, name: 'a', version: `${held.version}&${now.version}` });
  const expected = content(assignment([], [{ port: 1 }, { port: 2, weight: 7 }])) as { endpoints: { loadBalancingWeight: number }[] };
  // A locality's weight is that of all who will be there.
  expected.endpoints.forEach((locality, i) => (locality.loadBalancingWeight = [1, 3][i] ?? 0));
  expect(content(first as Resource)).toEqual(expected);
  expect(withoutNewcomers(held, now)).toBe(first);
});

test('who has another identity at the same address joins, too', () => {
  const first = withoutNewcomers(assignment([{ port: 1 }, { port: 2 }]), assignment([{ port: 1, sa: 'other' }, { port: 2 }]));
  expect(content(first as Resource)).toMatchObject({ endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { portValue: 2 } } } }] }] });
});

test('there is nothing to wait for when nobody joins, or nobody stays', () => {
  const held = assignment([{ port: 1 }, { port: 2 }]);
  expect(withoutNewcomers(held, held)).toBeUndefined();
  expect(withoutNewcomers(held, assignment([{ port: 2, weight: 3 }]))).toBeUndefined();
  expect(withoutNewcomers(held, assignment([{ port: 3 }]))).toBeUndefined();
  expect(withoutNewcomers(assignment(), held)).toBeUndefined();
});
