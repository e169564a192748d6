import { create } from '@bufbuild/protobuf';
import { NodeSchema } from '@weft/mesh-core/gen/envoy/config/core/v3/base_pb';
import { TYPE_URL, parseProxyNode } from '@weft/mesh-core/xds';
import type { ResourceSet, TypeUrl, XdsRequest, XdsResponse } from '@weft/mesh-core/xds';
import { expect, test } from 'vitest';
import { PropagationLog } from './propagation-log.ts';
import { ProxyConnection } from './proxy-connection.ts';
import { nodeOf } from './testing/harness.ts';

const NOTHING = new Map<string, never>();

/** A connection of a client that has asked for nothing. */
function connected(clock: () => number, sent: XdsResponse[] = []): ProxyConnection {
  const node = parseProxyNode(create(NodeSchema, nodeOf('client')), 'cluster.local');
  if ('problem' in node) throw new Error(node.problem);
  return new ProxyConnection({
    ...{ node, dialect: 'delta', peerAddress: '127.0.0.1:1', clock, send: (response) => sent.push(response), congested: () => false },
    ...{ aggregated: true, resources: resources({}) },
  });
}

/** Clusters and routes by name, with their version. */
function resources({ clusters = {}, routes = {} }: { clusters?: Record<string, string>; routes?: Record<string, string> }): ResourceSet {
  const of = (typeUrl: TypeUrl, versions: Record<string, string>) =>
    new Map(Object.entries(versions).map(([name, version]) => [name, { typeUrl, name, version, body: new Uint8Array() }]));
  return {
    [TYPE_URL.cluster]: of(TYPE_URL.cluster, clusters),
    [TYPE_URL.endpoint]: NOTHING,
    [TYPE_URL.listener]: NOTHING,
    [TYPE_URL.route]: of(TYPE_URL.route, routes),
    [TYPE_URL.secret]: NOTHING,
  };
}

test('an edit is everywhere when all it reached have answered and nobody is still in line to be told', () => {
  const clock = (): number => 30;
  const connection = connected(clock);
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

test('an edit ends with the last answer, or, where nobody has answered, when the last is gone', () => {
  let now = 30;
  const connections = [connected(() => now), connected(() => now)] as const;
  const log = new PropagationLog(() => now);
  for (const connection of connections) log.record([{ revision: '1', at: 10 }], connection, new Map([[TYPE_URL.cluster, ['one']]]));
  log.record([{ revision: '2', at: 10 }], connections[0], new Map([[TYPE_URL.cluster, ['one']]]));
  log.record([{ revision: '3', at: 10 }], connections[1], new Map([[TYPE_URL.cluster, ['one']]]));
  log.refresh(connections[1]);
  now = 40;
  connections[0].disconnectedAt = now;
  expect(log.get('1', false)).not.toHaveProperty('completeMs');
  expect(log.refresh(connections[0])).toEqual(['1', '2']);
  expect(log.get('1', false)).toMatchObject({ completeMs: 20, proxies: [{ state: 'disconnected' }, { state: 'acked' }] });
  expect(log.get('2', false)).toMatchObject({ completeMs: 30, proxies: [{ state: 'disconnected' }] });
  expect(log.get('2', true)).not.toHaveProperty('completeMs');
});

test('edits that are open at once are answered each when all of it is, or refused when what the rest waits for is refused', () => {
  let now = 0;
  const sent: XdsResponse[] = [];
  const connection = connected(() => now, sent);
  const log = new PropagationLog(() => now);
  const ask = (fields: Partial<XdsRequest> & { typeUrl: string }): void => {
    connection.receive({ nonce: '', names: [], subscribe: [], unsubscribe: [], initialVersions: new Map(), ...fields });
  };
  const edit = (revision: string, set: ResourceSet): void => {
    log.record([{ revision, at: now }], connection, connection.update(set));
    log.refresh(connection);
  };
  const answer = (typeUrl: string, error?: string): string[] => {
    const { nonce } = sent.findLast((response) => response.typeUrl === typeUrl) as XdsResponse;
    ask({ typeUrl, nonce, ...(error === undefined ? {} : { error }) });
    return log.refresh(connection);
  };
  const states = (): unknown[] => ['1', '2', '3'].map((revision) => log.get(revision, false)?.proxies[0]?.state);
  ask({ typeUrl: TYPE_URL.cluster });
  ask({ typeUrl: TYPE_URL.route, subscribe: ['r'] });
  answer(TYPE_URL.cluster);
  answer(TYPE_URL.route);

  now = 10;
  edit('1', resources({ routes: { r: '1' } }));
  edit('2', resources({ routes: { r: '1' }, clusters: { c: '1' } }));
  expect(states()).toEqual(['sent', 'sent', undefined]);
  now = 15;
  expect(answer(TYPE_URL.cluster)).toEqual(['2']);
  now = 17;
  expect([answer(TYPE_URL.route), states()]).toEqual([['1'], ['acked', 'acked', undefined]]);
  expect(log.get('1', false)?.proxies[0]).toMatchObject({ sentMs: 0, answeredMs: 7 });
  expect(log.get('2', false)?.proxies[0]).toMatchObject({ sentMs: 0, answeredMs: 5 });

  // The route waits for the new cluster.
  edit('3', resources({ routes: { r: '2' }, clusters: { c: '1', d: '1' } }));
  expect(states()).toEqual(['acked', 'acked', 'pending']);
  now = 20;
  expect([answer(TYPE_URL.cluster, 'no'), states()]).toEqual([['3'], ['acked', 'acked', 'nacked']]);
  expect(log.get('3', false)?.proxies[0]).toMatchObject({ answeredMs: 3, error: 'no' });
  expect(log.refresh(connection)).toEqual([]);
});
