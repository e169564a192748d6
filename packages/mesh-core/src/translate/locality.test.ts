import { expect, test } from 'vitest';
import { type LocalityMember, localityGroups } from './locality.ts';

const member = (locality: string, labels: Record<string, string> = {}, weight = 1): LocalityMember => ({ locality, labels, weight });
const near = ['us-west/a/x', 'us-west/a/y', 'us-west/b/x', 'us-east/a/x', 'eu/a/x'].map((locality) => member(locality));
const client = { locality: 'us-west/a/x', labels: { app: 'web', version: 'v2' } };
const shape = (...args: Parameters<typeof localityGroups<LocalityMember>>): unknown[] =>
  localityGroups(...args).map((g) => [g.locality, g.priority, g.weight, g.members.length]);

test('without failover all are equal; with it the nearer come first, without gaps', () => {
  expect(shape(near, {}, false, client).map((g) => (g as unknown[])[1])).toEqual([0, 0, 0, 0, 0]);
  expect(shape(near, {}, true, client)).toEqual([
    ['eu/a/x', 3, 1, 1],
    ['us-east/a/x', 3, 1, 1],
    ['us-west/a/x', 0, 1, 1],
    ['us-west/a/y', 1, 1, 1],
    ['us-west/b/x', 2, 1, 1],
  ]);
  expect(shape(near, { localityLbSetting: { enabled: false } }, true, client).map((g) => (g as unknown[])[1])).toEqual([0, 0, 0, 0, 0]);
  expect(shape([near[3] as LocalityMember], {}, true, client)).toEqual([['us-east/a/x', 0, 1, 1]]);
});

test('a region fails over to the one named, the others come last', () => {
  expect(shape(near, { localityLbSetting: { failover: [{ from: 'us-west', to: 'eu' }] } }, true, client).map((g) => (g as unknown[]).slice(0, 2))).toEqual([
    ['eu/a/x', 3],
    ['us-east/a/x', 4],
    ['us-west/a/x', 0],
    ['us-west/a/y', 1],
    ['us-west/b/x', 2],
  ]);
});

test('distribute: shares by rule, divided by weight where several localities fit, nothing for the rest', () => {
  const weighted = [member('us-west/a/x'), member('us-west/b/x', {}, 3), member('us-east/a/x'), member('eu/a/x')];
  const distribute = [
    { from: 'eu/*', to: { 'eu/*': 100 } },
    { from: 'us-west/*', to: { 'us-west/*': 80, 'us-east/a': 20 } },
  ];
  expect(shape(weighted, { localityLbSetting: { distribute } }, true, client)).toEqual([
    ['eu/a/x', 0, 1, 0],
    ['us-east/a/x', 0, 20, 1],
    ['us-west/a/x', 0, 20, 1],
    ['us-west/b/x', 0, 60, 1],
  ]);
  expect(shape(weighted, { localityLbSetting: { distribute: distribute.slice(0, 1) } }, true, client)).toHaveLength(4);
});

test('failoverPriority: by labels in order, own topology included, values may be given', () => {
  const members = [
    member('us-west/a/x', { version: 'v1' }),
    member('us-west/a/x', { version: 'v2' }),
    member('us-east/a/x', { version: 'v2' }),
    member('us-west/b/x', { version: 'v2' }),
  ];
  const order = (labels: string[]): unknown =>
    localityGroups(members, { localityLbSetting: { failoverPriority: labels } }, true, client).flatMap((g) =>
      g.members.map((m) => [g.priority, m.locality, m.labels['version']]),
    );
  expect(order(['version', 'topology.kubernetes.io/region', 'topology.kubernetes.io/zone'])).toEqual([
    [2, 'us-east/a/x', 'v2'],
    [0, 'us-west/a/x', 'v2'],
    [3, 'us-west/a/x', 'v1'],
    [1, 'us-west/b/x', 'v2'],
  ]);
  expect(order(['version=v1'])).toEqual([
    [1, 'us-east/a/x', 'v2'],
    [0, 'us-west/a/x', 'v1'],
    [1, 'us-west/a/x', 'v2'],
    [1, 'us-west/b/x', 'v2'],
  ]);
});

test('zone awareness orders regions and leaves the zones of the own one alone', () => {
  const order = (zoneAwareLbSetting: object): unknown => shape(near, { zoneAwareLbSetting }, false, client).map((g) => (g as unknown[])[1]);
  expect(order({})).toEqual([1, 1, 0, 0, 0]);
  expect(order({ failover: [{ from: 'us-west', to: 'eu' }] })).toEqual([1, 2, 0, 0, 0]);
  expect(order({ enabled: false })).toEqual([0, 0, 0, 0, 0]);
});
