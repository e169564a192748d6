// A list seen as a map is that map, whatever view came before it.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TYPE_URL } from './resource.ts';
import type { Resource } from './resource.ts';
import { LayeredView, ListView, diffViews, versionOfView } from './view.ts';
import type { View } from './view.ts';

const resources = (names: string, versions: readonly number[]): Resource[] =>
  names.split('').map((name, i) => ({ typeUrl: TYPE_URL.route, name, version: String(versions[i] ?? 0), body: new Uint8Array() }));
const asMap = (list: readonly Resource[]): View => new Map(list.map((r) => [r.name, r]));
const sorted = ({ changed, removed }: ReturnType<typeof diffViews>): string[][] => [changed.toSorted(), removed.toSorted()];

const list = fc.tuple(fc.constantFrom('abc', 'abc', 'acb', 'ab', 'abca', ''), fc.array(fc.nat(2), { minLength: 4, maxLength: 4 }));

test('views of lists, one behind the other, have the content, the versions and the differences of maps', () => {
  fc.assert(
    fc.property(fc.array(list, { minLength: 2, maxLength: 8 }), (steps) => {
      let [view, map]: [View, View] = [new Map(), new Map()];
      for (const [names, versions] of steps) {
        const all = resources(names, versions);
        const [nextView, nextMap] = [new ListView(all, view), asMap(all)];
        expect([nextView.size, [...nextView], [...nextView.keys()], [...nextView.values()]]).toEqual([
          nextMap.size,
          [...nextMap],
          [...nextMap.keys()],
          [...nextMap.values()],
        ]);
        for (const name of 'abcd') expect([nextView.get(name), nextView.has(name)]).toEqual([nextMap.get(name), nextMap.has(name)]);
        expect(sorted(diffViews(view, nextView))).toEqual(sorted(diffViews(map, nextMap)));
        expect(versionOfView(nextView)).toBe(versionOfView(nextMap));
        [view, map] = [nextView, nextMap];
      }
    }),
  );
});

test('under a layer a list is hidden where the layer has its name', () => {
  const [below, above] = [resources('abc', [1, 1, 1]), resources('b', [2])];
  const [view, map] = [new LayeredView([asMap(above), new ListView(below)]), new LayeredView([asMap(above), asMap(below)])];
  expect([view.size, [...view], view.get('b')]).toEqual([map.size, [...map], above[0]]);
  expect(versionOfView(view)).toBe(versionOfView(map));
});

test('what is known of a view is taken over where the names are the same, and worked out anew where the view was never asked', () => {
  const first = new ListView(resources('abc', [1, 1, 1]));
  const second = new ListView(resources('abc', [1, 2, 1]), first);
  expect(second.places).toBe(first.places);
  versionOfView(second);
  const third = new ListView(resources('abc', [1, 2, 3]), second);
  expect(third.sums).toBeDefined();
  expect(versionOfView(third)).toBe(versionOfView(asMap(resources('abc', [1, 2, 3]))));
});

test('differences of big views are remembered, those of views with layers only until another is asked for', () => {
  const big = (version: string): View =>
    asMap(Array.from({ length: 40 }, (_, i) => ({ typeUrl: TYPE_URL.cluster, name: `c${i}`, version, body: new Uint8Array() })));
  const [none, shared, changed]: View[] = [new Map(), big('1'), big('2')];
  const [own, other] = ['ab', 'xy'].map((names) => new LayeredView([asMap(resources(names, [])), shared as View]));
  for (const [from, to, kept] of [
    [none, shared, true],
    [shared, changed, true],
    [none, own, false],
    [own, other, false],
  ] as [View, View, boolean][]) {
    const diff = diffViews(from, to);
    expect(diffViews(from, to)).toBe(diff);
    diffViews(own as View, changed as View);
    expect(diffViews(from, to) === diff).toBe(kept);
    expect(diffViews(from, to)).toEqual(diff);
  }
});
