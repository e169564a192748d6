import { create } from '@bufbuild/protobuf';
import { NodeSchema } from '@weft/mesh-core/gen/envoy/config/core/v3/base_pb';
import { TYPE_URL, parseProxyNode } from '@weft/mesh-core/xds';
import { expect, test } from 'vitest';
import { PropagationLog } from './propagation-log.ts';
import { ProxyConnection } from './proxy-connection.ts';
import { nodeOf } from './testing/harness.ts';

const NOTHING = new Map<string, never>();

test('an edit is everywhere when all it reached have answered and nobody is still in line to be told', () => {
  const node = parseProxyNode(create(NodeSchema, nodeOf('client')), 'cluster.local');
  if ('problem' in node) throw new Error(node.problem);
  const clock = (): number => 30;
  const connection = new ProxyConnection({
    ...{ node, dialect: 'delta', peerAddress: '127.0.0.1:1', clock, send: () => undefined, congested: () => false },
    resources: {
      [TYPE_URL.cluster]: NOTHING,
      [TYPE_URL.endpoint]: NOTHING,
      [TYPE_URL.listener]: NOTHING,
      [TYPE_URL.route]: NOTHING,
      [TYPE_URL.secret]: NOTHING,
    },
  });
  const log = new PropagationLog(clock);
  log.record([{ revision: '1', at: 10 }], connection, new Map([[TYPE_URL.cluster, ['one']]]));
  expect(log.get('1', false)).toMatchObject({ proxies: [{ state: 'pending', types: ['cluster'] }] });
  expect(log.get('1', false)).not.toHaveProperty('completeMs');
  // It asks for no clusters, and so has them all.
  log.refresh(connection);
  expect(log.get('1', true)).toMatchObject({ proxies: [{ state: 'acked', answeredMs: 20 }] });
  expect(log.get('1', true)).not.toHaveProperty('completeMs');
  expect(log.get('1', false)).toMatchObject({ completeMs: 20 });
});
