// The rows of ii/xds-test-harness and the 20 points of the reference, one stream and one type at a time.

import { describe, expect, test } from 'vitest';
import { TestClient } from './testing/client.ts';
import type { Short } from './testing/requests.ts';

const WILDCARD: Short[] = ['cluster', 'listener'];
const NAMED: Short[] = ['endpoint', 'route'];

describe('state of the world', () => {
  test.each(WILDCARD)('%s wildcard: everything, then every change as the full set', (type) => {
    const client = new TestClient('sotw', { [type]: { a: '1', b: '1' } });
    expect(client.send(type)).toEqual([`${type} +a@1 +b@1`]);
    expect(client.ack(type)).toEqual([]);
    expect(client.fact).toEqual({ kind: 'ack' });
    expect(client.update({ [type]: { a: '2', b: '1' } })).toEqual([`${type} +a@2 +b@1`]);
    expect(client.ack(type)).toEqual([]);
    expect(client.update({ [type]: { a: '2', b: '1' } })).toEqual([]);
  });

  test.each([...WILDCARD, ...NAMED])('%s by name: only those, and only their changes', (type) => {
    const client = new TestClient('sotw', { [type]: { a: '1', b: '1', c: '1' } });
    expect(client.send(type, { names: ['a', 'b'] })).toEqual([`${type} +a@1 +b@1`]);
    expect(client.ack(type)).toEqual([]);
    expect(client.update({ [type]: { a: '1', b: '1', c: '2' } })).toEqual([]);
    expect(client.update({ [type]: { a: '1', b: '2', c: '2' } })).toEqual([WILDCARD.includes(type) ? `${type} +a@1 +b@2` : `${type} +b@2`]);
  });

  test.each(NAMED)('%s: a name that does not exist is answered when it appears', (type) => {
    const client = new TestClient('sotw', { [type]: {} });
    expect(client.send(type, { names: ['a'] })).toEqual([]);
    expect(client.update({ [type]: { a: '1' } })).toEqual([`${type} +a@1`]);
  });

  test.each(NAMED)('%s: added names are answered, removed ones are not', (type) => {
    const client = new TestClient('sotw', { [type]: { a: '1', b: '1' } });
    client.send(type, { names: ['a'] });
    expect(client.ack(type, { names: ['a', 'b'] })).toEqual([`${type} +b@1`]);
    expect(client.ack(type, { names: ['b'] })).toEqual([]);
    expect(client.update({ [type]: { a: '2', b: '1' } })).toEqual([]);
    expect(client.ack(type, { names: ['a', 'b'] })).toEqual([`${type} +a@2`]);
  });

  test('an ACK is not answered, however often it comes', () => {
    const client = new TestClient('sotw', { cluster: { a: '1' } });
    client.send('cluster');
    expect([client.ack('cluster'), client.ack('cluster'), client.ack('cluster')]).toEqual([[], [], []]);
  });

  test('two requests before the first answer: the latest names count, one answer is under way', () => {
    const client = new TestClient('sotw', { cluster: { a: '1', b: '1' } });
    expect(client.send('cluster', { names: ['a'] })).toEqual(['cluster +a@1']);
    expect(client.send('cluster', { names: ['a', 'b'] })).toEqual([]);
    expect(client.ack('cluster')).toEqual(['cluster +a@1 +b@1']);
  });

  test('a stale nonce is not answered and its names do not count', () => {
    const client = new TestClient('sotw', { endpoint: { a: '1', b: '1' } });
    client.send('endpoint', { names: ['a'] });
    expect(client.send('endpoint', { names: ['b'], nonce: 'of yesterday' })).toEqual([]);
    expect(client.fact).toEqual({ kind: 'stale' });
    expect(client.stream.types.get('type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment')?.wants('b')).toBe(false);
  });

  test('a nonce of an earlier stream on the first request: everything is sent', () => {
    const client = new TestClient('sotw', { cluster: { a: '1' } });
    expect(client.send('cluster', { nonce: '17' })).toEqual(['cluster +a@1']);
  });

  test('a refusal is kept with its words, the same is not sent again, a change is', () => {
    const client = new TestClient('sotw', { route: { a: '1', b: '1' } });
    client.send('route', { names: ['a', 'b'] });
    expect(client.nack('route', 'bad a')).toEqual([]);
    expect(client.fact).toEqual({ kind: 'nack', message: 'bad a' });
    expect(client.update({ route: { a: '1', b: '1' } })).toEqual([]);
    expect(client.update({ route: { a: '2', b: '1' } })).toEqual(['route +a@2 +b@1']);
    client.ack('route');
    expect([...client.stream.types.values()][0]?.nack).toBeUndefined();
  });

  test('wildcard, then names, then an empty list: that is no wildcard any more', () => {
    const client = new TestClient('sotw', { cluster: { a: '1', b: '1' } });
    client.send('cluster');
    // A name is asked for that was not before, so it is answered.
    expect(client.ack('cluster', { names: ['a'] })).toEqual(['cluster +a@1']);
    expect(client.update({ cluster: { a: '1', b: '2' } })).toEqual([]);
    expect(client.ack('cluster', { names: [] })).toEqual([]);
    expect(client.update({ cluster: { a: '2', b: '2' } })).toEqual([]);
    expect(client.ack('cluster', { names: ['*'] })).toEqual(['cluster +a@2 +b@2']);
  });

  test('an empty wildcard set is an answer; the last deletion empties the set', () => {
    const empty = new TestClient('sotw', {});
    expect(empty.send('listener')).toEqual(['listener']);
    const client = new TestClient('sotw', { listener: { a: '1' } });
    client.send('listener');
    client.ack('listener');
    expect(client.update({})).toEqual(['listener']);
  });

  test('a missing secret among existing ones does not stop the others', () => {
    const client = new TestClient('sotw', { secret: { default: '1' } });
    expect(client.send('secret', { names: ['gone', 'default'] })).toEqual(['secret +default@1']);
  });

  test('equal content has an equal version on another stream', () => {
    const versions = [0, 1].map(() => {
      const client = new TestClient('sotw', { cluster: { a: '1', b: '7' } });
      client.send('cluster');
      return [...client.stream.types.values()][0]?.sentVersion;
    });
    expect(versions[0]).toBe(versions[1]);
  });
});

describe('delta', () => {
  test.each(WILDCARD)('%s wildcard: everything, then only what changed or is gone', (type) => {
    const client = new TestClient('delta', { [type]: { a: '1', b: '1' } });
    expect(client.send(type)).toEqual([`${type} +a@1 +b@1`]);
    expect(client.ack(type)).toEqual([]);
    expect(client.update({ [type]: { a: '2', b: '1', c: '1' } })).toEqual([`${type} +a@2 +c@1`]);
    client.ack(type);
    // Clusters of old routes go in a step of their own, which here comes at once: nothing waits.
    expect(client.update({ [type]: { a: '2', b: '1' } })).toEqual([`${type} -c`]);
  });

  test.each([...WILDCARD, ...NAMED])('%s by name: missing is removed, and is sent when it appears', (type) => {
    const client = new TestClient('delta', { [type]: { a: '1' } });
    expect(client.send(type, { subscribe: ['a', 'nope'] })).toEqual([`${type} +a@1 -nope`]);
    client.ack(type);
    expect(client.update({ [type]: { a: '1', other: '1' } })).toEqual([]);
    expect(client.update({ [type]: { a: '1', other: '1', nope: '1' } })).toEqual([`${type} +nope@1`]);
  });

  test.each(NAMED)('%s: unsubscribed names are not sent, phantom ones are ignored, known ones asked again are', (type) => {
    const client = new TestClient('delta', { [type]: { a: '1', b: '1' } });
    client.send(type, { subscribe: ['a', 'b'] });
    expect(client.ack(type, { unsubscribe: ['a', 'phantom'] })).toEqual([]);
    expect(client.update({ [type]: { a: '2', b: '1' } })).toEqual([]);
    expect(client.send(type, { subscribe: ['b'] })).toEqual([`${type} +b@1`]);
  });

  test('a stale nonce still changes the subscription and does not acknowledge', () => {
    const client = new TestClient('delta', { endpoint: { a: '1', b: '1' } });
    client.send('endpoint', { subscribe: ['a'] });
    expect(client.send('endpoint', { nonce: 'stale', subscribe: ['b'] })).toEqual([]);
    expect(client.fact).toEqual({ kind: 'stale' });
    expect(client.ack('endpoint')).toEqual(['endpoint +b@1']);
  });

  test('a reconnecting client: unchanged is skipped, changed is sent, gone is removed', () => {
    const client = new TestClient('delta', { cluster: { same: '1', newer: '2' }, endpoint: { same: '1', newer: '2' } });
    expect(client.send('cluster', { initialVersions: new Map(Object.entries({ same: '1', newer: '1', gone: '1' })) })).toEqual(['cluster +newer@2']);
    // Once it has asked for all it is going to ask for.
    expect(client.ack('cluster')).toEqual(['cluster -gone']);
    expect(
      client.send('endpoint', { subscribe: ['same', 'newer', 'gone'], initialVersions: new Map(Object.entries({ same: '1', newer: '1', gone: '1' })) }),
    ).toEqual(['endpoint +newer@2']);
    expect(client.ack('endpoint')).toEqual([]);
    expect(client.ack('cluster')).toEqual(['endpoint -gone']);
  });

  test('under a wildcard an unsubscribed name is answered with what the wildcard makes of it', () => {
    const client = new TestClient('delta', { cluster: { a: '1' } });
    client.send('cluster', { subscribe: ['*', 'a', 'nope'] });
    client.ack('cluster');
    expect(client.send('cluster', { unsubscribe: ['a', 'nope'] })).toEqual(['cluster +a@1 -nope']);
    client.ack('cluster');
    expect(client.send('cluster', { unsubscribe: ['*'] })).toEqual([]);
    expect(client.update({ cluster: { a: '2' } })).toEqual([]);
  });

  test('naming a resource keeps the legacy wildcard', () => {
    const client = new TestClient('delta', { cluster: { a: '1', b: '1' } });
    client.send('cluster');
    expect(client.ack('cluster', { subscribe: ['a'] })).toEqual(['cluster +a@1']);
    client.ack('cluster');
    expect(client.update({ cluster: { a: '1', b: '2' } })).toEqual(['cluster +b@2']);
  });

  test('one answer at a time: changes meanwhile come together after the ACK', () => {
    const client = new TestClient('delta', { endpoint: { a: '1', b: '1' } });
    client.send('endpoint', { subscribe: ['a', 'b'] });
    expect(client.update({ endpoint: { a: '2', b: '1' } })).toEqual([]);
    expect(client.update({ endpoint: { a: '3', b: '2' } })).toEqual([]);
    expect(client.ack('endpoint')).toEqual(['endpoint +a@3 +b@2']);
  });

  test('after a refusal the correction brings along what was good in the refused answer', () => {
    const client = new TestClient('delta', { listener: { good: '1', bad: '1' } });
    client.send('listener');
    expect(client.nack('listener')).toEqual([]);
    expect(client.update({ listener: { good: '1', bad: '1' } })).toEqual([]);
    expect(client.update({ listener: { good: '1', bad: '2' } })).toEqual(['listener +bad@2 +good@1']);
  });

  test('an unknown type is answered as missing, not with silence', () => {
    const client = new TestClient('delta', {});
    const { responses } = client.stream.onRequest({
      typeUrl: 'type.googleapis.com/x.Y',
      nonce: '',
      names: [],
      subscribe: ['z'],
      unsubscribe: [],
      initialVersions: new Map(),
    });
    expect(responses).toMatchObject([{ resources: [], removed: ['z'] }]);
  });
});
