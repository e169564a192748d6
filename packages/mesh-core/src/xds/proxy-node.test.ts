import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { NodeSchema } from '../gen/envoy/config/core/v3/base_pb.ts';
import { parseProxyNode } from './proxy-node.ts';

test('a sidecar, from id and metadata', () => {
  const node = create(NodeSchema, {
    id: 'sidecar~10.0.0.7~reviews-v1.bookinfo~bookinfo.svc.cluster.local',
    metadata: {
      NAMESPACE: 'bookinfo',
      WORKLOAD_NAME: 'reviews-v1',
      SERVICE_ACCOUNT: 'bookinfo-reviews',
      LABELS: { app: 'reviews' },
      WEFT_DATA_PLANE: 'embedded',
      WEFT_INBOUND: [{ name: 'http', servicePort: 9080, listenPort: 21_002, appPort: 21_003 }],
    },
  });
  expect(parseProxyNode(node, 'cluster.local')).toMatchObject({
    role: 'sidecar',
    dataPlane: 'embedded',
    ip: '10.0.0.7',
    workload: 'reviews-v1',
    namespace: 'bookinfo',
    identity: { trustDomain: 'cluster.local', namespace: 'bookinfo', serviceAccount: 'bookinfo-reviews' },
    inbound: [{ servicePort: 9080, listenPort: 21_002 }],
  });
});

test.each([
  ['gRPC Node Pure JS', 'grpc'],
  ['envoy', 'envoy'],
])('user agent %s without metadata is data plane %s', (userAgentName, dataPlane) => {
  expect(parseProxyNode(create(NodeSchema, { id: 'x', userAgentName }), 'cluster.local')).toMatchObject({ dataPlane, namespace: 'default', workload: 'x' });
});

test.each([
  [{ id: '' }, /node\.id/],
  [{ id: 'x', metadata: { NAMESPACE: '../etc' } }, /NAMESPACE/],
  [{ id: 'x', metadata: { WEFT_INBOUND: [{ name: 'http', servicePort: 99_999, listenPort: 1, appPort: 1 }] } }, /WEFT_INBOUND/],
])('refuses %j', (fields, problem) => {
  expect(parseProxyNode(create(NodeSchema, fields), 'cluster.local')).toEqual({ problem: expect.stringMatching(problem) as string });
});
