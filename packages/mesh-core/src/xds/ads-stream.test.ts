// Order between types: no route without its cluster, nothing taken away while it is in use.

import { expect, test } from 'vitest';
import { TYPE_URL } from './resource.ts';
import { TestClient } from './testing/client.ts';

/** A proxy that holds cluster, endpoints, listener and route `a`, all acknowledged. */
function settled(dialect: 'sotw' | 'delta' = 'delta'): TestClient {
  const client = new TestClient(dialect, { cluster: { a: '1' }, endpoint: { a: '1' }, listener: { l: '1' }, route: { r: '1' } });
  const byName = (name: string) => ({ names: [name], subscribe: [name] });
  expect(client.send('cluster')).toEqual(['cluster +a@1']);
  expect(client.send('endpoint', byName('a'))).toEqual(['endpoint +a@1']);
  expect(client.ack('cluster')).toEqual([]);
  expect(client.ack('endpoint')).toEqual([]);
  expect(client.send('listener')).toEqual(['listener +l@1']);
  expect(client.ack('listener')).toEqual([]);
  expect(client.send('route', byName('r'))).toEqual(['route +r@1']);
  expect(client.ack('route')).toEqual([]);
  return client;
}

test('routes wait for the ACK of new clusters and for their endpoints', () => {
  const client = settled();
  expect(client.update({ cluster: { a: '1', b: '1' }, endpoint: { a: '1', b: '1' }, listener: { l: '2' }, route: { r: '2' } })).toEqual(['cluster +b@1']);
  expect(client.send('endpoint', { subscribe: ['b'] })).toEqual(['endpoint +b@1']);
  expect(client.ack('cluster')).toEqual([]);
  expect(client.ack('endpoint')).toEqual(['listener +l@2', 'route +r@2']);
});

test('an edit that adds no cluster does not wait', () => {
  const client = settled();
  expect(client.update({ cluster: { a: '2' }, endpoint: { a: '1' }, listener: { l: '2' }, route: { r: '2' } })).toEqual([
    'cluster +a@2',
    'endpoint +a@1',
    'listener +l@2',
    'route +r@2',
  ]);
});

test.each(['sotw', 'delta'] as const)('%s: endpoints come again after an update of their cluster, also when they were under way', (dialect) => {
  const client = settled(dialect);
  expect(client.update({ cluster: { a: '2' }, endpoint: { a: '1' }, listener: { l: '1' }, route: { r: '1' } })).toEqual(['cluster +a@2', 'endpoint +a@1']);
  client.ack('cluster');
  expect(client.update({ cluster: { a: '3' }, endpoint: { a: '1' }, listener: { l: '1' }, route: { r: '1' } })).toEqual(['cluster +a@3']);
  expect(client.ack('endpoint')).toEqual(['endpoint +a@1']);
});

test.each(['sotw', 'delta'] as const)('%s: endpoints do not overtake a change of clusters that waits; alone they go at once', (dialect) => {
  const client = settled(dialect);
  const edit = (cluster: string, endpoint: string) =>
    client.update({ cluster: { a: cluster }, endpoint: { a: endpoint }, listener: { l: '1' }, route: { r: '1' } });
  expect(edit('2', '2')).toEqual(['cluster +a@2', 'endpoint +a@2']);
  expect(client.ack('endpoint')).toEqual([]);
  expect(edit('3', '3')).toEqual([]);
  expect(client.ack('cluster')).toEqual(['cluster +a@3', 'endpoint +a@3']);
  expect(client.ack('endpoint')).toEqual([]);
  expect(edit('3', '4')).toEqual(['endpoint +a@4']);
});

test.each(['sotw', 'delta'] as const)('%s: endpoints that join with a change of their cluster come when it is in use', (dialect) => {
  const client = settled(dialect);
  const edit = (cluster: string, endpoint: string) =>
    client.update({ cluster: { a: cluster }, endpoint: { a: endpoint }, listener: { l: '1' }, route: { r: '1' } });
  edit('1', 'p,q');
  client.ack('endpoint');
  // One leaves, and one takes its place.
  expect(edit('2', 'q,r')).toEqual(['cluster +a@2', 'endpoint +a@p,q&q,r']);
  expect(client.ack('cluster')).toEqual([]);
  expect(client.stream.isCurrent(TYPE_URL.endpoint, 'a')).toBe(false);
  expect(client.ack('endpoint')).toEqual(['endpoint +a@q,r']);
  expect(client.ack('endpoint')).toEqual([]);
  expect(client.stream.isCurrent(TYPE_URL.endpoint, 'a')).toBe(true);
  // With the cluster as it is they come at once, and so does what has nothing to begin with.
  expect(edit('2', 'q,r,s')).toEqual(['endpoint +a@q,r,s']);
  client.ack('endpoint');
  expect(edit('3', 't')).toEqual(['cluster +a@3', 'endpoint +a@t']);
});

test('endpoints that join wait for the cluster, not for endpoints that were on their way before it, nor for those of a later edit', () => {
  const client = settled();
  const edit = (cluster: string, endpoint: string) =>
    client.update({ cluster: { a: cluster }, endpoint: { a: endpoint }, listener: { l: '1' }, route: { r: '1' } });
  expect(edit('1', 'p')).toEqual(['endpoint +a@p']);
  expect(edit('2', 'p,q')).toEqual(['cluster +a@2']);
  expect(client.ack('endpoint')).toEqual(['endpoint +a@p&p,q']);
  expect(client.ack('cluster')).toEqual([]);
  expect(edit('2', 'p,q,r')).toEqual([]);
  expect(client.ack('endpoint')).toEqual(['endpoint +a@p,q,r']);
  client.ack('endpoint');
  // `s` is known to the cluster in use when the next one begins.
  expect(edit('3', 'p,s')).toEqual(['cluster +a@3', 'endpoint +a@p,q,r&p,s']);
  client.ack('cluster');
  expect(edit('4', 'p,s,t')).toEqual(['cluster +a@4']);
  expect(client.ack('endpoint')).toEqual(['endpoint +a@p,s&p,s,t']);
  client.ack('cluster');
  expect(client.ack('endpoint')).toEqual(['endpoint +a@p,s,t']);
});

test('who comes back, clusters or endpoints first, begins an updated cluster with endpoints it had; to another server with all', () => {
  const edited = { cluster: { a: '2' }, endpoint: { a: 'q,r' }, listener: { l: '1' }, route: { r: '1' } };
  const clusters = { initialVersions: new Map([['a', '1']]) };
  const endpoints = { subscribe: ['a'], initialVersions: new Map([['a', 'p,q']]) };
  const client = settled();
  client.update({ ...edited, cluster: { a: '1' }, endpoint: { a: 'p,q' } });
  client.ack('endpoint');

  const back = new TestClient('delta', edited, client);
  expect(back.send('cluster', clusters)).toEqual(['cluster +a@2']);
  expect(back.send('endpoint', endpoints)).toEqual(['endpoint +a@p,q&q,r']);
  expect(back.ack('cluster')).toEqual([]);
  expect(back.ack('endpoint')).toEqual(['endpoint +a@q,r']);

  // The cluster it has may be warming: until the other comes it does so with what it had.
  const warming = new TestClient('delta', edited, client);
  expect(warming.send('endpoint', endpoints)).toEqual(['endpoint +a@p,q']);
  expect(warming.send('cluster', clusters)).toEqual(['cluster +a@2']);
  expect(warming.ack('endpoint')).toEqual(['endpoint +a@p,q&q,r']);
  warming.ack('cluster');
  expect(warming.ack('endpoint')).toEqual(['endpoint +a@q,r']);

  const elsewhere = new TestClient('delta', edited);
  expect(elsewhere.send('cluster', clusters)).toEqual(['cluster +a@2']);
  expect(elsewhere.send('endpoint', endpoints)).toEqual(['endpoint +a@q,r']);
});

test('removals come last: the route first lets go of the cluster', () => {
  const client = settled();
  expect(client.update({ cluster: { b: '1' }, endpoint: { b: '1' }, listener: { l: '1' }, route: { r: '2' } })).toEqual(['cluster +b@1']);
  expect(client.ack('cluster', {})).toEqual(['route +r@2']);
  expect(client.ack('route')).toEqual(['cluster -a', 'endpoint -a']);
  expect(client.ack('cluster')).toEqual([]);
});

test('SotW removals come last too: the full set keeps the old cluster until the route is acknowledged', () => {
  const client = settled('sotw');
  expect(client.update({ cluster: { b: '1' }, endpoint: { b: '1' }, listener: { l: '1' }, route: { r: '2' } })).toEqual(['cluster +a@1 +b@1']);
  expect(client.ack('cluster')).toEqual(['route +r@2']);
  expect(client.ack('route')).toEqual(['cluster +b@1']);
});

test('what has gone while a client was away goes last, too: not before its routes let go of it', () => {
  const client = new TestClient('delta', { cluster: { b: '1' }, endpoint: { b: '1' }, listener: { l: '1' }, route: { r: '2' } });
  const holds = (name: string) => ({ initialVersions: new Map([[name, '1']]) });
  expect(client.send('cluster', holds('a'))).toEqual(['cluster +b@1']);
  expect(client.send('endpoint', { subscribe: ['a'], ...holds('a') })).toEqual([]);
  expect(client.send('listener', holds('l'))).toEqual([]);
  expect(client.send('route', { subscribe: ['r'], ...holds('r') })).toEqual([]);
  expect(client.send('endpoint', { subscribe: ['b'] })).toEqual(['endpoint +b@1']);
  expect(client.ack('cluster')).toEqual([]);
  expect(client.ack('endpoint')).toEqual(['listener', 'route +r@2']);
  expect(client.ack('route')).toEqual([]);
  expect(client.ack('listener')).toEqual(['cluster -a', 'endpoint -a']);
});

test('who comes back and asks for clusters last is sent them first; who never does is not kept waiting for ever', () => {
  const content = { cluster: { b: '1' }, endpoint: { b: '1' }, listener: { l: '2' }, route: { r: '2' }, secret: { s: '2' } };
  const holds = (name: string) => ({ initialVersions: new Map([[name, '1']]) });
  const back = (client: TestClient): void => {
    expect(client.send('endpoint', { subscribe: ['a'], ...holds('a') })).toEqual([]);
    expect(client.send('secret', { subscribe: ['s'], ...holds('s') })).toEqual(['secret +s@2']);
    expect(client.send('listener', holds('l'))).toEqual([]);
    expect(client.send('route', { subscribe: ['r'], ...holds('r') })).toEqual([]);
    expect(client.stream.clustersDue).toBe(true);
  };
  const client = new TestClient('delta', content);
  back(client);
  expect(client.send('cluster', holds('a'))).toEqual(['cluster +b@1']);
  expect(client.send('endpoint', { subscribe: ['b'] })).toEqual(['endpoint +b@1']);
  expect(client.ack('cluster')).toEqual([]);
  expect(client.ack('endpoint')).toEqual(['listener +l@2', 'route +r@2']);
  expect(client.ack('listener')).toEqual([]);
  expect(client.ack('route')).toEqual(['cluster -a', 'endpoint -a']);

  const without = new TestClient('delta', content);
  back(without);
  expect(without.told(without.stream.waiveClusters())).toEqual([]);
  expect(without.told(without.stream.waiveClusters())).toEqual(['listener +l@2', 'route +r@2']);
  expect(without.ack('listener')).toEqual([]);
  expect(without.ack('route')).toEqual(['endpoint -a']);
});

test('clusters that warm as their client comes back get their endpoints, which it knows, before it asks for clusters', () => {
  const content = { cluster: { a: '3', b: '2' }, endpoint: { a: '1', b: '2', c: '1' }, route: { r: '2' } };
  const holds = (...names: string[]) => ({ subscribe: names, initialVersions: new Map(names.map((name) => [name, '1'])) });
  const client = new TestClient('delta', content);
  // Envoy asks for clusters when none of them warms any more. Those of `b` have changed, perhaps with it.
  expect(client.send('endpoint', { ...holds('a', 'b', 'gone'), subscribe: ['a', 'b', 'c', 'gone'] })).toEqual(['endpoint +a@1 +c@1']);
  expect(client.send('route', holds('r'))).toEqual([]);
  expect(client.ack('endpoint')).toEqual([]);
  expect(client.send('cluster', holds('a', 'b', 'gone'))).toEqual(['cluster +a@3 +b@2', 'endpoint +a@1 +b@2', 'route +r@2']);
  expect(client.ack('endpoint')).toEqual([]);
  expect(client.ack('route')).toEqual([]);
  expect(client.ack('cluster')).toEqual(['cluster -gone', 'endpoint -gone']);

  const other = new TestClient('delta', content);
  expect(other.send('endpoint', holds('b', 'gone'))).toEqual([]);
  expect(other.send('route', holds('r'))).toEqual([]);
  // As it warms, `b` may be older than its endpoints.
  expect(other.told(other.stream.waiveClusters())).toEqual(['cluster +b@2', 'endpoint +b@2']);
  expect(other.ack('endpoint')).toEqual([]);
  const took = { subscribe: ['*'], nonce: '1', initialVersions: new Map([...new Map(Object.entries({ a: '1', b: '2', gone: '1' }))]) };
  expect(other.send('cluster', took)).toEqual(['cluster +a@3', 'route +r@2']);
});

test('endpoints of a cluster that finds them otherwise from now on go when it is in use', () => {
  const client = settled();
  expect(client.update({ cluster: { a: 'dns' }, listener: { l: '1' }, route: { r: '1' } })).toEqual(['cluster +a@dns', 'endpoint +a@1']);
  expect(client.ack('endpoint')).toEqual([]);
  expect(client.ack('cluster')).toEqual(['endpoint -a']);
});

test('endpoints come again after an update of their cluster that a client learns of as it comes back', () => {
  const client = new TestClient('delta', { cluster: { a: '2' }, endpoint: { a: '1' } });
  const initialVersions = new Map([['a', '1']]);
  expect(client.send('cluster', { initialVersions })).toEqual(['cluster +a@2']);
  expect(client.send('endpoint', { subscribe: ['a'], initialVersions })).toEqual(['endpoint +a@1']);
});

test('a refused new cluster keeps routes as they are until the next edit; then an unrelated edit gets through', () => {
  const client = settled();
  client.update({ cluster: { a: '1', bad: '1' }, endpoint: { a: '1' }, listener: { l: '1' }, route: { r: '2' } });
  expect(client.nack('cluster')).toEqual([]);
  expect(client.update({ cluster: { a: '1', bad: '1' }, endpoint: { a: '1' }, listener: { l: '1' }, route: { r: '3' } })).toEqual(['route +r@3']);
});

test('a refused route keeps the cluster its old version uses', () => {
  const client = settled();
  client.update({ cluster: { b: '1' }, endpoint: { b: '1' }, listener: { l: '1' }, route: { r: 'bad' } });
  expect(client.ack('cluster')).toEqual(['route +r@bad']);
  expect(client.nack('route')).toEqual([]);
  expect(client.update({ cluster: { b: '1' }, endpoint: { b: '1' }, listener: { l: '1' }, route: { r: '2' } })).toEqual(['route +r@2']);
  expect(client.ack('route')).toEqual(['cluster -a', 'endpoint -a']);
});

test('a proxy that starts with one bad cluster still gets its listeners', () => {
  const client = new TestClient('delta', { cluster: { bad: '1' }, listener: { l: '1' } });
  client.send('cluster');
  expect(client.send('listener')).toEqual([]);
  expect(client.nack('cluster')).toEqual(['listener +l@1']);
});

test('a renewed secret goes out whatever else waits', () => {
  const client = settled();
  client.send('secret', { subscribe: ['default'] });
  client.ack('secret');
  expect(client.update({ cluster: { a: '1', b: '1' }, endpoint: { a: '1' }, listener: { l: '1' }, route: { r: '2' }, secret: { default: '2' } })).toEqual([
    'cluster +b@1',
    'secret +default@2',
  ]);
});

test('a route that a listener newly names is answered even while it never changed', () => {
  const client = settled();
  expect(client.update({ cluster: { a: '1' }, endpoint: { a: '1' }, listener: { l: '2' }, route: { r: '1', s: '1' } })).toEqual(['listener +l@2']);
  expect(client.send('route', { subscribe: ['r', 's'] })).toEqual(['route +r@1 +s@1']);
});
